"""The rule of the paper's figure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offclip.text_filter import filter_report


def test_an_abnormal_report_keeps_its_abnormal_sentences_alone() -> None:
    report = filter_report([False, True, False, True])
    assert report.kept == (1, 3)
    assert not report.normal


def test_a_normal_report_keeps_everything() -> None:
    report = filter_report([False, False])
    assert report.kept == (0, 1)
    assert report.normal


def test_an_empty_report_has_no_pair_label() -> None:
    with pytest.raises(ValueError, match="at least one sentence"):
        filter_report([])


@given(st.lists(st.booleans(), min_size=1))
def test_kept_sentences_agree_with_the_pair_label(abnormal: list[bool]) -> None:
    report = filter_report(abnormal)
    assert report.kept
    assert all(abnormal[position] != report.normal for position in report.kept)
    assert report.normal == (not any(abnormal))
