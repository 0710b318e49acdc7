"""FLOPs are counted as on paper and alike for every kernel; no run exceeds its budget or stops a step short."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmark.compute.distributed import ALONE
from benchmark.training.budget import Account, Cost, count_flops, count_model_flops, frozen_seconds, time_steps
from benchmark.training.step import StepOptions, contrastive_backward
from offclip import objective
from tests.benchmark.training import pairs


def test_a_linear_layer_costs_two_products_backward_for_one_forward() -> None:
    layer, x = nn.Linear(8, 16), torch.randn(5, 8, requires_grad=True)
    assert count_flops(lambda: layer(x)) == 2 * 5 * 8 * 16
    assert count_flops(lambda: layer(x).sum().backward()) == 3 * 2 * 5 * 8 * 16


def test_a_convolution_costs_its_products() -> None:
    layer, x = nn.Conv2d(3, 8, 3, padding=1), torch.randn(2, 3, 10, 12)
    forward = 2 * 2 * 8 * (10 * 12) * (3 * 9)
    assert count_flops(lambda: layer(x)) == forward
    # The image needs no gradient, hence one product backward.
    assert count_flops(lambda: layer(x).sum().backward()) == 2 * forward


@pytest.mark.parametrize("backend", [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION, None])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_costs_the_same_whatever_kernel_computes_it(backend: SDPBackend | None, masked: bool) -> None:
    batch, heads, queries, keys, width = 2, 4, 6, 16, 8
    q = torch.randn(batch, heads, queries, width, requires_grad=True)
    k, v = (torch.randn(batch, heads, keys, width, requires_grad=True) for _ in range(2))
    mask = torch.ones(queries, keys, dtype=torch.bool) if masked else None
    forward = 2 * (2 * batch * heads * queries * keys * width)
    with sdpa_kernel(backend) if backend else contextlib.nullcontext():
        assert count_flops(lambda: F.scaled_dot_product_attention(q, k, v, mask)) == forward
        assert count_flops(lambda: F.scaled_dot_product_attention(q, k, v, mask).sum().backward()) == 3 * forward


@pytest.mark.parametrize("name", ["clip", "carzero", "gloria", "convirt"])
def test_the_model_is_counted_and_not_how_it_was_computed(name: str) -> None:
    model, loss = pairs.model(name), objective.build("info_nce")
    batch = pairs.batch(model, 8)
    whole, chunked = (
        count_flops(lambda: contrastive_backward(model, loss, batch, StepOptions(size)))  # noqa: B023
        for size in (None, 4)
    )
    model.zero_grad()
    assert count_model_flops(model, batch, torch.float32) == whole
    assert all(parameter.grad is None for parameter in model.parameters()), "nothing was computed"
    assert 1.2 * whole < chunked < 1.7 * whole, "chunks are computed again"


@given(
    amount=st.floats(1, 1e15),
    prices=st.lists(st.floats(1e-3, 1.0), min_size=1, max_size=3),
    unit=st.sampled_from(["flops", "samples", "device_seconds"]),
)
def test_every_run_ends_within_one_step_of_its_budget(amount: float, prices: list[float], unit: str) -> None:
    account = Account(unit, amount)
    costs = [Cost(**{"samples": 1, "flops": 1, unit: price * amount}) for price in prices]
    while account.affords(costs[account.steps % len(costs)]):
        account.pay(costs[account.steps % len(costs)], 0.0)
    assert account.spent <= amount * (1 + 1e-9)
    assert amount - account.spent < costs[account.steps % len(costs)].of(unit) * (1 + 1e-9)


def test_seconds_are_measured_once_and_then_frozen(tmp_path: Path) -> None:
    path, calls = tmp_path / "calibration.json", []

    def measure() -> dict[str, float]:
        calls.append(1)
        return {"64": 0.1 * len(calls)}

    assert frozen_seconds(path, "plan a", measure) == {"64": 0.1}
    assert frozen_seconds(path, "plan a", measure) == {"64": 0.1}
    assert frozen_seconds(path, "plan b", measure) == {"64": 0.2}
    assert len(calls) == 2


def test_steps_are_timed_after_a_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(float(second) for second in range(1000))
    monkeypatch.setattr("benchmark.training.budget.time.perf_counter", lambda: next(clock))
    taken = []
    assert time_steps(lambda: taken.append(1), torch.device("cpu"), ALONE) == 1.0
    assert len(taken) == 15
