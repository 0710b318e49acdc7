"""A small text tower: word embeddings and a transformer layer over the words of the training captions."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

from baselines.attention import Layer
from baselines.base import TextBatch, TextFeatures
from baselines.config import WordOptions
from baselines.towers.base import TextTower
from baselines.towers.pooling import MeanMaxHead

PAD, UNKNOWN = "[PAD]", "[UNK]"
WORD = re.compile(r"[a-z]+|\d+(?:\.\d+)?")


class WordTokenizer:
    """Lower-cased words and numbers to their place in a vocabulary; [PAD] = 0, [UNK] = 1."""

    def __init__(self, vocabulary: list[str], max_tokens: int) -> None:
        words = [PAD, UNKNOWN, *(word for word in vocabulary if word not in (PAD, UNKNOWN))]
        self.ids = {word: place for place, word in enumerate(words)}
        self.max_tokens = max_tokens

    def __call__(self, texts: list[str]) -> TextBatch:
        """The first ``max_tokens`` words of each text, padded to that; a text without words is one [UNK]."""
        ids = torch.zeros(len(texts), self.max_tokens, dtype=torch.int64)
        for row, text in enumerate(texts):
            words = WORD.findall(text.lower())[: self.max_tokens] or [UNKNOWN]
            ids[row, : len(words)] = torch.tensor([self.ids.get(word, 1) for word in words])
        return TextBatch(ids, ids != 0)


class WordTower(TextTower):
    """``TextBatch`` to ``TextFeatures`` of width ``dim``."""

    def __init__(self, options: WordOptions, vocabulary: list[str] | None) -> None:
        super().__init__()
        if not vocabulary:
            raise ValueError("the text tower `words` needs a vocabulary (a list of words), found none.")
        self.vocabulary = vocabulary
        self.tokenizer = WordTokenizer(vocabulary, options.max_tokens)
        self.dim = options.dim
        self.words = nn.Embedding(len(self.tokenizer.ids), options.dim)
        self.places = nn.Parameter(torch.zeros(options.max_tokens, options.dim))
        nn.init.normal_(self.words.weight, std=options.dim**-0.5)
        nn.init.normal_(self.places, std=options.dim**-0.5 / 2)
        self.layers = nn.ModuleList(
            Layer(options.dim, options.heads, 2 * options.dim, dropout=0.0) for _ in range(options.layers)
        )
        self.norm = nn.LayerNorm(options.dim)
        self.head = MeanMaxHead(options.dim, options.dim)

    def tokenize(self, texts: list[str]) -> TextBatch:
        """See ``WordTokenizer``."""
        return self.tokenizer(texts)

    def forward(self, tokens: TextBatch) -> TextFeatures:
        """[B, T] ids to features of the whole text and of each word."""
        x: Tensor = self.words(tokens.ids) + self.places  # (B, T, D)
        for layer in self.layers:
            x = layer.within(x, tokens.mask)  # type: ignore[operator]
        pooled, words = self.head(self.norm(x), tokens.mask)
        return TextFeatures(pooled, words, tokens.mask)
