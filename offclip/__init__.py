"""OFF-CLIP: off-diagonal term loss and sentence-level text filter for anybody's CLIP.

    from offclip import CaptionPipeline, OffClipLoss, OffClipObjective

The losses need torch alone; the sentence classifier, and so the caption pipeline, needs scikit-learn
(``pip install "offclip[text]"``). Knows no dataset. Names load on first use, so that whoever wants the objective need
not install what the text filter uses, and the reverse.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from offclip.captions import CaptionPipeline
    from offclip.clip_loss import OffClipLoss
    from offclip.objective import OffClipObjective
    from offclip.prompting import Prompted, prompt_report, prompt_sentence
    from offclip.sentence_classifier import SentenceClassifier
    from offclip.sentences import published_cleaning, report_body, split_sentences
    from offclip.study_captions import Sentence, StudyCaptions
    from offclip.text_filter import FilteredReport, filter_report

__all__ = [
    "CaptionPipeline",
    "FilteredReport",
    "OffClipLoss",
    "OffClipObjective",
    "Prompted",
    "Sentence",
    "SentenceClassifier",
    "StudyCaptions",
    "filter_report",
    "prompt_report",
    "prompt_sentence",
    "published_cleaning",
    "report_body",
    "split_sentences",
]

_MODULES = {
    "CaptionPipeline": "captions",
    "FilteredReport": "text_filter",
    "OffClipLoss": "clip_loss",
    "OffClipObjective": "objective",
    "Prompted": "prompting",
    "Sentence": "study_captions",
    "SentenceClassifier": "sentence_classifier",
    "StudyCaptions": "study_captions",
    "filter_report": "text_filter",
    "prompt_report": "prompting",
    "prompt_sentence": "prompting",
    "published_cleaning": "sentences",
    "report_body": "sentences",
    "split_sentences": "sentences",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"offclip.{_MODULES[name]}"), name)
    raise AttributeError(f"module offclip has no attribute {name}")
