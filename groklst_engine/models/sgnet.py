"""SGNet: guidance enters by way of image gradients and of the Fourier spectrum."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.attention import ChannelAttention, ResidualGroup
from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.coupling import InvertibleCoupling
from groklst_engine.layers.inputs import guided_inputs
from groklst_engine.layers.precision import widened, without_autocast
from groklst_engine.layers.projection import DenseProjection
from groklst_engine.layers.resample import up_bicubic
from groklst_engine.layers.residual import PlainResBlock
from groklst_engine.models.spec import ModelSpec, Paper, require

_SLOPE = 0.2
_WEAK_SLOPE = 0.1
_TINY = 1e-8


def gradient_magnitude(x: Tensor) -> Tensor:
    """Length of the central differences, zeros outside the image: ``(B, C, H, W)`` to the same shape."""
    x = F.pad(x, (1, 1, 1, 1))
    vertical = x[..., 2:, 1:-1] - x[..., :-2, 1:-1]
    horizontal = x[..., 1:-1, 2:] - x[..., 1:-1, :-2]
    return (vertical.square() + horizontal.square() + 1e-6).sqrt()


class GradientCalibration(nn.Module):
    """LST features that know where the guidance has edges.

    Args:
        channels: Width F of all features.
        scale: Fine pixels per coarse pixel.
        bands: Number G of guidance bands whose gradients are used.
        n_blocks: Residual blocks per group; one group has twice as many.
        reduction: Of the channel attentions, the weakest; others are 2 and 4 times less. A multiple of 4.
        reference_compat: As published, with parameters that nothing uses.
    """

    def __init__(
        self, channels: int, scale: int, bands: int, n_blocks: int, reduction: int, reference_compat: bool
    ) -> None:
        super().__init__()

        def group(blocks: int = n_blocks, strength: int = reduction // 2) -> ResidualGroup:
            return ResidualGroup(channels, blocks, strength, _SLOPE)

        self.enlarge = DenseProjection(1, 1, scale, "up")
        self.guidance_gradients = nn.Sequential(
            same_conv(bands, channels), PlainResBlock(channels, negative_slope=_SLOPE)
        )
        self.lst_gradients = same_conv(1, channels)
        self.lst_gradients_group = group(strength=reduction)
        self.calibrate = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 1), group(), group(), ChannelAttention(channels, reduction // 4)
        )
        self.gradient_map = nn.Sequential(same_conv(channels, channels), same_conv(channels, 1))
        self.gradient_features = nn.Sequential(
            same_conv(1, channels), nn.LeakyReLU(_SLOPE), same_conv(channels, channels)
        )
        self.lst_features = nn.Sequential(same_conv(1, channels), group(2 * n_blocks))
        self.refine = nn.Sequential(group(), group(), DenseProjection(channels, channels, scale, "down"))
        if reference_compat:
            self.unused = nn.ModuleList([same_conv(channels, 1), same_conv(1, channels)])

    def forward(self, lst: Tensor, guidance: Tensor) -> Tensor:
        """``(B, 1, h, w)`` and ``(B, G, H, W)`` to ``(B, F, h, w)``."""
        fine = self.enlarge(lst)
        gradients = self.lst_gradients(gradient_magnitude(fine))
        both = [self.guidance_gradients(gradient_magnitude(guidance)), self.lst_gradients_group(gradients)]
        calibrated = self.gradient_map(gradients + self.calibrate(torch.cat(both, dim=1)))
        features: Tensor = self.refine(self.gradient_features(calibrated) + self.lst_features(fine))
        return features


class FrequencyMix(nn.Module):
    """Mix one property, amplitude or phase, of two spectra, each frequency by itself.

    Args:
        lst_channels: Width C of the LST's spectrum and of the result.
        guidance_channels: Width F of the guidance's spectrum.
    """

    def __init__(self, lst_channels: int, guidance_channels: int) -> None:
        super().__init__()

        def pair() -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(lst_channels, lst_channels, 1),
                nn.LeakyReLU(_WEAK_SLOPE),
                nn.Conv2d(lst_channels, lst_channels, 1),
            )

        self.lst = nn.Conv2d(lst_channels, lst_channels, 1)
        self.guidance = nn.Conv2d(guidance_channels, lst_channels, 1)
        self.keep = pair()
        self.compare = pair()
        self.mix = nn.Conv2d(2 * lst_channels, lst_channels, 1)

    def forward(self, lst: Tensor, guidance: Tensor) -> Tensor:
        """``(B, C, H, V)`` and ``(B, F, H, V)`` to ``(B, C, H, V)``."""
        lst, guidance = self.lst(lst), self.guidance(guidance)
        mixed: Tensor = self.mix(torch.cat([self.keep(lst), self.compare((guidance - lst).abs())], dim=1))
        return mixed


def phase(spectrum: Tensor) -> Tensor:
    """The angles of complex numbers, ``(B, C, H, V)``; parts that are only rounding noise count as 0, without gradient.

    A real image has frequencies without an imaginary part, where noise would choose between π and -π.
    """
    noise = 32 * torch.finfo(spectrum.real.dtype).eps * spectrum.detach().abs().square().mean((2, 3), True).sqrt()
    imaginary, real = (torch.where(part.abs() > noise, part, 0) for part in (spectrum.imag, spectrum.real))
    return torch.atan2(imaginary, real)


class SpectrumFusion(nn.Module):
    """Fuse both modalities in the frequency domain, amplitudes and phases apart.

    Args:
        lst_channels: Width C of the LST features and of the result.
        guidance_channels: Width F of the guidance features.
    """

    def __init__(self, lst_channels: int, guidance_channels: int) -> None:
        super().__init__()
        self.lst = nn.Conv2d(lst_channels, lst_channels, 1)
        self.guidance = nn.Conv2d(guidance_channels, guidance_channels, 1)
        self.amplitude = FrequencyMix(lst_channels, guidance_channels)
        self.phase = FrequencyMix(lst_channels, guidance_channels)
        self.tail = nn.Conv2d(lst_channels, lst_channels, 1)

    def forward(self, lst: Tensor, guidance: Tensor) -> Tensor:
        """``(B, C, H, W)`` and ``(B, F, H, W)`` to ``(B, C, H, W)``, in the type of the weights."""
        dtype = self.tail.weight.dtype
        with without_autocast(lst):
            x = torch.fft.rfft2(widened(self.lst(lst.to(dtype))) + _TINY)
            g = torch.fft.rfft2(widened(self.guidance(guidance.to(dtype))) + _TINY)
            amplitude = widened(self.amplitude(x.abs().to(dtype), g.abs().to(dtype)))
            angle = widened(self.phase(phase(x).to(dtype), phase(g).to(dtype)))
            fused = torch.complex(amplitude * angle.cos() + 2 * _TINY, amplitude * angle.sin() + _TINY)
            image = torch.fft.irfft2(fused, s=lst.shape[-2:]).abs()
            result: Tensor = self.tail(image.to(dtype))
        return result


class StructureFusion(nn.Module):
    """Fuse the guidance into the LST on the fine grid, pixel by pixel and frequency by frequency.

    Args:
        lst_channels: Width C of the LST features; even.
        guidance_channels: Width F of the guidance features.
        scale: Fine pixels per coarse pixel.
        reference_compat: As published, with parameters that nothing uses.
    """

    def __init__(self, lst_channels: int, guidance_channels: int, scale: int, reference_compat: bool) -> None:
        super().__init__()
        both, half = lst_channels + guidance_channels, lst_channels // 2
        self.up = DenseProjection(lst_channels, lst_channels, scale, "up")
        self.prepare = same_conv(guidance_channels, guidance_channels)
        self.adapt = nn.Conv2d(guidance_channels, guidance_channels, 1)
        self.spatial = nn.Sequential(InvertibleCoupling(both, lst_channels), nn.Conv2d(both, lst_channels, 1))
        self.spectral = SpectrumFusion(lst_channels, guidance_channels)
        self.merge = nn.Sequential(
            InvertibleCoupling(2 * lst_channels, lst_channels), nn.Conv2d(2 * lst_channels, lst_channels, 1)
        )
        self.gate = nn.Sequential(
            nn.Conv2d(lst_channels, half, 1),
            nn.LeakyReLU(_WEAK_SLOPE),
            nn.Conv2d(half, lst_channels, 1),
            nn.Sigmoid(),
        )
        self.down = DenseProjection(lst_channels, lst_channels, scale, "down")
        if reference_compat:
            self.unused = nn.ModuleList(
                [same_conv(lst_channels, half), same_conv(half, lst_channels), same_conv(lst_channels, lst_channels)]
            )

    def forward(self, lst: Tensor, guidance: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, C, h, w)`` and ``(B, F, H, W)`` to fused features of the same shapes."""
        fine = self.up(lst)
        guidance = self.prepare(guidance)
        adapted = self.adapt(guidance)
        spatial = self.spatial(torch.cat([fine, adapted], dim=1))
        merged = self.merge(torch.cat([spatial, self.spectral(fine, adapted)], dim=1))
        variance, mean = torch.var_mean(widened(merged), dim=(2, 3), correction=0, keepdim=True)
        # The square root has no gradient at 0, where a channel is constant.
        gates = self.gate(((variance + 1e-12).sqrt() + mean).to(merged.dtype))
        return self.down(gates * merged + fine), guidance


class SGNet(nn.Module):
    """Three fusions on the fine grid between groups of residual blocks on the coarse one, and a bicubic skip.

    Args:
        scale: 2, 4 or 8.
        guidance_bands: Number of guidance bands.
        num_feats: Width F of the first features; the last ones have three times as many. Even.
        gradient_bands: How many of the first guidance bands show their gradients; fewer where there are fewer.
        n_resblocks: Residual blocks per group on the coarse grid.
        n_gradient_resblocks: The same where gradients are calibrated.
        n_decoder_resblocks: The same in the three groups at the end.
        reduction: Of the channel attentions; a multiple of 4, at most ``num_feats``.
        reference_compat: As published, with parameters that nothing uses.

    Raises:
        ModelError: If ``num_feats`` or ``reduction`` cannot be used.
    """

    def __init__(
        self,
        *,
        scale: int,
        guidance_bands: int = 10,
        num_feats: int = 40,
        gradient_bands: int = 3,
        n_resblocks: int = 6,
        n_gradient_resblocks: int = 4,
        n_decoder_resblocks: int = 8,
        reduction: int = 16,
        reference_compat: bool = False,
    ) -> None:
        super().__init__()
        require(num_feats % 2 == 0, "sgnet", f"num_feats is {num_feats}: choose an even number")
        require(
            reduction % 4 == 0 and reduction <= num_feats,
            "sgnet",
            f"reduction is {reduction}: choose a multiple of 4 that is at most num_feats, which is {num_feats}",
        )
        one, two, three = num_feats, 2 * num_feats, 3 * num_feats

        def group(channels: int, n_blocks: int = n_resblocks) -> ResidualGroup:
            return ResidualGroup(channels, n_blocks, reduction, _SLOPE)

        def fusion(channels: int) -> StructureFusion:
            return StructureFusion(channels, one, scale, reference_compat)

        def reduce(in_channels: int, out_channels: int) -> nn.Conv2d:
            return nn.Conv2d(in_channels, out_channels, 1)

        self.scale = scale
        self.guidance_bands = guidance_bands
        self.gradient_bands = min(gradient_bands, guidance_bands)
        self.calibration = GradientCalibration(
            one, scale, self.gradient_bands, n_gradient_resblocks, reduction, reference_compat
        )
        self.lst_head = nn.Sequential(same_conv(1, one), nn.LeakyReLU(_SLOPE))
        self.guidance_head = nn.Sequential(same_conv(guidance_bands, one), nn.LeakyReLU(_SLOPE))
        self.guidance_blocks = nn.ModuleList(PlainResBlock(one, negative_slope=_SLOPE) for _ in range(3))
        self.join = nn.ModuleList([reduce(two, one), reduce(three, two), reduce(three, three)])
        self.fusions = nn.ModuleList([fusion(one), fusion(two), fusion(three)])
        self.widen_head = same_conv(one, two)
        self.merge = reduce(2 * two, two)
        self.merge_all = reduce(one + two + two + three, three)
        self.groups = nn.ModuleList([group(one), group(two), group(two), group(three)])
        self.decoder = nn.Sequential(
            DenseProjection(three, three, scale, "up"),
            *(group(three, n_decoder_resblocks) for _ in range(3)),
            same_conv(three, one),
            nn.LeakyReLU(_SLOPE),
            same_conv(one, 1),
        )

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised.
            guidance: ``(B, guidance_bands, scale·h, scale·w)``, normalised; an absent band is 0 everywhere. None: all
                are absent.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``: the skip is added in it, whatever the
            type of the weights.
        """
        coarse, fine = guided_inputs(self, lst, guidance, scale=self.scale, bands=self.guidance_bands)
        edges = self.calibration(coarse, fine[:, : self.gradient_bands])
        g = self.guidance_head(fine)
        stages = list(zip(self.join, self.guidance_blocks, self.fusions, strict=True))

        def fuse(stage: int, x: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
            join, block, fusion = stages[stage]
            fused: tuple[Tensor, Tensor] = fusion(join(torch.cat([x, edges], dim=1)), block(g))
            return fused

        head = self.lst_head(coarse)
        first = self.groups[0](head)
        fused, g = fuse(0, first, g)
        second = self.groups[1](torch.cat([first, fused + head], dim=1))
        fused, g = fuse(1, second, g)
        third = self.groups[2](self.merge(torch.cat([second, fused + self.widen_head(head)], dim=1)))
        fused, _ = fuse(2, third, g)
        last = self.groups[3](self.merge_all(torch.cat([first, second, third, fused], dim=1)))
        detail: Tensor = self.decoder(last)
        return up_bicubic(lst, self.scale) + detail.to(lst.dtype)


SPEC = ModelSpec(
    name="sgnet",
    label="SGNet",
    description="Very large: fuses guidance by its edges and by its spectrum; needs much memory.",
    build=SGNet,
    guided=True,
    scales=(2, 4, 8),
    presets={
        "paper": {},
        "small": {
            "num_feats": 4,
            "n_resblocks": 2,
            "n_gradient_resblocks": 1,
            "n_decoder_resblocks": 1,
            "reduction": 4,
        },
    },
    paper=Paper(
        authors="Z. Wang, Z. Yan, J. Yang",
        title="SGNet: Structure Guided Network via Gradient-Frequency Awareness for Depth Map Super-Resolution",
        venue="AAAI",
        year=2024,
    ),
)
