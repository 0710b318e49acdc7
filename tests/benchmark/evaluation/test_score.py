"""The stage: rows in index order, columns from the prompts, grounding in the image's own pixels, same bytes twice."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file as load_numpy
from safetensors.torch import save_file

from baselines import base
from baselines.base import ImageFeatures
from baselines.towers.conv import ConvTower
from benchmark.artifacts import cohort as cohorts
from benchmark.artifacts import snapshots
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.evaluation import grounding, prompts, regions, score
from benchmark.evaluation.asked import Asked
from benchmark.evaluation.surface import Placement
from benchmark.evaluation.zero_shot import Scorer
from benchmark.pipeline import layout
from tests.benchmark.evaluation.workspace import FINDINGS, KIND

SCORES = layout.scores("carzero", 0)
BOOK = prompts.load()


def restored() -> base.Baseline:
    return base.restore(layout.run("carzero", 0) / "model.safetensors")


def test_every_dataset_is_scored_row_by_row_and_prompt_by_prompt(here: Path) -> None:
    score.run("carzero", 0)
    model, book = restored(), BOOK
    for dataset in layout.DATASETS:
        index = pd.read_parquet(layout.cohort(dataset) / "index.parquet")
        rows = np.flatnonzero(index["split"].isin(["test", "validate"]))
        table = pd.read_parquet(SCORES / f"{dataset}.parquet")
        assert list(table["image_id"]) == list(index["image_id"].iloc[rows])
        wanted = [f"finding:{name}" for name in FINDINGS[dataset]]
        wanted += [f"normal:{wording}" for wording in book.normal] + [
            f"abnormal:{wording}" for wording in book.abnormal
        ]
        assert list(table.columns[1:]) == wanted
        assert set(table.dtypes.iloc[1:]) == {np.dtype(np.float32)}

        image = np.load(layout.cohort(dataset) / "images.npy")[rows[7]]
        pixels = torch.from_numpy(image[None, None].astype(np.float32) / 255)
        for column, sentence in (
            (f"finding:{FINDINGS[dataset][1]}", "There is pleural effusion"),
            ("normal:no_finding", "There is no finding"),
        ):
            if dataset in ("mimic_cxr", "chexpert") and column.startswith("finding"):
                sentence = f"There is {FINDINGS[dataset][1].lower()}"
            with torch.no_grad():
                alone = model.similarity(model.encode_images(pixels), model.encode_texts(model.tokenize([sentence])))
            assert table[column][7] == pytest.approx(alone.item(), abs=1e-5)


def test_pointing_follows_the_heatmap_of_the_images_own_finding(here: Path) -> None:
    score.run("carzero", 0)
    pointing = pd.read_parquet(SCORES / "pointing.parquet")
    pointing = pointing[pointing["heatmap"] == "published"]
    for dataset in layout.EVALUATION_DATASETS:
        own = pointing[pointing["dataset"] == dataset]
        truth = pd.read_parquet(layout.cohort(dataset) / "regions.parquet")
        pairs = truth[["image_id", "finding"]].drop_duplicates()
        assert set(zip(own["image_id"], own["finding"], strict=True)) == set(pairs.itertuples(index=False, name=None))
        assert set(own["kind"]) == {KIND[dataset]}
        assert not own.duplicated(["image_id", "finding"]).any()
    assert pointing["hit"].isin([0, 1]).all()
    assert np.isfinite(pointing[["chance", "cnr", "miou", "size"]].to_numpy()).all()

    index = pd.read_parquet(layout.cohort("vindr_cxr") / "index.parquet").set_index("image_id")
    images = np.load(layout.cohort("vindr_cxr") / "images.npy")
    truth = pd.read_parquet(layout.cohort("vindr_cxr") / "regions.parquet")
    model, agreed = restored(), 0
    own = pointing[pointing["dataset"] == "vindr_cxr"]
    for row in own.itertuples():
        image, place = index.loc[row.image_id], index.index.get_loc(row.image_id)
        pixels = torch.from_numpy(images[place][None, None].astype(np.float32) / 255)
        texts = model.encode_texts(model.tokenize([f"There is {row.finding.lower()}"]))
        with torch.no_grad():
            heatmap = model.heatmaps(model.encode_images(pixels), texts)
        size = torch.tensor([image.height, image.width])  # straight to the fitted copy, then to the original
        fitted = (size * 32 / size.max()).int()
        top, left = (32 - fitted) // 2
        square = torch.nn.functional.interpolate(heatmap, (320, 320), mode="bilinear")[0, 0]
        cut = square[10 * top : 10 * (top + fitted[0]), 10 * left : 10 * (left + fitted[1])]
        y, x = np.unravel_index(int(cut.argmax()), cut.shape)
        y, x = (y + 0.5) / cut.shape[0] * image.height, (x + 0.5) / cut.shape[1] * image.width
        boxes = truth[(truth["image_id"] == row.image_id) & (truth["finding"] == row.finding)]
        hit = ((boxes.x_min <= x) & (x < boxes.x_max) & (boxes.y_min <= y) & (y < boxes.y_max)).any()
        agreed += int(hit == row.hit)
    assert agreed >= 0.97 * len(own)  # the coarser search above may step over an edge


@pytest.mark.parametrize("system", ["carzero", "clip"])
def test_the_second_heatmap_is_the_models_own_score_of_each_cell(here: Path, system: str) -> None:
    vindr = cohorts.read("vindr_cxr", "test")
    model = base.restore(layout.run(system, 0) / "model.safetensors")
    asked = Asked.of(Scorer(model, batch_size=9), {"vindr_cxr": prompts.resolve(BOOK, "vindr_cxr", vindr.findings)})
    _, pointed = score.score(asked, vindr, "x", regions.of(vindr))
    of_cells = {(p.region.image_id, p.region.finding): p for p in pointed if p.shown == "cell"}
    published = {(p.region.image_id, p.region.finding): p for p in pointed if p.shown == "published"}
    assert set(of_cells) == set(published)
    for (_, finding), p in list(of_cells.items())[::6]:
        pixels = torch.from_numpy(vindr.images[p.row][None, None].astype(np.float32) / 255)
        with torch.no_grad():
            texts = model.encode_texts(model.tokenize([f"There is {finding.lower()}"]))
            cells = model.encode_images(pixels).grid[0]
            for row, column in ((0, 0), (1, 3), (3, 2)):
                cell = cells[row, column]
                alone = ImageFeatures(cell[None], cell[None, None, None])  # an image of one place
                assert p.heatmap[row, column] == pytest.approx(model.similarity(alone, texts).item(), abs=1e-5)
        size = vindr.index.set_index("image_id").loc[p.region.image_id]
        (full,) = grounding.measure(p.heatmap[None], [p.region], Placement.of(size["height"], size["width"], 32))
        assert (p.result.hit, p.result.chance) == (full.hit, full.chance)
        assert np.isnan([p.result.cnr, p.result.miou]).all()  # not worth their time
    # CLIP's own heatmap is the same up to its temperature, CARZero's attention is another.
    agree = [np.argmax(p.heatmap) == np.argmax(published[key].heatmap) for key, p in of_cells.items()]
    assert all(agree) if system == "clip" else not all(agree)


def test_a_tower_whose_cells_are_no_images_is_asked_for_its_own_heatmap_alone(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ConvTower, "cells_are_images", False)
    score.run("carzero", 0)
    assert set(pd.read_parquet(SCORES / "pointing.parquet")["heatmap"]) == {"published"}


def test_snapshots_give_the_curve(here: Path) -> None:
    score.run("carzero", 0)
    curve = pd.read_parquet(SCORES / "curve.parquet")
    assert set(curve["progress"]) == {0.25}
    assert list(curve["dataset"].unique()) == list(layout.EVALUATION_DATASETS)
    final = pd.read_parquet(SCORES / "vindr_cxr.parquet")
    early = curve[curve["dataset"] == "vindr_cxr"].reset_index(drop=True)
    assert list(early["image_id"]) == list(final["image_id"])
    assert np.abs(early["normal:no_finding"] - final["normal:no_finding"]).max() > 1e-3  # other weights
    assert {"abnormal:abnormality", "finding:Nodule/Mass"} <= set(early.columns)


def test_a_compact_snapshot_gives_nearly_the_curve_of_the_exact_one(here: Path) -> None:
    """And one that belongs to another result is refused."""
    score.run("carzero", 0)
    exact = pd.read_parquet(SCORES / "curve.parquet")
    run = layout.run("carzero", 0)
    early, result = load_numpy(run / "snapshot-25.safetensors"), load_numpy(run / "model.safetensors")
    (run / "snapshot-25.safetensors").unlink()
    # A snapshot near its result, as half a training is, so that the rounding is small beside the weights.
    near = {name: np.asarray(result[name] + (value - result[name]) / 50, value.dtype) for name, value in early.items()}
    snapshots.write(run / "snapshot-25.parquet", near, result)
    score.run("carzero", 0)
    compact, final = pd.read_parquet(SCORES / "curve.parquet"), pd.read_parquet(SCORES / "vindr_cxr.parquet")
    assert list(compact["image_id"]) == list(exact["image_id"])
    assert set(compact["progress"]) == {0.25}
    rounded = compact.loc[compact["dataset"] == "vindr_cxr", "normal:no_finding"].to_numpy()
    moved = np.abs(rounded - final["normal:no_finding"].to_numpy()).max()
    assert 0 < moved < np.abs(exact["normal:no_finding"].iloc[: len(final)] - final["normal:no_finding"]).max()

    save_file({"other": torch.zeros(2, 2)}, run / "other.safetensors")
    snapshots.write(
        run / "snapshot-25.parquet", {"other": np.ones((2, 2), "f4")}, load_numpy(run / "other.safetensors")
    )
    with pytest.raises(UserError, match=r"'other' does not fit .*run `dvc repro train@carzero-0`"):
        score.run("carzero", 0)


def test_a_released_checkpoint_without_snapshots_has_an_empty_curve(here: Path) -> None:
    (layout.run("carzero", 0) / "snapshot-25.safetensors").unlink()
    score.run("carzero", 0)
    assert len(pd.read_parquet(SCORES / "curve.parquet")) == 0


def test_examples_are_the_same_images_for_every_system(here: Path) -> None:
    score.run("carzero", 0)
    score.run("clip", 0)
    ours, theirs = (files.read_json(layout.scores(name, 0) / "examples.json") for name in ("carzero", "clip"))
    keys = ("dataset", "image_id", "finding", "row", "bounds", "rule")
    assert [[e[k] for k in keys] for e in ours] == [[e[k] for k in keys] for e in theirs]
    heatmaps = np.load(SCORES / "examples.npz")["heatmaps"]
    assert len(heatmaps) == len(ours) == 12
    index = pd.read_parquet(layout.cohort(ours[0]["dataset"]) / "index.parquet")
    assert index["image_id"][ours[0]["row"]] == ours[0]["image_id"]
    hits = pd.read_parquet(SCORES / "pointing.parquet")
    hits = hits[hits["heatmap"] == "published"].set_index(["dataset", "image_id", "finding"])["hit"]
    for example in ours:
        top, left, bottom, right = example["bounds"]
        assert 0 <= top < bottom <= 32
        assert 0 <= left < right <= 32
        key = (example["dataset"], example["image_id"], example["finding"])
        assert example["outcome"] == ("hit" if hits[key] else "miss")


def test_the_same_run_gives_the_same_bytes(here: Path) -> None:
    score.run("carzero", 0)
    first = {path.name: files.sha256_file(path) for path in SCORES.iterdir()}
    score.run("carzero", 0)
    assert {path.name: files.sha256_file(path) for path in SCORES.iterdir()} == first
    card = files.read_json(SCORES / "score.json")
    assert card["cohort_hash"]["open_i"] == "cohort-open_i"
    assert card["weights_hash"] == files.sha256_file(layout.run("carzero", 0) / "model.safetensors")


def test_diverged_weights_are_refused_and_leave_no_scores(here: Path) -> None:
    path = layout.run("carzero", 0) / "model.safetensors"
    with safe_open(path, "pt") as handle:
        weights, metadata = {name: handle.get_tensor(name) for name in handle.keys()}, handle.metadata()  # noqa: SIM118
    weights[sorted(name for name in weights if "fusion" in name and weights[name].dim() == 2)[0]][0, 0] = torch.nan
    save_file(weights, path, metadata)
    with pytest.raises(UserError, match=r"carzero-0 on mimic_cxr: image .* give nan"):
        score.run("carzero", 0)
    assert not SCORES.exists()


def test_what_a_model_makes_of_all_images_together_is_made_once_a_dataset(here: Path) -> None:
    model = restored()
    columns = {"chexpert": prompts.resolve(BOOK, "chexpert", FINDINGS["chexpert"])}
    asked = Asked.of(Scorer(model, batch_size=7), columns)
    cohort = cohorts.read("chexpert", "test")
    plain, _ = score.score(asked, cohort, "x")
    model.across_images = lambda scores: (scores - scores.mean(0)) / scores.std(0, correction=0)  # type: ignore
    changed, _ = score.score(asked, cohort, "x")
    assert list(changed) == list(plain)
    assert set(changed.dtypes.iloc[1:]) == {np.dtype(np.float32)}
    values = plain.iloc[:, 1:].to_numpy(np.float64)
    expected = (values - values.mean(0)) / values.std(0)
    np.testing.assert_allclose(changed.iloc[:, 1:].to_numpy(), expected, atol=1e-3)


def test_sentences_are_encoded_once_for_all_datasets_and_once_a_snapshot(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[list[str]] = []
    encode = Scorer.encode
    monkeypatch.setattr(Scorer, "encode", lambda self, texts: encoded.append(list(texts)) or encode(self, texts))
    score.run("carzero", 0)
    questions, pairs, snapshot = encoded  # the pairs of the validation split have texts of their own
    for texts, primary_only in ((questions, False), (snapshot, True)):
        columns = {d: prompts.resolve(BOOK, d, f, primary_only=primary_only) for d, f in FINDINGS.items()}
        if primary_only:
            del columns["mimic_cxr"]
        assert len(texts) == len(set(texts))
        assert set(texts) == {text for own in columns.values() for prompt in own for text in prompt.sentences}
    assert not set(pairs) <= set(questions)


def test_score_json_says_whose_prompts_were_asked(here: Path) -> None:
    score.run("carzero", 0)
    assert files.read_json(SCORES / "score.json")["prompts"] == "common"
