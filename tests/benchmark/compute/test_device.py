"""Where a run computes and in which precision."""

from __future__ import annotations

import pytest
import torch

from benchmark.common.errors import UserError
from benchmark.compute import device
from benchmark.pipeline.settings import TrainingSettings


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_a_gpu_that_is_not_there_is_refused_by_the_setting_that_asks_for_it() -> None:
    assert device.choose("auto", "scoring.device") == device.choose("cpu", "scoring.device") == torch.device("cpu")
    with pytest.raises(UserError, match=r"`scoring.device: cuda`, but PyTorch finds no GPU"):
        device.choose("cuda", "scoring.device")


@pytest.mark.parametrize(
    ("able", "precision"),
    [({"avx512_bf16": True}, "bfloat16"), ({"amx_bf16": True}, "bfloat16"), ({"avx2": True}, "float32")],
)
def test_auto_is_bfloat16_only_where_the_processor_multiplies_it(
    able: dict[str, bool], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert device.setup(TrainingSettings(device="cpu", threads=1))[1].precision == precision


def test_a_precision_that_is_named_is_kept() -> None:
    assert device.setup(TrainingSettings(device="cpu", precision="float32", threads=1))[1].precision == "float32"


def test_float16_needs_a_gpu() -> None:
    with pytest.raises(UserError, match="float16` does not work on a CPU"):
        device.setup(TrainingSettings(device="cpu", precision="float16", threads=1))
