"""Every finding gets a sentence, every sentence one column, and ensembles are means."""

from pathlib import Path

import numpy as np
import pytest

from benchmark.cohort.adapters import chexpert, open_i, padchest, vindr_cxr
from benchmark.common.errors import UserError
from benchmark.evaluation import prompts
from benchmark.evaluation.prompts import Prompt

BOOK = prompts.load()
VINDR_PUBLISHED = """aortic enlargement, atelectasis, calcification, cardiomegaly, consolidation, edema, emphysema,
enlarged PA, infiltration, lung opacity, nodule/mass, pleural effusion, pleural thickening, pneumothorax, lung tumor,
pneumonia"""


def test_vindr_is_asked_in_the_published_words() -> None:
    words = [word.strip() for word in VINDR_PUBLISHED.split(",")]
    asked = [prompts.finding_sentence(BOOK, "vindr_cxr", finding) for finding in vindr_cxr.PUBLISHED]
    assert asked == [f"There is {word}" for word in words]


def test_the_primary_normal_prompt_is_the_published_one() -> None:
    columns = prompts.resolve(BOOK, "vindr_cxr", ["Edema"])
    assert columns[0] == Prompt("finding:Edema", ("There is edema",))
    assert columns[1] == Prompt("normal:no_finding", ("There is no finding",))


@pytest.mark.parametrize(
    ("dataset", "vocabulary"),
    [
        ("vindr_cxr", vindr_cxr.LOCAL + vindr_cxr.GLOBAL),
        ("open_i", open_i.FINDINGS),
        ("chexpert", chexpert.FINDINGS),
        ("mimic_cxr", chexpert.FINDINGS),
        ("padchest", padchest.vocabulary()),
    ],
)
def test_every_label_of_the_vocabularies_has_a_sentence_of_its_own(dataset: str, vocabulary: tuple[str, ...]) -> None:
    findings = [name for name in vocabulary if name != "normal"]
    columns = prompts.resolve(BOOK, dataset, findings)
    assert [c.column for c in columns[: len(findings)]] == [f"finding:{name}" for name in findings]
    sentences = [column.sentences for column in columns[: len(findings)]]
    assert len(set(sentences)) == len(findings)
    assert set(BOOK.findings.get(dataset, {})) <= set(findings)  # no entry for a finding that does not exist


def test_every_column_is_primary_or_a_further_wording() -> None:
    everything = prompts.resolve(BOOK, "chexpert", ["Edema"])
    primary = prompts.resolve(BOOK, "chexpert", ["Edema"], primary_only=True)
    assert [column.column for column in primary] == ["finding:Edema", "normal:no_finding", "abnormal:abnormality"]
    assert set(primary) < set(everything)
    kinds = [column.column.split(":")[0] for column in everything]
    assert kinds == sorted(kinds, key=["finding", "normal", "abnormal"].index)


def test_ensembles_are_means_and_shared_sentences_are_scored_once() -> None:
    columns = [Prompt("normal:a", ("x",)), Prompt("normal:b", ("y",)), Prompt("normal:all", ("x", "y", "z"))]
    assert prompts.sentences_of(columns) == ["x", "y", "z"]
    similarities = np.array([[1, 2, 6], [0, -3, 9]], np.float32)
    folded = prompts.fold(similarities, columns)
    np.testing.assert_array_equal(folded["normal:b"], [2, -3])
    np.testing.assert_allclose(folded["normal:all"], [3, 2])
    assert folded["normal:all"].dtype == np.float32


class _Speaks:
    """A model with two sentences of its own for edema, of which the better counts."""

    own_pooling = "max"

    def sentences(self, finding: str, common: tuple[str, ...]) -> tuple[str, ...]:
        return ("mild edema", "severe edema") if finding == "Edema" else common


def test_a_model_is_asked_in_its_own_sentences_where_it_has_some() -> None:
    common = prompts.resolve(BOOK, "chexpert", ["Edema", "Fracture"])
    columns = prompts.in_words_of(common, _Speaks())
    assert [column.column for column in columns] == [column.column for column in common]
    assert columns[0] == Prompt("finding:Edema", ("mild edema", "severe edema"), "max")
    assert columns[1:] == common[1:]
    similarities = np.zeros((2, len(prompts.sentences_of(columns))), np.float32)
    similarities[:, :3] = [[1, 3, 5], [-2, -4, 5]]
    folded = prompts.fold(similarities, columns)
    np.testing.assert_array_equal(folded["finding:Edema"], [3, -2])
    np.testing.assert_array_equal(folded["finding:Fracture"], [5, 5])


def test_the_hash_follows_every_word_and_every_column() -> None:
    one = {"a": [Prompt("normal:x", ("clear lungs",))]}
    assert prompts.digest(one) == prompts.digest({"a": [Prompt("normal:x", ("clear lungs",))]})
    for other in (Prompt("normal:x", ("clear lung",)), Prompt("normal:y", ("clear lungs",))):
        assert prompts.digest(one) != prompts.digest({"a": [other]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("normal: {a: []}\nabnormal: {a: [x]}\ntemplate: There is {}\nfindings: {}", "wording 'a' needs"),
        ("normal: {a: [x]}\nabnormal: {a: [x]}\ntemplate: There is\nfindings: {}", "exactly one {}"),
        ("normal: {a: [x]}\nabnormal: {a: [x]}\ntemplate: x {}\nfindings: {}\nnormals: {}", "normals"),
    ],
)
def test_a_faulty_prompt_file_is_explained(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "prompts.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        prompts.load(path)
