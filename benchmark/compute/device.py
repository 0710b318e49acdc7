"""What a run computes on and in which precision, and how a process is set up for it."""

from __future__ import annotations

import os

import torch

from benchmark.common import memory
from benchmark.common.errors import UserError
from benchmark.pipeline.settings import TrainingSettings


def setup(training: TrainingSettings) -> tuple[torch.device, TrainingSettings]:
    """Prepare the process, before its first kernel.

    Returns:
        The device, and the settings with ``precision: auto`` replaced by what it means there.

    Raises:
        UserError: a GPU is asked for and there is none, or float16 on a CPU.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(training.threads)
    torch.use_deterministic_algorithms(training.deterministic)
    # Filling fresh memory guards against reading it unset; the models here never do, and it costs a pass each.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = not training.deterministic
    memory.keep_freed()
    device = choose(training.device, "training.device")
    if device.type == "cpu" and training.precision == "float16":
        raise UserError("`training.precision: float16` does not work on a CPU; use bfloat16 or float32.")
    if training.precision == "auto":
        training = training.model_copy(update={"precision": "bfloat16" if has_bfloat16(device) else "float32"})
    return device, training


def choose(name: str, setting: str) -> torch.device:
    """The device of a setting, named in the error; ``auto`` is a GPU where there is one.

    Raises:
        UserError: ``cuda`` is asked for where PyTorch sees no GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError(f"`{setting}: cuda`, but PyTorch finds no GPU here; use `auto` or `cpu`.")
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 itself; where it is emulated it is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
