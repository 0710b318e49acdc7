"""What is read from an item's log is what the item really writes there."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from benchmark.common import progress as common
from benchmark.fanout import progress
from benchmark.fanout.progress import Board, glance
from benchmark.training import display
from benchmark.training.budget import Account, Cost
from benchmark.training.display import Display

NODE = "0a1b2c3d"
BEGAN = f"--- attempt 2 on gpu-3 [{NODE}], 2030-01-01 10:00:00: python -m benchmark train --system clip --seed 0\n"


def test_a_training_says_its_share_and_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(display, "SECONDS_BETWEEN_LINES", -1)
    account = Account("samples", 100)
    with Display("clip-0", account) as shown:
        account.pay(Cost(42, 1.0, 0.0, 1.0), 1.0)
        shown.update(0.5)
        said = capsys.readouterr().err
    seen = glance(BEGAN + said)
    assert (seen.attempt, seen.node, seen.share) == (2, NODE, 0.42)
    assert re.fullmatch(r"\d+ s", seen.left)


def test_anything_that_counts_says_its_share_and_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(common, "SECONDS_BETWEEN_LINES", -1)
    steps = common.with_progress(range(4), "scoring clip-0")
    next(steps)
    next(steps)
    seen = glance(BEGAN + capsys.readouterr().err)
    assert seen.share == 0.25
    assert re.fullmatch(r"\d+ s", seen.left)


def test_the_sentence_of_an_error_and_the_last_line_are_found() -> None:
    seen = glance(f"{BEGAN}Traceback\nerror: The disk is full: x could not be written.\n")
    assert seen.sentence == "The disk is full: x could not be written."
    assert glance(f"{BEGAN}Traceback\n\nValueError: 7\n").last == "ValueError: 7"
    assert glance("") == progress.Glance()


def test_only_the_last_attempt_is_read(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("x" * 100_000 + BEGAN.replace("attempt 2", "attempt 1") + "error: old\n" + BEGAN + "new\n")
    seen = glance(progress.tail(log))
    assert (seen.attempt, seen.sentence, seen.last) == (2, "", "new")
    assert progress.tail(tmp_path / "none.log") == ""


def test_a_line_appears_when_the_state_changes_and_then_now_and_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now, log = [0.0], tmp_path / "train@clip-0.log"
    board = Board({NODE: "gpu-3"}.__getitem__, clock=lambda: now[0])
    line = "training clip-0:  {:.1f}% of the budget (1 of 2 samples), 9 pairs/s, loss 0.1, 3 min left\n"

    def shown(state: str = "begun") -> str:
        board.show({"train@clip-0": state}, {"train@clip-0": (log, 2)} if state == "begun" else {})
        return capsys.readouterr().err.strip()

    assert shown() == "train@clip-0: waiting for a machine"
    log.write_text(BEGAN)
    assert shown() == "train@clip-0: running on gpu-3"
    log.write_text(BEGAN + line.format(42))
    assert shown() == ""
    now[0] += progress.SECONDS_BETWEEN_LINES
    assert shown() == "train@clip-0: running on gpu-3, 42%, 3 min left"
    assert shown("done") == "train@clip-0: done on gpu-3"


def test_on_a_terminal_there_is_one_row_an_item(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen, log = io.StringIO(), tmp_path / "train@clip-0.log"
    monkeypatch.setattr(progress, "console", Console(file=screen, force_terminal=True, width=100))
    log.write_text(BEGAN + "training clip-0:  42.0% of the budget (1 of 2 samples), 9 pairs/s, loss 0.1, 3 min left\n")
    with Board({NODE: "gpu-3"}.__getitem__) as board:
        board.show({"train@clip-0": "begun", "score@clip-0": "waiting"}, {"train@clip-0": (log, 2)})
    rows = re.findall(r"train@clip-0 +running +42% +3 min +gpu-3|score@clip-0 +waiting", screen.getvalue())
    assert len(set(rows)) == 2


def test_the_sum_of_the_states() -> None:
    assert progress.summary(["done", "failed", "done"]) == "2 done, 1 failed"
