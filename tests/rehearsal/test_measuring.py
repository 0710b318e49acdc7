"""The rehearsal measures what a process really took, and says so when that was too much."""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from tests.rehearsal.measuring import Limit, Measured, measured, table
from tests.rehearsal.texts import as_dictated


def test_time_processor_time_and_memory_are_those_of_the_command(tmp_path: Path) -> None:
    folder = tmp_path / "place"
    folder.mkdir()
    busy = "import time; x = b'x' * 300_000_000; t = time.process_time()\nwhile time.process_time() < t + 0.4: pass"
    command = [sys.executable, "-c", f"{busy}\ntime.sleep(0.3)\nprint('said')"]
    # From a small process, as the rehearsal is: a child begins with the peak of the process that starts it.
    with ProcessPoolExecutor(1, get_context("spawn")) as small:
        took = small.submit(measured, "one stage", command, folder, Limit(60, 2)).result()
    assert took.status == 0
    assert took.seconds >= took.processor_seconds * 0.9 + 0.25
    assert 0.4 <= took.processor_seconds < 5
    assert 0.3 <= took.gigabytes < 0.6
    assert (tmp_path / "one-stage.log").read_text() == "said\n"


def test_a_failed_stage_is_not_within(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    took = measured("bad", [sys.executable, "-c", "raise SystemExit(3)"], tmp_path / "place", Limit(60))
    assert (took.status, took.is_within) == (3, False)
    assert "FAILED (3)" in table([took])


def test_a_limit_is_kept_by_the_clock_and_on_a_busy_machine_by_processor_time() -> None:
    def verdict(seconds: float, processor: float, gigabytes: float, busy: bool) -> str:
        return Measured("index", seconds, processor, gigabytes, Limit(60, 2), busy=busy).verdict

    assert verdict(59, 58, 1.9, False) == "within"
    assert verdict(61, 30, 1.0, False) == "OVER"
    assert verdict(200, 30, 1.0, True) == "within, by processor time (busy machine)"
    assert verdict(200, 61, 1.0, True) == "OVER"
    assert verdict(10, 10, 2.1, True) == "OVER"
    assert Measured("decode", 900, 900, 9, Limit()).verdict == ""


def test_reports_look_as_mimic_writes_them() -> None:
    from benchmark.cohort.adapters.mimic_cxr import dictated

    assert dictated(as_dictated("Clear lungs.", "No acute process.")) == "Clear lungs. No acute process."
