"""Prompts as data: every score column of a dataset and the sentences it is the mean similarity of.

``prompts.yaml`` beside this file holds the wording (CARZero's and OFF-CLIP's "There is X"); this module resolves
it for a list of findings, hashes it, and folds sentence similarities into columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from pydantic import Field, ValidationError, field_validator

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.pipeline.settings import Strict

if TYPE_CHECKING:
    import numpy as np

    from baselines.base import Baseline

PATH = Path(__file__).with_name("prompts.yaml")


class PromptBook(Strict):
    """The whole of prompts.yaml."""

    normal: dict[str, list[str]] = Field(min_length=1)
    """Wording -> sentences; the first wording is the primary one."""
    abnormal: dict[str, list[str]] = Field(min_length=1)
    template: str
    """Sentence with one ``{}`` for a finding's words."""
    findings: dict[str, dict[str, str]]
    """Dataset -> finding -> words, where they differ from the finding's name in lower case."""

    @field_validator("normal", "abnormal")
    @classmethod
    def _sentences_exist(cls, wordings: dict[str, list[str]]) -> dict[str, list[str]]:
        for wording, sentences in wordings.items():
            if not sentences or not all(sentence.strip() for sentence in sentences):
                raise ValueError(f"wording '{wording}' needs at least one sentence and no empty one")
        return wordings

    @field_validator("template")
    @classmethod
    def _one_hole(cls, template: str) -> str:
        if template.count("{}") != 1:
            raise ValueError(f"the template needs exactly one {{}}, found '{template}'")
        return template


@dataclass(frozen=True)
class Prompt:
    """One score column, e.g. ``finding:Edema``, and the sentences whose pooled similarity fills it."""

    column: str
    sentences: tuple[str, ...]
    pooling: str = "mean"
    """``mean``, or ``max`` where a model's own sentences are published with it."""


def load(path: Path = PATH) -> PromptBook:
    """Read prompts.yaml.

    Raises:
        UserError: it is no YAML, a key is unknown, a wording is empty or the template has no single ``{}``.
    """
    try:
        return PromptBook.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); restore it from the repository.") from None
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise UserError(f"{path}: `{where}`: {problem['msg'].removeprefix('Value error, ')}.") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from None


def finding_sentence(book: PromptBook, dataset: str, finding: str) -> str:
    """The sentence that asks for ``finding`` in ``dataset``, e.g. "There is pleural effusion"."""
    return book.template.format(book.findings.get(dataset, {}).get(finding, finding.lower()))


def resolve(book: PromptBook, dataset: str, findings: Sequence[str], *, primary_only: bool = False) -> list[Prompt]:
    """Every score column of ``dataset``: findings in their order, then the normal and the abnormal wordings.

    Args:
        book: prompts.yaml.
        dataset: a name of ``layout.DATASETS``; others fall back on the template.
        findings: the dataset's vocabulary without its normal class.
        primary_only: keep the first normal and the first abnormal wording only (the budget curve needs no more).
    """
    prompts = [Prompt(f"finding:{name}", (finding_sentence(book, dataset, name),)) for name in findings]
    for kind, wordings in (("normal", book.normal), ("abnormal", book.abnormal)):
        for wording, sentences in list(wordings.items())[: 1 if primary_only else None]:
            prompts.append(Prompt(f"{kind}:{wording}", tuple(sentences)))
    return prompts


def in_words_of(prompts: Sequence[Prompt], model: Baseline) -> list[Prompt]:
    """The same columns; what ``model`` has sentences of its own for is asked for in those."""
    spoken = []
    for prompt in prompts:
        own = model.sentences(prompt.column.removeprefix("finding:"), prompt.sentences)
        if prompt.column.startswith("finding:") and own != prompt.sentences:
            prompt = Prompt(prompt.column, own, model.own_pooling)
        spoken.append(prompt)
    return spoken


def sentences_of(prompts: Sequence[Prompt]) -> list[str]:
    """The distinct sentences of ``prompts`` in order of first use: each is encoded and compared once."""
    return list(dict.fromkeys(sentence for prompt in prompts for sentence in prompt.sentences))


def fold(similarities: np.ndarray, prompts: Sequence[Prompt]) -> dict[str, np.ndarray]:
    """Sentence similarities -> score columns.

    Args:
        similarities: float32 (images, sentences), columns in the order of ``sentences_of(prompts)``.
        prompts: the columns wanted.

    Returns:
        Column name -> float32 (images,): the similarity itself, or the mean (or maximum) over several sentences.
    """
    place = {sentence: i for i, sentence in enumerate(sentences_of(prompts))}
    columns = {}
    for prompt in prompts:
        chosen = similarities[:, [place[sentence] for sentence in prompt.sentences]]
        pooled = chosen.max(axis=1) if prompt.pooling == "max" else chosen.mean(axis=1, dtype="float64")
        columns[prompt.column] = pooled.astype("float32")
    return columns


def digest(prompts_by_dataset: dict[str, list[Prompt]]) -> str:
    """SHA-256 over every dataset's columns and sentences: equal hashes, comparable rows."""
    return files.sha256_json(
        {
            dataset: [[prompt.column, *prompt.sentences] for prompt in prompts]
            for dataset, prompts in prompts_by_dataset.items()
        }
    )
