"""Text prompting by rules: a dictated sentence -> "There is (no) <finding> (<where>)".

OFF-CLIP lets GPT-4o rewrite reports into this form, CARZero iFlytek Spark; here rules do it offline and
reproducibly. Somebody's LLM output enters as a table or through an endpoint (benchmark/captions.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from offclip.findings import NO_ACUTE_FINDING, NO_FINDING
from offclip.mentions import Mention, mentions

_STOP = re.compile(r"\.(?:\s+|$)")


def clause(mention: Mention) -> str:
    """``There is no pleural effusion on the left.``"""
    words = ["There is", "no" if mention.denied else "", mention.finding, mention.where]
    return " ".join(word for word in words if word) + "."


def clauses(text: str) -> list[str]:
    """Split a prompted text into its "There is ..." clauses."""
    return [part.strip(" .") + "." for part in _STOP.split(text) if part.strip(" .")]


def is_denial(prompted_clause: str) -> bool:
    """True for "There is no ..."."""
    return prompted_clause.lower().startswith(("there is no ", "there are no "))


def prompt_sentence(sentence: str) -> str:
    """One sentence in prompted form, "" where the rules find no finding in it.

    >>> prompt_sentence("Mild cardiomegaly without pleural effusion")
    'There is cardiomegaly. There is no pleural effusion.'
    """
    return " ".join(clause(mention) for mention in mentions(sentence))


def prompt_report(sentences: Sequence[str]) -> list[str]:
    """Every sentence of one report in prompted form, read in the report's context.

    "No acute disease" in a report that affirms nothing means a normal picture and becomes "There is no finding."; in a
    report that affirms a finding it stays "There is no acute finding.", as a writer who has read the whole
    report would put it.
    """
    per_sentence = [mentions(sentence) for sentence in sentences]
    affirms = any(not mention.denied for found in per_sentence for mention in found)
    prompted = []
    for found in per_sentence:
        texts = [clause(mention) for mention in found]
        if not affirms:
            texts = [text.replace(f"There is no {NO_ACUTE_FINDING}.", f"There is no {NO_FINDING}.") for text in texts]
        prompted.append(" ".join(dict.fromkeys(texts)))
    return prompted
