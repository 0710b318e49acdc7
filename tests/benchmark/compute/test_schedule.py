"""Learning rate and batch size are functions of budget progress alone."""

from __future__ import annotations

import pytest
import torch

from benchmark.compute import schedule
from benchmark.pipeline.settings import TrainingSettings


@pytest.mark.parametrize("warmup", [0.1, 0.3])
def test_one_cycle_is_that_of_torch(warmup: float) -> None:
    steps = 200
    training = TrainingSettings(schedule="one_cycle", learning_rate=0.02, warmup=warmup)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.02)
    expected = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=0.02,
        total_steps=steps + 1,
        pct_start=warmup + (1 - warmup) / (steps + 1),
        final_div_factor=400,
    )
    # torch counts the warm-up in whole steps of (total - 1); its peak lies one step early, hence the tolerance.
    for step in range(steps):
        assert schedule.learning_rate(training, step / steps) == pytest.approx(expected.get_last_lr()[0], abs=8e-4)
        optimizer.step()
        expected.step()


def test_cosine_is_that_of_torch_after_a_linear_warmup() -> None:
    training = TrainingSettings(schedule="cosine", learning_rate=0.01, warmup=0)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.01)
    expected = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50)
    for step in range(50):
        assert schedule.learning_rate(training, step / 50) == pytest.approx(expected.get_last_lr()[0])
        optimizer.step()
        expected.step()
    warmed = TrainingSettings(schedule="cosine", learning_rate=0.01, warmup=0.2)
    assert schedule.learning_rate(warmed, 0.1) == pytest.approx(0.005)
    assert schedule.learning_rate(warmed, 0.2) == pytest.approx(0.01)


@pytest.mark.parametrize("kind", ["one_cycle", "cosine", "constant"])
def test_the_rate_is_positive_and_at_most_the_peak_everywhere(kind: str) -> None:
    training = TrainingSettings(schedule=kind, learning_rate=0.3, warmup=0.1)
    rates = [schedule.learning_rate(training, part / 100) for part in range(101)]
    assert max(rates) == pytest.approx(0.3)
    assert min(rates) >= 0


def test_the_batch_size_follows_its_schedule() -> None:
    training = TrainingSettings(batch_size=[(0, 64), (0.2, 128), (0.6, 256)])
    sizes = [schedule.batch_size(training, progress) for progress in (0, 0.19, 0.2, 0.5, 0.6, 1.0)]
    assert sizes == [64, 64, 128, 128, 256, 256]
    assert schedule.batch_sizes(training) == [64, 128, 256]
    assert schedule.batch_sizes(TrainingSettings(batch_size=32)) == [32]
