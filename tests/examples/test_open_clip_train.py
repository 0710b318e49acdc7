"""open_clip's own training program learns with OffClipLoss after the lines of examples/open_clip_train.diff."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[2]
DIFF = REPOSITORY / "examples/open_clip_train.diff"
MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "head_width": 16, "layers": 1},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}
PROGRAM = """
from baselines import torchvision_cure
torchvision_cure.apply()
import sys, open_clip
open_clip.add_model_config("models")
from open_clip_train import main
assert main.__file__.startswith(sys.argv[1]), main.__file__
main.main(sys.argv[2:])
"""
CAPTIONS = {1.0: "There is no finding.", 0.0: "There is pleural effusion on the left.", np.nan: "Unchanged."}


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """A copy of the installed open_clip_train with the lines changed, and one small model."""
    installed = Path(str(distribution("open_clip_torch").locate_file("open_clip_train")))
    shutil.copytree(installed, tmp_path / "open_clip_train", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["git", "apply", str(DIFF)], cwd=tmp_path, check=True, env={**os.environ, "GIT_DIR": "/none"})
    (tmp_path / "models").mkdir()
    (tmp_path / "models/small.json").write_text(json.dumps(MODEL))
    return tmp_path


def test_open_clips_program_trains_with_it(changed: Path) -> None:
    random = np.random.default_rng(0)
    rows = []
    for number in range(48):
        label = [1.0, 0.0, np.nan][number % 3]
        pixels = random.integers(0, 100, (32, 32, 3), dtype=np.uint8) + np.uint8(120 * (label == 1))
        Image.fromarray(pixels).save(changed / f"{number}.png")
        rows.append({"filepath": changed / f"{number}.png", "title": CAPTIONS[label], "is_normal": label})
    pd.DataFrame(rows).to_csv(changed / "pairs.tsv", sep="\t", index=False)
    options = {"train-data": "pairs.tsv", "dataset-type": "csv", "model": "small", "batch-size": 16, "epochs": 2}
    options |= {"lr": 1e-3, "warmup": 1, "workers": 0, "precision": "fp32", "log-every-n-steps": 1, "logs": "logs"}
    arguments = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
    environment = {**os.environ, "PYTHONPATH": f"{changed}{os.pathsep}{REPOSITORY}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, str(changed), *arguments]
    done = subprocess.run(command, cwd=changed, env=environment, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    first, *_, last = map(float, re.findall(r"Off_diagonal_loss: ([\d.]+)", said))
    assert last < first


def test_it_is_eight_lines() -> None:
    lines = DIFF.read_text(encoding="utf-8").splitlines()
    assert sum(line.startswith("+") and not line.startswith("+++") for line in lines) == 8
    assert "eight lines" in (REPOSITORY / "offclip/README.md").read_text(encoding="utf-8")
