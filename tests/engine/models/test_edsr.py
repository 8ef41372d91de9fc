from __future__ import annotations

import torch

from groklst_engine.models.edsr import EDSR
from groklst_engine.models.zoo import get_spec


def test_fresh_weights_follow_the_paper() -> None:
    torch.manual_seed(0)
    network = EDSR(scale=4)
    he = (2 / (64 * 9)) ** 0.5

    blocks = torch.cat([parameter.flatten() for parameter in network.blocks.parameters() if parameter.dim() == 4])
    steps = torch.cat([parameter.flatten() for parameter in network.upsampler.parameters() if parameter.dim() == 4])

    torch.testing.assert_close(blocks.std().item(), 0.1 * he, rtol=0.01, atol=0)
    torch.testing.assert_close(steps.std().item(), he, rtol=0.01, atol=0)
    assert not network.blocks[0].conv1.bias.any()


def test_guidance_is_ignored() -> None:
    network = EDSR(scale=3, num_feats=4, n_resblocks=1)
    lst = torch.randn(1, 1, 16, 16)

    assert torch.equal(network(lst), network(lst, torch.randn(1, 2, 48, 48)))


def test_receptive_radius_of_the_published_size() -> None:
    assert get_spec("edsr").radius(8) == 36
    assert get_spec("edsr").radius(8, n_resblocks=4) == 12
