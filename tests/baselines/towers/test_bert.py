"""The BERT tower against the released one: merging of word pieces, layers, the sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from baselines.base import load_exactly
from baselines.config import BertOptions, parse
from baselines.towers.bert import BertTower, merge_pieces, word_places
from tests import parity

TINY = {"dim": 32, "layers": 5, "heads": 4, "ffn": 64, "positions": 24, "max_tokens": 13}


def _published() -> tuple[BertTower, dict]:
    expected = parity.arrays("text_agg.npz")
    tower = BertTower(BertOptions(**TINY), expected["vocab"].tolist()).eval()
    weights = {k.removeprefix("param:model."): v for k, v in expected.items() if k.startswith("param:")}
    load_exactly(tower.model, parity.without(weights, "pooler"), "text_agg")
    return tower, expected


@parity.needs_parity
@pytest.mark.parametrize("suffix", ["", "_no_sep"])
def test_words_and_sentences_are_the_released_ones(suffix: str) -> None:
    tower, expected = _published()
    ids, mask = (
        expected[f"{name}{suffix}"] for name in (("input_ids", "attention_mask") if not suffix else ("ids", "mask"))
    )
    tokens = tower.batch(ids, mask)
    with torch.no_grad():
        features = tower(tokens)
    torch.testing.assert_close(features.words.transpose(1, 2), expected[f"word_emb{suffix}"], **parity.TINY)
    torch.testing.assert_close(features.pooled, expected[f"sent_emb{suffix}"], **parity.TINY)
    standing = torch.from_numpy(expected[f"words{suffix}"] != "[PAD]")
    assert torch.equal(features.mask, standing)


@parity.needs_parity
def test_hidden_states_and_their_merging_are_the_released_ones() -> None:
    tower, expected = _published()
    tokens = tower.batch(expected["input_ids"], expected["attention_mask"])
    with torch.no_grad():
        hidden = tower.model(tokens.ids, tokens.mask.long(), output_hidden_states=True).hidden_states[-4:]
    for layer in range(4):
        torch.testing.assert_close(hidden[layer], expected["hidden_last4"][:, layer], **parity.TINY)
        merged = merge_pieces(expected["hidden_last4"][:, layer], tokens.words)
        torch.testing.assert_close(merged, expected["merged_last4"][:, layer], **parity.TINY)


@parity.needs_parity
def test_merged_words_read_as_the_released_ones() -> None:
    tower, expected = _published()
    for ids, words in zip(expected["input_ids"].tolist(), expected["words"].tolist(), strict=True):
        pieces = [tower.vocabulary[piece] for piece in ids]
        merged = ["[PAD]"] * len(pieces)
        for piece, place in zip(pieces, word_places(pieces), strict=True):
            if place >= 0:
                merged[place] = piece if merged[place] == "[PAD]" else merged[place] + piece.removeprefix("##")
        assert merged == words


@pytest.mark.parametrize(
    ("pieces", "places"),
    [
        (["[CLS]", "pneu", "##mo", "##thorax", "is", "[SEP]", "[PAD]"], [0, 1, 1, 1, 2, 3, -1]),
        (["[CLS]", "[SEP]"], [0, 1]),
        (["[CLS]", "heart", "en", "##larged"], [0, 1, -1, -1]),
        (["[CLS]"], [-1]),
    ],
)
def test_a_word_is_a_piece_and_its_continuations(pieces: list[str], places: list[int]) -> None:
    assert word_places(pieces) == places


VOCABULARY = ["there", "is", "no", "pneumo", "##thorax", "effusion", "."]


def test_texts_become_pieces_cut_and_padded_to_the_fixed_length() -> None:
    tower = BertTower(BertOptions(**{**TINY, "max_tokens": 6}), VOCABULARY)
    tokens = tower.tokenize(["There is no pneumothorax.", "", "Effusion zzz"])
    read = [[tower.vocabulary[piece] for piece in row] for row in tokens.ids.tolist()]
    assert read == [
        ["[CLS]", "there", "is", "no", "pneumo", "[SEP]"],
        ["[CLS]", "[SEP]", "[PAD]", "[PAD]", "[PAD]", "[PAD]"],
        ["[CLS]", "effusion", "[UNK]", "[SEP]", "[PAD]", "[PAD]"],
    ]
    assert tokens.mask.sum(1).tolist() == [6, 2, 4]


@parity.needs_parity
def test_texts_are_cleaned_as_released_before_they_are_tokenised_or_left_as_dictated() -> None:
    cases = json.loads((parity.FOLDER / "text_cleaning.json").read_text())["cases"]
    words = sorted(set(" ".join(case["cleaned"] for case in cases).split()) | set("./,"))
    options = {**TINY, "max_tokens": 24}
    cleaned, dictated = (BertTower(BertOptions(**options, cleaning=name), words) for name in ("published", "none"))
    for case in cases:
        expected = dictated.tokenize([case["cleaned"]]).ids
        assert torch.equal(cleaned.tokenize([case["text"]]).ids, expected)
    text = ["There is nodule/mass."]
    read = [[tower.vocabulary[piece] for piece in tower.tokenize(text).ids[0, 1:8]] for tower in (cleaned, dictated)]
    assert not {"/", "."} & set(read[0])
    assert {"/", "."} <= set(read[1])


def test_the_sound_sentence_does_not_depend_on_padding_and_the_published_one_does() -> None:
    for sentence, same in (("words", True), ("slots", False)):
        pooled = []
        for length in (8, 13):
            torch.manual_seed(0)
            tower = BertTower(BertOptions(**{**TINY, "max_tokens": length, "sentence": sentence}), VOCABULARY).eval()
            with torch.no_grad():
                pooled.append(tower(tower.tokenize(["There is no effusion"])).pooled)
        assert torch.allclose(*pooled, atol=1e-5) is same


def test_it_starts_from_a_local_folder_and_refuses_other_sizes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = BertTower(BertOptions(**TINY), VOCABULARY)
    source.model.save_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(source.vocabulary) + "\n")
    tower = BertTower(BertOptions(**TINY, init=str(tmp_path)), None)
    assert tower.vocabulary == source.vocabulary
    assert all(torch.equal(v, source.model.state_dict()[k]) for k, v in tower.model.state_dict().items())
    with pytest.raises(ValueError, match=r"has num_hidden_layers 5, `encoders.text` asks for 4"):
        BertTower(BertOptions(**{**TINY, "layers": 4}, init=str(tmp_path)), None)


@pytest.mark.parametrize(("option", "value"), [("sentence", "wrods"), ("cleaning", "publisht")])
def test_an_unknown_variant_is_refused_with_the_nearest(option: str, value: str) -> None:
    with pytest.raises(ValueError, match=rf"`encoders\.text\.{option}` must be one of .* did you mean"):
        parse(BertOptions, {**TINY, option: value}, "encoders.text")


def test_no_vocabulary_and_no_folder_is_refused_with_what_to_give() -> None:
    with pytest.raises(ValueError, match="needs `init`"):
        BertTower(BertOptions(**TINY), None)
