"""The cross-attention head against the released one, and its sound variants against their definitions."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from baselines.base import load_exactly
from baselines.fusion import Fusion
from baselines.options.carzero import PUBLISHED, FusionOptions
from tests import parity

CASES = [("tiny", 32, 2, parity.TINY), ("full", 768, 4, parity.FULL)]
ORDERS = pytest.mark.parametrize("asked", [None, 1], ids=["keys and values made", "tokens read as they are"])
"""Both orders of multiplication; ``asked=1``, as if one query came, always takes the second."""
NEVER_READ = ("self_attn", "norm1", "decoder.norm.", "logit_scale")


def _published(name: str, dim: int, layers: int) -> Fusion:
    fusion = Fusion(dim, replace(PUBLISHED, layers=layers))
    load_exactly(fusion, parity.without(parity.filled(f"fusion_{name}"), *NEVER_READ), name)
    return fusion.eval()


@parity.needs_parity
@ORDERS
@pytest.mark.parametrize(("name", "dim", "layers", "tolerance"), CASES)
def test_scores_are_the_released_ones(name: str, dim: int, layers: int, tolerance: dict, asked: int | None) -> None:
    fusion, expected = _published(name, dim, layers), parity.arrays(f"fusion_{name}.npz")
    with torch.no_grad():
        memory = fusion.remember(expected["memory"], asked=asked)
        assert (memory.projected is None) is (asked == 1)
        torch.testing.assert_close(fusion(memory, expected["query"]), expected["scores"][..., 0], **tolerance)
        own_queries = expected["query_per_sample"].transpose(0, 1)  # (Q, B, d) -> (B, Q, d)
        torch.testing.assert_close(fusion(memory, own_queries), expected["scores_per_sample"][..., 0], **tolerance)


@parity.needs_parity
@pytest.mark.parametrize(("name", "dim", "layers", "tolerance"), CASES)
def test_attention_is_the_released_one(name: str, dim: int, layers: int, tolerance: dict) -> None:
    fusion, expected = _published(name, dim, layers), parity.arrays(f"fusion_{name}.npz")
    with torch.no_grad():
        memory = fusion.remember(expected["memory"])
        torch.testing.assert_close(fusion.attention(memory, expected["query"]), expected["attention"], **tolerance)


@parity.needs_parity
@pytest.mark.parametrize(("name", "dim", "layers", "tolerance"), CASES)
def test_every_intermediate_is_the_released_one(name: str, dim: int, layers: int, tolerance: dict) -> None:
    fusion, expected = _published(name, dim, layers), parity.arrays(f"fusion_{name}.npz")
    with torch.no_grad():
        normed = fusion.decoder_norm(expected["memory"])
        torch.testing.assert_close(normed, expected["normed_memory"], **tolerance)
        memory = fusion.remember(expected["memory"])
        first = fusion.layers[0](fusion.decoder_norm(expected["query"]), *memory.projected[0], memory.mask)
        torch.testing.assert_close(first, expected["after_layer0"], **tolerance)
        torch.testing.assert_close(fusion.decode(memory, expected["query"]), expected["decoder_out"], **tolerance)


@parity.needs_parity
@ORDERS
@pytest.mark.parametrize(("name", "dim", "layers", "tolerance"), CASES)
def test_gradients_are_the_released_ones(name: str, dim: int, layers: int, tolerance: dict, asked: int | None) -> None:
    fusion, expected = _published(name, dim, layers), parity.arrays(f"fusion_{name}.npz")
    tokens, query = expected["memory"].requires_grad_(), expected["query"].requires_grad_()
    (fusion(fusion.remember(tokens, asked=asked), query) * expected["loss_weight"][..., 0]).sum().backward()
    torch.testing.assert_close(tokens.grad, expected["grad_memory"], **tolerance)
    torch.testing.assert_close(query.grad, expected["grad_query"], **tolerance)


def _random(options: FusionOptions) -> tuple[Fusion, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return Fusion(16, options).eval(), torch.randn(3, 6, 16), torch.randn(4, 16)


def test_attention_is_torchs_multi_head_attention() -> None:
    fusion, tokens, query = _random(FusionOptions())
    own = fusion.layers[0].multihead_attn
    theirs = torch.nn.MultiheadAttention(16, 4, batch_first=True).eval()
    theirs.load_state_dict(own.state_dict())
    with torch.no_grad():
        keys, values = own.project(tokens)
        expected, weights = theirs(query.expand(3, -1, -1), tokens, tokens)
        torch.testing.assert_close(own(query, keys, values, None), expected)
        torch.testing.assert_close(own.weights(query, keys, None), weights)


@pytest.mark.parametrize(("dropout", "queries"), [(0.0, 4), (0.5, 1)], ids=["all queries", "one query, dropout"])
def test_both_orders_give_the_same_scores_and_gradients(dropout: float, queries: int) -> None:
    """With padding and biases; the draws of dropout fall on the same weights where one query asks."""
    mask = torch.arange(6) < torch.tensor([[2], [4], [6]])
    found = []
    for asked in (None, 1):
        fusion, tokens, query = _random(FusionOptions(layers=2))
        for layer in fusion.layers:
            layer.multihead_attn.train().dropout = dropout
            torch.nn.init.normal_(layer.multihead_attn.in_proj_bias)
        fusion.double()
        leaf = tokens.double().requires_grad_()
        torch.manual_seed(1)
        scores = fusion(fusion.remember(leaf, mask, asked), query[:queries].double())
        scores.square().sum().backward()
        found.append((scores.detach(), leaf.grad, fusion.layers[0].multihead_attn.in_proj_weight.grad))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_the_order_with_fewer_multiplications_is_taken() -> None:
    fusion, slots = Fusion(768, replace(PUBLISHED, layers=1)), 197
    tokens = torch.zeros(1, slots, 768)
    with torch.no_grad():
        kept = [fusion.remember(tokens, asked=asked).projected is not None for asked in (1, 64, 111, 112, 193)]
    assert kept == [False, False, False, True, True]


def test_with_masked_padding_a_score_does_not_depend_on_the_padding() -> None:
    mask = torch.arange(6) < torch.tensor([[2], [4], [6]])
    for masked, same in ((True, True), (False, False)):
        fusion, tokens, query = _random(FusionOptions(mask_padding=masked))
        tokens = tokens * mask[..., None]
        longer = functional.pad(tokens, [0, 0, 0, 5]), functional.pad(mask, [0, 5])
        with torch.no_grad():
            scores = fusion(fusion.remember(tokens, mask), query)
            again = fusion(fusion.remember(*longer), query)
        assert torch.allclose(scores, again, atol=1e-6) is same


def test_attention_over_masked_slots_is_zero_and_sums_to_one() -> None:
    fusion, tokens, query = _random(FusionOptions(layers=2))
    mask = torch.arange(6) < torch.tensor([[2], [4], [6]])
    with torch.no_grad():
        weights = fusion.attention(fusion.remember(tokens, mask), query)
    assert weights.shape == (2, 3, 4, 6)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 4))
    assert (weights.masked_select(~mask[:, None, :].expand_as(weights)) == 0).all()


def test_the_published_quirk_shares_one_norm_and_the_sound_variant_has_three() -> None:
    shared, apart = (Fusion(16, FusionOptions(shared_norm=value)) for value in (True, False))
    names = {name.split(".")[0] for name in apart.state_dict()} - {name.split(".")[0] for name in shared.state_dict()}
    assert names == {"memory_norm", "query_norm"}
