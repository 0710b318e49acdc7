"""What is learnt from a pair matrix: InfoNCE, the off-diagonal term, the abnormal InfoNCE, OFF-CLIP, SigLIP.

Pure functions on the matrix ``logits[i, j]`` = score of picture i with text j, whose diagonal holds the true
pairs, and thin modules that carry weights and the learnable scale and bias. Needs torch alone and knows no model:
``loss = OffClipObjective(form="sigmoid")(pair_logits, is_normal)``. A model with several matrices (CARZero scores
both ways) sums the objective over them.

Distributed training: hand in the matrix of the *gathered* batch (features gathered with gradients, then scored)
and the gathered ``is_normal``. Every mean below runs over that matrix, so it cannot be averaged over ranks.

Source: OFF-CLIP (arXiv 2503.01794), overview figure: target T[i, j] = 1 if i = j or both are normal, else 0,
plus InfoNCE over the abnormal pairs. The figure names no functional form, so the forms are choices with names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from offclip.names import nearest

Form = Literal["sigmoid", "softmax"]
AbnormalPairs = Literal["ignore", "zero"]
Reduction = Literal["balanced", "mean"]


def info_nce(logits: Tensor) -> Tensor:
    """Symmetric cross-entropy with diagonal targets: (CE over rows + CE over columns) / 2.

    Args:
        logits: [B, B] raw scores, rows pictures, columns texts; temperature already applied.

    Returns:
        Scalar; 0 for an empty matrix.

    Source: CLIP (arXiv 2103.00020), figure 3; CARZero (arXiv 2402.17417), section 3.3.
    """
    logits = _checked(logits)
    if len(logits) == 0:
        return logits.sum()
    target = torch.arange(len(logits), device=logits.device)
    return (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2


def off_diagonal_target(is_normal: Tensor) -> Tensor:
    """The figure's target matrix: 1 where i = j or both pairs are normal, else 0.

    Args:
        is_normal: [B] bool.

    Returns:
        [B, B] bool.
    """
    same = torch.eye(len(is_normal), dtype=torch.bool, device=is_normal.device)
    return same | (is_normal[:, None] & is_normal[None, :])


def off_diagonal(
    logits: Tensor,
    is_normal: Tensor,
    form: Form = "sigmoid",
    abnormal_pairs: AbnormalPairs = "ignore",
    reduction: Reduction = "balanced",
) -> Tensor:
    """Draw normal pictures to every normal text, and push normal and abnormal apart.

    Args:
        logits: [B, B] raw scores.
        is_normal: [B] bool, the label of each pair.
        form: ``sigmoid``: binary cross-entropy per pair. ``softmax``: cross-entropy of each row (and each column)
            against the uniform distribution over its targets.
        abnormal_pairs: ``ignore`` leaves abnormal-abnormal pairs, diagonal included, to the abnormal InfoNCE (in the
            softmax form: the rows and columns of abnormal pairs). ``zero`` is the figure's literal form: abnormal
            pairs have target 1 on the diagonal and 0 elsewhere.
        reduction: sigmoid form only. ``balanced`` averages the pairs of target 1 and those of target 0 apart, then
            takes their mean; an empty group counts 0. ``mean`` is the plain mean over all pairs that count, where
            the more numerous group outweighs the other.

    Returns:
        Scalar; 0 where no pair counts (with ``ignore``: a batch without normal pairs).

    Raises:
        ValueError: shapes that do not match, or an unknown name of a form.
    """
    logits = _checked(logits, is_normal)
    _one_of("form", form, get_args(Form))
    _one_of("abnormal_pairs", abnormal_pairs, get_args(AbnormalPairs))
    _one_of("reduction", reduction, get_args(Reduction))
    target = off_diagonal_target(is_normal)
    if form == "softmax":
        anchors = is_normal if abnormal_pairs == "ignore" else torch.ones_like(is_normal)
        return (_multi_positive(logits, target, anchors) + _multi_positive(logits.T, target, anchors)) / 2
    counts = is_normal[:, None] | is_normal[None, :] if abnormal_pairs == "ignore" else torch.ones_like(target)
    loss = functional.binary_cross_entropy_with_logits(logits, target.to(logits.dtype), reduction="none")
    if reduction == "mean":
        return _mean(loss, counts)
    return (_mean(loss, counts & target) + _mean(loss, counts & ~target)) / 2


def abnormal_info_nce(logits: Tensor, is_normal: Tensor) -> Tensor:
    """InfoNCE over the sub-matrix of abnormal pairs; 0 where there are fewer than two.

    Args:
        logits: [B, B] raw scores.
        is_normal: [B] bool.
    """
    logits = _checked(logits, is_normal)
    # index_select, not a boolean mask of the matrix: its backward is deterministic on every device.
    abnormal = torch.nonzero(~is_normal).flatten()
    return info_nce(logits.index_select(0, abnormal).index_select(1, abnormal))


def siglip(logits: Tensor) -> Tensor:
    """Pairwise sigmoid loss: each pair is a binary problem, diagonal 1, else 0; summed over texts, mean over pictures.

    Args:
        logits: [B, B] scores with scale and bias applied.

    Source: SigLIP (arXiv 2303.15343), equation 1.
    """
    logits = _checked(logits)
    target = torch.eye(len(logits), dtype=logits.dtype, device=logits.device)
    loss = functional.binary_cross_entropy_with_logits(logits, target, reduction="sum")
    return loss / max(len(logits), 1)


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

    def forward(self, logits: Tensor) -> Tensor:
        """Any shape to the same shape, in at least float32."""
        logits = _promoted(logits)
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
    """The off-diagonal term alone.

    ``abnormal_pairs`` is ``zero`` here: with ``ignore`` nothing would tell abnormal texts apart, so the ablation
    "without abnormal InfoNCE" would measure a model that was never asked to match abnormal pairs at all.
    """

    def __init__(
        self,
        form: Form = "sigmoid",
        abnormal_pairs: AbnormalPairs = "zero",
        reduction: Reduction = "balanced",
        scale: float = 1.0,
        bias: float = 0.0,
        learn_scale: bool = True,
        learn_bias: bool = True,
    ) -> None:
        super().__init__()
        self.form = _one_of("form", form, get_args(Form))
        self.abnormal_pairs = _one_of("abnormal_pairs", abnormal_pairs, get_args(AbnormalPairs))
        self.reduction = _one_of("reduction", reduction, get_args(Reduction))
        # A softmax is blind to a bias, and its temperature is the model's own.
        self.affine = Affine(scale, bias, learn_scale, learn_bias) if form == "sigmoid" else nn.Identity()

    def forward(self, pair_logits: Tensor, is_normal: Tensor) -> Tensor:
        """[B, B] scores and [B] bool to a scalar."""
        return off_diagonal(self.affine(pair_logits), is_normal, self.form, self.abnormal_pairs, self.reduction)


class OffClipObjective(nn.Module):
    """OFF-CLIP: off-diagonal term + InfoNCE over the abnormal pairs.

    Args:
        form: ``sigmoid`` or ``softmax``; see ``off_diagonal``.
        off_diagonal_weight: weight of the off-diagonal term.
        abnormal_weight: weight of the abnormal InfoNCE.
        abnormal_pairs: ``ignore`` (each abnormal pair is learnt once, by InfoNCE) or ``zero`` (the figure, literally).
        reduction: ``balanced`` or ``mean``; see ``off_diagonal``.
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
        abnormal_pairs: AbnormalPairs = "ignore",
        reduction: Reduction = "balanced",
        scale: float = 1.0,
        bias: float = 0.0,
        learn_scale: bool = True,
        learn_bias: bool = True,
    ) -> None:
        super().__init__()
        self.off_diagonal_weight = off_diagonal_weight
        self.abnormal_weight = abnormal_weight
        self.term = OffDiagonal(form, abnormal_pairs, reduction, scale, bias, learn_scale, learn_bias)

    def forward(self, pair_logits: Tensor, is_normal: Tensor) -> Tensor:
        """[B, B] scores and [B] bool to a scalar."""
        return self.off_diagonal_weight * self.term(pair_logits, is_normal) + self.abnormal_weight * abnormal_info_nce(
            pair_logits, is_normal
        )


class InfoNCEOffDiagonal(nn.Module):
    """InfoNCE over the whole batch + the off-diagonal term: what the term adds without the abnormal InfoNCE's cut.

    InfoNCE still pushes normal pictures from other normal texts, so the two disagree there; that is the question.
    """

    def __init__(self, off_diagonal_weight: float = 1.0, abnormal_pairs: AbnormalPairs = "ignore", **term: Any):
        super().__init__()
        self.off_diagonal_weight = off_diagonal_weight
        self.term = OffDiagonal(abnormal_pairs=abnormal_pairs, **term)

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
        ValueError: an unknown name or option; the sentence names the nearest.
    """
    if name not in OBJECTIVES:
        raise ValueError(
            f"objective '{name}' does not exist{nearest(name, OBJECTIVES)}; known: {', '.join(OBJECTIVES)}."
        )
    try:
        return OBJECTIVES[name](**(options or {}))
    except TypeError as error:
        raise ValueError(f"objective '{name}': {error}; check `objective_options`.") from None


def _checked(logits: Tensor, is_normal: Tensor | None = None) -> Tensor:
    """The matrix in at least float32, after its shape was checked."""
    if logits.ndim != 2 or logits.shape[0] != logits.shape[1]:
        raise ValueError(f"pair logits must be a square matrix [B, B], found shape {list(logits.shape)}.")
    if is_normal is not None:
        if is_normal.dtype != torch.bool:
            raise ValueError(f"is_normal must be bool, found {is_normal.dtype}.")
        if is_normal.shape != logits.shape[:1]:
            raise ValueError(f"is_normal must have shape [{len(logits)}], found {list(is_normal.shape)}.")
    return _promoted(logits)


def _promoted(logits: Tensor) -> Tensor:
    """At least float32: half precision loses the differences between large scores, and overflows in the sums."""
    return logits if logits.dtype == torch.float64 else logits.float()


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    """Mean of ``values`` where ``counts``; 0 (with zero gradients) where nothing counts."""
    return torch.where(counts, values, 0.0).sum() / counts.sum().clamp(min=1)


def _multi_positive(logits: Tensor, target: Tensor, anchors: Tensor) -> Tensor:
    """Cross-entropy of each row in ``anchors`` against the uniform distribution over its targets, mean over them."""
    log_probability = functional.log_softmax(logits, dim=1)
    per_row = -torch.where(target, log_probability, 0.0).sum(1) / target.sum(1).clamp(min=1)
    return _mean(per_row, anchors)


def _one_of(what: str, value: Any, known: tuple[str, ...]) -> Any:
    if value not in known:
        raise ValueError(f"{what} must be one of {', '.join(known)}, found '{value}'{nearest(str(value), known)}.")
    return value
