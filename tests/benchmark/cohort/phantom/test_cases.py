"""Phantom sets beside the public tables that they are drawn from: nothing differs by more than chance allows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from benchmark.cohort.adapters import locations
from benchmark.cohort.phantom import cases
from benchmark.cohort.phantom.drawn_as import KINDS
from benchmark.cohort.phantom.studies import choose
from benchmark.materials import label_tables
from benchmark.materials.label_tables import Row

COUNTS = {"vindr_cxr": 900, "chexpert": 500, "padchest": 1000}
"""The embedded default."""
SEED = 2025
SIGMA = 4.0
"""Some 300 shares are compared: one in 16,000 differs by more than four standard errors by chance."""
PAIRS = 10


@pytest.fixture(scope="module", params=tuple(KINDS))
def drawn(request: pytest.FixtureRequest, reports):
    """A dataset's name, its drawn labels and its table's, both bool (n, labels), its AP views and its table's."""
    dataset = request.param
    table = cases.usable(label_tables.read(dataset))
    studies = choose(dataset, COUNTS[dataset], SEED)
    names = [name for name in table.names if name not in cases.SAYS_NOTHING]
    ours = np.array([[name in study.labels for name in names] for study in studies])
    theirs = written(table, names)
    return dataset, names, ours, theirs, np.array([study.view == "AP" for study in studies]), table


def written(table: label_tables.LabelTable, names: list[str]) -> np.ndarray:
    """Which labels would be written for each row of a table, bool (n, names)."""
    sets, inverse = np.unique(table.positive, axis=0, return_inverse=True)
    rows = [Row(0, "", frozenset(itertools.compress(table.names, held)), False) for held in sets]
    found = [cases.labels_of(table.dataset, row) for row in rows]
    return np.array([[name in held for name in names] for held in found])[inverse]


def assert_alike(ours: np.ndarray, theirs: np.ndarray, what: str) -> None:
    """Two shares differ by less than ``SIGMA`` standard errors of the smaller set, and a case where both are rare."""
    share = theirs.mean()
    allowed = SIGMA * np.sqrt(max(share * (1 - share), 1e-9) / len(ours)) + 1 / len(ours)
    assert abs(ours.mean() - share) <= allowed, (what, ours.mean(), share)


def test_every_label_is_as_frequent_as_in_the_table(drawn) -> None:
    dataset, names, ours, theirs, _, _ = drawn
    assert names
    for at, name in enumerate(names):
        assert_alike(ours[:, at], theirs[:, at], f"{dataset} {name}")


def test_the_commonest_pairs_come_together_as_often_as_in_the_table(drawn) -> None:
    dataset, names, ours, theirs, _, _ = drawn
    counts = np.triu(theirs.T.astype(np.float32) @ theirs.astype(np.float32), 1)
    commonest = [np.unravel_index(at, counts.shape) for at in np.argsort(-counts, axis=None)[:PAIRS]]
    assert counts[commonest[-1]] > 0.002 * len(theirs), "pairs that occur"
    for a, b in commonest:
        assert_alike(ours[:, a] & ours[:, b], theirs[:, a] & theirs[:, b], f"{dataset} {names[a]} with {names[b]}")


def test_ap_views_are_as_frequent_among_normal_and_among_sick_as_in_the_table(drawn) -> None:
    dataset, names, ours, _, ap, table = drawn
    if table.ap is None:
        pytest.skip("the table names no views")
    at = names.index(label_tables.NORMAL[dataset])
    assert_alike(ap[ours[:, at]], table.ap[table.normal], f"{dataset} AP if normal")
    assert_alike(ap[~ours[:, at]], table.ap[~table.normal], f"{dataset} AP if abnormal")
    real = table.ap[~table.normal].mean() - table.ap[table.normal].mean()
    assert real > 0.05, "the confounding is the release's own"


def test_the_shares_of_a_table_are_counted_with_the_hierarchy_of_chexpert() -> None:
    positive = np.array([[0, 1, 0], [0, 1, 1], [1, 0, 0], [0, 0, 1]], bool)
    names = ("No Finding", "Edema", "Lung Opacity")
    table = label_tables.LabelTable(
        "chexpert", 9, np.arange(4), np.arange(4).astype(str), names, positive, ap=np.array([1, 1, 0, 0], bool)
    )
    shares = cases.of_table(table)
    assert shares.prevalence == {"Edema": 0.5, "Lung Opacity": 0.75}
    assert (shares.images, shares.normal, shares.ap, shares.ap_normal) == (4, 0.25, 0.5, 0.0)
    assert shares.ap_abnormal == pytest.approx(2 / 3, abs=1e-6)
    assert shares.source == "4 usable of 9 rows of the release's public label table"


def test_the_chexpert_test_set_holds_one_study_a_patient() -> None:
    table = cases.usable(label_tables.read("chexpert"))
    rows = cases.sampled(table, 5000, np.random.default_rng(1))
    assert len({row.patient for row in rows}) == len(rows) == 5000
    assert len(table.number) > cases.available(table) == len(np.unique(table.patient))


def test_padchest_findings_lie_where_the_words_of_their_sentence_say() -> None:
    sentences = (
        ("nodule", "loc right upper lobe", "loc right"),
        ("pleural effusion both sides", "loc pleural"),
        ("cardiomegaly", "loc cardiac", "loc left"),
        ("infiltrates", "loc right", "loc left"),
    )
    labels = frozenset({"nodule", "pleural effusion", "cardiomegaly", "infiltrates", "unchanged"})
    row = Row(0, "a", labels, False, "PA", True, 60, sentences=sentences)
    found = {f.kind: f for f in cases.findings_of("padchest", row, np.random.default_rng(0))}
    assert set(found) == {"nodule", "effusion", "cardiomegaly", "infiltrate"}
    assert (found["nodule"].side, found["nodule"].zone) == ("right", "upper")
    assert found["effusion"].side == "bilateral"
    assert (found["cardiomegaly"].side, found["cardiomegaly"].zone) == ("", ""), "there is one heart"
    assert found["infiltrate"].side == locations.from_words(["right", "left"])[0].side


def test_labels_of_one_kind_at_one_place_are_drawn_once() -> None:
    row = Row(0, "a", frozenset({"air trapping", "flattened diaphragm", "heart insufficiency", "cardiomegaly"}), False)
    found = {f.kind: f.labels for f in cases.findings_of("padchest", row, np.random.default_rng(0))}
    assert found == {
        "hyperinflation": ("air trapping", "flattened diaphragm"),
        "congestion": ("heart insufficiency",),
        "cardiomegaly": ("cardiomegaly",),
    }


def test_a_wider_label_of_chexpert_is_not_drawn_where_a_narrower_one_is() -> None:
    row = Row(0, "a", frozenset({"Lung Opacity", "Edema", "Support Devices"}), False)
    found = cases.findings_of("chexpert", row, np.random.default_rng(0))
    assert sorted(label for f in found for label in f.labels) == ["Edema", "Support Devices"]
    assert cases.labels_of("chexpert", row) == {"Lung Opacity", "Edema", "Support Devices"}
