"""The five writers: each tree is read back by its dataset's adapter, and is the same however many processes draw it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from benchmark.cohort import adapters, contract, pointer, raw
from benchmark.cohort.decoding import decode
from benchmark.cohort.phantom.vocabulary import CHEXPERT, VINDR_LOCAL
from benchmark.common import files
from benchmark.pipeline import layout, settings
from tests.repository import REPOSITORY

STUDIES = 24
SIZE = 64


def render(root: Path, workers: int, *datasets: str) -> Path:
    """Run the stage ``raw`` for some datasets in a folder of its own, which is returned."""
    for shared in (layout.MATERIALS, layout.raw(".anatomy")):
        (root / shared).parent.mkdir(parents=True, exist_ok=True)
        (root / shared).symlink_to(REPOSITORY / shared)
    values = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    values["phantom"] |= {"image_size": SIZE, "studies": dict.fromkeys(layout.DATASETS, STUDIES)}
    values["cohort"]["workers"] = workers
    (root / layout.PARAMS).write_text(yaml.safe_dump(values))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for dataset in datasets:
            raw.run(dataset)
    return root


@pytest.fixture(scope="module")
def place(anatomy, reports, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder in which all five trees were rendered by one process."""
    return render(tmp_path_factory.mktemp("alone"), 1, *layout.DATASETS)


@pytest.fixture(params=layout.DATASETS)
def tree(request: pytest.FixtureRequest, place: Path) -> tuple[str, Path, contract.Release]:
    """A dataset's name, its rendered tree, and what its adapter reads there."""
    root = place / layout.raw(request.param)
    return request.param, root, adapters.reader(request.param)(root, settings.DatasetSettings(), None)


def test_the_adapter_reads_every_study_and_every_image_that_was_drawn(tree) -> None:
    _, root, release = tree
    provenance = pd.read_parquet(root / "provenance.parquet")
    assert provenance["study"].nunique() == STUDIES
    left_out = {name for exclusion in release.exclusions for name in exclusion.names}
    read = set(release.index["image_id"])
    assert len(read) == len(release.index)
    assert read.isdisjoint(left_out)
    assert set(provenance["image_id"]) <= read | left_out, "none is left out without a reason"
    # What Open-I leaves out beyond that are lateral images that a report names and that are not drawn.
    assert read <= set(provenance["image_id"])
    assert len(read) >= 0.9 * len(provenance)


def test_every_image_decodes_to_what_was_rendered(tree) -> None:
    _, root, release = tree
    for path in release.index["path"]:
        image, height, width = decode.load(root / path, "faithful", SIZE)
        assert max(height, width) == SIZE
        assert image.shape == (SIZE, SIZE)
        assert image.std() > 20  # of 255: a radiograph, not an even field


def test_normal_and_abnormal_studies_occur_and_normal_ones_show_nothing(tree) -> None:
    _, root, release = tree
    provenance = pd.read_parquet(root / "provenance.parquet")
    planned = dict(zip(provenance["image_id"].str.removesuffix(".png"), provenance["planned"], strict=True))
    allowed = {kind for kind, labels in CHEXPERT.items() if labels == ("Support Devices",)} | {"sternotomy"}
    names = release.index["image_id"].str.removesuffix(".png")
    normal = release.index["normal"] == 1
    assert normal.any()
    assert (~normal).any()
    # CheXpert calls a chest with a catheter and nothing else normal.
    assert all(set(planned[name]) <= allowed for name in names[normal])


def test_a_boxed_label_of_vindr_is_set_where_and_only_where_a_box_was_drawn(place) -> None:
    root = place / layout.raw("vindr_cxr")
    labels = pd.read_csv(root / "annotations/image_labels_test.csv").set_index("image_id")
    boxes = pd.read_csv(root / "annotations/annotations_test.csv").dropna()
    assert len(boxes) > 0
    drawn = set(zip(boxes["image_id"], boxes["class_name"], strict=True))
    listed = {(image, name) for name in VINDR_LOCAL for image in labels.index[labels[name] == 1]}
    assert drawn == listed
    assert (boxes[["x_max", "y_max"]].to_numpy() > boxes[["x_min", "y_min"]].to_numpy()).all()
    assert boxes[["x_max", "y_max"]].to_numpy().max() <= SIZE


def test_the_shares_of_a_set_and_of_its_table_are_written_beside_it(tree) -> None:
    name, root, release = tree
    shares = files.read_json(root / pointer.SHARES)
    provenance = pd.read_parquet(root / "provenance.parquet")
    assert shares["phantom"]["ap"] == pytest.approx((provenance["view"] == "AP").mean(), abs=1e-6)
    assert (shares["table"] is None) == (name == layout.TRAINING_DATASET)
    if name in ("vindr_cxr", "chexpert"):  # of the other two the adapter leaves images out
        for label in set(release.findings) - {"Other disease"}:  # which stands for boxes too small to be drawn
            written = (release.index[f"label:{label}"] == 1).mean()
            assert shares["phantom"]["prevalence"].get(label, 0) == pytest.approx(written, abs=1e-6), label


def test_the_number_of_processes_changes_no_byte(place, tmp_path: Path) -> None:
    # 24 studies are two parcels of work, so that both processes draw; MIMIC-CXR alone repeats images of a study.
    hashes = []
    for root in (place, render(tmp_path, 2, "mimic_cxr")):
        tree = root / layout.raw("mimic_cxr")
        hashes.append({str(path.relative_to(tree)): files.sha256_file(path) for path in tree.rglob("*.*")})
    assert len(hashes[0]) > STUDIES
    assert hashes[0] == hashes[1]
