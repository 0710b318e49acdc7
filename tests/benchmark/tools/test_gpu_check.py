"""The script for a rented GPU, tried at its small size: what it checks, what it says, what it leaves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from baselines.attention import Attention
from benchmark.common import files
from benchmark.tools import gpu_check
from benchmark.tools.gpu_check import OUR_HEAD, PUBLISHED_HEAD, SMALL_SIZE, Timing


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_and_measures_nothing(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="There is no GPU here") as refused:
        gpu_check.main(["--json", str(tmp_path / "gpu.json")])
    assert refused.value.code not in (0, None)
    assert not list(tmp_path.iterdir())


def test_at_a_small_size_it_runs_to_its_end_and_writes_what_it_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu_check.budget, "WARMUP_STEPS", 0)
    monkeypatch.setattr(gpu_check.budget, "TIMED_STEPS", 1)
    gpu_check.main(["--small", "--no-compile", "--json", str(tmp_path / "gpu.json")])
    found = files.read_json(tmp_path / "gpu.json")
    assert {row["batch"] for row in found["timings"]} == {8, 16}
    assert {"our head, float32", OUR_HEAD, "whole step, bfloat16, chunks of 4"} <= {r["what"] for r in found["timings"]}
    assert found["relative_gradient_difference"]["head"]["float32"]["ours"] < 1e-5
    assert found["relative_gradient_difference"]["chunks"] < 1e-5
    assert found["hardware"] in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("order", ["forward", "unprojected"])
def test_a_head_that_computes_something_else_fails_the_check(monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    right = getattr(Attention, order)
    monkeypatch.setattr(Attention, order, lambda self, *given: 1.01 * right(self, *given))
    with pytest.raises(SystemExit, match="float32 gradients of our head are too far"):
        gpu_check.check_head(SMALL_SIZE, torch.device("cpu"))


def test_the_verdicts_compare_the_best_of_ours_and_the_smallest_peak() -> None:
    said = gpu_check.verdicts(
        [
            Timing(PUBLISHED_HEAD, 64, 90.0, 1, 0.0),
            Timing(OUR_HEAD, 64, 60.0, 1, 0.0),
            Timing(f"{OUR_HEAD}, compiled", 64, 40.0, 1, 0.0),
            Timing(PUBLISHED_HEAD, 256, 90.0, 1, 0.0),
            Timing(OUR_HEAD, 256, 60.0, 1, 0.0),
            Timing("whole step, bfloat16, at once", 256, 1.0, int(31e9), 0.0),
            Timing("whole step, bfloat16, chunks of 32", 256, 1.0, int(12e9), 0.0),
        ]
    )
    assert said == [
        f"{OUR_HEAD}, compiled, batch 64: 2.25x the {PUBLISHED_HEAD} (target 2x: reached)",
        f"{OUR_HEAD}, batch 256: 1.50x the {PUBLISHED_HEAD} (target 2x: MISSED)",
        "CARZero, whole step, bfloat16, chunks of 32, batch 256: 12.0 GB at its peak (target below 24 GB: reached)",
    ]
