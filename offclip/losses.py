"""What a pair matrix costs: InfoNCE, the off-diagonal term, the abnormal InfoNCE and SigLIP as pure functions.

All take the matrix ``logits[i, j]`` = score of image i with text j, whose diagonal holds the true pairs; the first
three also take `Rows` of it, of which the shares of all processes add up to the loss of the whole matrix.

Source: OFF-CLIP (arXiv 2503.01794), overview figure: target T[i, j] = 1 if i = j or both are normal, else 0,
plus InfoNCE over the abnormal pairs. The figure names no functional form, so the forms are choices with names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor
from torch.nn import functional

from offclip.names import one_of
from offclip.objective_options import AbnormalPairs, Form, Reduction


@dataclass(frozen=True)
class Rows:
    """What one process holds of the gathered batch's matrix: the rows and the columns of its own b pairs of B."""

    per_image: Tensor
    """[b, B] scores of its images with all texts."""
    per_text: Tensor | None = None
    """[b, B] scores of its texts with all images; None where ``per_image`` is the whole matrix."""
    first: int = 0
    """Position of its first pair in the batch."""

    @property
    def columns(self) -> Tensor:
        """[b, B]: ``per_text``, or the whole matrix transposed."""
        return self.per_image.T if self.per_text is None else self.per_text

    @property
    def own(self) -> slice:
        """Positions of its pairs in the batch."""
        return slice(self.first, self.first + len(self.per_image))

    def map(self, change: Callable[[Tensor], Tensor]) -> Rows:
        """The same rows, their scores changed."""
        return Rows(change(self.per_image), None if self.per_text is None else change(self.per_text), self.first)


def info_nce(logits: Tensor | Rows) -> Tensor:
    """Symmetric cross-entropy with diagonal targets: (CE over rows + CE over columns) / 2.

    Args:
        logits: [B, B] raw scores, rows images, columns texts; temperature already applied. Or `Rows` of it.

    Returns:
        Scalar; 0 for an empty matrix.

    Source: CLIP (arXiv 2103.00020), figure 3; CARZero (arXiv 2402.17417), section 3.3.
    """
    rows = _checked(logits)
    count, total = rows.per_image.shape
    if count == 0:
        return rows.per_image.sum() + rows.columns.sum()
    target = torch.arange(rows.first, rows.first + count, device=rows.per_image.device)
    loss = (functional.cross_entropy(rows.per_image, target) + functional.cross_entropy(rows.columns, target)) / 2
    return loss if count == total else loss * (count / total)


def off_diagonal_target(is_normal: Tensor, rows: slice = slice(None)) -> Tensor:
    """The figure's target matrix: 1 where i = j or both pairs are normal, else 0.

    Args:
        is_normal: [B] bool; False where unknown, since such a pair has no other target than its own.
        rows: which of the matrix; all B where not given.

    Returns:
        [B, B] bool, or as many rows of it as were asked for.
    """
    return _same(is_normal, rows) | (is_normal[rows, None] & is_normal[None, :])


def off_diagonal(
    logits: Tensor | Rows,
    is_normal: Tensor,
    form: Form = "sigmoid",
    abnormal_pairs: AbnormalPairs = "zero",
    reduction: Reduction = "mean",
    known: Tensor | None = None,
) -> Tensor:
    """Draw normal images to every normal text, and push normal and abnormal apart.

    Args:
        logits: [B, B] raw scores, or `Rows` of them.
        is_normal: [B] bool, the label of each pair of the whole batch.
        form: ``sigmoid``: binary cross-entropy per pair. ``softmax``: cross-entropy of each row (and each column)
            against the uniform distribution over its targets.
        abnormal_pairs: ``ignore`` leaves abnormal-abnormal pairs, diagonal included, to the abnormal InfoNCE (in the
            softmax form: the rows and columns of abnormal pairs). ``zero`` is the figure's literal form: abnormal
            pairs have target 1 on the diagonal and 0 elsewhere.
        reduction: sigmoid form only. ``balanced`` averages the pairs of target 1 and those of target 0 apart, then
            takes their mean; an empty group counts 0. ``mean`` is the plain mean over all pairs that count, where
            the more numerous group outweighs the other.
        known: [B] bool, False where the label of a pair is unknown; all are known where not given. An unknown pair
            counts on the diagonal alone, with target 1 (sigmoid form); in the softmax form nothing would be left to
            compare its diagonal with, so it takes no part.

    Returns:
        Scalar; 0 where no pair counts (with ``ignore``: a batch without normal pairs).

    Raises:
        ValueError: shapes that do not match, or an unknown name of a form.
    """
    rows = _checked(logits, is_normal, known)
    one_of("form", form, get_args(Form))
    one_of("abnormal_pairs", abnormal_pairs, get_args(AbnormalPairs))
    one_of("reduction", reduction, get_args(Reduction))
    known = torch.ones_like(is_normal) if known is None else known
    normal = is_normal & known
    target = off_diagonal_target(normal, rows.own)
    same = _same(normal, rows.own)
    if form == "softmax":
        anchors = normal if abnormal_pairs == "ignore" else known
        compared = known[None, :] | same
        by_image = _multi_positive(rows.per_image, target, compared, anchors, rows.own)
        return (by_image + _multi_positive(rows.columns, target, compared, anchors, rows.own)) / 2
    decided = known[rows.own, None] & known[None, :]
    if abnormal_pairs == "ignore":
        decided = decided & (normal[rows.own, None] | normal[None, :])
    counts = decided | (same & ~known[None, :])
    loss = functional.binary_cross_entropy_with_logits(
        rows.per_image, target.to(rows.per_image.dtype), reduction="none"
    )
    ones, zeros = _group_sizes(normal, known, abnormal_pairs)
    if reduction == "mean":
        return _mean(loss, counts, ones + zeros)
    return (_mean(loss, counts & target, ones) + _mean(loss, counts & ~target, zeros)) / 2


def abnormal_info_nce(logits: Tensor | Rows, is_normal: Tensor, known: Tensor | None = None) -> Tensor:
    """InfoNCE over the sub-matrix of abnormal pairs; 0 where there are fewer than two.

    Args:
        logits: [B, B] raw scores, or `Rows` of them.
        is_normal: [B] bool.
        known: [B] bool, False where the label of a pair is unknown: it takes no part.
    """
    rows = _checked(logits, is_normal, known)
    abnormal = ~is_normal if known is None else ~is_normal & known
    # index_select, not a boolean mask of the matrix: its backward is deterministic on every device.
    every = torch.nonzero(abnormal).flatten()
    own = torch.nonzero(abnormal[rows.own]).flatten()
    per_image = rows.per_image.index_select(0, own).index_select(1, every)
    if rows.per_text is None:
        return info_nce(per_image)
    per_text = rows.per_text.index_select(0, own).index_select(1, every)
    return info_nce(Rows(per_image, per_text, int(abnormal[: rows.first].sum())))


def siglip(logits: Tensor) -> Tensor:
    """Pairwise sigmoid loss: each pair is a binary problem, diagonal 1, else 0; summed over texts, mean over images.

    Args:
        logits: [B, B] scores with scale and bias applied.

    Source: SigLIP (arXiv 2303.15343), equation 1.
    """
    logits = _checked(logits).per_image
    target = torch.eye(len(logits), dtype=logits.dtype, device=logits.device)
    loss = functional.binary_cross_entropy_with_logits(logits, target, reduction="sum")
    return loss / max(len(logits), 1)


def _checked(logits: Tensor | Rows, *labels: Tensor | None) -> Rows:
    """The matrix as rows in at least float32, after its shape and those of ``is_normal`` and ``known`` were checked."""
    rows = logits if isinstance(logits, Rows) else Rows(logits)
    shape = list(rows.per_image.shape)
    if rows.per_text is None:
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(f"pair logits must be a square matrix [B, B], found shape {shape}.")
    elif len(shape) != 2 or list(rows.per_text.shape) != shape or not 0 <= rows.first <= shape[1] - shape[0]:
        raise ValueError(
            f"rows of a pair matrix must be [b, B] twice and lie within its B pairs, found {shape} and "
            f"{list(rows.per_text.shape)} from pair {rows.first} on."
        )
    rows = rows.map(at_least_float32)
    for name, label in zip(("is_normal", "known"), labels, strict=False):
        if label is None:
            continue
        if label.dtype != torch.bool:
            raise ValueError(f"{name} must be bool, found {label.dtype}.")
        if list(label.shape) != shape[1:]:
            raise ValueError(f"{name} must have shape [{shape[1]}], found {list(label.shape)}.")
    return rows


def at_least_float32(logits: Tensor) -> Tensor:
    """The same scores; half precision would lose the differences between large ones, and overflow in the sums."""
    return logits if logits.dtype == torch.float64 else logits.float()


def _same(labels: Tensor, rows: slice) -> Tensor:
    """Where row and column are the same pair: some rows of a [B, B] identity, bool."""
    position = torch.arange(len(labels), device=labels.device)
    return position[rows, None] == position[None, :]


def _group_sizes(normal: Tensor, known: Tensor, abnormal_pairs: AbnormalPairs) -> tuple[Tensor, Tensor]:
    """How many entries of the whole matrix count with target 1 and with target 0, int64 scalars."""
    normals, unknown = normal.sum(), (~known).sum()
    abnormals = len(normal) - normals - unknown
    ones, zeros = normals * normals + unknown, 2 * normals * abnormals
    if abnormal_pairs == "ignore":
        return ones, zeros
    return ones + abnormals, zeros + abnormals * abnormals - abnormals


def _mean(values: Tensor, counts: Tensor, total: Tensor) -> Tensor:
    """Sum of ``values`` where ``counts``, over ``total``; 0 (with zero gradients) where nothing counts."""
    return torch.where(counts, values, 0.0).sum() / total.clamp(min=1)


def _multi_positive(logits: Tensor, target: Tensor, compared: Tensor, anchors: Tensor, own: slice) -> Tensor:
    """Cross-entropy of each row in ``anchors`` against the uniform distribution over its targets, mean over them."""
    log_probability = functional.log_softmax(logits.masked_fill(~compared, -torch.inf), dim=1)
    per_row = -torch.where(target, log_probability, 0.0).sum(1) / target.sum(1).clamp(min=1)
    return _mean(per_row, anchors[own], anchors.sum())
