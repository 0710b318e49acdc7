"""Where every file of the pipeline lies, relative to the repository root (the working directory).

One place names the paths; dvc.yaml repeats them because DVC must, and a test compares the two.
"""

from __future__ import annotations

from pathlib import Path

TRAINING_DATASET = "mimic_cxr"
EVALUATION_DATASETS = ("vindr_cxr", "open_i", "chexpert", "padchest")
DATASETS = (TRAINING_DATASET, *EVALUATION_DATASETS)

PARAMS = Path("params.yaml")
MATERIALS = Path("data/materials")
CAPTIONS = Path("data/captions")
PRETRAINED = Path("data/pretrained")
PROBE = Path("probe")
RESULTS = Path("results")
REPORTS = Path("reports")
TRACKED = Path("tracked.json")


def plan(system: str) -> Path:
    """Resolved settings and code hash of one system: ``plan/<system>.json``."""
    return Path("plan") / f"{system}.json"


def stage_plan(stage: str, dataset: str | None = None) -> Path:
    """Settings and code hash of one stage: ``plan/stages/<stage>.json`` or ``<stage>-<dataset>.json``."""
    return Path("plan/stages") / f"{stage}{f'-{dataset}' if dataset else ''}.json"


def raw(dataset: str) -> Path:
    """The published tree (phantom) or the pointer to the user's root: ``data/raw/<dataset>/``."""
    return Path("data/raw") / dataset


def index(dataset: str) -> Path:
    """What the release's tables say and the list of its image files: ``data/index/<dataset>/``."""
    return Path("data/index") / dataset


def images(dataset: str) -> Path:
    """The decoded images of the list and what became of each file: ``data/images/<dataset>/``."""
    return Path("data/images") / dataset


def cohort(dataset: str) -> Path:
    """index.parquet, regions.parquet, images.npy and card.json: ``data/cohort/<dataset>/``."""
    return Path("data/cohort") / dataset


def pretrained(seed: int) -> Path:
    """Where the image towers of a training seed start: ``data/pretrained/<seed>/``."""
    return PRETRAINED / str(seed)


def run(system: str, seed: int) -> Path:
    """What training leaves: ``runs/<system>-<seed>/``."""
    return Path("runs") / f"{system}-{seed}"


def scores(system: str, seed: int) -> Path:
    """What scoring leaves: ``scores/<system>-<seed>/``."""
    return Path("scores") / f"{system}-{seed}"
