"""Every objective: what it sums, its gradients, its behaviour at the edges of a batch, and over several processes."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from offclip import objective
from offclip.losses import abnormal_info_nce, info_nce, off_diagonal, siglip
from offclip.objective import OffClipObjective
from tests.offclip.batches import BATCHES, MIXED, logits


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("info_nce", {}, lambda x, normal: info_nce(x)),
        ("siglip", {}, lambda x, normal: siglip(x - 10)),
        ("siglip", {"scale": 2.0, "bias": -1.0}, lambda x, normal: siglip(2 * x - 1)),
        ("off_clip", {}, lambda x, normal: off_diagonal(x, normal) + abnormal_info_nce(x, normal)),
        (
            "off_clip",
            {"off_diagonal_weight": 0.5, "abnormal_weight": 2.0, "scale": 2.0, "bias": -1.0},
            lambda x, normal: 0.5 * off_diagonal(2 * x - 1, normal) + 2 * abnormal_info_nce(x, normal),
        ),
        (
            "off_clip",
            {"form": "softmax"},
            lambda x, normal: off_diagonal(x, normal, "softmax") + abnormal_info_nce(x, normal),
        ),
        # The figure, literally, and its departures by name.
        ("off_diagonal", {}, lambda x, normal: off_diagonal(x, normal, "sigmoid", "zero", "mean")),
        (
            "off_clip",
            {"abnormal_pairs": "ignore", "reduction": "balanced"},
            lambda x, normal: off_diagonal(x, normal, "sigmoid", "ignore", "balanced") + abnormal_info_nce(x, normal),
        ),
        (
            "info_nce_off_diagonal",
            {"off_diagonal_weight": 0.5, "reduction": "balanced"},
            lambda x, normal: info_nce(x) + 0.5 * off_diagonal(x, normal, reduction="balanced"),
        ),
    ],
)
def test_an_objective_is_the_weighted_sum_of_its_losses(
    name: str, options: dict, expected: Callable[[Tensor, Tensor], Tensor], batch: str
) -> None:
    normal = torch.tensor(BATCHES[batch])
    x = logits(len(normal))
    torch.testing.assert_close(objective.build(name, options).double()(x, normal), expected(x, normal))


@pytest.mark.parametrize("name", objective.OBJECTIVES)
@pytest.mark.parametrize("batch", BATCHES)
def test_analytic_gradients_of_scores_scale_and_bias_match_finite_differences(name: str, batch: str) -> None:
    normal = torch.tensor(BATCHES[batch])
    module = objective.build(name).double()
    learnt = dict(module.named_parameters())

    def loss(x: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(module, dict(zip(learnt, values, strict=True)), (x, normal))

    assert torch.autograd.gradcheck(loss, (logits(len(normal)), *learnt.values()))


@pytest.mark.parametrize("name", objective.OBJECTIVES)
@pytest.mark.parametrize("batch", BATCHES)
def test_every_objective_is_defined_and_differentiable_on_every_batch(name: str, batch: str) -> None:
    normal = torch.tensor(BATCHES[batch])
    module = objective.build(name)
    x = logits(len(normal)).detach().float().requires_grad_()
    loss = module(x, normal)
    loss.backward()
    assert loss.shape == ()
    assert torch.isfinite(loss)
    assert torch.isfinite(x.grad).all()
    assert all(p.grad is not None and torch.isfinite(p.grad) for p in module.parameters())


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


def test_scale_and_bias_are_learnt_or_fixed_and_saved_either_way() -> None:
    learnt, fixed = OffClipObjective(scale=2.0, bias=-1.0, learn_scale=True, learn_bias=True), OffClipObjective()
    assert [name for name, _ in learnt.named_parameters()] == ["term.affine.log_scale", "term.affine.bias"]
    assert not list(fixed.parameters())
    assert set(fixed.state_dict()) == set(learnt.state_dict())


def test_half_precision_logits_are_averaged_in_float32() -> None:
    x, normal = logits(6).detach(), torch.tensor(MIXED)
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
        (
            lambda: objective.build("off_clip", {"wieght": 1}),
            r"`objective_options\.wieght` does not exist.*Known: off_",
        ),
        (lambda: objective.build("off_clip", {"form": "sigmod"}), r"form` must be one of .*did you mean 'sigmoid'"),
        (lambda: objective.build("off_clip", {"scale": 0.0}), r"scale` must be float \(above 0\), found 0\.0"),
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
