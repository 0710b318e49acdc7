"""What a pair matrix costs: InfoNCE, the off-diagonal term, the abnormal InfoNCE and SigLIP as pure functions.

All take the matrix ``logits[i, j]`` = score of image i with text j, whose diagonal holds the true pairs.

Source: OFF-CLIP (arXiv 2503.01794), overview figure: target T[i, j] = 1 if i = j or both are normal, else 0,
plus InfoNCE over the abnormal pairs. The figure names no functional form, so the forms are choices with names.
"""

from __future__ import annotations

from typing import get_args

import torch
from torch import Tensor
from torch.nn import functional

from offclip.names import one_of
from offclip.objective_options import AbnormalPairs, Form, Reduction


def info_nce(logits: Tensor) -> Tensor:
    """Symmetric cross-entropy with diagonal targets: (CE over rows + CE over columns) / 2.

    Args:
        logits: [B, B] raw scores, rows images, columns texts; temperature already applied.

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
    """Draw normal images to every normal text, and push normal and abnormal apart.

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
    one_of("form", form, get_args(Form))
    one_of("abnormal_pairs", abnormal_pairs, get_args(AbnormalPairs))
    one_of("reduction", reduction, get_args(Reduction))
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
    """Pairwise sigmoid loss: each pair is a binary problem, diagonal 1, else 0; summed over texts, mean over images.

    Args:
        logits: [B, B] scores with scale and bias applied.

    Source: SigLIP (arXiv 2303.15343), equation 1.
    """
    logits = _checked(logits)
    target = torch.eye(len(logits), dtype=logits.dtype, device=logits.device)
    loss = functional.binary_cross_entropy_with_logits(logits, target, reduction="sum")
    return loss / max(len(logits), 1)


def _checked(logits: Tensor, is_normal: Tensor | None = None) -> Tensor:
    """The matrix in at least float32, after its shape was checked."""
    if logits.ndim != 2 or logits.shape[0] != logits.shape[1]:
        raise ValueError(f"pair logits must be a square matrix [B, B], found shape {list(logits.shape)}.")
    if is_normal is not None:
        if is_normal.dtype != torch.bool:
            raise ValueError(f"is_normal must be bool, found {is_normal.dtype}.")
        if is_normal.shape != logits.shape[:1]:
            raise ValueError(f"is_normal must have shape [{len(logits)}], found {list(is_normal.shape)}.")
    return at_least_float32(logits)


def at_least_float32(logits: Tensor) -> Tensor:
    """The same scores; half precision would lose the differences between large ones, and overflow in the sums."""
    return logits if logits.dtype == torch.float64 else logits.float()


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    """Mean of ``values`` where ``counts``; 0 (with zero gradients) where nothing counts."""
    return torch.where(counts, values, 0.0).sum() / counts.sum().clamp(min=1)


def _multi_positive(logits: Tensor, target: Tensor, anchors: Tensor) -> Tensor:
    """Cross-entropy of each row in ``anchors`` against the uniform distribution over its targets, mean over them."""
    log_probability = functional.log_softmax(logits, dim=1)
    per_row = -torch.where(target, log_probability, 0.0).sum(1) / target.sum(1).clamp(min=1)
    return _mean(per_row, anchors)
