"""The figure of docs/objective.md shows what the loss asks."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from tests.repository import figure_script


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return figure_script("target_matrix")


def test_it_is_the_papers_target_with_the_diagonal_alone_for_an_unknown_pair(script: ModuleType) -> None:
    for abnormal_pairs, abnormal in (("ignore", 0), ("zero", -1)):
        for i, row in enumerate(script.asked(abnormal_pairs).tolist()):
            for j, value in enumerate(row):
                labels = {script.LABELS[i], script.LABELS[j]}
                if "unknown" in labels:
                    expected = int(i == j)
                elif labels == {"abnormal"}:
                    expected = 1 if i == j and abnormal else abnormal
                else:
                    expected = 1 if labels == {"normal"} else -1
                assert value == expected


def test_the_image_in_the_guide_is_what_the_script_draws(script: ModuleType, tmp_path: Path) -> None:
    script.draw(tmp_path / "again.png")
    again, shown = (np.asarray(Image.open(path)) for path in (tmp_path / "again.png", script.IMAGE))
    np.testing.assert_array_equal(again, shown)
