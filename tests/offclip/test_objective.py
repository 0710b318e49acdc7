"""Every objective against a literal double loop over pairs, and its behaviour at the edges of a batch."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from offclip import objective
from offclip.objective import OffClipObjective, abnormal_info_nce, info_nce, off_diagonal, off_diagonal_target, siglip
from tests import parity

MIXED = [True, False, True, True, False, False]
BATCHES = {
    "mixed": MIXED,
    "no abnormal": [True] * 4,
    "one abnormal": [True, True, False, True],
    "all abnormal": [False] * 4,
    "one normal": [False, True, False],
    "one pair, normal": [True],
    "one pair, abnormal": [False],
}


def _logits(size: int, seed: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(size, size, generator=generator, dtype=torch.float64)).requires_grad_()


def _softplus(x: Tensor) -> Tensor:
    return torch.log1p(torch.exp(-x.abs())) + x.clamp(min=0)


def _loop_info_nce(x: Tensor) -> Tensor:
    """Diagonal targets, one row and one column at a time."""
    total = x.sum() * 0
    for i in range(len(x)):
        total = total + x[i].exp().sum().log() - x[i, i]
        total = total + x[:, i].exp().sum().log() - x[i, i]
    return total / (2 * max(len(x), 1))


def _loop_sigmoid(x: Tensor, normal: list[bool], abnormal_pairs: str, reduction: str) -> Tensor:
    """Binary cross-entropy per pair, sorted into two groups by its target."""
    positive, negative = [], []
    for i in range(len(x)):
        for j in range(len(x)):
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


def _loop_softmax(x: Tensor, normal: list[bool], abnormal_pairs: str) -> Tensor:
    """Each anchor against the uniform distribution over its targets, rows and columns."""
    zero = x.sum() * 0
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


def _loop_abnormal(x: Tensor, normal: list[bool]) -> Tensor:
    kept = [i for i, value in enumerate(normal) if not value]
    return _loop_info_nce(torch.stack([torch.stack([x[i, j] for j in kept]) for i in kept])) if kept else x.sum() * 0


def _same(function: Callable[[Tensor], Tensor], loop: Callable[[Tensor], Tensor], size: int) -> None:
    """Value and gradient agree with the loop."""
    x = _logits(size)
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


@pytest.mark.parametrize("name", objective.OBJECTIVES)
@pytest.mark.parametrize("batch", ["mixed", "one abnormal", "one normal"])
def test_analytic_gradients_match_finite_differences(name: str, batch: str) -> None:
    normal = torch.tensor(BATCHES[batch])
    module = objective.build(name).double()
    assert torch.autograd.gradcheck(lambda x: module(x, normal), (_logits(len(normal)),))


@pytest.mark.parametrize("name", objective.OBJECTIVES)
@pytest.mark.parametrize("batch", BATCHES)
def test_every_objective_is_defined_and_differentiable_on_every_batch(name: str, batch: str) -> None:
    normal = torch.tensor(BATCHES[batch])
    module = objective.build(name)
    x = _logits(len(normal)).detach().float().requires_grad_()
    loss = module(x, normal)
    loss.backward()
    assert loss.shape == ()
    assert torch.isfinite(loss)
    assert torch.isfinite(x.grad).all()
    assert all(p.grad is not None and torch.isfinite(p.grad) for p in module.parameters())


def test_the_target_is_the_figures_matrix() -> None:
    expected = [[1, 0, 1, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]]
    assert off_diagonal_target(torch.tensor([True, False, True, False])).int().tolist() == expected


def test_abnormal_pairs_are_left_alone_or_taken_literally() -> None:
    normal = torch.tensor(MIXED)
    both_abnormal = ~normal[:, None] & ~normal[None, :]
    for abnormal_pairs, touched in (("ignore", False), ("zero", True)):
        x = _logits(len(MIXED))
        off_diagonal(x, normal, "sigmoid", abnormal_pairs).backward()
        assert bool((x.grad[both_abnormal] != 0).all()) is touched
        assert (x.grad[~both_abnormal] != 0).all()


def test_descending_on_off_clip_separates_normal_from_abnormal_and_matches_abnormal_pairs() -> None:
    normal = torch.tensor(MIXED)
    x = torch.zeros(6, 6, requires_grad=True)
    objective_ = OffClipObjective()
    optimizer = torch.optim.SGD([x, *objective_.parameters()], lr=2.0)
    for _ in range(200):
        optimizer.zero_grad()
        objective_(x, normal).backward()
        optimizer.step()
    normal_normal = x[normal][:, normal]
    mixed = torch.cat([x[normal][:, ~normal].flatten(), x[~normal][:, normal].flatten()])
    assert normal_normal.min() > mixed.max()
    abnormal = x[~normal][:, ~normal]
    assert torch.equal(abnormal.argmax(1), torch.arange(3))


def test_weights_switch_the_terms() -> None:
    x, normal = _logits(6), torch.tensor(MIXED)
    term = OffClipObjective(abnormal_weight=0.0).double()(x, normal)
    torch.testing.assert_close(term, off_diagonal(x, normal))
    rest = OffClipObjective(off_diagonal_weight=0.0).double()(x, normal)
    torch.testing.assert_close(rest, abnormal_info_nce(x, normal))
    both = OffClipObjective(off_diagonal_weight=0.5, abnormal_weight=2.0).double()(x, normal)
    torch.testing.assert_close(both, 0.5 * term + 2.0 * rest)


def test_scale_and_bias_are_learnt_or_fixed_and_saved_either_way() -> None:
    learnt, fixed = OffClipObjective(scale=2.0, bias=-1.0), OffClipObjective(learn_scale=False, learn_bias=False)
    assert [name for name, _ in learnt.named_parameters()] == ["term.affine.log_scale", "term.affine.bias"]
    assert not list(fixed.parameters())
    assert set(fixed.state_dict()) == set(learnt.state_dict())
    x, normal = _logits(6), torch.tensor(MIXED)
    torch.testing.assert_close(
        OffClipObjective(scale=2.0, bias=-1.0, abnormal_weight=0.0).double()(x, normal), off_diagonal(2 * x - 1, normal)
    )


def test_half_precision_logits_are_averaged_in_float32() -> None:
    x, normal = _logits(6).detach(), torch.tensor(MIXED)
    for name in objective.OBJECTIVES:
        module = objective.build(name)
        half = module(x.bfloat16(), normal)
        assert half.dtype == torch.float32
        torch.testing.assert_close(half, module(x.bfloat16().float(), normal))


def test_extreme_logits_stay_finite() -> None:
    x = torch.tensor([[1e4, -1e4], [-1e4, 1e4]], requires_grad=True)
    for normal in ([True, True], [True, False], [False, False]):
        for name in objective.OBJECTIVES:
            loss = objective.build(name)(x, torch.tensor(normal))
            assert math.isfinite(loss.item())
            assert torch.isfinite(torch.autograd.grad(loss, x)[0]).all()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: objective.build("offclip"), r"objective 'offclip' does not exist; did you mean 'off_clip'\?"),
        (lambda: objective.build("off_clip", {"wieght": 1}), r"wieght.*check `objective_options`"),
        (lambda: objective.build("off_clip", {"form": "sigmod"}), r"form must be one of .*did you mean 'sigmoid'"),
        (lambda: objective.build("off_clip", {"scale": 0.0}), r"scale must be positive, found 0\.0"),
        (lambda: info_nce(torch.zeros(2, 3)), r"square matrix \[B, B\], found shape \[2, 3\]"),
        (lambda: off_diagonal(torch.zeros(2, 2), torch.zeros(2)), r"is_normal must be bool, found torch\.float32"),
        (lambda: off_diagonal(torch.zeros(2, 2), torch.zeros(3, dtype=torch.bool)), r"shape \[2\], found \[3\]"),
    ],
)
def test_wrong_input_is_refused_with_a_sentence(call: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        call()


def test_the_objective_imports_torch_and_nothing_of_the_harness() -> None:
    code = (
        "import sys, offclip.objective; "
        "print(sorted({m.split('.')[0] for m in sys.modules} & "
        "{'timm', 'transformers', 'mlflow', 'open_clip', 'sklearn', 'pandas', 'benchmark', 'baselines'}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"
