"""What each objective can be told, by the names of params.yaml; needs no torch, so that settings are checked early."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from offclip.names import nearest
from offclip.options import Positive, Weight, typed_all

Form = Literal["sigmoid", "softmax"]
AbnormalPairs = Literal["ignore", "zero"]
Reduction = Literal["balanced", "mean"]

AFFINE = {"scale": Positive, "bias": float, "learn_scale": bool, "learn_bias": bool}
TERM = {"form": Form, "abnormal_pairs": AbnormalPairs, "reduction": Reduction, **AFFINE}
OPTIONS: dict[str, dict[str, Any]] = {
    "info_nce": {},
    "off_clip": {"off_diagonal_weight": Weight, "abnormal_weight": Weight, **TERM},
    "info_nce_off_diagonal": {"off_diagonal_weight": Weight, **TERM},
    "off_diagonal": TERM,
    "siglip": AFFINE,
}
"""Objective -> option -> type and range; defaults stand in objective.py."""


def checked(name: str, options: Mapping[str, Any], where: str = "objective_options") -> dict[str, Any]:
    """An objective's options, each of its type.

    Args:
        name: of the objective.
        options: what params.yaml holds.
        where: the path printed in errors.

    Raises:
        ValueError: an unknown objective or option, or a value of another type or outside its range.
    """
    if name not in OPTIONS:
        hint = nearest(name, OPTIONS) or "."
        raise ValueError(f"objective '{name}' does not exist{hint} Known: {', '.join(OPTIONS)}.")
    return typed_all(options, OPTIONS[name], where)
