"""What a person reads while something runs: durations in words, a line every ten seconds without a terminal."""

from __future__ import annotations

import pytest

from benchmark.common import progress


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (99.4, "99 s"), (100, "2 min"), (5_930, "99 min"), (6_000, "1 h 40 min"), (float("nan"), "?")],
)
def test_a_duration_is_said_in_words(seconds, words):
    assert progress.spoken(seconds) == words


def test_lines_without_a_terminal_say_how_far_and_how_long(monkeypatch, capsys):
    clock = iter([0.0, 4.0, 12.0, 30.0, 31.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    assert list(progress.with_progress("abc", "drawing")) == ["a", "b", "c"]
    assert capsys.readouterr().err.splitlines() == [
        "drawing: 2 of 3, 6 s each, 6 s left",
        "drawing: 3 of 3, 10 s each, 0 s left",
        "drawing: 3 done in 31 s",
    ]
