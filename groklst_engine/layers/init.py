"""Fresh weights."""

from __future__ import annotations

from torch import nn


def init_he(network: nn.Module, gain: float = 1.0) -> None:
    """Draw the weights of all convolutions, transposed or not, from a normal distribution; their biases become 0.

    Reference: He et al., Delving Deep into Rectifiers, ICCV 2015.

    Args:
        network: Changed in place; its other layers keep their weights.
        gain: Multiplies the weights.
    """
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.kaiming_normal_(module.weight)
            module.weight.data.mul_(gain)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
