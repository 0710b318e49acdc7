"""Rules, table and endpoint: the endpoint is tried against a real HTTP server on this machine."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from benchmark.captions.prompters import KEY_VARIABLE, EndpointPrompter, RulePrompter, TablePrompter, prompter
from benchmark.common.errors import UserError
from benchmark.pipeline.settings import CaptionSettings, EndpointSettings

REPORTS = [["Stable cardiomegaly", "No effusion"], ["Normal chest"]]


class ChatServer(HTTPServer):
    """Answers chat completions; `status` holds the codes of the next responses, 200 when it is empty."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ChatHandler)
        self.status: list[int] = []
        self.questions: list[dict] = []
        self.authorization: list[str | None] = []
        self.content: str | None = "Sure:\n1. There is cardiomegaly.\n- There is no pleural effusion\nAnything else?"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class ChatHandler(BaseHTTPRequestHandler):
    server: ChatServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.questions.append({"path": self.path, **json.loads(body)})
        self.server.authorization.append(self.headers.get("Authorization"))
        status = self.server.status.pop(0) if self.server.status else 200
        answer = {"choices": [{"message": {"content": self.server.content}}]} if self.server.content else {}
        self.send_response(status)
        if status == 307:
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *arguments: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer() as chat:
        thread = threading.Thread(target=chat.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield chat
        chat.shutdown()
        thread.join()


@pytest.fixture
def endpoint(server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EndpointPrompter:
    monkeypatch.setattr(EndpointPrompter, "first_wait_seconds", 0.01)
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    return EndpointPrompter(EndpointSettings(url=server.url, model="local"), False, tmp_path / "answers")


def test_rules_prompt_sentence_by_sentence() -> None:
    first, second = RulePrompter()(["a", "b"], REPORTS)
    assert first.by_sentence == [
        "There is cardiomegaly. There is enlarged cardiomediastinum.",
        "There is no pleural effusion.",
    ]
    assert second.by_sentence == ["There is no finding."]
    assert first.free == second.free == []


def test_a_table_gives_clauses_of_the_whole_report(tmp_path: Path) -> None:
    path = tmp_path / "llm.csv"
    path.write_text('study_id,prompted\na,"There is cardiomegaly. There is no edema."\na,There is a 3.5 cm mass.\n')
    first, second = TablePrompter(path)(["a", "b"], REPORTS)
    assert first.by_sentence == ["", ""]
    assert first.free == ["There is cardiomegaly.", "There is no edema.", "There is a 3.5 cm mass."]
    assert second.free == []


@pytest.mark.parametrize(
    ("rows", "covered"),
    [("a,There is edema.\n", 1), ('a,"There is edema.\nb,There is no edema.\n', 1), ("b,There is edema.\na,x\n", 2)],
)
def test_a_table_says_how_many_studies_it_covers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: str, covered: int
) -> None:
    path = tmp_path / "llm.csv"
    path.write_text("study_id,prompted\n" + rows)
    list(TablePrompter(path)(["a", "b"], REPORTS))
    assert f"{path} holds prompted sentences of {covered} of 2 studies" in capsys.readouterr().err


def test_a_wrong_table_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="was not found"):
        TablePrompter(tmp_path / "none.csv")
    path = tmp_path / "llm.csv"
    path.write_text("study,prompt\n")
    with pytest.raises(UserError, match="study_id and prompted, but its first row lacks prompted and study_id"):
        TablePrompter(path)
    path.write_text("study_id,prompted\nx,There is edema.\n")
    with pytest.raises(UserError, match="column study_id"):
        list(TablePrompter(path)(["a"], REPORTS[:1]))


def test_an_endpoint_is_asked_once_per_report(endpoint: EndpointPrompter, server: ChatServer) -> None:
    first, again = endpoint(["a", "b"], [REPORTS[0], REPORTS[0]])
    assert first.free == ["There is cardiomegaly.", "There is no pleural effusion."]
    assert again == first
    (question,) = server.questions
    assert question["path"] == "/v1/chat/completions"
    assert question["model"] == "local"
    assert question["temperature"] == 0
    assert question["messages"][1] == {"role": "user", "content": "Stable cardiomegaly. No effusion"}
    assert server.authorization == [None]


def test_a_key_in_the_environment_is_sent(
    endpoint: EndpointPrompter, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "secret")
    endpoint.answer("Edema")
    assert server.authorization == ["Bearer secret"]
    assert not any("secret" in path.read_text() for path in endpoint.answers.iterdir())


def test_a_busy_server_is_asked_again(endpoint: EndpointPrompter, server: ChatServer) -> None:
    server.status = [503, 429]
    assert endpoint.answer("Edema").startswith("Sure")
    assert len(server.questions) == 3


@pytest.mark.parametrize(("status", "attempts"), [([503] * 9, 4), ([401], 1), ([307], 1)])
def test_a_server_that_refuses_is_one_sentence(
    endpoint: EndpointPrompter, server: ChatServer, status: list[int], attempts: int
) -> None:
    server.status = list(status)
    with pytest.raises(UserError, match=rf"status {status[0]} after {attempts} attempt"):
        endpoint.answer("Edema")
    assert len(server.questions) == attempts
    assert not endpoint.answers.exists()


def test_an_answer_of_another_shape_is_one_sentence(endpoint: EndpointPrompter, server: ChatServer) -> None:
    server.content = None
    with pytest.raises(UserError, match=r"choices\[0\].message.content"):
        endpoint.answer("Edema")


def test_no_server_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EndpointPrompter, "first_wait_seconds", 0.01)
    silent = EndpointPrompter(EndpointSettings(url="http://127.0.0.1:9", model="m"), False, tmp_path)
    with pytest.raises(UserError, match="start the server"):
        silent.answer("Edema")


def test_credentialed_text_stays_here_unless_allowed(tmp_path: Path) -> None:
    remote = EndpointSettings(url="https://example.org/v1", model="m")
    with pytest.raises(UserError, match="credentialed"):
        EndpointPrompter(remote, credentialed=True, answers=tmp_path)
    allowed = remote.model_copy(update={"allow_remote_text": True})
    assert EndpointPrompter(allowed, credentialed=True, answers=tmp_path).settings.allow_remote_text
    with pytest.raises(UserError, match="http"):
        EndpointPrompter(EndpointSettings(url="file:///etc", model="m"), False, tmp_path)


def test_params_name_the_backend() -> None:
    assert isinstance(prompter(CaptionSettings(), credentialed=True), RulePrompter)
    with pytest.raises(UserError, match=r"captions\.table"):
        prompter(CaptionSettings(prompting="table"), False)
    with pytest.raises(UserError, match=r"captions\.endpoint"):
        prompter(CaptionSettings(prompting="endpoint"), False)
    settings = CaptionSettings(prompting="endpoint", endpoint=EndpointSettings(url="http://localhost:1", model="m"))
    assert isinstance(prompter(settings, False), EndpointPrompter)


def test_a_table_that_a_spreadsheet_exported_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "prompted.csv").write_text("\ufeffstudy_id,prompted\n5,There is a mass.\n", encoding="utf-8")
    assert [p.free for p in TablePrompter(tmp_path / "prompted.csv")(["5"], [["Mass"]])] == [["There is a mass."]]


def test_a_folder_where_the_table_is_expected_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be read as CSV in UTF-8 \(it is not a regular file"):
        TablePrompter(tmp_path)
