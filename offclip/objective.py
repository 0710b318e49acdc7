"""What a model learns from its pair matrix: thin modules that carry weights and the learnable scale and bias.

Needs torch alone and knows no model: ``loss = OffClipObjective(form="sigmoid")(pair_logits, is_normal)``. The losses
are in losses.py. A model with several matrices (CARZero scores both ways) sums the objective over them.

Distributed training: hand in the matrix of the *gathered* batch (features gathered with gradients, then scored)
and the gathered ``is_normal``. Every mean runs over that matrix, so it cannot be averaged over ranks; of `Rows` of the
matrix the shares of all processes add up. `OffClipLoss` (clip_loss.py) gathers for models of open_clip's kind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, get_args, overload

import torch
from torch import Tensor, nn

from offclip.losses import (
    Rows,
    abnormal_info_nce,
    at_least_float32,
    info_nce,
    off_diagonal,
    siglip,
)
from offclip.names import one_of
from offclip.objective_options import AbnormalPairs, Form, Reduction, checked


class Affine(nn.Module):
    """``scale * logits + bias``: brings raw scores to where a sigmoid is not saturated.

    The scale is held as its logarithm so that it stays positive. Fixed values are buffers, hence saved too.
    """

    log_scale: Tensor
    bias: Tensor

    def __init__(self, scale: float, bias: float, learn_scale: bool, learn_bias: bool) -> None:
        super().__init__()
        if scale <= 0:
            raise ValueError(f"scale must be positive, found {scale}.")
        self._hold("log_scale", math.log(scale), learn_scale)
        self._hold("bias", bias, learn_bias)

    def _hold(self, name: str, value: float, learn: bool) -> None:
        tensor = torch.tensor(float(value))
        if learn:
            setattr(self, name, nn.Parameter(tensor))
        else:
            self.register_buffer(name, tensor)

    @overload
    def forward(self, logits: Tensor) -> Tensor: ...

    @overload
    def forward(self, logits: Rows) -> Rows: ...

    def forward(self, logits: Tensor | Rows) -> Tensor | Rows:
        """Any shape to the same shape, in at least float32."""
        if isinstance(logits, Rows):
            return logits.map(self.forward)
        logits = at_least_float32(logits)
        return logits * self.log_scale.exp().to(logits.dtype) + self.bias.to(logits.dtype)


class InfoNCE(nn.Module):
    """``info_nce``: what CLIP and CARZero learn. The labels are not looked at."""

    def forward(self, pair_logits: Tensor, is_normal: Tensor) -> Tensor:
        """[B, B] scores and [B] bool to a scalar."""
        return info_nce(pair_logits)


class SigLIP(nn.Module):
    """``siglip`` with a learnable scale and bias (published start: bias -10, so that no pair matches at first)."""

    def __init__(self, scale: float = 1.0, bias: float = -10.0, learn_scale: bool = True, learn_bias: bool = True):
        super().__init__()
        self.affine = Affine(scale, bias, learn_scale, learn_bias)

    def forward(self, pair_logits: Tensor, is_normal: Tensor) -> Tensor:
        """[B, B] scores and [B] bool to a scalar."""
        return siglip(self.affine(pair_logits))


class OffDiagonal(nn.Module):
    """The off-diagonal term alone, as the figure has it: its target matrix, the plain mean, the scores as they are.

    With ``abnormal_pairs="ignore"`` nothing would distinguish abnormal texts: a model that was never asked to match
    abnormal pairs at all.
    """

    def __init__(
        self,
        form: Form = "sigmoid",
        abnormal_pairs: AbnormalPairs = "zero",
        reduction: Reduction = "mean",
        scale: float = 1.0,
        bias: float = 0.0,
        learn_scale: bool = False,
        learn_bias: bool = False,
    ) -> None:
        super().__init__()
        self.form = one_of("form", form, get_args(Form))
        self.abnormal_pairs = one_of("abnormal_pairs", abnormal_pairs, get_args(AbnormalPairs))
        self.reduction = one_of("reduction", reduction, get_args(Reduction))
        # A softmax is blind to a bias, and its temperature is the model's own.
        self.affine = Affine(scale, bias, learn_scale, learn_bias) if form == "sigmoid" else nn.Identity()

    def forward(self, pair_logits: Tensor | Rows, is_normal: Tensor, known: Tensor | None = None) -> Tensor:
        """[B, B] scores (or `Rows` of them), [B] bool and, where labels are missing, which are known, to a scalar."""
        logits = self.affine(pair_logits)
        return off_diagonal(logits, is_normal, self.form, self.abnormal_pairs, self.reduction, known)


class OffClipObjective(nn.Module):
    """OFF-CLIP: off-diagonal term + InfoNCE over the abnormal pairs.

    The defaults are the figure, literally: its target matrix, the plain mean over all pairs, the scores as they are,
    the plain sum of the two terms. What departs from it has a name.

    Args:
        form: ``sigmoid`` or ``softmax``; see ``off_diagonal``.
        off_diagonal_weight: weight of the off-diagonal term.
        abnormal_weight: weight of the abnormal InfoNCE.
        abnormal_pairs: ``zero`` (the figure, literally) or ``ignore`` (each abnormal pair is learnt once, by InfoNCE).
        reduction: ``mean`` or ``balanced``; see ``off_diagonal``.
        scale: start of the factor on the logits inside the sigmoid.
        bias: start of the offset on the logits inside the sigmoid.
        learn_scale: learn the scale, else it stays.
        learn_bias: learn the bias, else it stays.
    """

    def __init__(
        self,
        form: Form = "sigmoid",
        off_diagonal_weight: float = 1.0,
        abnormal_weight: float = 1.0,
        abnormal_pairs: AbnormalPairs = "zero",
        reduction: Reduction = "mean",
        scale: float = 1.0,
        bias: float = 0.0,
        learn_scale: bool = False,
        learn_bias: bool = False,
    ) -> None:
        super().__init__()
        self.off_diagonal_weight = off_diagonal_weight
        self.abnormal_weight = abnormal_weight
        self.term = OffDiagonal(form, abnormal_pairs, reduction, scale, bias, learn_scale, learn_bias)

    def forward(self, pair_logits: Tensor | Rows, is_normal: Tensor, known: Tensor | None = None) -> Tensor:
        """[B, B] scores (or `Rows` of them), [B] bool and, where labels are missing, which are known, to a scalar."""
        off_diagonal_loss, abnormal_loss = self.terms(pair_logits, is_normal, known)
        return off_diagonal_loss + abnormal_loss

    def terms(
        self, pair_logits: Tensor | Rows, is_normal: Tensor, known: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The two weighted terms whose sum is the loss, for logging: off-diagonal, abnormal InfoNCE."""
        return (
            self.off_diagonal_weight * self.term(pair_logits, is_normal, known),
            self.abnormal_weight * abnormal_info_nce(pair_logits, is_normal, known),
        )


class InfoNCEOffDiagonal(nn.Module):
    """InfoNCE over the whole batch + the off-diagonal term: what the term adds without the abnormal InfoNCE's cut.

    InfoNCE still pushes normal images from other normal texts, so the two disagree there; that is the question.
    """

    def __init__(self, off_diagonal_weight: float = 1.0, **term: Any):
        super().__init__()
        self.off_diagonal_weight = off_diagonal_weight
        self.term = OffDiagonal(**term)

    def forward(self, pair_logits: Tensor, is_normal: Tensor) -> Tensor:
        """[B, B] scores and [B] bool to a scalar."""
        return info_nce(pair_logits) + self.off_diagonal_weight * self.term(pair_logits, is_normal)


OBJECTIVES: dict[str, type[nn.Module]] = {
    "info_nce": InfoNCE,
    "off_clip": OffClipObjective,
    "info_nce_off_diagonal": InfoNCEOffDiagonal,
    "off_diagonal": OffDiagonal,
    "siglip": SigLIP,
}


def build(name: str, options: Mapping[str, Any] | None = None) -> nn.Module:
    """Make an objective by its name, with its options.

    Raises:
        ValueError: an unknown name or option, or a value of another type or outside its range.
    """
    chosen = checked(name, options or {})
    return OBJECTIVES[name](**chosen)
