"""Examples follow from the cohort alone."""

import hashlib
import random

import numpy as np

from benchmark.evaluation import examples
from benchmark.evaluation.regions import Region

PIXELS = np.array([[0, 0, 2, 2]])


def regions(**images_of: list[str]) -> list[Region]:
    return [Region(name, finding, "box", PIXELS) for finding, names in images_of.items() for name in names]


def test_the_commonest_findings_show_the_image_that_a_hash_picks() -> None:
    truth = regions(Edema=["a", "b", "c"], Mass=["d", "e"], Nodule=["f"], Hernia=["g", "h", "i", "j"])
    chosen = examples.choose(truth)
    assert [region.finding for region in chosen] == ["Hernia", "Edema", "Mass"]
    for region, names in zip(chosen, ("ghij", "abc", "de"), strict=True):
        assert region.image_id == min(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())


def test_the_order_of_the_rows_has_no_say() -> None:
    truth = regions(Edema=["a", "b", "c"], Mass=["c", "d", "e"], Nodule=["a", "e"])
    shuffled = random.Random(1).sample(truth, len(truth))
    assert [(r.image_id, r.finding) for r in examples.choose(shuffled)] == [
        (r.image_id, r.finding) for r in examples.choose(truth)
    ]


def test_another_image_each_where_there_is_one() -> None:
    chosen = examples.choose(regions(Edema=["a", "b"], Mass=["a", "b"], Nodule=["a"]))
    assert {chosen[0].image_id, chosen[1].image_id} == {"a", "b"}
    assert chosen[2].image_id == "a"


def test_a_dataset_without_regions_has_no_examples() -> None:
    assert examples.choose([]) == []
