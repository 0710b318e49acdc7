"""Which findings a sentence affirms or denies, and where: vocabulary plus negation scopes.

Negation follows NegEx (Chapman et al., J Biomed Inform 2001): a trigger before ("no", "without", "free of") or after
("is not seen", "has resolved") a finding denies it up to a word that ends the scope ("but", "with", ";"); phrases that
only look like triggers ("no change", "cannot exclude") are blanked first. Statements that a structure is normal
("heart size is normal") deny the finding they rule out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from offclip.findings import BONE_FINDINGS, BONE_ZONES, FINDINGS, GLOBAL_STATEMENTS, NORMAL_STATEMENTS, SIDES, ZONES

_PSEUDO = re.compile(
    r"\b(?:no|without|not)(?: \w+){0,2} (?:change[sd]?|increase|decrease|improvement|progression|worsening)\b"
    r"|\b(?:cannot|can not|not|difficult to)(?: be)?(?: entirely| completely)? (?:excluded?|ruled? out)\b"
    r"|\bnot (?:only|as well|well seen|well visualized|significantly changed|optimal\w*)\b"
)
_BEFORE = re.compile(
    r"\b(?:no|not|without|nor|neither|negative for|(?:free|clear|absence|lack|resolution|clearing) of|resolved|never)\b"
)
_AFTER = re.compile(
    r"\b(?:(?:not|no longer) (?:\w+ )?(?:seen|identified|present|visuali[sz]ed|evident|demonstrated|noted|appreciated)"
    r"|(?:has|have) (?:\w+ )?(?:resolved|cleared)|(?:is|are) absent|(?:been|is|are) (?:ruled out|excluded))\b"
)
_QUALIFIED = r"(?:there|mild|moderate|severe|minimal|small|stable|unchanged|chronic|old|a|an|the|increased|persistent)"
_END = re.compile(
    r";|:|\b(?:but|however|although|though|except|aside from|apart from|other than|which|with|yet|while|otherwise)\b"
    rf"|, (?:and )?(?={_QUALIFIED}\b)|\band (?={_QUALIFIED}\b)"
)
_HYPOTHETICAL = re.compile(
    r"\b(?:rule out|(?:to|would|help) exclude|history of|(?:evaluat\w+|assess\w*|workup|follow ?up) (?:for|of)"
    r"|correlat\w+ (?:for|with))(?: \w+){0,4} ?$"
)
_PART = re.compile(
    r"\b(?:bones?|bony|oss\w+s|ribs?|skelet\w+|spine|soft tissues?|abdomen|mediastin\w+|airways?|hil\w+)\b"
)
_WHOLE = re.compile(r"cardio ?|chest|thora|pulmon|lung")
_CLAUSE_STOP = re.compile(r"[,;]| with | and there | and mild | as well as | versus | vs ")


@dataclass(frozen=True)
class Mention:
    """One finding in a sentence: its canonical name and a place such as "in the left lower lobe" ("" = not named)."""

    finding: str
    denied: bool
    where: str = ""


def plain(sentence: str) -> str:
    """Lower case, hyphens and slashes as spaces, single spaces: the text the vocabulary is matched on."""
    return " ".join(re.sub(r"[-/()]", " ", sentence.lower()).split())


def mentions(sentence: str) -> tuple[Mention, ...]:
    """Findings that a sentence affirms or denies, in reading order, each once.

    Of overlapping wordings the longest counts ("calcified granuloma", not "granuloma" and "calcified"). A finding
    affirmed in one place and denied in another counts as affirmed. Hypothetical findings ("to exclude pneumonia")
    are left out; uncertain ones ("may represent pneumonia") are affirmed.
    """
    return _mentions(plain(sentence))


@lru_cache(maxsize=2**18)  # a few stock sentences make up most of any corpus of reports
def _mentions(text: str) -> tuple[Mention, ...]:
    spans = _finding_spans(text)
    denied = _denied_ranges(text)
    found: dict[str, tuple[int, Mention]] = {}

    def note(start: int, mention: Mention) -> None:
        earlier = found.get(mention.finding)
        if earlier is None or (earlier[1].denied and not mention.denied):
            found[mention.finding] = (start, mention)

    for start, end, finding in spans:
        if _HYPOTHETICAL.search(text[:start]):
            continue
        inside = _BEFORE.search(_PSEUDO.sub(_blank, text[start:end])) is not None
        is_denied = inside or any(low <= start < high for low, high in denied)
        note(start, Mention(finding, is_denied, _where(text, (start, end, finding), spans)))
    for finding, pattern in NORMAL_STATEMENTS.items():
        for match in pattern.finditer(text):
            note(match.start(), Mention(finding, True))
    for finding, pattern in GLOBAL_STATEMENTS.items():
        for match in pattern.finditer(text):
            of_a_part = _PART.search(text[: match.start()]) and not _WHOLE.search(match.group())
            if not of_a_part:  # "the bones are intact without acute abnormality" speaks of the bones
                note(match.start(), Mention(finding, True))
    return tuple(mention for _, mention in sorted(found.values(), key=lambda item: item[0]))


def _blank(match: re.Match[str]) -> str:
    return "_" * len(match.group())


def _finding_spans(text: str) -> list[tuple[int, int, str]]:
    """(start, end, finding) of the wordings in a text, the longest first served, in reading order."""
    hits = [
        (match.start(), match.end(), name) for name, pattern in FINDINGS.items() for match in pattern.finditer(text)
    ]
    chosen: list[tuple[int, int, str]] = []
    for start, end, name in sorted(hits, key=lambda hit: (hit[0] - hit[1], hit[0])):
        if all(end <= low or start >= high for low, high, _ in chosen):
            chosen.append((start, end, name))
    return sorted(chosen)


def _denied_ranges(text: str) -> list[tuple[int, int]]:
    """Character ranges of a text in which a finding is denied."""
    text = _PSEUDO.sub(_blank, text)
    ends = [match.start() for match in _END.finditer(text)]
    forward = [
        (trigger.end(), min((end for end in ends if end >= trigger.end()), default=len(text)))
        for trigger in _BEFORE.finditer(text)
    ]
    backward = [
        (max((end for end in ends if end < trigger.start()), default=0), trigger.start())
        for trigger in _AFTER.finditer(text)
    ]
    return forward + backward


def _where(text: str, span: tuple[int, int, str], spans: list[tuple[int, int, str]]) -> str:
    """The place named nearest to a wording within its own clause, as a phrase."""
    start, end, finding = span
    low, high = 0, len(text)
    for stop in _CLAUSE_STOP.finditer(text):
        if stop.end() <= start:
            low = stop.end()
        elif stop.start() >= end:
            high = stop.start()
            break
    others = [span for span in spans if span[0] != start]

    def nearest(table: dict[str, re.Pattern[str]]) -> str:
        best: tuple[int, str] | None = None
        for name, pattern in table.items():
            for match in pattern.finditer(text, low, high):
                gap = max(match.start() - end, start - match.end(), 0)
                between = (min(end, match.end()), max(start, match.start()))
                if any(between[0] <= other[0] and other[1] <= between[1] for other in others):
                    gap += 1000
                if best is None or gap < best[0]:
                    best = (gap, name)
        return best[1] if best else ""

    in_bone = finding in BONE_FINDINGS
    zones = {name: pattern for name, pattern in ZONES.items() if in_bone or name not in BONE_ZONES}
    return place(nearest(SIDES), nearest(zones))


def place(side: str, zone: str) -> str:
    """Phrase for a side and a zone: ``place("left", "lower lobe")`` is "in the left lower lobe"."""
    if zone in ("lung base", "lung apex"):
        if side == "both":
            return f"at both {'lung bases' if zone == 'lung base' else 'lung apices'}"
        return f"at the {side + ' ' if side else ''}{zone}"
    if zone in ("spine", "thoracic spine", "lingula", "retrocardiac region"):
        return f"in the {zone}"
    if zone == "hilum" and side == "both":
        return "in both hila"
    if zone:
        return f"in both {zone.rstrip('s')}s" if side == "both" else f"in the {side + ' ' if side else ''}{zone}"
    return {"": "", "both": "on both sides"}.get(side, f"on the {side}")
