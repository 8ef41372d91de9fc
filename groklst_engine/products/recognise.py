"""Recognising products by what their files really are called and hold."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from groklst_engine.products.guidance import GUIDANCE_RULES, LANDSAT_OLI, LANDSAT_TM
from groklst_engine.products.layers import entry, file_of, layers_in, partner
from groklst_engine.products.lst import LST_RULES
from groklst_engine.products.model import Layer, Product, Quality, Rule, Swath
from groklst_engine.products.times import acquired

_BASELINE_WITH_OFFSET = datetime(2022, 1, 25, tzinfo=timezone.utc)
"""From this day ESA adds 1000 to the stored numbers of Sentinel-2 (processing baseline 04.00)."""

_AUXILIARY = re.compile(
    r"^(?:QA|QC|SR_|ST_|SCL|AOT|WVP|MSK_|TCI|LST|LC_|LW$|Emis|StateQA|state_|sur_refl_(?!b\d)|num_|granule_|orbit_|"
    r"obscov|iobs_|gflags|Range|DayOfYear|.*(?:[Vv]iew_|Zenith|Azimuth|_qa|Quality))"
)
"""Bands of products that say something about the others."""

Found = tuple[Rule, Layer, re.Match[str]]


def lst_product(name: str, band: int = 1) -> Product | None:
    """The LST product behind a raster's name, or None when nothing in it is known.

    Args:
        name: A file, a subdataset, or the folder of a Sentinel-3 or Landsat product.
        band: Band of a raster with bands; among subdatasets the one by day is taken.
    """
    opened = entry(name)
    layers = layers_in(opened)
    found = [match for layer in layers if (match := _match(LST_RULES, layer, file_of(opened).name))]
    if not found:
        return None
    own = next((match for match in found if match[1].path == opened and match[1].band == band), None)
    by_day = [match for match in found if _kind(match) == "day"]
    # an explicit other band is the user's wish, whatever it is
    if own is None and band != 1 and len(layers) > 1 and found[0][1].path == opened:
        return None
    chosen = own or (by_day or found)[0]
    product = _describe(chosen)
    if own is None and len(layers) > 1:
        others = [f"'{_call(layer)}'" for _, layer, _ in found if layer != chosen[1]]
        if others:
            said = f"'{_call(chosen[1])}' was taken; {', '.join(others)} can be named in its place."
            product = replace(product, warnings=(*product.warnings, said))
    return product


def guidance_product(layer: Layer, every: list[Layer]) -> Product | None:
    """The guidance product that a layer belongs to, or None.

    Args:
        layer: The layer.
        every: All layers of its raster, which tell Landsat's sensors and Sentinel-2 apart where the file's name
            does not.
    """
    file = file_of(layer.path)
    found = _match(_rules_for(every), layer, file.name)
    if not found:
        return None
    rule, _, match = found
    key = match[1] if match.re.groups else ""
    product = replace(_describe(found), role=rule.roles.get(key or "", "other"), unit=None)
    return _sentinel2(product, file) if rule.name == "Sentinel-2 L2A" else product


def is_auxiliary(layer: Layer) -> bool:
    """Whether a band of a product is a flag, an angle or a time rather than guidance."""
    return any(_AUXILIARY.match(name) for name in layer.names)


def guidance_paths(name: str) -> list[str]:
    """The rasters behind a guidance name: files of a Landsat or Sentinel-2 folder, subdatasets, or the name itself."""
    path = Path(name)
    if path.name == "MTD_MSIL2A.xml" or path.name.endswith("_MTL.txt"):
        path = path.parent
    if path.is_dir():
        # Sentinel-2: the folder of 20 m bands lacks the broad near infrared only, that of 10 m all short-wave infrared
        for pattern in ("*_SR_B[1-7].TIF", "GRANULE/*/IMG_DATA/R20m/*_B??_20m.jp2", "**/R10m/*_B??_10m.jp2"):
            files = sorted(map(str, path.glob(pattern)))
            if files:
                return files
        return [name]
    layers = layers_in(name)
    if layers and all(layer.path != name for layer in layers):
        return [layer.path for layer in layers if guidance_product(layer, layers)]
    return [name]


def _match(rules: tuple[Rule, ...], layer: Layer, file: str) -> Found | None:
    for rule in rules:
        for name in layer.names:
            match = rule.match(name, file)
            if match:
                return rule, layer, match
    return None


def _rules_for(layers: list[Layer]) -> tuple[Rule, ...]:
    """The rules, with those that the names of the bands make certain."""
    names = {name for layer in layers for name in layer.names}
    certain: list[Rule] = []
    if names & {"B8A", "B12", "SCL"} or {"B02", "B03", "B04"} <= names:
        sentinel2 = next(rule for rule in GUIDANCE_RULES if rule.name == "Sentinel-2 L2A")
        by_bands = replace(sentinel2, layer=r"^B(\d{1,2}A?)$", needs_file=False)
        certain.append(replace(by_bands, quality=(("SCL", sentinel2.quality[0][1]),)))
    if "SR_B6" in names or "ST_B10" in names:
        certain.append(replace(LANDSAT_OLI, needs_file=False))
    elif {"SR_B1", "SR_B7"} <= names or "ST_B6" in names:
        certain.append(replace(LANDSAT_TM, needs_file=False))
    return (*certain, *GUIDANCE_RULES)


def _kind(found: Found) -> str:
    """``day``, ``night`` or nothing."""
    match = found[2]
    said = (match[1] or "") if match.re.groups else ""
    if not said:
        file = file_of(found[1].path).name
        said = {"D": "day", "N": "night"}.get((re.search(r"21A1([DN])", file) or "--")[1], "")
    return said.lower()


def _describe(found: Found) -> Product:
    rule, layer, match = found
    file = file_of(layer.path)
    quality: dict[Layer, Quality] = {}
    for template, bits in rule.quality:
        other = partner(layer, match, template)
        if other is not None and other not in quality:
            quality[other] = Quality(other, bits)
    swath = None
    if rule.swath:
        latitude, longitude = (partner(layer, match, template) for template in rule.swath)
        swath = Swath(latitude, longitude) if latitude and longitude else None
    view_time = partner(layer, match, rule.view_time) if rule.view_time else None
    when, source = acquired(layer, rule, view_time, _kind(found))
    return Product(
        name=rule.exact(f"{file.name} {file.absolute().parent.name}"),
        title=rule.title,
        layer=layer,
        scale=rule.scale,
        offset=rule.offset,
        fills=rule.fills,
        valid=rule.valid,
        unit="K",
        quality=tuple(quality.values()),
        error=partner(layer, match, rule.error) if rule.error else None,
        error_scale=rule.error_scale,
        acquired=when,
        acquired_from=source,
        psf=rule.psf,
        native=rule.native,
        swath=swath,
        crs=rule.crs,
    )


def _sentinel2(product: Product, file: Path) -> Product:
    """With the offset that the processing baseline asks for."""
    for folder in list(file.absolute().parents)[:5]:
        metadata = folder / "MTD_MSIL2A.xml"
        if metadata.exists():
            said = re.search(r"<BOA_ADD_OFFSET[^>]*>(-?\d+)<", metadata.read_text("utf-8", errors="replace"))
            return replace(product, offset=product.scale * float(said[1]) if said else 0.0)
        baseline = re.search(r"_N(\d{4})_", folder.name)
        if baseline:
            return replace(product, offset=-0.1 if int(baseline[1]) >= 400 else 0.0)
    named = re.match(r"T\d{2}[A-Z]{3}_\d{8}T", file.name)
    if named and product.acquired is not None and product.acquired >= _BASELINE_WITH_OFFSET:
        return replace(product, offset=-0.1)
    reason = "as before 25 January 2022 (a later reprocessing has it)" if named else "as in harmonised exports"
    told = (
        f"Nothing beside '{file.name}' tells its processing baseline; its reflectance is taken without the offset of "
        f"−1000, {reason}: keep the files in their .SAFE folder to have the offset read."
    )
    return replace(product, warnings=(told,))


def _call(layer: Layer) -> str:
    """How a user names a layer."""
    return layer.path if layer.band == 1 else f"{layer.path}:{layer.band}"
