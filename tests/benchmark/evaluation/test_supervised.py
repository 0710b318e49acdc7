"""The supervised network: which labels teach it, and that it learns what is visible, the same each time."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from benchmark.artifacts import cohort
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.compute import device, supervised
from benchmark.evaluation import labels
from benchmark.pipeline import layout, settings
from benchmark.pipeline.settings import SupervisionSettings
from tests.benchmark.evaluation import workspace

CPU = torch.device("cpu")


def test_uncertain_labels_are_masked_and_unmentioned_findings_are_absent(here: Path) -> None:
    path = layout.cohort("mimic_cxr") / "index.parquet"
    index = pd.read_parquet(path)
    index.loc[:3, "label:Cardiomegaly"] = pd.array([1, 0, -1, pd.NA], dtype="Int8")
    index.loc[:3, "normal"] = pd.array([1, 0, pd.NA, 0], dtype="Int8")
    files.write_parquet(path, index)
    targets = labels.targets_of(cohort.read("mimic_cxr", "train"))
    assert targets.values[:4, 0].tolist() == [1, 0, 0, 0]
    assert targets.known[:4, 0].tolist() == [True, True, False, True]
    assert targets.values[:4, -1].tolist() == [1, 0, 0, 0]
    assert targets.known[:4, -1].tolist() == [True, True, False, True]


def test_the_loss_is_the_mean_over_known_labels() -> None:
    logits = torch.tensor([[0.5, -2.0], [1.0, 3.0]], dtype=torch.float64, requires_grad=True)
    values = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    known = torch.tensor([[True, False], [True, True]])
    by_hand = [np.log1p(np.exp(-0.5)), np.log1p(np.exp(1.0)), np.log1p(np.exp(-3.0))]
    value = supervised.loss(logits, values, known)
    assert value.item() == pytest.approx(np.mean(by_hand))
    value.backward()
    assert logits.grad is not None
    assert logits.grad[0, 1] == 0
    assert supervised.loss(logits, values, torch.zeros_like(known)).item() == 0


@pytest.fixture(scope="module")
def learnable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("learnable")
    workspace.write(root, count=160, training={"threads": 1, "precision": "float32"})
    return root


def test_it_learns_what_is_visible_and_repeats_itself(learnable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(learnable)
    chosen = settings.load()
    learnt, held_out = cohort.read("mimic_cxr", "train"), cohort.read("chexpert", "test")
    probe = SupervisionSettings(samples=64 * 40, learning_rate=1e-2)
    images, targets = learnt.images[learnt.rows], labels.targets_of(learnt)
    models = [
        supervised.train(images, targets, chosen.encoders, probe, 0, chosen.training, CPU, "probing") for _ in range(2)
    ]
    (logits, features), (again, _) = (labels.predict(model, held_out, 50, CPU) for model in models)
    np.testing.assert_array_equal(logits, again)
    assert features.shape == (160, 3 * 16)
    alone, _ = labels.predict(models[0], held_out, 1, CPU)
    np.testing.assert_allclose(alone, logits, rtol=1e-5, atol=1e-4)  # logits reach 100 here
    for finding in ("Cardiomegaly", "normal"):
        column = [*learnt.findings, "normal"].index(finding)
        truth = held_out.normal if finding == "normal" else held_out.labels([finding])[:, 0]
        assert roc_auc_score(truth, logits[:, column]) > 0.8


def test_a_loss_that_is_not_a_number_ends_it(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = settings.load()
    learnt = cohort.read("mimic_cxr", "train")
    monkeypatch.setattr(supervised.schedule, "learning_rate", lambda training, progress: float("nan"))
    with pytest.raises(UserError, match=r"loss is nan at step 1; lower its learning_rate in params"):
        supervised.train(
            learnt.images[learnt.rows],
            labels.targets_of(learnt),
            chosen.encoders,
            SupervisionSettings(samples=640),
            0,
            device.setup(chosen.training)[1],
            CPU,
            "probing",
        )
