"""ResNet-50 as the released models use it: torchvision's, without its classifier (He et al., CVPR 2016)."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from baselines import torchvision_cure

CHANNELS = {"layer3": 1024, "layer4": 2048}
"""Width of the last two stages, whose cells are 16 and 32 pixels wide."""


def resnet50() -> nn.Module:
    """Random weights; parameters are named as in torchvision, ``fc`` left out."""
    torchvision_cure.apply()
    from torchvision.models import resnet50 as torchvisions

    model: Any = torchvisions(weights=None)
    model.fc = nn.Identity()
    return model


def stages(model: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """Features of the third stage [B, 1024, h, w] and of the last [B, 2048, h / 2, w / 2] for [B, 3, H, W]."""
    x = model.maxpool(model.relu(model.bn1(model.conv1(x))))
    third = model.layer3(model.layer2(model.layer1(x)))
    return third, model.layer4(third)
