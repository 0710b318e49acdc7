"""Text prompting by rules: a dictated sentence -> "There is (no) <finding> (<where>)".

OFF-CLIP lets GPT-4o rewrite reports into this form, CARZero iFlytek Spark; here rules do it offline and
reproducibly. A finding is stated under its broader label too, because zero-shot prompts use the label sets' words.
The output of a language model enters as `Prompted` instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from offclip.findings import BROADER, NO_ACUTE_FINDING, NO_FINDING
from offclip.mentions import Mention, mentions

_STOP = re.compile(r"\.(?:\s+|$)")


@dataclass(frozen=True)
class Prompted:
    """The prompted form of one report.

    ``by_sentence`` holds one text per dictated sentence ("" where it has none); ``free`` holds clauses that
    belong to the report as a whole, which is how a language model answers.
    """

    by_sentence: list[str]
    free: list[str] = field(default_factory=list)


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

    >>> prompt_sentence("Left rib fracture without pneumothorax")
    'There is bone fracture in the left ribs. There is fracture in the left ribs. There is no pneumothorax.'
    """
    return " ".join(_prompt([mentions(sentence)])[0])


def prompt_report(sentences: Sequence[str]) -> list[str]:
    """Every sentence of one report in prompted form, read in the report's context.

    "No acute disease" in a report that affirms nothing means a normal image and becomes "There is no finding."; in a
    report that affirms a finding it stays "There is no acute finding.", as a writer who has read the whole
    report would put it.
    """
    per_sentence = [mentions(sentence) for sentence in sentences]
    affirms = any(not mention.denied for found in per_sentence for mention in found)
    prompted = []
    for texts in _prompt(per_sentence):
        if not affirms:
            texts = [text.replace(f"There is no {NO_ACUTE_FINDING}.", f"There is no {NO_FINDING}.") for text in texts]
        prompted.append(" ".join(dict.fromkeys(texts)))
    return prompted


def prompt_by_rules(sentences: Sequence[str]) -> Prompted:
    """`prompt_report` as the prompter of a `CaptionPipeline`."""
    return Prompted(prompt_report(sentences))


def _prompt(per_sentence: Sequence[Sequence[Mention]]) -> list[list[str]]:
    """The clauses of each sentence of one report.

    An affirmed finding is stated by its name and under its nearest broader label, at the same place. Denials do not
    generalise (no edema is not no opacity), what the report denies is not stated as a broader label ("atelectasis,
    otherwise clear lungs"), and a broader clause is stated once a report, so that it outweighs none of its findings.
    """
    denied = {mention.finding for found in per_sentence for mention in found if mention.denied}
    stated = {clause(mention) for found in per_sentence for mention in found}
    prompted = []
    for found in per_sentence:
        texts = []
        for mention in found:
            texts.append(clause(mention))
            label = BROADER.get(mention.finding)
            if label is None or mention.denied or label in denied:
                continue
            broader = clause(replace(mention, finding=label))
            if broader not in stated:
                stated.add(broader)
                texts.append(broader)
        prompted.append(texts)
    return prompted
