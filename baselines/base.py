"""The contract of a compared model, and how one is found, saved and restored.

A baseline is *what scores a pair*: one file ``baselines/<name>.py`` with a ``build`` function. What is learnt from
its pair matrix (offclip/objective.py) and from which captions are other choices. See docs/adding-a-baseline.md.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from baselines import listing
from baselines.config import overridden
from baselines.unfilled import Unfilled
from offclip.names import nearest

NAMED = 3
"""How many names of one kind an error lists."""
RECIPE = "baseline"
"""The safetensors metadata key under which the recipe lies."""


class Rows:
    """What has a first dimension of items: a frozen dataclass of tensors that moves, slices and counts as one."""

    def each(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same with every tensor changed by ``change``; what is no tensor stays."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        changed = {name: change(value) for name, value in values.items() if isinstance(value, Tensor)}
        return replace(self, **changed)  # type: ignore[type-var]

    def to(self, device: torch.device | str) -> Self:
        """Every tensor on ``device``."""
        return self.each(lambda tensor: tensor.to(device))

    def __getitem__(self, rows: slice | Tensor) -> Self:
        return self.each(lambda tensor: tensor[rows])

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))  # type: ignore[arg-type]

    @classmethod
    def cat(cls, parts: list[Self]) -> Self:
        """One after another; fields that are no tensors come from the first."""
        joined = {
            f.name: torch.cat([getattr(part, f.name) for part in parts])
            for f in fields(cls)  # type: ignore[arg-type]
            if isinstance(getattr(parts[0], f.name), Tensor)
        }
        return replace(parts[0], **joined)  # type: ignore[type-var]


@dataclass(frozen=True)
class TextBatch(Rows):
    """Tokenised texts."""

    ids: Tensor
    """[B, T] int64; padding is 0."""
    mask: Tensor
    """[B, T] bool; True where a token stands."""
    words: Tensor | None = None
    """[B, T] int64: the word that each word piece belongs to, -1 for none; None where tokens are words."""


@dataclass(frozen=True)
class ImageFeatures(Rows):
    """An image after its tower."""

    pooled: Tensor
    """[B, D] the whole image."""
    grid: Tensor
    """[B, h, w, D] its places, row-major from the top left."""
    border: int = 0
    """Cells on each side of the grid that the tower cropped away; heatmaps put them back."""


@dataclass(frozen=True)
class TextFeatures(Rows):
    """A text after its tower."""

    pooled: Tensor
    """[B, D] the whole text."""
    words: Tensor
    """[B, T, D] its words, zero where ``mask`` is False."""
    mask: Tensor
    """[B, T] bool."""


@dataclass(frozen=True)
class Recipe:
    """All that rebuilds a model's architecture: what ``load`` was given."""

    model: str
    encoders: dict[str, dict[str, Any]]
    options: dict[str, Any]
    vocabulary: list[str] | None


class Baseline(nn.Module):
    """What scores images against texts. Subclasses implement the first four methods and ``heatmaps``."""

    recipe: Recipe
    vocabulary: list[str] | None = None
    """What ``tokenize`` rests on, where the text tower brought its own."""
    evaluate_only: ClassVar[bool] = False
    """True for a released model that cannot be trained further (baselines/released.py)."""
    publishes_heatmaps: ClassVar[bool] = True
    """False where the model says nothing of places; ``heatmaps`` is then never called."""
    prompts: str = "common"
    """Whose sentences ask for a finding: the harness's (``common``) or those the model was published with (``own``)."""
    own_pooling: str = "mean"
    """How a finding's score comes from those of its published sentences: ``mean`` or ``max``."""

    def tokenize(self, texts: list[str]) -> TextBatch:
        """Texts to ids, on the CPU. The empty text is allowed."""
        raise NotImplementedError

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        """[B, 1, S, S] float32 in [0, 1] to features."""
        raise NotImplementedError

    def encode_texts(self, tokens: TextBatch) -> TextFeatures:
        """Tokens on the model's device to features."""
        raise NotImplementedError

    def pair_logits(self, images: ImageFeatures, texts: TextFeatures) -> list[Tensor]:
        """Score every image with every text: one or more [B_images, B_texts]; the objective sums over them."""
        raise NotImplementedError

    def constrain(self) -> None:
        """Called after every update: put parameters that left their published range back. Most have none."""

    def similarity(self, images: ImageFeatures, texts: TextFeatures) -> Tensor:
        """[B_images, B_texts] for scoring, from features that were encoded once: the mean of ``pair_logits``."""
        return torch.stack(self.pair_logits(images, texts)).mean(0)

    def sentences(self, finding: str, common: Sequence[str]) -> tuple[str, ...]:
        """What asks this model for ``finding``; ``common`` unless the model has sentences of its own."""
        return tuple(common)

    def require_size(self, size: int) -> None:
        """Raise a ValueError where a cache of ``size`` pixels holds less than the model looks at; any will do here."""

    def across_images(self, scores: Tensor) -> Tensor:
        """[N_images, C] scores of all images of a test set to what is compared; the same unless you say otherwise."""
        return scores

    def heatmaps(self, images: ImageFeatures, texts: TextFeatures) -> Tensor:
        """[B_images, B_texts, h, w] float: where in the image the text is; covers the whole input image."""
        raise NotImplementedError

    @property
    def answers_for_cells(self) -> bool:
        """True where ``cell_scores`` says something: a cell's features are those of an image made of it alone."""
        return False

    def cell_scores(self, images: ImageFeatures, texts: TextFeatures) -> Tensor:
        """What ``similarity`` says of images that are made of one cell alone: [B_images, B_texts, h, w].

        Beside ``heatmaps``, which a model was published with, the one heatmap that means the same for every model:
        how much of the text it sees in each cell. A border that the tower cropped away gets the lowest score.
        """
        batch, rows, columns = images.grid.shape[:3]
        cells = images.grid.flatten(0, 2)  # (B h w, D)
        scores = self.similarity(ImageFeatures(cells, cells[:, None, None]), texts)
        maps = scores.unflatten(0, (batch, rows, columns)).permute(0, 3, 1, 2)
        if not images.border:
            return maps
        return torch.nn.functional.pad(maps, [images.border] * 4, value=float(maps.min()))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device


def load(
    model: str,
    encoders: Mapping[str, Mapping[str, Any]],
    options: Mapping[str, Any] | None = None,
    vocabulary: list[str] | None = None,
) -> Baseline:
    """Build ``baselines/<model>.py``; the weights come from torch's random generator (seed it first).

    Args:
        model: the file's name.
        encoders: ``{"image": {"kind": ..., ...}, "text": {...}}`` (baselines/config.py).
        options: the model's own options; ``image`` and ``text`` in it override ``encoders``, key by key (or whole,
            where they name another ``kind``).
        vocabulary: words, most frequent first, for text towers that need them.

    Raises:
        ValueError: an unknown model, option or kind; the sentence names the nearest that exists.
    """
    if model not in (known := listing.names()):
        raise ValueError(f"baselines/{model}.py does not exist{nearest(model, known)}; known: {', '.join(known)}.")
    merged = overridden(encoders, options or {})
    own = {name: value for name, value in (options or {}).items() if name not in encoders}
    built: Baseline = importlib.import_module(f"baselines.{model}").build(merged, own, vocabulary)
    # A model that is another one with given weights (published) brings the recipe of that one.
    if not hasattr(built, "recipe"):
        built.recipe = Recipe(model, merged, own, built.vocabulary or vocabulary)
    return built


def save(model: Baseline, path: str | Path) -> None:
    """Write weights and recipe as one safetensors file."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, path, metadata={RECIPE: json.dumps(asdict(model.recipe), sort_keys=True)})


def restore(path: str | Path, device: torch.device | str = "cpu") -> Baseline:
    """Rebuild a saved model, in evaluation mode. Needs no network: initial weights are not fetched again.

    Raises:
        ValueError: the file is not one that ``save`` wrote, or its tensors do not fit.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as handle:
            metadata = handle.metadata() or {}
            weights = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is not a readable safetensors file ({error}); train again.") from None
    if RECIPE not in metadata:
        raise ValueError(f"{path} holds no '{RECIPE}' recipe in its metadata; it was not written by this harness.")
    recipe = Recipe(**json.loads(metadata[RECIPE]))
    with torch.random.fork_rng(devices=[]), Unfilled():
        architecture = {
            part: {**values, "init": None} if "init" in values else values for part, values in recipe.encoders.items()
        }
        model = load(recipe.model, architecture, recipe.options, recipe.vocabulary)
    model.recipe = recipe
    load_exactly(model, weights, str(path))
    return model.to(device).eval()


def load_exactly(model: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Load a state dict key by key.

    Raises:
        ValueError: missing, unexpected or misshapen tensors; the first of each kind are named.
    """
    expected = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    if problems := differing(expected, {name: list(tensor.shape) for name, tensor in weights.items()}):
        raise ValueError(f"{source} does not fit the model: {problems}.")
    model.load_state_dict(dict(weights))


def differing(expected: Mapping[str, list[int]], found: Mapping[str, list[int]]) -> str:
    """How the names and shapes of a file differ from those expected, the first of each kind named; "" = not at all."""
    kinds = {
        "missing": [name for name in expected if name not in found],
        "unexpected": [name for name in found if name not in expected],
        "misshapen": [
            f"{name} {found[name]} instead of {shape}"
            for name, shape in expected.items()
            if found.get(name, shape) != shape
        ],
    }
    return "; ".join(f"{kind} {_first(names)}" for kind, names in kinds.items() if names)


def _first(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"
