"""One caption per study and epoch: deterministic, independent of order, in the promised proportions."""

import numpy as np
import pandas as pd
import pytest

from benchmark.common.errors import UserError
from benchmark.training.captions import CaptionSampler

SENTENCES = pd.DataFrame(
    [
        ("s1", 0, "The lungs are clear", "There is no lung opacity.", True),
        ("s1", 1, "No acute disease", "There is no finding.", True),
        ("s2", 0, "No pneumothorax", "There is no pneumothorax.", True),
        ("s2", 1, "Cardiomegaly without effusion", "There is cardiomegaly. There is no pleural effusion.", False),
        ("s2", 2, "Blunted XXXX", "", False),
        ("s3", 0, "Prominent fat pads", "", False),
    ],
    columns=["study_id", "position", "text", "prompted", "normal"],
)
STUDIES = pd.DataFrame({"study_id": ["s1", "s2", "s3"], "normal": [True, False, False]})
IDS = ["s3", "s2", "s1", "s2"]


def sampler(mode: str = "filtered", share: float = 0.5, seed: int = 0, ids: list[str] = IDS) -> CaptionSampler:
    return CaptionSampler(SENTENCES, STUDIES, ids, mode, share, seed)  # type: ignore[arg-type]


def captions_over_epochs(of: CaptionSampler, row: int, epochs: int = 400) -> list[str]:
    return [of([row], epoch)[0][0] for epoch in range(epochs)]


def test_filtered_captions_of_an_abnormal_study_are_abnormal() -> None:
    assert set(captions_over_epochs(sampler(), 1)) == {
        "Cardiomegaly without effusion",
        "Blunted XXXX",
        "There is cardiomegaly.",
    }


def test_raw_captions_are_any_sentence_in_both_forms() -> None:
    assert set(captions_over_epochs(sampler("raw"), 1)) == {
        "No pneumothorax",
        "Cardiomegaly without effusion",
        "Blunted XXXX",
        "There is no pneumothorax.",
        "There is cardiomegaly.",
        "There is no pleural effusion.",
    }


def test_normal_studies_keep_everything_in_both_modes() -> None:
    everything = {"The lungs are clear", "No acute disease", "There is no lung opacity.", "There is no finding."}
    assert set(captions_over_epochs(sampler("filtered"), 2)) == everything
    assert set(captions_over_epochs(sampler("raw"), 2)) == everything


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_prompted_share_of_the_samples_is_as_asked(share: float) -> None:
    drawn = captions_over_epochs(sampler(share=share), 2, epochs=2000)
    assert np.mean([text.startswith("There is") for text in drawn]) == pytest.approx(share, abs=0.04)


def test_a_study_without_prompted_form_stays_as_dictated() -> None:
    assert set(captions_over_epochs(sampler(share=1.0), 0)) == {"Prominent fat pads"}


def test_pair_labels_are_the_studies_in_both_modes() -> None:
    for mode in ("raw", "filtered"):
        assert sampler(mode).is_normal.tolist() == [False, False, True, False]
        assert sampler(mode)([2, 0], 3)[1].tolist() == [True, False]


def test_a_caption_depends_on_seed_epoch_and_study_alone() -> None:
    together, _ = sampler()([0, 1, 2, 3], 5)
    assert [sampler()([row], 5)[0][0] for row in (0, 1, 2, 3)] == together
    assert sampler()([2, 1], 5)[0] == [together[2], together[1]]
    assert together[1] == together[3]  # the same study at two positions
    assert sampler(ids=["s1", "s2"])([1], 5)[0] == [together[1]]  # whichever other studies there are
    np.random.seed(1)  # noqa: NPY002 - the global generator must not matter
    assert sampler()([0, 1, 2, 3], 5)[0] == together
    assert captions_over_epochs(sampler(seed=0), 1) != captions_over_epochs(sampler(seed=1), 1)


def test_sentences_are_drawn_evenly() -> None:
    drawn = pd.Series(captions_over_epochs(sampler("raw", share=0.0), 1, epochs=3000)).value_counts(normalize=True)
    assert drawn.to_numpy() == pytest.approx([1 / 3] * 3, abs=0.03)


def test_free_prompted_clauses_are_judged_as_sentences() -> None:
    table = pd.concat(
        [
            SENTENCES[SENTENCES["study_id"] == "s2"].assign(prompted=""),
            pd.DataFrame(
                [("s2", 3, "", "There is normal heart size.", True), ("s2", 4, "", "There is an effusion.", False)],
                columns=SENTENCES.columns,
            ),
        ]
    )
    filtered = CaptionSampler(table, STUDIES, ["s2"], "filtered", 1.0, 0)
    assert set(captions_over_epochs(filtered, 0)) == {"There is an effusion."}
    raw = CaptionSampler(table, STUDIES, ["s2"], "raw", 1.0, 0)
    assert set(captions_over_epochs(raw, 0)) == {"There is an effusion.", "There is normal heart size."}


def test_studies_without_report_are_named_before_sampling() -> None:
    unknown = sampler(ids=["s1", "no report"])
    assert unknown.has_caption.tolist() == [True, False]
    with pytest.raises(ValueError, match="has_caption"):
        unknown([1], 0)


def test_captions_are_raw_or_filtered() -> None:
    with pytest.raises(UserError, match="`raw` or `filtered`"):
        sampler("both")
