"""Every loss against a literal double loop over pairs, and CARZero's against the released one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from offclip.losses import Rows, abnormal_info_nce, info_nce, off_diagonal, off_diagonal_target, siglip
from tests import parity
from tests.offclip.batches import BATCHES, MIXED, logits

Labels = Sequence[bool | None]
UNKNOWN: dict[str, Labels] = {
    "mixed, some unknown": [True, None, False, True, None, False, False],
    "one known": [None, None, True, None],
    "none known": [None] * 3,
    "unknown or abnormal": [None, False, None, False],
}
"""Whether each pair is normal; None where nobody knows."""


def _softplus(x: Tensor) -> Tensor:
    return torch.log1p(torch.exp(-x.abs())) + x.clamp(min=0)


def _loop_info_nce(x: Tensor) -> Tensor:
    """Diagonal targets, one row and one column at a time."""
    total = x.sum() * 0
    for i in range(len(x)):
        total = total + x[i].exp().sum().log() - x[i, i]
        total = total + x[:, i].exp().sum().log() - x[i, i]
    return total / (2 * max(len(x), 1))


def _loop_sigmoid(x: Tensor, normal: Labels, abnormal_pairs: str, reduction: str) -> Tensor:
    """Binary cross-entropy per pair, sorted into two groups by its target."""
    positive, negative = [], []
    for i in range(len(x)):
        for j in range(len(x)):
            if None in (normal[i], normal[j]):
                if i == j:
                    positive.append(_softplus(-x[i, j]))
                continue
            if abnormal_pairs == "ignore" and not normal[i] and not normal[j]:
                continue
            if i == j or (normal[i] and normal[j]):
                positive.append(_softplus(-x[i, j]))
            else:
                negative.append(_softplus(x[i, j]))
    zero = x.sum() * 0
    if reduction == "mean":
        return sum(positive + negative, zero) / max(len(positive + negative), 1)
    return (sum(positive, zero) / max(len(positive), 1) + sum(negative, zero) / max(len(negative), 1)) / 2


def _loop_softmax(x: Tensor, normal: Labels, abnormal_pairs: str) -> Tensor:
    """Each anchor against the uniform distribution over its targets, rows and columns; unknown pairs are left out."""
    zero = x.sum() * 0
    kept = [i for i, label in enumerate(normal) if label is not None]
    x, normal = x[kept][:, kept], [normal[i] for i in kept]
    total = zero
    for matrix in (x, x.T):
        losses = []
        for i in range(len(x)):
            if abnormal_pairs == "ignore" and not normal[i]:
                continue
            targets = [j for j in range(len(x)) if i == j or (normal[i] and normal[j])]
            normaliser = matrix[i].exp().sum().log()
            losses.append(sum((normaliser - matrix[i, j] for j in targets), zero) / len(targets))
        total = total + sum(losses, zero) / max(len(losses), 1) / 2
    return total


def _loop_abnormal(x: Tensor, normal: Labels) -> Tensor:
    kept = [i for i, value in enumerate(normal) if value is False]
    return _loop_info_nce(torch.stack([torch.stack([x[i, j] for j in kept]) for i in kept])) if kept else x.sum() * 0


def _same(function: Callable[[Tensor], Tensor], loop: Callable[[Tensor], Tensor], size: int) -> None:
    """Value and gradient agree with the loop."""
    x = logits(size)
    values = [function(x), loop(x)]
    torch.testing.assert_close(*values, atol=1e-12, rtol=1e-10)
    gradients = [torch.autograd.grad(value, x)[0] for value in values]
    torch.testing.assert_close(*gradients, atol=1e-12, rtol=1e-10)
    assert torch.isfinite(gradients[0]).all()


@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("abnormal_pairs", ["ignore", "zero"])
@pytest.mark.parametrize("reduction", ["balanced", "mean"])
def test_sigmoid_form_equals_the_double_loop(name: str, abnormal_pairs: str, reduction: str) -> None:
    normal = BATCHES[name]
    _same(
        lambda x: off_diagonal(x, torch.tensor(normal), "sigmoid", abnormal_pairs, reduction),
        lambda x: _loop_sigmoid(x, normal, abnormal_pairs, reduction),
        len(normal),
    )


@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("abnormal_pairs", ["ignore", "zero"])
def test_softmax_form_equals_the_double_loop(name: str, abnormal_pairs: str) -> None:
    normal = BATCHES[name]
    _same(
        lambda x: off_diagonal(x, torch.tensor(normal), "softmax", abnormal_pairs),
        lambda x: _loop_softmax(x, normal, abnormal_pairs),
        len(normal),
    )


@pytest.mark.parametrize("name", BATCHES)
def test_abnormal_info_nce_equals_the_double_loop(name: str) -> None:
    normal = BATCHES[name]
    _same(lambda x: abnormal_info_nce(x, torch.tensor(normal)), lambda x: _loop_abnormal(x, normal), len(normal))


def _tensors(labels: Labels) -> tuple[Tensor, Tensor]:
    """``is_normal`` and ``known``; the value of an unknown label alternates, since it must not matter."""
    known = torch.tensor([label is not None for label in labels])
    values = [place % 2 == 0 if label is None else label for place, label in enumerate(labels)]
    return torch.tensor(values), known


@pytest.mark.parametrize("labels", UNKNOWN.values(), ids=UNKNOWN)
@pytest.mark.parametrize("abnormal_pairs", ["ignore", "zero"])
def test_unknown_pairs_count_on_the_diagonal_alone_as_in_the_double_loop(labels: Labels, abnormal_pairs: str) -> None:
    normal, known = _tensors(labels)
    size = len(labels)
    for reduction in ("balanced", "mean"):
        _same(
            lambda x, r=reduction: off_diagonal(x, normal, "sigmoid", abnormal_pairs, r, known),
            lambda x, r=reduction: _loop_sigmoid(x, labels, abnormal_pairs, r),
            size,
        )
    _same(
        lambda x: off_diagonal(x, normal, "softmax", abnormal_pairs, known=known),
        lambda x: _loop_softmax(x, labels, abnormal_pairs),
        size,
    )
    _same(lambda x: abnormal_info_nce(x, normal, known), lambda x: _loop_abnormal(x, labels), size)


@pytest.mark.parametrize("labels", [*BATCHES.values(), *UNKNOWN.values()], ids=[*BATCHES, *UNKNOWN])
@pytest.mark.parametrize("form", ["sigmoid", "softmax"])
@pytest.mark.parametrize("abnormal_pairs", ["ignore", "zero"])
def test_the_shares_of_rows_add_up_to_the_whole_matrix(labels: Labels, form: str, abnormal_pairs: str) -> None:
    normal, known = _tensors(labels)
    size = len(labels)
    cuts = [0, *sorted({1, size // 2, size} - {0})]

    def both(x: Tensor | Rows) -> Tensor:
        term = off_diagonal(x, normal, form, abnormal_pairs, known=known)
        return term + abnormal_info_nce(x, normal, known) + info_nce(x)

    def shares(x: Tensor) -> Tensor:
        return sum(both(Rows(x[a:b], x.T[a:b], a)) for a, b in itertools.pairwise(cuts))

    _same(shares, both, size)


def test_info_nce_and_siglip_equal_their_double_loops() -> None:
    _same(info_nce, _loop_info_nce, 5)
    sign = 2 * torch.eye(5, dtype=torch.float64) - 1
    _same(siglip, lambda x: sum(_softplus(-sign[i, j] * x[i, j]) for i in range(5) for j in range(5)) / 5, 5)


@parity.needs_parity
@pytest.mark.parametrize("size", [2, 5, 8])
def test_info_nce_is_carzeros_released_loss_and_gradient(size: int) -> None:
    expected = parity.arrays("losses.npz")
    x = expected[f"logits_{size}"].requires_grad_()
    loss = info_nce(x)
    loss.backward()
    torch.testing.assert_close(loss, expected[f"dqncos_{size}"], **parity.TINY)
    torch.testing.assert_close(x.grad, expected[f"dqncos_grad_{size}"], **parity.TINY)


@parity.needs_parity
def test_the_released_training_loss_is_the_sum_over_both_directions() -> None:
    expected = parity.arrays("losses.npz")
    loss = info_nce(expected["i2t"]) + info_nce(expected["t2i"].T)
    torch.testing.assert_close(loss, expected["total"], **parity.TINY)


def test_the_target_is_the_figures_matrix() -> None:
    expected = [[1, 0, 1, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]]
    assert off_diagonal_target(torch.tensor([True, False, True, False])).int().tolist() == expected


def test_abnormal_pairs_are_left_alone_or_taken_literally() -> None:
    normal = torch.tensor(MIXED)
    both_abnormal = ~normal[:, None] & ~normal[None, :]
    for abnormal_pairs, touched in (("ignore", False), ("zero", True)):
        x = logits(len(MIXED))
        off_diagonal(x, normal, "sigmoid", abnormal_pairs).backward()
        assert bool((x.grad[both_abnormal] != 0).all()) is touched
        assert (x.grad[~both_abnormal] != 0).all()


@pytest.mark.parametrize("score", [-6.0, 0.0, 20.0])
def test_where_the_terms_start_and_end_is_as_the_guide_says(score: float) -> None:
    normal = torch.tensor([True, True, True, False, False])
    equal = torch.full((5, 5), score, dtype=torch.float64)
    one, zero = math.log1p(math.exp(-score)), math.log1p(math.exp(score))
    assert off_diagonal(equal, normal).item() == pytest.approx((11 * one + 14 * zero) / 25)  # 3 * 3 + 2 of 25 targets
    balanced = off_diagonal(equal, normal, abnormal_pairs="ignore", reduction="balanced")
    assert balanced.item() == pytest.approx((one + zero) / 2)
    assert off_diagonal(equal, normal, "softmax").item() == pytest.approx(math.log(5))
    assert abnormal_info_nce(equal, normal).item() == pytest.approx(math.log(2))
    perfect = 200 * off_diagonal_target(normal).double() - 100
    assert off_diagonal(perfect, normal).item() == pytest.approx(0)
    assert off_diagonal(perfect, normal, "softmax", "ignore").item() == pytest.approx(math.log(3))
    assert off_diagonal(perfect, normal, "softmax").item() == pytest.approx(3 / 5 * math.log(3))
    assert abnormal_info_nce(perfect, normal).item() == pytest.approx(0)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: info_nce(torch.zeros(2, 3)), r"square matrix \[B, B\], found shape \[2, 3\]"),
        (lambda: off_diagonal(torch.zeros(2, 2), torch.zeros(2)), r"is_normal must be bool, found torch\.float32"),
        (lambda: off_diagonal(torch.zeros(2, 2), torch.zeros(3, dtype=torch.bool)), r"shape \[2\], found \[3\]"),
        (
            lambda: off_diagonal(torch.zeros(2, 2), torch.ones(2, dtype=torch.bool), known=torch.ones(2)),
            r"known must be bool, found torch\.float32",
        ),
        (
            lambda: info_nce(Rows(torch.zeros(2, 4), torch.zeros(2, 4), 3)),
            r"rows of a pair matrix .* found \[2, 4\] and \[2, 4\] from pair 3 on",
        ),
    ],
)
def test_wrong_input_is_refused_with_a_sentence(call: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        call()
