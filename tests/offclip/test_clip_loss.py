"""OffClipLoss takes the place of open_clip.ClipLoss; its numbers are the objective's on the gathered matrix."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from baselines import torchvision_cure
from offclip import OffClipLoss, OffClipObjective
from tests.offclip.batches import BATCHES

torchvision_cure.apply()
import open_clip  # noqa: E402

LABELS = {
    "known": [1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0],
    "some unknown": [1.0, math.nan, 1.0, 0.0, 0.0, math.nan, 1.0, 0.0],
    "one process all normal": [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, math.nan, 0.0],
    "no abnormal": [1.0, math.nan, 1.0, 1.0, 1.0, 1.0, math.nan, 1.0],
}
OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "shifted": {"scale": 2.0, "bias": -3.0},
    "balanced": {"abnormal_pairs": "ignore", "reduction": "balanced"},
    "softmax": {"form": "softmax", "abnormal_pairs": "ignore", "off_diagonal_weight": 0.5},
    "softmax, figure": {"form": "softmax", "abnormal_weight": 2.0},
}
CASES = list(itertools.product(LABELS, OPTIONS))
WAYS = list(itertools.product([False, True], [False, True]))
"""(local_loss, gather_with_grad)."""


class Towers(nn.Module):
    """A CLIP in miniature with open_clip's learnable scale and bias."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.image, self.text = nn.Linear(7, 5).double(), nn.Linear(4, 5).double()
        self.log_scale = nn.Parameter(torch.tensor(1.5, dtype=torch.float64))
        self.logit_bias = nn.Parameter(torch.tensor(-0.5, dtype=torch.float64))

    def forward(self, rows: slice) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(1)
        images = torch.randn(8, 7, generator=generator, dtype=torch.float64)
        texts = torch.randn(8, 4, generator=generator, dtype=torch.float64)
        return {
            "image_features": functional.normalize(self.image(images[rows]), dim=1),
            "text_features": functional.normalize(self.text(texts[rows]), dim=1),
            "logit_scale": self.log_scale.exp(),
            "logit_bias": self.logit_bias,
        }


def found(towers: nn.Module, loss: Tensor) -> dict[str, Any]:
    loss.backward()
    gradients = [parameter.grad for parameter in towers.parameters()]
    return {"loss": loss.detach(), "gradients": gradients}


def process(rank: int, folder: str) -> None:
    """One of two: its half of the pairs, in every way of gathering; with open_clip's loss beside."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    results: dict[Any, Any] = {}
    rows = slice(4 * rank, 4 * rank + 4)
    for way in WAYS:
        where = {"local_loss": way[0], "gather_with_grad": way[1], "rank": rank, "world_size": 2}
        for labels, options in CASES:
            towers = DistributedDataParallel(Towers())
            loss = OffClipLoss(**where, **OPTIONS[options]).double()
            is_normal = torch.tensor(LABELS[labels])[rows]
            results[way, labels, options] = found(towers, loss(**towers(rows), is_normal=is_normal))
        for name, loss, more in (
            ("open_clip", open_clip.ClipLoss(**where), {}),
            ("all abnormal", OffClipLoss(**where, abnormal_pairs="ignore"), {"is_normal": torch.zeros(4)}),
        ):
            towers = DistributedDataParallel(Towers())
            results[way, name] = found(towers, loss(**towers(rows), **more))
    torch.save(results, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[dict[Any, Any]]:
    folder = tmp_path_factory.mktemp("processes")
    torch.multiprocessing.spawn(process, (str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


def alone(labels: str, options: str) -> dict[str, Any]:
    """The objective on the matrix of the whole batch, in one process."""
    towers = Towers()
    out = towers(slice(None))
    matrix = out["logit_scale"] * out["image_features"] @ out["text_features"].T + out["logit_bias"]
    label = torch.tensor(LABELS[labels])
    rule = OffClipObjective(learn_scale=False, learn_bias=False, **OPTIONS[options]).double()
    return found(towers, rule(matrix, label == 1, ~label.isnan()))


@pytest.mark.parametrize(("labels", "options"), CASES)
@pytest.mark.parametrize("way", WAYS)
def test_two_processes_have_the_loss_of_the_gathered_matrix(
    both: list[dict[Any, Any]], way: tuple[bool, bool], labels: str, options: str
) -> None:
    values = [result[way, labels, options]["loss"] for result in both]
    expected = alone(labels, options)["loss"]
    torch.testing.assert_close(sum(values) / 2, expected, rtol=1e-9, atol=1e-12)
    if not way[0]:  # every process has the whole matrix
        torch.testing.assert_close(values[0], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("labels", "options"), CASES)
@pytest.mark.parametrize("local_loss", [False, True])
def test_with_gradients_gathered_they_are_those_of_the_whole_batch(
    both: list[dict[Any, Any]], local_loss: bool, labels: str, options: str
) -> None:
    expected = alone(labels, options)["gradients"]
    for result in both:
        torch.testing.assert_close(
            result[(local_loss, True), labels, options]["gradients"], expected, rtol=1e-9, atol=1e-12
        )


@pytest.mark.parametrize("way", WAYS)
def test_a_batch_without_normals_is_open_clips_loss_in_every_way_of_gathering(
    both: list[dict[Any, Any]], way: tuple[bool, bool]
) -> None:
    """With abnormal pairs left to InfoNCE the loss is InfoNCE there: value and gradients of open_clip.ClipLoss."""
    for result in both:
        torch.testing.assert_close(result[way, "all abnormal"], result[way, "open_clip"], rtol=1e-9, atol=1e-12)


def test_the_constructor_and_call_are_open_clips() -> None:
    theirs = inspect.signature(open_clip.ClipLoss).parameters
    ours = inspect.signature(OffClipLoss).parameters
    assert list(ours)[: len(theirs)] == list(theirs)
    assert all(ours[name].default == theirs[name].default for name in theirs)
    call = list(inspect.signature(OffClipLoss.forward).parameters)
    assert call[:7] == [
        *("self", "image_features", "text_features", "logit_scale", "is_normal", "logit_bias", "output_dict")
    ]
    assert not list(OffClipLoss().parameters())  # open_clip's loop optimises the model alone


@pytest.mark.parametrize("form", ["sigmoid", "softmax"])
def test_an_unknown_pair_moves_nothing_but_its_own_diagonal(form: Any) -> None:
    out = {name: value.detach() for name, value in Towers()(slice(None)).items()}
    is_normal = torch.tensor([True, False, True, True, False, False, True, False])
    known = torch.ones(8, dtype=torch.bool)
    known[2] = False
    matrix = (out["logit_scale"] * out["image_features"] @ out["text_features"].T).requires_grad_()
    OffClipObjective(form, learn_scale=False, learn_bias=False)(matrix, is_normal, known).backward()
    moved = matrix.grad != 0
    assert moved[2, 2] == (form == "sigmoid")
    moved[2, 2] = False
    assert not moved[2].any()
    assert not moved[:, 2].any()
    assert moved[0, 3]  # two known normals


@pytest.mark.parametrize("form", ["sigmoid", "softmax"])
def test_without_its_unknown_pairs_the_rest_of_the_loss_is_that_of_the_known_ones(form: Any) -> None:
    out = Towers()(slice(None))
    label = torch.tensor(LABELS["some unknown"])
    known = ~label.isnan()
    loss = OffClipLoss(form=form)
    off_diagonal, abnormal = loss(**out, is_normal=label, output_dict=True).values()
    part = {**out, "image_features": out["image_features"][known], "text_features": out["text_features"][known]}
    of_known, abnormal_of_known = loss(**part, is_normal=label[known], output_dict=True).values()
    torch.testing.assert_close(abnormal, abnormal_of_known)
    if form == "softmax":
        torch.testing.assert_close(off_diagonal, of_known)
        return
    # The mean over entries: those of the known pairs, and one diagonal for each unknown pair.
    entries, u = int(known.sum()) ** 2, int((~known).sum())
    scores = out["logit_scale"] * (out["image_features"] * out["text_features"]).sum(1) + out["logit_bias"]
    expected = (of_known * entries + functional.softplus(-scores[~known]).sum()) / (entries + u)
    torch.testing.assert_close(off_diagonal, expected)


def test_a_mask_says_the_same_as_nan_and_booleans_the_same_as_numbers() -> None:
    out, loss = Towers()(slice(None)), OffClipLoss()
    label = torch.tensor(LABELS["some unknown"])
    known = ~label.isnan()
    masked = loss(**out, is_normal=label.nan_to_num(1.0) == 1, known=known)
    assert torch.equal(loss(**out, is_normal=label), masked)
    certain = torch.tensor(LABELS["known"])
    assert torch.equal(loss(**out, is_normal=certain), loss(**out, is_normal=certain == 1))


@pytest.mark.parametrize("batch", [name for name, labels in BATCHES.items() if len(labels) > 1])
def test_the_terms_by_name_add_up_to_the_loss(batch: str) -> None:
    is_normal = torch.tensor(BATCHES[batch])
    out = Towers()(slice(0, len(is_normal)))
    loss = OffClipLoss(off_diagonal_weight=0.5, abnormal_weight=3.0)
    terms = loss(**out, is_normal=is_normal, output_dict=True)
    assert list(terms) == ["off_diagonal_loss", "abnormal_contrastive_loss"]
    assert torch.equal(sum(terms.values()), loss(**out, is_normal=is_normal))


def test_a_model_of_open_clip_trains_with_it_as_its_output_comes() -> None:
    torch.manual_seed(0)
    vision = {"image_size": 16, "patch_size": 8, "width": 16, "layers": 1, "head_width": 8}
    text = {"context_length": 8, "vocab_size": 50, "width": 16, "heads": 2, "layers": 1}
    model = open_clip.CLIP(16, vision, text, output_dict=True, init_logit_bias=-5.0)
    images, texts = torch.randn(6, 3, 16, 16), torch.randint(1, 50, (6, 8))
    is_normal = torch.tensor([True, True, False, True, False, False])
    loss, optimizer = OffClipLoss(), torch.optim.Adam(model.parameters(), 1e-3)
    values = []
    for _ in range(20):
        optimizer.zero_grad()
        value = loss(**model(images, texts), is_normal=is_normal)
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert model.logit_bias.grad.abs() > 0
    assert values[-1] < 0.7 * values[0]


def call(**change: Any) -> Tensor:
    unit = functional.normalize(torch.ones(3, 4), dim=1)
    normal = {"image_features": unit, "text_features": unit, "logit_scale": 10.0, "is_normal": torch.ones(3)}
    return OffClipLoss()(**normal | change)


UNIT = functional.normalize(torch.ones(1, 4), dim=1)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: OffClipLoss(use_horovod=True), "use_horovod is not supported"),
        (lambda: OffClipLoss(rank=2, world_size=2), r"rank must be 0 to 1 \(world_size 2\), found 2"),
        (lambda: OffClipLoss(form="sigmod"), "form must be one of sigmoid, softmax.*did you mean 'sigmoid'"),
        (lambda: OffClipLoss(scale=-1.0), r"scale must be positive, found -1\.0"),
        (lambda: call(text_features=torch.ones(3, 5)), r"both have shape \[B, D\], found \[3, 4\] and \[3, 5\]"),
        (lambda: call(is_normal=torch.ones(4)), r"is_normal must have shape \[3\], .* found \[4\]"),
        (lambda: call(is_normal=torch.ones(3, 1)), r"is_normal must have shape \[3\], .* found \[3, 1\]"),
        (lambda: call(is_normal=torch.ones(3, dtype=torch.long)), r"must be a bool tensor.*found torch\.int64"),
        (lambda: call(is_normal=[True] * 3), "must be a bool tensor.*found list"),
        (lambda: call(is_normal=torch.tensor([1.0, 0.5, 0.0])), r"must be 1 \(normal\), 0 .*found 0\.5"),
        (lambda: call(known=torch.ones(3)), r"known must be bool of shape \[3\], found torch\.float32"),
        (lambda: call(image_features=torch.ones(3, 4)), "image_features must be normalised, found a row of length 2;"),
        (lambda: call(text_features=torch.full((3, 4), math.nan)), "text_features must be normalised.*length nan"),
        (
            lambda: OffClipLoss()(UNIT, UNIT, 10.0, torch.ones(1)),
            "expected a batch of two pairs or more, found 1",
        ),
        (
            lambda: OffClipLoss(world_size=2)(UNIT, UNIT, 10.0, torch.ones(1)),
            "world_size is 2, but torch.distributed is not initialised",
        ),
    ],
)
def test_wrong_input_is_refused_with_a_sentence(wrong: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        wrong()


def test_half_precision_features_count_as_normalised() -> None:
    features = functional.normalize(torch.randn(6, 512, generator=torch.Generator().manual_seed(0)), dim=1).bfloat16()
    loss = OffClipLoss()(features, features, torch.tensor(14.0), torch.tensor([True, False] * 3))
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
