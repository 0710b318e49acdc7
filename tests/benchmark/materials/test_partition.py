from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.materials import partition


@given(st.text(min_size=1))
def test_case_and_whitespace_never_move_a_report(text: str) -> None:
    spaced = "  \n".join(text.split()).swapcase()
    if partition.normalised(spaced) == partition.normalised(text):  # case folding of some letters is not reversible
        assert partition.side(spaced) == partition.side(text)


def test_the_side_is_the_first_eight_bytes_of_sha256_against_sixty_percent() -> None:
    text = "The heart is normal in size. The lungs are clear."
    number = int(hashlib.sha256(text.lower().encode()).hexdigest()[:16], 16) / 2**64
    assert partition.fraction(text) == number
    assert partition.side(text) == ("training" if number < 0.6 else "evaluation")


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_an_empty_report_belongs_nowhere(text: str) -> None:
    assert partition.side(text) is None


def test_about_sixty_percent_train() -> None:
    sides = [partition.side(f"report {number}") for number in range(5000)]
    assert 0.58 < sides.count("training") / 5000 < 0.62
