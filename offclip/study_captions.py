"""What one report gives: sentences with verdicts, captions raw, prompted and filtered, what was dropped and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from offclip.prompting import clauses, is_denial

Reason = Literal["normal sentence of an abnormal report", "denial in an abnormal report", "finding in a normal report"]
_CLAUSE_REASON: dict[bool, Reason] = {True: "finding in a normal report", False: "denial in an abnormal report"}


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence as dictated, or a prompted clause that belongs to its report as a whole (then ``text`` is "")."""

    text: str
    prompted: str
    """One or more "There is (no) ..." clauses; "" where there is none."""
    abnormal_probability: float
    """P(abnormal), a float32 number."""
    normal: bool


@dataclass(frozen=True, slots=True)
class Dropped:
    """What the text filter took out of a report, and by which of its rules."""

    text: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class StudyCaptions:
    """What can be said of one study. A report without a sentence has no caption and no label."""

    sentences: tuple[Sentence, ...]
    is_normal: bool | None
    """The pair label: True when no sentence is abnormal; None where there is no sentence."""

    @property
    def raw(self) -> tuple[str, ...]:
        """Every sentence as dictated."""
        return tuple(sentence.text for sentence in self.sentences if sentence.text)

    @property
    def prompted(self) -> tuple[str, ...]:
        """Every "There is (no) ..." clause."""
        return tuple(clause for sentence in self.sentences for clause in clauses(sentence.prompted))

    @property
    def filtered(self) -> tuple[str, ...]:
        """The dictated sentences that the filter keeps: of an abnormal study the abnormal ones, else all."""
        return tuple(sentence.text for sentence in self.sentences if sentence.text and self._keeps(sentence))

    @property
    def filtered_prompted(self) -> tuple[str, ...]:
        """The clauses that the filter keeps; "cardiomegaly without effusion" says both, so they are judged apart."""
        return tuple(
            clause
            for sentence in self.sentences
            if self._keeps(sentence)
            for clause in clauses(sentence.prompted)
            if self._keeps_clause(sentence, clause)
        )

    @property
    def dropped(self) -> tuple[Dropped, ...]:
        """Sentences, and clauses of kept sentences, that the filtered forms lack, in the order of the report."""
        found: list[Dropped] = []
        for sentence in self.sentences:
            if not self._keeps(sentence):
                found.append(Dropped(sentence.text or sentence.prompted, "normal sentence of an abnormal report"))
                continue
            lost = [clause for clause in clauses(sentence.prompted) if not self._keeps_clause(sentence, clause)]
            found += [Dropped(clause, _CLAUSE_REASON[bool(self.is_normal)]) for clause in lost]
        return tuple(found)

    def _keeps(self, sentence: Sentence) -> bool:
        return bool(self.is_normal) or not sentence.normal

    def _keeps_clause(self, sentence: Sentence, clause: str) -> bool:
        return not sentence.text or is_denial(clause) == self.is_normal
