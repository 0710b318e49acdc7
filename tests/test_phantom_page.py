"""docs/what-the-phantom-shows.md: its tables are read off results/, each at its marker."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from benchmark.pipeline import layout
from tests.benchmark import measured_run
from tests.repository import figure_script


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return figure_script("what_the_phantom_shows")


@pytest.fixture(scope="module")
def filled(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The page, filled from a synthetic run with both starts, and where that run lies."""
    root = tmp_path_factory.mktemp("page")
    systems = ("clip", "carzero", "carzero_filter", "offclip")
    twins = tuple(f"{name}_scratch" for name in systems)
    measured_run.write(root, images=120, systems=systems, scratch=twins, ablation=("offclip_nofilter",))
    page, image = root / "page.md", root / "page.png"
    page.write_text(script.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(script, "PAGE", page)
        patch.setattr(script, "IMAGE", image)
        script.main(root)
    assert image.stat().st_size > 5000
    return page.read_text(encoding="utf-8"), root


def test_every_number_of_a_system_is_its_row_of_the_results(filled: tuple[str, Path]) -> None:
    page, root = filled
    table = pd.read_csv(root / layout.RESULTS / "auc.csv", dtype={"seed": str}).fillna({"finding": ""})
    rows = table[
        (table.dataset == "overall") & (table.system == "offclip") & (table.seed == "all") & (table.progress == 1)
    ]
    row = rows[(rows.quantity == "normal_auc") & (rows.score == "prompt")].iloc[0]
    assert f"| OFF-CLIP | {row.estimate:.3f} [{row.low:.3f}, {row.high:.3f}] |" in page


def test_every_seed_from_scratch_is_shown(filled: tuple[str, Path]) -> None:
    page, root = filled
    table = pd.read_csv(root / layout.RESULTS / "auc.csv", dtype={"seed": str}).fillna({"finding": ""})
    rows = table[(table.dataset == "overall") & (table.system == "carzero_scratch") & (table.progress == 1)]
    each = rows[(rows.quantity == "normal_auc") & (rows.score == "prompt") & (rows.seed != "all")].sort_values("seed")
    assert len(each) > 1
    assert ", ".join(f"{value:.3f}" for value in each.estimate) in page


def test_a_page_without_a_tables_marker_is_refused(script: ModuleType) -> None:
    with pytest.raises(SystemExit, match="once, found 0"):
        script.filled("no marker", {"ends": "| a |"})
