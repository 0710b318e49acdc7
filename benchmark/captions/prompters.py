"""Where the prompted form of a report comes from: rules, somebody's table, or a language model's endpoint.

The paper lets GPT-4o rewrite reports into "There is (no) ..." sentences. `rules` does it offline; `table` takes the
output of any model as a CSV; `endpoint` asks an OpenAI-compatible server and keeps every answer on disk.
"""

from __future__ import annotations

import csv
import io
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from benchmark.common import bounded, files
from benchmark.common.errors import UserError
from benchmark.common.progress import say, with_progress
from benchmark.pipeline import layout
from benchmark.pipeline.settings import CaptionSettings, EndpointSettings
from offclip.prompting import Prompted, prompt_by_rules
from offclip.sentences import split_sentences

ANSWERS = Path("data/prompting")
"""Answers of the endpoint, one JSON file each; no output of the stage, so that a rerun asks nothing twice."""
KEY_VARIABLE = "OPENAI_API_KEY"
INSTRUCTION = (
    "Rewrite the chest radiograph report into short sentences, one per line. Each sentence has the form "
    "'There is <finding> <location>.' for something present or 'There is no <finding>.' for something denied. "
    "Mention every finding of the report once, add nothing, number nothing. For an entirely normal report write "
    "'There is no finding.'"
)


class Prompter(Protocol):
    """Turns reports into prompted form."""

    def __call__(self, study_ids: Sequence[str], reports: Sequence[Sequence[str]]) -> Iterator[Prompted]:
        """Yield the prompted form of each report, given as its sentences."""


class RulePrompter:
    """`offclip.prompting`: sentence by sentence, with the report as context."""

    def __call__(self, study_ids: Sequence[str], reports: Sequence[Sequence[str]]) -> Iterator[Prompted]:
        """Yield the prompted form of each report."""
        for sentences in reports:
            yield prompt_by_rules(sentences)


class TablePrompter:
    """A CSV with columns ``study_id`` and ``prompted``; several rows of one study are joined."""

    def __init__(self, path: Path) -> None:
        """Read the table.

        Raises:
            UserError: it is missing or unreadable, or lacks a column.
        """
        self._clauses: dict[str, list[str]] = {}
        self.path = path
        try:
            text = bounded.table(path).decode("utf-8-sig")  # spreadsheets write a byte order mark
            rows = csv.DictReader(io.StringIO(text, newline=""))
            if missing := sorted({"study_id", "prompted"} - set(rows.fieldnames or [])):
                # Not what is there instead: without its header line the table begins with a report.
                raise UserError(
                    f"{path}: expected the columns study_id and prompted, but its first row lacks "
                    f"{' and '.join(missing)}; add it."
                )
            for row in rows:
                self._clauses.setdefault(row["study_id"], []).extend(_clauses(row["prompted"] or ""))
        except FileNotFoundError:
            raise UserError(f"{path} (params.yaml: captions.table) was not found; name an existing CSV.") from None
        except (*bounded.UNREADABLE, csv.Error) as error:
            raise UserError(f"{path} cannot be read as CSV in UTF-8 ({error}); export it again.") from None

    def __call__(self, study_ids: Sequence[str], reports: Sequence[Sequence[str]]) -> Iterator[Prompted]:
        """Yield what the table holds, and say how much; a study that it lacks has no prompted form.

        Raises:
            UserError: the table holds none of the studies (the identifiers are probably of another kind).
        """
        covered = sum(study in self._clauses for study in study_ids)
        if study_ids and not covered:
            raise UserError(
                f"{self.path}: none of its study_id values occurs in the cohort; expected those of the column study_id "
                f"in {layout.cohort(layout.TRAINING_DATASET)}/index.parquet."
            )
        # An open quote swallows the rows behind it, and a table may be of another selection: the number shows either.
        say(f"captions: {self.path} holds prompted sentences of {covered} of {len(study_ids)} studies")
        for study, sentences in zip(study_ids, reports, strict=True):
            yield Prompted([""] * len(sentences), self._clauses.get(study, []))


class EndpointPrompter:
    """An OpenAI-compatible server (``<url>/chat/completions``), e.g. a local vLLM.

    Every answer is kept under the hash of (model, instruction, text): a report is sent once, and an interrupted stage
    resumes where it stopped. Redirects are refused: text goes to the configured address or nowhere.
    """

    timeout_seconds = 60.0
    attempts = 4
    first_wait_seconds = 1.0

    def __init__(self, settings: EndpointSettings, credentialed: bool, answers: Path = ANSWERS) -> None:
        """Check that the text may be sent.

        Raises:
            UserError: the reports are credentialed and ``allow_remote_text`` is not set, or the url is not http(s).
        """
        if credentialed and not settings.allow_remote_text:
            raise UserError(
                "captions.endpoint would send credentialed report text to "
                f"{settings.url}; use `prompting: rules`, or set allow_remote_text: true if the data use agreement "
                "permits that server."
            )
        if not settings.url.startswith(("http://", "https://")):
            raise UserError(f"captions.endpoint.url should start with http:// or https://, found '{settings.url}'.")
        self.settings = settings
        self.answers = answers
        self._open = urllib.request.build_opener(_RefuseRedirects()).open

    def __call__(self, study_ids: Sequence[str], reports: Sequence[Sequence[str]]) -> Iterator[Prompted]:
        """Yield the server's clauses for each report."""
        for sentences in with_progress(reports, "prompting by endpoint"):
            text = ". ".join(sentences)
            yield Prompted([""] * len(sentences), _clauses(self.answer(text)))

    def answer(self, text: str) -> str:
        """The server's answer to one report, from disk where it is known."""
        question = {
            "model": self.settings.model,
            "temperature": 0,
            "messages": [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": text}],
        }
        path = self.answers / f"{files.sha256_json(question)}.json"
        if path.is_file():
            return str(files.read_json(path)["answer"])
        answer = self._ask(json.dumps(question).encode())
        files.write_json(path, {"model": self.settings.model, "answer": answer})
        return answer

    def _ask(self, body: bytes) -> str:
        url = self.settings.url.rstrip("/") + "/chat/completions"
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(KEY_VARIABLE):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(url, data=body, headers=headers, method="POST")
        problem = ""
        for attempt in range(self.attempts):
            if attempt:
                time.sleep(self.first_wait_seconds * 2 ** (attempt - 1))
            try:
                with self._open(request, timeout=self.timeout_seconds) as response:
                    return str(json.load(response)["choices"][0]["message"]["content"])
            except urllib.error.HTTPError as error:
                problem = f"status {error.code}"
                if error.code < 500 and error.code not in (408, 429):
                    break
            except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
                problem = str(getattr(error, "reason", error))
            except (ValueError, LookupError, TypeError):
                problem = "an answer without choices[0].message.content"
                break
        raise UserError(
            f"{url} gave {problem} after {attempt + 1} attempt(s); start the server or set captions.prompting: rules. "
            f"Answers so far are kept in {self.answers}/."
        )


class _RefuseRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: object, **keywords: object) -> None:
        return None


def _clauses(text: str) -> list[str]:
    """The "There is (no) ..." sentences of a language model's text, without list numbers, bullets and asides."""
    sentences = [sentence for line in text.splitlines() for sentence in split_sentences(line)]
    return [f"{sentence}." for sentence in sentences if sentence.startswith(("There is ", "There are "))]


def prompter(settings: CaptionSettings, credentialed: bool) -> Prompter:
    """The backend that params.yaml names.

    Raises:
        UserError: the backend's own settings are missing.
    """
    if settings.prompting == "table":
        if settings.table is None:
            raise UserError("captions.prompting is `table`: set captions.table to a CSV with study_id and prompted.")
        return TablePrompter(Path(settings.table))
    if settings.prompting == "endpoint":
        if settings.endpoint is None:
            raise UserError("captions.prompting is `endpoint`: set captions.endpoint.url and captions.endpoint.model.")
        return EndpointPrompter(settings.endpoint, credentialed)
    return RulePrompter()
