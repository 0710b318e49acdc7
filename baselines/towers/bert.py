"""The published text tower: BERT-base whose word pieces are merged into words.

The last four hidden states are summed; the pieces of a word are summed; the sentence is the mean over all slots.
Source: CARZero (arXiv 2402.17417), section 3.1, after GLoRIA (Huang et al., ICCV 2021), section 3.2.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from baselines import torchvision_cure
from baselines.base import TextBatch, TextFeatures
from baselines.config import BertOptions
from baselines.towers.base import TextTower
from offclip.sentences import published_cleaning

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
END = "[SEP]"


def word_places(pieces: list[str]) -> list[int]:
    """Which word each piece belongs to.

    A piece that does not start with ``##`` opens a word; [SEP] is a word of its own and ends the text. As released,
    the last word of a text without [SEP] is dropped (the tokenizer's truncation always leaves one).

    Returns:
        One number per piece: the word's place from 0, or -1 for pieces of no word.
    """
    places: list[int] = []
    word = -1
    for piece in pieces:
        word += word < 0 or not piece.startswith("##")
        places.append(word)
        if piece == END:
            return places + [-1] * (len(pieces) - len(places))
    return [-1 if place == word else place for place in places]


def merge_pieces(hidden: Tensor, words: Tensor) -> Tensor:
    """Sum the pieces of each word and move the words to the left.

    Args:
        hidden: [B, T, D].
        words: [B, T] int64 from ``word_places``.

    Returns:
        [B, T, D], zero behind the last word.
    """
    slots = words.shape[1]
    # A product with a 0/1 matrix rather than an indexed addition: deterministic on every device.
    belongs = functional.one_hot(words.clamp(min=0), slots) * (words >= 0)[..., None]  # (B, T, slots)
    return belongs.transpose(1, 2).to(hidden.dtype) @ hidden


class BertTower(TextTower):
    """``TextBatch`` to ``TextFeatures`` of BERT's width."""

    def __init__(self, options: BertOptions, vocabulary: list[str] | None) -> None:
        super().__init__()
        torchvision_cure.apply()
        from transformers import AutoConfig, BertConfig, BertModel, BertTokenizer

        if options.init:
            vocabulary = padded(read_vocabulary(options.init), AutoConfig.from_pretrained(options.init).vocab_size)
        elif not vocabulary:
            raise ValueError("the text tower `bert` needs `init` (a folder or hub name) or a vocabulary, found none.")
        self.options = options
        self.dim = options.dim
        self.vocabulary = vocabulary if "[CLS]" in vocabulary else [*SPECIAL, *vocabulary]
        config = BertConfig(
            vocab_size=len(self.vocabulary),
            hidden_size=options.dim,
            num_hidden_layers=options.layers,
            num_attention_heads=options.heads,
            intermediate_size=options.ffn,
            max_position_embeddings=options.positions,
        )
        self.model = BertModel(config, add_pooling_layer=False)
        if options.init:
            self._start_from(options.init)
        self.tokenizer = BertTokenizer(
            vocab={piece: place for place, piece in enumerate(self.vocabulary)}, do_lower_case=options.lowercase
        )

    def _start_from(self, source: str) -> None:
        """Weights of a pretrained BERT whose sizes must be those of the options."""
        from transformers import BertModel

        pretrained = BertModel.from_pretrained(source, add_pooling_layer=False)
        own, theirs = self.model.config, pretrained.config
        sizes = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size")
        for size in (*sizes, "max_position_embeddings"):
            if getattr(own, size) != getattr(theirs, size):
                raise ValueError(
                    f"{source} has {size} {getattr(theirs, size)}, `encoders.text` asks for {getattr(own, size)}."
                )
        self.model.load_state_dict(pretrained.state_dict())

    def tokenize(self, texts: list[str]) -> TextBatch:
        """Word pieces of the cleaned texts between [CLS] and [SEP], cut and padded to ``max_tokens``."""
        if self.options.cleaning == "published":
            texts = [published_cleaning(text) for text in texts]
        encoded = self.tokenizer(texts, padding="max_length", truncation=True, max_length=self.options.max_tokens)
        return self.batch(torch.tensor(encoded["input_ids"]), torch.tensor(encoded["attention_mask"]))

    def batch(self, ids: Tensor, mask: Tensor) -> TextBatch:
        """Ids [B, T] and mask [B, T] of any integer type with the words that the pieces make up."""
        places = [word_places([self.vocabulary[piece] for piece in row]) for row in ids.tolist()]
        return TextBatch(ids, mask.bool(), torch.tensor(places))

    def forward(self, tokens: TextBatch) -> TextFeatures:
        """The sentence, its words, and which slots hold one."""
        assert tokens.words is not None
        output = self.model(tokens.ids, tokens.mask.long(), output_hidden_states=True)
        hidden = torch.stack(output.hidden_states[-self.options.last_layers :]).sum(0)  # (B, T, D)
        words = merge_pieces(hidden, tokens.words)
        count = tokens.words.amax(1, keepdim=True) + 1
        standing = torch.arange(words.shape[1], device=words.device) < count
        if self.options.sentence == "slots":
            return TextFeatures(words.mean(1), words, standing)
        return TextFeatures(words.sum(1) / count.clamp(min=1), words, standing)


def read_vocabulary(source: str) -> list[str]:
    """The tokenizer's pieces in the order of their ids.

    Args:
        source: a ``vocab.txt``, a folder with one, or a name on the hub.

    Raises:
        ValueError: there is none.
    """
    for file in (Path(source), Path(source) / "vocab.txt"):
        if file.is_file():
            return file.read_text(encoding="utf-8").splitlines()
    torchvision_cure.apply()
    from transformers import AutoTokenizer

    try:
        ids = AutoTokenizer.from_pretrained(source).get_vocab()
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"no vocab.txt at {source} and no tokenizer of that name on the hub ({reason}); "
            "give the folder that holds vocab.txt."
        ) from None
    return sorted(ids, key=ids.__getitem__)


def read_padded(tokenizer: str, table: Tensor | None, source: str) -> list[str]:
    """The pieces of ``tokenizer`` and names for the rows of the word embeddings that none of them uses.

    Args:
        tokenizer: see ``read_vocabulary``.
        table: the word embeddings [rows, D] of a checkpoint; None where it has none.
        source: the checkpoint, for the error.

    Raises:
        ValueError: there is no such tokenizer, or it has more pieces than the table has rows.
    """
    pieces = read_vocabulary(tokenizer)
    rows = len(pieces) if table is None else len(table)
    if len(pieces) > rows:
        raise ValueError(
            f"the tokenizer {tokenizer} has {len(pieces)} pieces, {source} only {rows}; "
            "set `tokenizer` to the one it was trained with."
        )
    return padded(pieces, rows)


def padded(vocabulary: list[str], rows: int) -> list[str]:
    """Names for the embedding's rows that no piece uses."""
    return vocabulary + [f"[unused-row-{row}]" for row in range(len(vocabulary), rows)]
