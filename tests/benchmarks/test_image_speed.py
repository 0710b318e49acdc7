"""How fast images enter the cache, beside the plain single-process loop of the same policy.

Run ``make bench`` on a machine with two idle cores. The images have the size of real radiographs
(2,000 x 2,500 pixels) and film-like noise, since noise is what decoders spend their time on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture

from benchmark.cohort.decoding import cache, decode
from tests.benchmark.cohort import miniatures
from tests.benchmark.cohort.conftest import published_tables

__all__ = ["published_tables"]
HEIGHT, WIDTH, SIZE = 2500, 2000, 224
COUNTS = {"dicom": 640, "png": 256, "jpg": 640}
"""Images of one build: a worker takes half a second to start, which a release hides and 32 images do not."""
WORKERS = min(os.cpu_count() or 1, 2)


def film(seed: int) -> np.ndarray:
    """uint16 (HEIGHT, WIDTH), 12 bits: smooth shapes and noise."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.uniform(600, 3400, (10, 8)).astype(np.float32))
    smooth = np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    return np.clip(smooth + random.normal(0, 12, smooth.shape), 0, 4095).astype(np.uint16)


def write_dicom(path: Path, stored: np.ndarray) -> None:
    miniatures.dicom(path, stored, "MONOCHROME1", WindowCenter=2000, WindowWidth=3600)


def write_jpeg(path: Path, stored: np.ndarray) -> None:
    Image.fromarray((stored >> 4).astype(np.uint8)).save(path, quality=95)


WRITERS: dict[str, Callable[[Path, np.ndarray], None]] = {
    "dicom": write_dicom,
    "png": lambda path, stored: Image.fromarray(stored).save(path),
    "jpg": write_jpeg,
}


@pytest.fixture(scope="module", params=["dicom", "png", "jpg"])
def film_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few different images, each under several names."""
    suffix, folder = request.param, tmp_path_factory.mktemp(request.param)
    for at in range(COUNTS[suffix]):
        path = folder / f"{at:03}.{suffix}"
        if at < 4:
            WRITERS[suffix](path, film(at))
        else:
            path.hardlink_to(folder / f"{at % 4:03}.{suffix}")
    return folder


def plain_loop(folder: Path, policy: decode.Policy) -> None:
    """What a script would do: one image after the other."""
    for path in sorted(folder.iterdir()):
        decode.load(path, policy, SIZE)


def cached(folder: Path, part: Path, policy: decode.Policy) -> None:
    shutil.rmtree(part, ignore_errors=True)
    paths = sorted(path.name for path in folder.iterdir())
    assert not cache.build(folder, paths, part, size=SIZE, policy=policy, workers=WORKERS).failures


def seconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


@pytest.mark.parametrize("policy", ["published", "faithful", "draft"])
def test_images_a_second(benchmark: BenchmarkFixture, film_folder: Path, tmp_path: Path, policy: decode.Policy) -> None:
    """The cache beside the loop; the target is 1.7 times as fast on two cores.

    A draft is compared with the plain loop that decodes the JPEG in full; there the target is 4.
    """
    kind = next(film_folder.iterdir()).suffix.removeprefix(".")
    if policy == "draft" and kind != "jpg":
        pytest.skip("a draft differs for JPEG alone")
    loop: decode.Policy = "faithful" if policy == "draft" else policy
    plain: list[float] = []

    def before() -> None:
        plain.append(seconds(lambda: plain_loop(film_folder, loop)))

    benchmark.pedantic(lambda: cached(film_folder, tmp_path / "part", policy), setup=before, rounds=1, warmup_rounds=0)
    own, other = COUNTS[kind] / benchmark.stats.stats.min, COUNTS[kind] / min(plain)
    benchmark.extra_info |= {
        "ratio": own / other,
        "reference": f"plain loop, {loop}: {other:.1f} images/s",
        "target": "4" if policy == "draft" else "1.7 with two cores",
        "images/s": own,
    }


def test_a_draft_beside_the_full_decoding(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """One JPEG by one process: what scaled decoding alone gains; reading the file's code is not scaled."""
    write_jpeg(tmp_path / "0.jpg", film(0))
    full = min(seconds(lambda: decode.load(tmp_path / "0.jpg", "faithful", SIZE)) for _ in range(10))
    benchmark.pedantic(lambda: decode.load(tmp_path / "0.jpg", "draft", SIZE), rounds=10, warmup_rounds=1)
    gain = full / benchmark.stats.stats.min
    benchmark.extra_info |= {"ratio": gain, "reference": "the full decoding, both in one process"}


def test_a_training_batch_from_the_cache(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """64 random rows of a memory-mapped cache (the target is 2 ms)."""
    random = np.random.default_rng(0)
    np.save(tmp_path / "images.npy", random.integers(0, 256, (6000, SIZE, SIZE), dtype=np.uint8))
    images = np.load(tmp_path / "images.npy", mmap_mode="r")
    benchmark(lambda: images[np.sort(random.integers(0, len(images), 64))])


def test_the_real_padchest_index(benchmark: BenchmarkFixture, published_tables: Path) -> None:
    """Index of the 160,861-row table (the targets are 15 s and 2 GB), in a process of its own for the memory."""
    code = (
        "import resource, sys; from pathlib import Path; from benchmark.cohort.adapters import padchest;"
        "from benchmark.pipeline.settings import DatasetSettings;"
        "padchest.read(Path(sys.argv[1]), DatasetSettings(labels='published'), None);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peak: list[int] = []

    def build() -> None:
        done = subprocess.run(
            [sys.executable, "-c", code, str(published_tables)], capture_output=True, text=True, check=True
        )
        peak.append(int(done.stdout))

    benchmark.pedantic(build, rounds=1, warmup_rounds=0)
    benchmark.extra_info["peak, GB"] = max(peak) / 1e6
