"""Every pair of released models is tested: Holm and Bonferroni over all of them, whichever turns out best."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmark.pipeline import layout
from benchmark.statistics import ranking
from tests.benchmark import measured_run, synthetic_run
from tests.benchmark.measured_run import working_in

MODELS = ("alpha", "beta", "gamma", "delta")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    root = tmp_path_factory.mktemp("ranking")
    with pytest.MonkeyPatch.context() as patch:
        for place, name in enumerate(MODELS):
            patch.setitem(synthetic_run.SKILL, name, synthetic_run.Skill(0.4 + 0.5 * place, 1.0))
        settings = measured_run.write(
            root, images=80, replicates=60, seeds=(0,), systems=MODELS, ablation=(), released=MODELS
        )
    with working_in(root):
        return settings, {name: pd.read_csv(layout.RESULTS / f"{name}.csv") for name in ("ranking", "differences")}


def test_the_family_is_every_pair_once(measured) -> None:
    settings, tables = measured
    found = {frozenset(pair) for pair in tables["ranking"][["a", "b"]].to_numpy()}
    assert found == {frozenset(pair) for pair in combinations(MODELS, 2)}
    assert len(tables["ranking"]) == 6
    assert ranking.pairs(settings) == list(combinations(MODELS, 2))


def test_p_is_that_of_the_pair_and_holms_over_all_pairs(measured) -> None:
    _, tables = measured
    whole = tables["differences"].query("dataset == 'overall' and quantity == 'normal_auc' and score == 'prompt'")
    merged = tables["ranking"].merge(whole, on=["a", "b"], suffixes=("", "_of_pair"))
    assert len(merged) == 6
    np.testing.assert_array_equal(merged["p"], merged["p_of_pair"])
    np.testing.assert_array_equal(merged["estimate"], merged["estimate_of_pair"])
    p = merged["p"].to_numpy()
    # Holm's definition, term by term: the largest of (number of p not below this one) x p among those up to it.
    expected = [min(1, max((p >= q).sum() * q for q in p if q <= own)) for own in p]
    assert len(set(p)) == len(p)
    np.testing.assert_allclose(merged["p_holm"], expected)
    assert (merged["p_holm"] >= merged["p"]).all()
    assert merged["p_holm"].min() < 0.05
    # The intervals of one pair alone are narrower than those that hold for all six.
    assert (merged["low"] < merged["low_of_pair"]).all()
    assert (merged["high"] > merged["high_of_pair"]).all()
    assert merged["level"].tolist() == pytest.approx([1 - 0.05 / 6] * 6)


def test_an_interval_without_zero_is_never_called_undecided(measured) -> None:
    _, tables = measured
    found = tables["ranking"]
    apart = (found["low"] > 0) | (found["high"] < 0)
    assert apart.any()
    assert (found.loc[apart, "p_holm"] < 0.05).all()


def test_nothing_is_ranked_where_something_was_trained(tmp_path) -> None:
    settings = synthetic_run.write(tmp_path, images=40, replicates=20, released=("clip",))
    assert ranking.pairs(settings) == []
    assert ranking.rows([], {}, settings) == []


def test_the_best_of_equal_models_is_rarely_called_better_than_another() -> None:
    """Nine equal models, the best picked afterwards: single tests against it err in most studies, these do not."""
    generator = np.random.default_rng(3)
    pairs = list(combinations(range(9), 2))
    alone = together = 0
    for scores in generator.normal(size=(2000, 9)):
        best = int(scores.argmax())
        z = {pair: abs(scores[pair[0]] - scores[pair[1]]) / np.sqrt(2) for pair in pairs}
        p = 2 * stats.norm.sf(np.array(list(z.values())))
        with_best = np.array([best in pair for pair in pairs])
        adjusted = ranking.holm(p)
        alone += bool((p[with_best] < 0.05).any())
        together += bool((adjusted[with_best] < 0.05).any())
    assert alone / 2000 > 0.5
    assert together / 2000 < 0.06
