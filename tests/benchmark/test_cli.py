"""The command line: every stage of dvc.yaml is a command, and user mistakes are sentences."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import yaml

from benchmark import cli

REPOSITORY = Path(__file__).parents[2]


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
    assert [name for name in stages if not name.endswith("_ablation")] == list(cli.STAGES)


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
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmark.plan.run", interrupted)
    assert cli.main(["plan"]) == cli.INTERRUPTED
    assert capsys.readouterr().err == "interrupted; what was finished is kept\n"


def test_a_worker_that_the_kernel_killed_is_a_sentence(monkeypatch, capsys):
    def out_of_memory(**_):
        with ProcessPoolExecutor(1) as pool:
            pool.submit(os.kill, os.getpid(), 0).result()  # the pool works
            pool.submit(die).result()

    monkeypatch.setattr("benchmark.plan.run", out_of_memory)
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
