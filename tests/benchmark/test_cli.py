"""The command line: every stage of dvc.yaml is a command, and user mistakes are sentences."""

from __future__ import annotations

import importlib
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import yaml

from benchmark import cli
from tests.repository import REPOSITORY


def die() -> None:
    """As a worker does where memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_points_at_a_function_and_explains_itself(name, capsys):
    module, function = cli.COMMANDS[name].target.split(":")
    assert callable(getattr(importlib.import_module(module), function))
    with pytest.raises(SystemExit) as stop:
        cli.main([name, "--help"])
    assert stop.value.code == 0
    assert cli.COMMANDS[name].help.split()[0] in capsys.readouterr().out


def test_every_dvc_stage_is_a_command():
    stages = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]
    for stage in stages.values():
        assert stage["cmd"].split()[3] in cli.COMMANDS


def test_a_user_mistake_is_one_sentence_and_status_two(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["plan"]) == 2
    assert "params.yaml was not found" in capsys.readouterr().err


def test_the_overview_lists_every_stage_in_the_order_of_the_pipeline_then_the_tools(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([])
    printed = capsys.readouterr().out
    assert stop.value.code == 0
    places = [printed.index(f"\n  {name} ") for name in cli.COMMANDS]
    assert places == sorted(places)
    stages = list(yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"])
    assert [name for name in stages if not name.endswith(("_scratch", "_ablation"))] == list(cli.STAGES)


def test_a_misspelt_command_or_system_is_answered_with_the_nearest(tmp_path, monkeypatch, capsys):
    assert cli.main(["mesure"]) == 2
    assert "There is no command 'mesure'; did you mean 'measure'?" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan/offclip.json").touch()
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", "--system", "ofclip", "--seed", "0"])
    assert stop.value.code == 2
    assert "did you mean 'offclip'?" in capsys.readouterr().err


def test_ctrl_c_ends_without_a_traceback(monkeypatch, capsys):
    def interrupted(**_) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmark.planning.plan.run", interrupted)
    assert cli.main(["plan"]) == cli.INTERRUPTED
    assert capsys.readouterr().err == "interrupted; what was finished is kept\n"


def test_a_worker_that_the_kernel_killed_is_a_sentence(monkeypatch, capsys):
    def out_of_memory(**_):
        with ProcessPoolExecutor(1) as pool:
            pool.submit(os.kill, os.getpid(), 0).result()  # the pool works
            pool.submit(die).result()

    monkeypatch.setattr("benchmark.planning.plan.run", out_of_memory)
    assert cli.main(["plan"]) == 2
    assert "a worker process was killed" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error(reported):
    """`python -m benchmark summary | head -0`: the reader is gone before anything is written."""
    command = [sys.executable, "-c", "import sys; sys.stdin.read(); from benchmark.cli import main; main(['summary'])"]
    pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, **pipes) as running:
        running.stdout.close()
        running.stdin.close()
        assert running.stderr.read() == b""


@pytest.mark.parametrize(
    "arguments",
    [
        ["ui", "--port", "70000"],
        ["ui", "--port", "x"],
        ["coverage", "--simulations", "0"],
        ["train", "--system", "clip", "--seed", "0", "--max-minutes", "nan"],
        ["train", "--system", "clip", "--seed", "0", "--max-minutes", "-1"],
    ],
)
def test_a_number_out_of_range_is_refused(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert f"expected a number of at least {'0.0' if 'train' in arguments else 1}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [["pretrain", "--seed", "0"], ["captions"], ["probe"], ["measure"], ["report"], ["track"]]
)
def test_a_stage_whose_input_was_not_made_yet_says_what_to_run(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((REPOSITORY / "params.yaml").read_text())
    assert cli.main(command) == 2
    assert re.search(r"is missing; run `(dvc repro|python -m benchmark)", capsys.readouterr().err)


@pytest.mark.parametrize("way", [["data"], ["data/raw"], ["data/raw/padchest"], ["params.yaml"]])
def test_a_file_or_folder_in_the_way_is_a_sentence(way, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    release = tmp_path / "release"
    release.mkdir()
    profile = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    profile["datasets"]["padchest"]["root"] = str(release)
    Path("params.yaml").write_text(yaml.safe_dump(profile))
    for path in map(Path, way):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.name == "params.yaml":
            path.unlink()
            path.mkdir()
        else:
            path.write_text("in the way")
    status = cli.main(["raw", "padchest"])
    said = capsys.readouterr().err
    if way == ["data/raw/padchest"]:  # the stage's own output: replaced
        assert status == 0
    else:
        assert status == 2
        assert re.search("there is a file where a folder is expected|cannot be read", said)


@pytest.mark.parametrize(
    ("commands", "key"),
    [
        ([["raw", "padchest"]], "root"),
        ([["raw", "padchest"], ["index", "padchest"]], "grounding"),
        ([["doctor"]], "root"),
        ([["doctor"]], "grounding"),
    ],
)
def test_the_home_of_nobody_is_refused_in_a_sentence(commands, key, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    values = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    values["datasets"]["padchest"] |= {"root": str(tmp_path), key: "~nobody-of-that-name/x"}
    Path("params.yaml").write_text(yaml.safe_dump(values))
    *before, refused = commands
    assert [cli.main(command) for command in before] == [0] * len(before)
    assert cli.main(refused) in (1, 2)
    said = capsys.readouterr()
    assert "~nobody-of-that-name/x names the home of nobody" in re.sub(r"\s+", " ", said.out + said.err)


@pytest.mark.parametrize("place", ["/proc/nowhere", "params.yaml"])
def test_a_workspace_where_none_can_be_is_refused(place, monkeypatch, capsys):
    monkeypatch.chdir(REPOSITORY)
    assert cli.main(["workspace", place, "--profile", "smoke"]) == 2
    assert f"{place} cannot be made a folder" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"a,b\n1,2\n"])
def test_a_summary_of_a_spoilt_table_is_refused(content, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text((REPOSITORY / "params.yaml").read_text())
    Path("results").mkdir()
    Path("results/auc.csv").write_bytes(content)
    assert cli.main(["summary"]) == 2
    assert "results/auc.csv cannot be read" in capsys.readouterr().err
