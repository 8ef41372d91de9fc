"""Networks compiled for the device and the size of their images: an opt-in, for long runs on a GPU."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from groklst_engine.errors import ModelError


class Compiled(nn.Module):
    """A network that PyTorch compiles when it first sees an image, and once more for images of other sizes.

    That takes a minute or more, in which it cannot be interrupted. The result is the same up to rounding.

    Args:
        network: Stays as it is.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        warnings.filterwarnings("ignore", message="Dynamo detected a call to a `functools.lru_cache`")  # ours are pure
        self._compiled = torch.compile(network.forward)

    def forward(self, lst: Tensor, guidance: Tensor | None, *more: Any) -> Tensor:
        """As the network.

        Raises:
            ModelError: It cannot be compiled here, such as for want of a compiler.
        """
        from torch._dynamo.exc import TorchDynamoException  # loads for a second

        try:
            fine: Tensor = self._compiled(lst, guidance, *more)
        except TorchDynamoException as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelError(f"The network can't be compiled on this machine ({reason}): leave out compile.") from error
        return fine
