"""Word-region attention against the released one and against a literal loop."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from baselines.gloria import attend, local_similarity
from offclip.losses import info_nce
from tests import parity


def _released() -> tuple[dict, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Expected arrays; words [T, L, D], cells [B, S, D], mask [T, L]."""
    expected = parity.arrays("losses.npz")
    words = expected["txt_local"].transpose(1, 2)
    cells = expected["img_local"].flatten(2).transpose(1, 2)
    return expected, words, cells, torch.arange(words.shape[1]) < expected["cap_lens"][:, None]


@parity.needs_parity
def test_attention_is_the_released_one() -> None:
    expected, words, cells, mask = _released()
    attention, found = attend(words, cells, mask, 4.0)
    for text in range(4):
        length = int(expected["cap_lens"][text])
        maps = attention[text, text, :length].unflatten(-1, (3, 5))
        torch.testing.assert_close(maps, expected[f"attn_map_{text}"][0], **parity.TINY)
    whole = torch.ones(1, words.shape[1], dtype=torch.bool)
    attention, found = attend(words[:1], cells, whole, 4.0)
    torch.testing.assert_close(attention[:, 0].unflatten(-1, (3, 5)), expected["attention_fn_weights"], **parity.TINY)
    torch.testing.assert_close(found[:, 0].transpose(1, 2), expected["attention_fn_context"], **parity.TINY)


@parity.needs_parity
def test_local_and_global_losses_are_the_released_ones() -> None:
    expected, words, cells, mask = _released()
    local = 10 * local_similarity(words, cells, mask, 4.0, 5.0)
    torch.testing.assert_close(info_nce(local), expected["local_loss"].mean(), **parity.TINY)
    whole = functional.normalize(expected["img_global"], dim=1) @ functional.normalize(expected["txt_global"], dim=1).T
    torch.testing.assert_close(info_nce(10 * whole), expected["global_loss"].mean(), **parity.TINY)


@pytest.mark.parametrize("text", range(3))
def test_local_similarity_equals_a_loop_over_words_and_cells(text: int) -> None:
    generator = torch.Generator().manual_seed(2)
    words = torch.randn(3, 5, 8, generator=generator)
    cells = torch.randn(2, 6, 8, generator=generator)
    lengths = [2, 5, 3]
    mask = torch.arange(5) < torch.tensor(lengths)[:, None]
    together = local_similarity(words, cells, mask, 4.0, 5.0)
    for image in range(2):
        spoken = words[text, : lengths[text]]
        shared = torch.stack([(spoken @ cell).softmax(0) for cell in cells[image]])  # (cells, words)
        total = torch.zeros(())
        for word in range(lengths[text]):
            found = (4.0 * shared[:, word]).softmax(0) @ cells[image]
            total = total + (5.0 * functional.cosine_similarity(found, spoken[word], dim=0)).exp()
        torch.testing.assert_close(together[image, text], total.log())
