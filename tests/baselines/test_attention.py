"""Attention against torch's own, in the precision that takes another path too."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from baselines.attention import Attention, Layer, attend


def heads(*shape: int) -> torch.Tensor:
    """[B, heads, tokens, d] from a fixed seed, float64."""
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("masked", [False, True])
def test_bfloat16_attends_as_float64_does_but_for_rounding(masked: bool) -> None:
    queries, keys, values = heads(3, 2, 5, 8), heads(3, 2, 7, 8), heads(3, 2, 7, 8).flip(2)
    mask = torch.rand(3, 1, 1, 7, generator=torch.Generator().manual_seed(1)) < 0.6 if masked else None
    if mask is not None:
        mask[..., 0] = True
    exact = functional.scaled_dot_product_attention(queries, keys, values, mask)
    torch.testing.assert_close(attend(queries, keys, values, mask, 0.0), exact)
    rounded = attend(queries.bfloat16(), keys.bfloat16(), values.bfloat16(), mask, 0.0)
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.double(), exact, rtol=0.05, atol=0.03)


def test_within_a_text_it_is_the_multi_head_attention_of_torch() -> None:
    """Self-attention with padding, between the residuals of a pre-norm layer."""
    torch.manual_seed(0)
    layer = Layer(dim=16, heads=4, ffn=32, dropout=0.0).double()
    own = layer.multihead_attn
    reference = torch.nn.MultiheadAttention(16, 4, batch_first=True, dtype=torch.float64)
    state = {"in_proj_weight": own.in_proj_weight, "in_proj_bias": own.in_proj_bias}
    state |= {"out_proj.weight": own.out_proj.weight, "out_proj.bias": own.out_proj.bias}
    reference.load_state_dict(state)
    x = torch.randn(3, 6, 16, dtype=torch.float64)
    mask = torch.arange(6) < torch.tensor([[6], [1], [4]])
    normed = layer.norm2(x)
    after = x + reference(normed, normed, normed, key_padding_mask=~mask, need_weights=False)[0]
    expected = after + layer.linear2(functional.relu(layer.linear1(layer.norm3(after))))
    torch.testing.assert_close(layer.within(x, mask), expected)


def test_the_weights_are_those_that_the_values_are_mixed_by() -> None:
    """With one head and the identity as values and output, attention returns its own weights."""
    torch.manual_seed(0)
    attention = Attention(dim=4, heads=1, dropout=0.0).double()
    torch.nn.init.eye_(attention.out_proj.weight)
    keys, _ = attention.project(torch.randn(2, 4, 4, dtype=torch.float64))
    values = torch.eye(4, dtype=torch.float64).expand(2, 1, 4, 4)
    queries = torch.randn(3, 4, dtype=torch.float64)
    weights = attention.weights(queries, keys, None)
    torch.testing.assert_close(attention(queries, keys, values, None), weights)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, dtype=torch.float64))
