"""What one model is asked of every dataset: columns in its own words, and their sentences, encoded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from baselines.base import TextFeatures
from benchmark.evaluation import prompts
from benchmark.evaluation.prompts import Prompt
from benchmark.evaluation.zero_shot import Scorer, chosen_rows


@dataclass(frozen=True)
class Asked:
    """A restored model with its questions; datasets share the features of a sentence."""

    scorer: Scorer
    columns: dict[str, list[Prompt]]
    """Dataset -> its score columns, in the model's own sentences where it has some."""
    place: dict[str, int]
    """Sentence -> its row in ``features``."""
    features: TextFeatures

    @classmethod
    def of(cls, scorer: Scorer, columns: dict[str, list[Prompt]]) -> Asked:
        """Encode what ``columns`` (of ``prompts.resolve``, by dataset) need, every sentence once."""
        spoken = {dataset: prompts.in_words_of(own, scorer.model) for dataset, own in columns.items()}
        sentences = prompts.sentences_of([prompt for own in spoken.values() for prompt in own])
        return cls(scorer, spoken, {s: i for i, s in enumerate(sentences)}, scorer.encode(sentences))

    def texts(self, sentences: Sequence[str]) -> TextFeatures:
        """The features of ``sentences``, in their order."""
        return chosen_rows(self.features, [self.place[sentence] for sentence in sentences])
