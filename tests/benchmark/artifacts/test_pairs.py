"""The rule that chooses the validation pairs."""

import pandas as pd

from benchmark.artifacts import pairs


def test_a_caption_says_what_its_report_says() -> None:
    sentences = pd.DataFrame(
        [
            ("s1", 2, "effusion on the left", False),
            ("s1", 0, "heart is normal", True),
            ("s1", 1, "edema", False),
            ("s2", 1, "lungs are clear", True),
            ("s2", 0, "heart is normal", True),
            ("s3", 0, "only a normal sentence", True),
        ],
        columns=["study_id", "position", "text", "normal"],
    )
    studies = pd.DataFrame({"study_id": ["s1", "s2", "s3"], "normal": [False, True, False]})
    captions = pairs.captions_of(sentences, studies)
    assert list(captions["study_id"]) == ["s1", "s2"]
    assert list(captions["text"]) == ["edema", "heart is normal"]
    assert list(captions["normal"]) == [False, True]
