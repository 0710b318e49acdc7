"""One training step's forward and backward pass: exact contrastive loss at any batch size, on any number of processes.

The loss needs the logits of every image with every text, but not all activations behind them at
once. The graph is cut at the features and at the pair matrix:

    pixels -> image features -\\
                               pair logits (rows of this process) -> whole matrix -> loss
    tokens -> text features --/

and the gradient is carried over each cut by hand. Uncut parts keep their graph; with a chunk size
they are computed without a graph, then again chunk by chunk when their gradient arrives (Gao et al. 2021,
"Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", arXiv 2101.06983, carried on
to the pair matrix), so memory grows with the chunk and the gradients stay those of the whole batch.
Texts' features are gathered from all processes; each scores its own images against all texts. The loss of the
whole matrix is computed by every process alike, so what an objective learns needs no exchange.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from benchmark.compute.determinism import stream
from benchmark.compute.distributed import ALONE, World

Objective = Callable[[Tensor, Tensor], Tensor]
"""(pair logits [B, B], is_normal [B]) -> scalar loss; row = image, column = text."""


class Scorer(Protocol):
    """The part of a baseline that a step uses (baselines/base.py)."""

    def encode_images(self, pixels: Tensor) -> Any:
        """Pixels [B, 1, S, S] -> features."""

    def encode_texts(self, tokens: Any) -> Any:
        """Tokens -> features."""

    def pair_logits(self, images: Any, texts: Any) -> list[Tensor]:
        """Features -> matrices [B_images, B_texts]."""


@dataclass(frozen=True)
class Batch:
    """What one process needs of a step; b = its share of the B pairs."""

    pixels: Tensor
    """float32 [b, 1, S, S]."""
    tokens: Any
    """Tokenised captions, b rows."""
    is_normal: Tensor
    """bool [B], of all processes."""


@dataclass(frozen=True)
class StepOptions:
    """How a step is computed; none of it changes what is computed (but rounding and dropout draws)."""

    chunk_size: int | None = None
    precision: torch.dtype = torch.float32
    loss_scale: float = 1.0


WHOLE = StepOptions()


def _chunks(total: int, size: int | None) -> list[slice]:
    size = size or total
    return [slice(start, min(start + size, total)) for start in range(0, total, size)]


def _backward(outputs: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> None:
    """Backward from the outputs that have a graph and a gradient."""
    pairs = [(o, g) for o, g in zip(outputs, gradients, strict=True) if o.requires_grad and g is not None]
    if pairs:
        torch.autograd.backward([o for o, _ in pairs], [g for _, g in pairs])


def _join(parts: Sequence[Any]) -> Any:
    return parts[0] if len(parts) == 1 else type(parts[0]).cat(list(parts))


def _tensors(output: Any) -> list[Tensor]:
    """The tensors of features (a dataclass of them) or of a list of logits, in a fixed order."""
    values = output if isinstance(output, list) else [getattr(output, field.name) for field in fields(output)]
    return [value for value in values if isinstance(value, Tensor)]


def _cut(features: Any) -> Any:
    """Detach features; floating-point tensors become leaves that collect a gradient."""
    return features.each(lambda tensor: tensor.detach().requires_grad_(tensor.is_floating_point()))


class _Stage:
    """A function over chunks of its input; keeps the graph of a single chunk, recomputes several."""

    def __init__(self, function: Callable[[Any], Any], inputs: Sequence[Any], seed: tuple[int, ...]) -> None:
        self.function, self.inputs, self.seed = function, inputs, seed
        self.keep = len(inputs) == 1

    def _run(self, i: int) -> Any:
        # Dropout draws depend on the step and the chunk alone, so that a recomputation meets the same ones.
        torch.manual_seed(stream(*self.seed, i))
        return self.function(self.inputs[i])

    def forward(self) -> list[Any]:
        with contextlib.nullcontext() if self.keep else torch.no_grad():
            self.outputs = [self._run(i) for i in range(len(self.inputs))]
        return self.outputs

    def backward(self, gradients: Sequence[Sequence[Tensor | None]]) -> None:
        for i, gradient in enumerate(gradients):
            output = self.outputs[i] if self.keep else self._run(i)
            _backward(_tensors(output), gradient)


def contrastive_backward(
    model: Scorer,
    objective: Objective,
    batch: Batch,
    options: StepOptions = WHOLE,
    world: World = ALONE,
    seed: tuple[int, ...] = (0,),
) -> Tensor:
    """Add the gradient of the batch's loss to the model's ``.grad``; all processes end with the same sums.

    Args:
        model: a baseline.
        objective: loss of one pair matrix; the step's loss is the sum over the model's matrices.
        batch: this process's share.
        options: chunking and precision.
        world: the processes of this run.
        seed: key of the step's dropout draws.

    Returns:
        The loss, a detached float32 scalar (float64 for float64 pixels), without ``loss_scale``.
    """
    device = batch.pixels.device.type
    total = batch.is_normal.shape[0]
    own = world.own(total)
    share = own.stop - own.start
    key = (*seed, world.rank)
    cast = torch.autocast(device, options.precision, enabled=options.precision != torch.float32)

    def stage(function: Callable[[Any], Any], inputs: Sequence[Any], part: int) -> _Stage:
        def run(item: Any) -> Any:
            with cast:
                return function(item)

        return _Stage(run, inputs, (*key, part))

    own_chunks = _chunks(share, options.chunk_size)
    image_stage = stage(model.encode_images, [batch.pixels[c] for c in own_chunks], 0)
    text_stage = stage(model.encode_texts, [batch.tokens[c] for c in own_chunks], 1)
    images = _cut(_join(image_stage.forward()))
    texts = _cut(_join(text_stage.forward()).each(world.gather))

    all_chunks = _chunks(total, options.chunk_size)
    tiles = [(rows, columns) for rows in own_chunks for columns in all_chunks]
    pair_stage = stage(lambda tile: model.pair_logits(images[tile[0]], texts[tile[1]]), tiles, 2)
    tile_logits = [[logits.detach() for logits in outputs] for outputs in pair_stage.forward()]
    columns = len(all_chunks)
    matrices = []
    for tile_of_matrix in zip(*tile_logits, strict=True):
        rows = [torch.cat(tile_of_matrix[i : i + columns], dim=1) for i in range(0, len(tiles), columns)]
        whole = world.gather(torch.cat(rows))  # (B, B)
        matrices.append((whole if whole.dtype == torch.float64 else whole.float()).requires_grad_())
    loss = torch.stack([objective(matrix, batch.is_normal) for matrix in matrices]).sum()
    (loss * options.loss_scale).backward()

    mine = [None if matrix.grad is None else matrix.grad[own] for matrix in matrices]
    pair_stage.backward(
        [
            [None if g is None else g[r, c].to(t.dtype) for g, t in zip(mine, tile, strict=True)]
            for (r, c), tile in zip(tiles, tile_logits, strict=True)
        ]
    )
    text_gradients = [leaf.grad for leaf in _tensors(texts)]
    world.sum([g for g in text_gradients if g is not None])
    text_stage.backward([[None if g is None else g[own][c] for g in text_gradients] for c in own_chunks])
    image_gradients = [leaf.grad for leaf in _tensors(images)]
    image_stage.backward([[None if g is None else g[c] for g in image_gradients] for c in own_chunks])
    if isinstance(model, nn.Module):
        world.sum([p.grad for p in model.parameters() if p.grad is not None])
    return loss.detach()
