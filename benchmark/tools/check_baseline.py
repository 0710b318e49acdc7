"""``python -m benchmark check-baseline NAME``: does a model keep the contract, before anyone spends a budget on it?

Each check is one function of a subject (a built model, images, texts) that returns what it found or raises
``Broken``; the contract is baselines/base.py, the explanation docs/adding-a-baseline.md.
"""

from __future__ import annotations

import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.common import files
from benchmark.common.errors import UserError, nearest, one_line
from benchmark.common.progress import say
from benchmark.pipeline import layout, settings
from benchmark.planning import checks, code

if TYPE_CHECKING:
    from torch import Tensor

    from baselines.base import Baseline, ImageFeatures, TextFeatures

TEXTS = (
    "There is no pneumothorax or pleural effusion.",
    "There is a small left pleural effusion.",
    "The cardiac silhouette is enlarged, 3.5 cm above normal.",
    "",
    "There is no finding. " * 40,
)
"""Short, long, with numbers, and empty: what a report can hold."""
IMAGES = 4
TOLERANCE = 1e-4
"""Largest difference, relative to the scores' spread, between a pair scored alone and in a batch."""
STEPS = 12
TRAINABLE_HERE = 20_000_000
"""Parameters above which the training check is left out (it would take minutes on a CPU)."""


class Broken(Exception):
    """The contract is not kept; the message says how."""


@dataclass(frozen=True)
class Subject:
    """What is checked."""

    build: Callable[[], Baseline]
    """Builds the model; the same weights for the same torch seed."""
    objective: str
    objective_options: dict
    size: int
    """Side of the images, pixels."""

    def model(self) -> Baseline:
        """A fresh model from seed 0, in evaluation mode."""
        import torch

        torch.manual_seed(0)
        return self.build().eval()

    def pixels(self) -> Tensor:
        """[IMAGES, 1, S, S]: smooth random shades, the same every time."""
        import torch
        from torch.nn import functional

        coarse = torch.rand(IMAGES, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        return functional.interpolate(coarse, (self.size, self.size), mode="bicubic").clamp(0, 1)

    def features(self, model: Baseline) -> tuple[ImageFeatures, TextFeatures]:
        """All images and all texts, encoded together."""
        return model.encode_images(self.pixels()), model.encode_texts(model.tokenize(list(TEXTS)))


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise Broken(message)


def shapes(subject: Subject) -> str:
    """Features count their items; every matrix is [images, texts]; heatmaps lie over them; all is finite."""
    import torch

    model = subject.model()
    with torch.no_grad():
        images, texts = subject.features(model)
        matrices = model.pair_logits(images, texts)
        similarity, maps = model.similarity(images, texts), model.heatmaps(images, texts)
    expected = (IMAGES, len(TEXTS))
    _require(len(images) == IMAGES, f"encode_images gave {len(images)} items for {IMAGES} images")
    _require(len(texts) == len(TEXTS), f"encode_texts gave {len(texts)} items for {len(TEXTS)} texts")
    _require(isinstance(matrices, list) and bool(matrices), "pair_logits must return a list of at least one matrix")
    for name, matrix in [*((f"pair_logits[{i}]", m) for i, m in enumerate(matrices)), ("similarity", similarity)]:
        _require(matrix.shape == expected, f"{name} has shape {tuple(matrix.shape)}, expected {expected}")
        _require(bool(torch.isfinite(matrix).all()), f"{name} holds values that are not finite")
    _require(maps.ndim == 4 and maps.shape[:2] == expected, f"heatmaps have shape {tuple(maps.shape)}")
    _require(bool(torch.isfinite(maps).all()), "heatmaps hold values that are not finite")
    return f"{len(matrices)} pair matrices {expected}, heatmaps {maps.shape[2]}x{maps.shape[3]}"


def gradients(subject: Subject) -> str:
    """The objective reaches every trainable parameter with a finite gradient."""
    import torch

    from offclip import objective

    model = subject.model().train()
    rule = objective.build(subject.objective, subject.objective_options)
    texts = model.encode_texts(model.tokenize(list(TEXTS[:IMAGES])))
    is_normal = torch.tensor([True, False, False, True])
    matrices = model.pair_logits(model.encode_images(subject.pixels()), texts)
    sum((rule(matrix, is_normal) for matrix in matrices), torch.zeros(())).backward()
    trainable = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    unreached = [name for name, parameter in trainable.items() if parameter.grad is None]
    wild = [n for n, p in trainable.items() if p.grad is not None and not torch.isfinite(p.grad).all()]
    _require(bool(trainable), "no parameter is trainable")
    _require(not unreached, f"no gradient reaches {', '.join(unreached)}; freeze or remove them")
    _require(not wild, f"gradients are not finite in {', '.join(wild)}")
    return f"{len(trainable)} parameter tensors, {sum(p.numel() for p in trainable.values()):,} numbers"


def determinism(subject: Subject) -> str:
    """One seed gives one set of weights and, twice, the same scores to the bit."""
    import torch

    first, second = subject.model(), subject.model()
    other = [name for name, tensor in first.state_dict().items() if not torch.equal(tensor, second.state_dict()[name])]
    _require(not other, f"two builds from one seed differ in {', '.join(other)}; use torch's random generator only")
    with torch.no_grad():
        scores = [model.similarity(*subject.features(model)) for model in (first, second, first)]
    _require(all(torch.equal(scores[0], again) for again in scores[1:]), "the same pairs were scored differently twice")
    return "same seed, same weights, same scores"


def independence(subject: Subject) -> str:
    """A pair scored alone equals the same pair scored in a batch."""
    import torch

    model = subject.model()
    worst = 0.0
    with torch.no_grad():
        together = model.similarity(*subject.features(model))
        maps = model.heatmaps(*subject.features(model))
        spread = max(float(together.max() - together.min()), 1e-3)
        for row, image in enumerate(subject.pixels().split(1)):
            for column, text in enumerate(TEXTS):
                alone = model.encode_images(image), model.encode_texts(model.tokenize([text]))
                worst = max(worst, abs(float(model.similarity(*alone) - together[row, column])) / spread)
                torch.testing.assert_close(model.heatmaps(*alone)[0, 0], maps[row, column], atol=1e-3, rtol=1e-3)
    _require(
        worst <= TOLERANCE,
        f"a pair scored alone differs by {worst:.1e} of the spread from the same pair in a batch; a model must not "
        "look at its batch in evaluation (batch statistics, padding)",
    )
    return f"largest difference {worst:.1e} of the scores' spread"


def round_trip(subject: Subject) -> str:
    """What is saved comes back and scores the same to the bit."""
    import torch

    from baselines import base

    model = subject.model()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        base.save(model, path)
        size = path.stat().st_size
        restored = base.restore(path)
    with torch.no_grad():
        same = torch.equal(model.similarity(*subject.features(model)), restored.similarity(*subject.features(restored)))
    _require(same, "the restored model scores differently; is everything it needs in its state or its recipe?")
    return f"{size / 1e6:.1f} MB"


def learning(subject: Subject) -> str:
    """A few steps on one small batch lower the loss."""
    import torch

    from offclip import objective

    model = subject.model().train()
    count = sum(parameter.numel() for parameter in model.parameters())
    if count > TRAINABLE_HERE:
        return f"left out: {count / 1e6:.0f} M parameters would take minutes here"
    rule = objective.build(subject.objective, subject.objective_options)
    optimizer = torch.optim.AdamW([*model.parameters(), *rule.parameters()], lr=2e-3)
    pixels, tokens = subject.pixels(), model.tokenize(list(TEXTS[:IMAGES]))
    is_normal = torch.tensor([True, False, False, True])
    losses, started = [], time.perf_counter()
    for _ in range(STEPS):
        matrices = model.pair_logits(model.encode_images(pixels), model.encode_texts(tokens))
        loss = sum((rule(matrix, is_normal) for matrix in matrices), torch.zeros(()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    milliseconds = 1000 * (time.perf_counter() - started) / STEPS
    _require(
        losses[-1] < losses[0],
        f"after {STEPS} steps on one batch the loss went from {losses[0]:.3g} to {losses[-1]:.3g}",
    )
    return f"loss {losses[0]:.3g} -> {losses[-1]:.3g} in {STEPS} steps of {milliseconds:.0f} ms at batch {IMAGES}"


CHECKS: dict[str, Callable[[Subject], str]] = {
    "shapes": shapes,
    "gradients": gradients,
    "determinism": determinism,
    "a pair alone = in a batch": independence,
    "save and restore": round_trip,
    "learns": learning,
}


def check(subject: Subject) -> Iterator[tuple[str, bool, str]]:
    """Every check's name, whether it passed, and what was found."""
    for name, function in CHECKS.items():
        try:
            yield name, True, function(subject)
        except Broken as broken:
            yield name, False, str(broken)
        except Exception as error:
            # A newcomer's model may fail in any way; each way is a finding, and the other checks still run.
            yield name, False, one_line(error, 300)


def subject_of(name: str, values: settings.Settings) -> Subject:
    """The system called ``name`` in params.yaml, or the model of that name with the default options.

    Raises:
        UserError: neither exists, or the model cannot be built with those options.
    """
    from baselines import base

    system, models = values.systems.get(name), checks.models()
    file = f"baselines/{system.model if system else name}.py"
    if (system.model if system else name) not in models and (code.ROOT / file).is_file():
        raise UserError(f"{file} defines no function `build`; docs/adding-a-baseline.md says what it should return.")
    if system is None:
        if name not in models:
            known = [*values.systems, *models]
            raise UserError(
                f"'{name}' is neither a system of {layout.PARAMS} nor a file of baselines/{nearest(name, known) or '.'}"
            )
        system = settings.SystemSettings(label=name, model=name)
    options = system.options
    vocabulary, encoders = _vocabulary(), _encoders(values)

    def build() -> Baseline:
        return base.load(system.model, encoders, options, vocabulary)

    try:
        build()
    except ValueError as error:
        raise UserError(f"{name}: {error}") from None
    except Exception as error:  # a newcomer's model may fail in any way
        at = traceback.extract_tb(error.__traceback__)[-1]
        raise UserError(
            f"{name} could not be built: {one_line(error, 300)} "
            f"({at.filename}, line {at.lineno}); mend it before training."
        ) from None
    return Subject(build, system.objective, system.objective_options, values.cohort.size)


def _vocabulary() -> list[str]:
    """That of the training captions; before they exist, the words of the texts that are checked."""
    path = layout.CAPTIONS / "vocabulary.json"
    if path.exists():
        return list(files.read_json(path))
    return sorted({word.strip(".,").lower() for text in TEXTS for word in text.split()})


def _encoders(values: settings.Settings) -> dict[str, dict[str, Any]]:
    """Those of params.yaml; before stage ``pretrain`` wrote its weights, towers start at random."""
    encoders = {side: dict(options) for side, options in values.encoders.items()}
    for options in encoders.values():
        init = options.get("init")
        if init and Path(init).parent == layout.PRETRAINED and not Path(init).exists():
            options["init"] = None
    return encoders


def run(name: str) -> int:
    """Print one line per check.

    Args:
        name: a system of params.yaml or a file of baselines/.

    Returns:
        0 when every check passed, else 1.
    """
    subject = subject_of(name, settings.load())
    failed = 0
    for title, passed, found in check(subject):
        failed += not passed
        say(f"{'ok  ' if passed else 'FAIL'} {title}: {found}")
    say(
        f"{name} keeps the contract."
        if not failed
        else f"{name} breaks the contract in {failed} of {len(CHECKS)} checks."
    )
    return 1 if failed else 0
