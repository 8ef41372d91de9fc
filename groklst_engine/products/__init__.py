"""Known products: how their files are recognised, packed, flagged and placed."""

from groklst_engine.products.model import Layer, Product, Quality
from groklst_engine.products.recognise import guidance_paths, guidance_product, is_auxiliary, lst_product

__all__ = ["Layer", "Product", "Quality", "guidance_paths", "guidance_product", "is_auxiliary", "lst_product"]
