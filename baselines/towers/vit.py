"""The published image tower: ViT-B/16 (Dosovitskiy et al., arXiv 2010.11929) as timm builds it.

Class token = the whole image, patch tokens = its cells, both after the final LayerNorm; no projection.
Source: CARZero (arXiv 2402.17417), section 3.1; the release starts from the MRM / M3AE encoder.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from baselines import checkpoints, torchvision_cure
from baselines.base import ImageFeatures, load_exactly
from baselines.config import VitOptions
from baselines.released import require_size, resized
from baselines.towers.base import ImageTower

INIT_PREFIX = "vision_encoder."
"""Under which the release's initial checkpoint (``VITB-16-M3AE_last.ckpt``, key ``state_dict``) keeps the tower."""


class VitTower(ImageTower):
    """[B, 1, S, S] in [0, 1] to ``ImageFeatures``; a larger one is brought to ``scaled``, then cropped to size."""

    def __init__(self, options: VitOptions) -> None:
        super().__init__()
        torchvision_cure.apply()
        from timm.models.vision_transformer import VisionTransformer

        self.options = options
        self.dim = options.dim
        self.model = VisionTransformer(
            img_size=options.size,
            patch_size=options.patch,
            embed_dim=options.dim,
            depth=options.depth,
            num_heads=options.heads,
            num_classes=0,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
        )
        if options.positions == "frozen" and self.model.pos_embed is not None:
            nn.init.zeros_(self.model.pos_embed.requires_grad_(False))
        if options.init:
            weights = checkpoints.read(options.init)
            found = {k.removeprefix(INIT_PREFIX): v for k, v in weights.items() if k.startswith(INIT_PREFIX)}
            own = self.model.state_dict()
            load_exactly(self.model, {k: v for k, v in found.items() if k in own}, options.init)

    def require_size(self, size: int) -> None:
        """Refuse a cache whose images would have to be enlarged.

        Raises:
            ValueError: ``size`` (pixels) is below ``scaled``.
        """
        if self.options.scaled is not None:
            require_size("this vision transformer", self.options.scaled, size)

    def forward(self, pixels: Tensor) -> ImageFeatures:
        """The class token, the patch tokens, and the cells that the crop cut off."""
        size, patch = self.options.size, self.options.patch
        if self.options.scaled is not None and min(pixels.shape[2:]) > self.options.scaled:
            pixels = resized(pixels, self.options.scaled, self.options.scaled, "area")
        height, width = pixels.shape[2:]
        border, rest = divmod(height - size, 2 * patch)
        if height != width or border < 0 or rest:
            raise ValueError(
                f"images must be square with a side of {size} plus a multiple of {2 * patch} pixels, "
                f"found {height}x{width}; set `cohort.size`."
            )
        margin = border * patch
        cropped = pixels[:, :, margin : margin + size, margin : margin + size]
        normalised = (cropped - self.options.mean) / self.options.std
        tokens: Tensor = self.model.forward_features(normalised.expand(-1, 3, -1, -1))  # (B, 1 + h*w, D)
        side = size // patch
        return ImageFeatures(tokens[:, 0], tokens[:, 1:].unflatten(1, (side, side)), border)
