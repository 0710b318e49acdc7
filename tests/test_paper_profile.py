"""The published scale on a CPU: towers of full size, a handful of phantom studies, from the tables to the scores."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from baselines import torchvision_cure
from baselines.config import VitOptions
from baselines.towers.bert import SPECIAL
from baselines.towers.vit import INIT_PREFIX, VitTower
from benchmark.common import files
from benchmark.pipeline import layout, profiles, settings
from benchmark.tools import starts
from tests.repository import REPOSITORY

pytestmark = pytest.mark.chaos
SYSTEM = "carzero"
PIECES = 28_996
"""Word pieces of the published text tower."""
MOST_SECONDS, MOST_BYTES = 600, 8 << 30
"""Of processor time, five minutes of two cores (an elapsed time would depend on what else runs), and of one process."""
CHAIN = ("raw", "index", "decode", "prepare")


def write_bert(folder: Path) -> None:
    """A BERT-base of 12 layers with random weights, as transformers saves one."""
    torchvision_cure.apply()
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=PIECES)).save_pretrained(folder)
    words = ["there", "is", "no", "the", "lungs", "are", "clear", "effusion", "opacity", *"abcdefghijklmnopqrstuvwxyz"]
    pieces = [*SPECIAL, *words, *(f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")


def write_image_start(path: Path) -> None:
    """A ViT-B/16 with random weights, under the names of the release's VITB-16-M3AE_last.ckpt."""
    torch.manual_seed(1)
    weights = VitTower(VitOptions(positions="learnt")).model.state_dict()
    torch.save({"state_dict": {f"{INIT_PREFIX}{name}": tensor for name, tensor in weights.items()}}, path)


def run(work: Path, *words: str) -> None:
    """One command of the harness in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1", "MLFLOW_TRACKING_URI": ""}
    done = subprocess.run(
        [sys.executable, "-m", "benchmark", *words], cwd=work, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{words}: {done.stderr[-3000:]}"


def processor_seconds() -> float:
    """Of all processes that have ended so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_the_paper_profile_goes_from_tables_to_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_bert(Path("bert"))
    write_image_start(Path("image.ckpt"))
    Path("params.yaml").write_bytes((REPOSITORY / "params.yaml").read_bytes())
    profiles.apply(profiles.read("paper", REPOSITORY / "profiles"), layout.PARAMS)
    published = settings.load()
    changes = {
        "encoders": {part: dict(options) for part, options in published.encoders.items()},
        "phantom": {"studies": {layout.TRAINING_DATASET: 40, **dict.fromkeys(layout.EVALUATION_DATASETS, 8)}},
        "captions": {"min_patients": 1},
        "training": {"batch_size": [[0.0, 2], [0.5, 4]], "device": "cpu", "precision": "float32", "snapshots": []},
        "scoring": {"batch_size": 8},
        "budget": {"amount": 8},
        "compare": [SYSTEM],
        "ablation": [],
        "seeds": [0],
        "statistics": {"references": [SYSTEM], "ablation_references": [SYSTEM]},
    }
    changes["encoders"]["text"]["init"], changes["encoders"]["image"]["init"] = "bert", "image.ckpt"
    profiles.apply(changes, layout.PARAMS)
    assert starts.missing(settings.load()) == []

    began = processor_seconds()
    for words in (("plan",), ("materials",)):
        run(tmp_path, *words)
    for dataset in layout.DATASETS:
        for stage in CHAIN:
            run(tmp_path, stage, dataset)
    for words in (("captions",), ("pretrain", "--seed", "0")):
        run(tmp_path, *words)
    for stage in ("train", "score"):
        run(tmp_path, stage, "--system", SYSTEM, "--seed", "0")
    seconds = processor_seconds() - began

    ledger = files.read_json(layout.run(SYSTEM, 0) / "ledger.json")
    assert ledger["parameters"] > 200e6, "not the towers of the published size"
    assert ledger["steps"] >= 3
    for dataset in layout.EVALUATION_DATASETS:
        scores = pd.read_parquet(layout.scores(SYSTEM, 0) / f"{dataset}.parquet")
        assert len(scores) > 0
        assert scores.filter(like="finding:").nunique().min() > 1, "every image has one score"
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(f"{seconds:.0f} s of processor time, at most {most / 2**30:.1f} GiB a process")
    assert most < MOST_BYTES
    assert seconds < MOST_SECONDS
