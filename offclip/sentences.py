"""Radiology report -> sentences, and the text cleaning of the published releases.

Two splitters with two purposes. `split_sentences` keeps what a radiologist dictated ("3.5 cm", "Dr. Li", "XXXX",
numbered impressions) and feeds the filter; `published_cleaning` reproduces what CARZero and OFF-CLIP do to a
prompt before tokenising it, quirks included, for parity with their checkpoints.
"""

from __future__ import annotations

import hashlib
import itertools
import re

FINDINGS_SECTIONS = ("findings", "finding", "findings and impression", "impression and findings")
IMPRESSION_SECTIONS = ("impression", "impressions", "conclusion", "conclusions")
OTHER_SECTIONS = (
    *("examination", "exam", "study", "procedure", "technique", "views", "comparison", "comparisons", "indication"),
    *(
        "indications",
        "reason for exam",
        "reason for examination",
        "clinical information",
        "clinical history",
        "history",
    ),
    *("notification", "recommendation", "recommendations", "addendum", "dose", "date", "type of examination", "note"),
)
"""Headings under which something else than the image is described."""
COMPARISONS = ("comparison", "comparisons")
PREAMBLE = ("", "final report", "wet read")
ABBREVIATIONS = frozenset(
    ("dr", "mr", "mrs", "ms", "vs", "e.g", "i.e", "approx", "cf", "al", "st", "a.m", "p.m", "fig", "no")
)
"""Words after which a full stop does not end a sentence ("no" alone is one only before a digit: "No. 3")."""

_KNOWN = sorted((*FINDINGS_SECTIONS, *IMPRESSION_SECTIONS, *OTHER_SECTIONS, *PREAMBLE[1:]), key=len, reverse=True)
# A known name in capitals anywhere, in any case at the start of a line (inside a line "comparison: there is" is
# dictation), and at the start of a line anything in capitals ("PA AND LATERAL VIEWS OF THE CHEST:").
_HEADING = re.compile(
    rf"(?:\b(?:{'|'.join(_KNOWN).upper()})(?:\(S\))?|^[ \t]*(?i:{'|'.join(_KNOWN)})"
    r"|^[ \t]*[A-Z][A-Z ,/&()-]{3,60})[ \t]*:",
    re.MULTILINE,
)
_EARLIER = re.compile(
    r"___|XXXX|^\W*$|\b(?:none|no (?:prior|previous|comparison)|not available|unavailable|"
    r"(?:prior|previous|earlier|recent) \w*\s?(?:radiograph|film|stud|exam|image|x-?ray|ct)|dated|"
    r"chest x-?rays? (?:of|from))",
    re.IGNORECASE,
)
"""A sentence that says which earlier study is compared with."""
_STOP = re.compile(
    r"(?<!\d)[.!?]+(?=\s|$)"  # the end of a sentence that does not end in a digit
    r"|(?<=\d)[.!?]+(?=\s+[A-Z]|\s*$)"  # after a digit a capital must follow: "measures 3. 5 cm" goes on
    r"|(?<=[a-z])\.(?=[A-Z][a-z])"  # a forgotten space: "clear.Heart"
    r"|\s(?=(?P<number>\d{1,2})[.)]\s+[A-Z])"  # before the next number of a list
)
_NUMBER = re.compile(r"^\s*\(?(\d{1,2})\s*[.):]\)?\s+|^\s*[-*•]+\s+")
_WORD = re.compile(r"[a-z0-9]+(?:\.[0-9]+)?")


def report_body(report: str) -> str:
    """Return the part of a report that describes the image, in the order of the report.

    That is what stands under FINDINGS, under headings of no other known meaning ("PORTABLE AP CHEST:"; MIMIC-CXR
    writes headings in capitals and a colon) and under IMPRESSION. Reports without either of the first two
    describe the image in paragraphs of their own: there, text before the first heading and every paragraph but the
    first under a heading such as COMPARISON counts as description. Where that leaves nothing, the description follows
    "COMPARISON: ___." without a blank line: it begins with the first sentence that speaks of no earlier study.
    """
    parts: list[tuple[str, str]] = []
    compared: list[str] = []
    start, section = 0, ""
    for heading in [*_HEADING.finditer(report), None]:
        text = report[start : heading.start() if heading else len(report)].strip()
        if section in IMPRESSION_SECTIONS:
            parts.append(("impression", text))
        elif section in PREAMBLE:
            parts.append(("paragraph", text))
        elif section in OTHER_SECTIONS:
            compared += [text] if section in COMPARISONS else []
            parts += [("paragraph", paragraph) for paragraph in re.split(r"\n\s*\n", text)[1:]]
        else:
            parts.append(("findings", text))
        if heading:
            start, section = heading.end(), heading.group().strip(" \t:").removesuffix("(S)").lower()
    described = "findings" if any(kind == "findings" and text for kind, text in parts) else "paragraph"
    body = "\n".join(text for kind, text in parts if kind in (described, "impression") and text)
    return body or "\n".join(filter(None, map(_after_comparison, compared)))


def _after_comparison(text: str) -> str:
    """The sentences after those that name what was compared with."""
    described = itertools.dropwhile(_EARLIER.search, re.split(r"(?<=\.)\s+", text))
    return " ".join(" ".join(described).split())


def report_sentences(report: str) -> list[str]:
    """The sentences that describe the image: `split_sentences` of the `report_body`."""
    return split_sentences(report_body(report))


def split_sentences(text: str) -> list[str]:
    """Split dictated text into sentences, as dictated (case, numbers and "XXXX" untouched).

    Full stops inside decimals and after abbreviations do not end a sentence; list numbers and bullets are removed;
    a sentence needs at least one word of three letters that is not the de-identification mark "XXXX".

    Args:
        text: the body of a report (`report_body`); newlines are spaces.

    Returns:
        Non-empty sentences in order, without list number, trailing full stop or surplus white space.
    """
    text = " ".join(text.replace("\ufffd", " ").split())
    pieces: list[str] = []
    start, listed = 0, _list_number(text)
    for stop in _STOP.finditer(text):
        before, after = text[start : stop.start()], text[stop.end() :].lstrip()
        if number := stop["number"]:
            if int(number) != listed + 1 and before.strip():
                continue
        elif not before.strip() or before.strip().isdigit() or _goes_on(before, after):
            continue
        pieces.append(before)
        start = stop.end()
        listed = _list_number(text[start:]) or listed
    pieces.append(text[start:])
    sentences = (_NUMBER.sub("", piece).strip(" .;,-*•") for piece in pieces)
    return [sentence for sentence in sentences if _says_something(sentence)]


def _list_number(text: str) -> int:
    """The number that a text starts with as an item of a list ("2. Stable" is 2), 0 where it starts with none."""
    number = re.match(r"\s*\(?(\d{1,2})[.)]\s", text)
    return int(number[1]) if number else 0


def _goes_on(before: str, after: str) -> bool:
    """True when the full stop between these two texts belongs to an abbreviation or an initial."""
    last = before.rsplit(" ", 1)[-1].lower().lstrip("(")
    if last in ABBREVIATIONS:
        return last != "no" or after[:1].isdigit()
    return len(last) == 1 and last.isalpha() and after[:1].islower()


def _says_something(sentence: str) -> bool:
    return any(len(word) >= 3 and word.strip("x") for word in re.findall(r"[a-z]+", sentence.lower()))


def normalise(sentence: str) -> str:
    """Lower-case words and numbers joined by single spaces: two sentences that differ in layout alone become equal."""
    return " ".join(_WORD.findall(sentence.lower()))


def sentence_hash(sentence: str) -> str:
    """SHA-256 (hexadecimal) of the normalised sentence: names a sentence without repeating its text."""
    return hashlib.sha256(normalise(sentence).encode()).hexdigest()


def published_sentences(text: str) -> list[str]:
    """Split and clean a text exactly as the CARZero and OFF-CLIP releases do (their prompts and captions).

    Newlines become spaces; split at digits followed by a full stop, then at every full stop; pairs of U+FFFD become a
    space; lower case; words are runs of ``\\w``; sentences of at most one word are dropped; characters outside ASCII
    are deleted. Two consequences are kept on purpose: a one-word prompt vanishes ("COPD" -> nothing) and
    "3.5 cm" loses its "3.".
    """
    sentences = []
    for piece in re.split(r"[0-9]+\.", text.replace("\n", " ")):
        for sentence in piece.split("."):
            words = re.findall(r"\w+", sentence.replace("\ufffd\ufffd", " ").lower())
            if len(words) <= 1:
                continue
            ascii_words = [word.encode("ascii", "ignore").decode() for word in words]
            sentences.append(" ".join(word for word in ascii_words if word))
    return sentences


def published_cleaning(text: str) -> str:
    """The published sentences of a text joined by spaces: what the releases hand to the tokenizer."""
    return " ".join(published_sentences(text))
