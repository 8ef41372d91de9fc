"""A trained network as an ONNX file, for programs without PyTorch; checked against torch before it is written."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim

from groklst_engine.errors import ModelError, OutputError
from groklst_engine.models.zoo import get_spec
from groklst_engine.weights import ModelCard, load_weights
from groklst_engine.whole_file import whole_file

TOLERANCE = 1e-3
"""Largest difference from torch, in units of the scene's standard deviation: a few thousandths of a kelvin."""

# Coarse sizes: one to export with, one the exporter has not seen.
_SIZES = ((16, 24), (32, 16))


def export_onnx(weights: Path, scale: int, output: Path) -> float:
    """Write the network of a weights file as ONNX, for any size of input, with its card among the metadata.

    Inputs are ``lst`` (1, 1, h, w) and, for a guided network, ``guidance`` (1, C, scale·h, scale·w), z-scored as in the
    card; the output is ``fine`` (1, 1, scale·h, scale·w).

    Returns:
        The largest difference from torch on random inputs of two sizes.

    Raises:
        ModelError: The weights do not serve the scale, or the network does not allow the export.
        OutputError: The file cannot be written.
        ModuleNotFoundError: The packages of the extra ``onnx`` are not installed.
    """
    import onnxruntime
    import onnxscript  # noqa: F401 - torch's exporter needs it

    network, card = load_weights(weights, scale)
    guided = get_spec(card.architecture).guided
    try:
        content = _exported(network, card, scale, guided)
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        difference = max(_difference(network, session, _inputs(size, scale, guided, card)) for size in _SIZES)
    except Exception as error:  # exporter and runtime raise classes of their own, for dozens of reasons
        raise ModelError(
            f"The network '{card.architecture}' does not allow an ONNX export ({type(error).__name__}): use the "
            "weights file itself."
        ) from error
    if not difference <= TOLERANCE:
        raise ModelError(
            f"The ONNX form of '{card.architecture}' differs from the network by {difference:.2g} standard deviations "
            "and was not written: use the weights file itself."
        )
    try:
        with whole_file(output) as part:
            part.write_bytes(content)
    except OSError as error:
        raise OutputError(f"The file '{output}' cannot be written: check folder and disk space.") from error
    return difference


def _exported(network: nn.Module, card: ModelCard, scale: int, guided: bool) -> bytes:
    height, width = Dim("height"), Dim("width")
    sizes = [{2: height, 3: width}, {2: scale * height, 3: scale * width}]
    names = ["lst", "guidance"]
    count = 2 if guided else 1
    with _quiet():
        program = torch.onnx.export(
            network,
            _inputs(_SIZES[0], scale, guided, card),
            input_names=names[:count],
            output_names=["fine"],
            dynamic_shapes=tuple(sizes[:count]),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    program.model.metadata_props["groklst"] = card.model_dump_json()
    return bytes(program.model_proto.SerializeToString())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter tells about packages it does not need, by every way there is."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def _inputs(size: tuple[int, int], scale: int, guided: bool, card: ModelCard) -> tuple[Tensor, ...]:
    height, width = size
    generator = torch.Generator().manual_seed(0)
    lst = torch.randn(1, 1, height, width, generator=generator)
    guidance = torch.randn(1, max(1, len(card.roles)), scale * height, scale * width, generator=generator)
    return (lst, guidance) if guided else (lst,)


@torch.inference_mode()
def _difference(network: nn.Module, session: object, inputs: tuple[Tensor, ...]) -> float:
    names = [node.name for node in session.get_inputs()]  # type: ignore[attr-defined]
    feed = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
    (fine,) = session.run(None, feed)  # type: ignore[attr-defined]
    return float((torch.from_numpy(fine) - network(*inputs)).abs().max())
