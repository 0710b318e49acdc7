"""The step's hand-carried gradients are those of plain autograd, at any chunk size."""

from __future__ import annotations

import pytest
import torch

from benchmark.training.step import Batch, StepOptions, contrastive_backward
from offclip import objective
from tests.benchmark.training import pairs

OBJECTIVES = {
    "info_nce": ("info_nce", {}),
    "off_clip sigmoid": ("off_clip", {"form": "sigmoid"}),
    "off_clip softmax": ("off_clip", {"form": "softmax"}),
}


def reference(model: torch.nn.Module, loss_of: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """The whole batch in one graph."""
    matrices = model.pair_logits(model.encode_images(batch.pixels), model.encode_texts(batch.tokens))
    loss = sum(loss_of(matrix, batch.is_normal) for matrix in matrices)
    loss.backward()
    return loss.detach()


@pytest.mark.parametrize("chunk_size", [None, 1, 4, 5, 12, 64])
@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("scorer", ["clip", "carzero"])
def test_gradients_equal_plain_autograd(scorer: str, name: str, chunk_size: int | None) -> None:
    kind, options = OBJECTIVES[name]
    expected_model, expected_loss = pairs.model(scorer), objective.build(kind, options).double()
    loss = reference(expected_model, expected_loss, pairs.batch(expected_model, 12))
    model, loss_of = pairs.model(scorer), objective.build(kind, options).double()

    found = contrastive_backward(model, loss_of, pairs.batch(model, 12), StepOptions(chunk_size))

    torch.testing.assert_close(found, loss, rtol=1e-12, atol=0)
    expected = pairs.gradients(expected_model, expected_loss)
    assert pairs.relative_difference(expected, pairs.gradients(model, loss_of)) < 1e-10


def test_recomputed_chunks_meet_the_dropout_of_their_first_pass() -> None:
    """With dropout, the gradient is that of the loss that was returned: a step along it lowers that loss."""
    model = pairs.model("carzero", dropout=0.3)
    loss_of = objective.build("info_nce")
    batch = pairs.batch(model, 8)

    def loss() -> float:
        return float(contrastive_backward(model, loss_of, batch, StepOptions(3), seed=(4,)))

    before = loss()
    gradient = [p.grad.clone() for p in model.parameters()]
    slope = sum(float(g.square().sum()) for g in gradient)
    step = 1e-6
    with torch.no_grad():
        for parameter, g in zip(model.parameters(), gradient, strict=True):
            parameter -= step * g
    assert before - loss() == pytest.approx(step * slope, rel=1e-3)


def test_a_frozen_tower_gets_no_gradient_and_the_rest_does() -> None:
    model = pairs.model("clip")
    model.image.requires_grad_(False)
    contrastive_backward(model, objective.build("info_nce"), pairs.batch(model, 6), StepOptions(2))
    assert all(p.grad is None for p in model.image.parameters())
    assert all(p.grad is not None for p in model.text.parameters())


def test_memory_of_the_pair_matrix_grows_with_the_chunk_and_not_with_the_square_of_the_batch() -> None:
    """Elements that autograd keeps for the backward pass at any one time, whole and in chunks of 8."""

    def kept(size: int, chunk_size: int | None) -> int:
        model = pairs.model("carzero")
        batch = pairs.batch(model, size)
        alive = {"now": 0, "most": 0}

        class Saved:
            def __init__(self, tensor: torch.Tensor) -> None:
                self.tensor = tensor
                alive["now"] += tensor.numel()
                alive["most"] = max(alive["most"], alive["now"])

            def __del__(self) -> None:
                alive["now"] -= self.tensor.numel()

        with torch.autograd.graph.saved_tensors_hooks(Saved, lambda saved: saved.tensor):
            contrastive_backward(model, objective.build("info_nce"), batch, StepOptions(chunk_size))
        return alive["most"]

    assert kept(64, None) > 3 * kept(32, None)
    assert kept(64, 8) < 1.2 * kept(32, 8)
    assert kept(64, 8) < kept(64, None) / 10
