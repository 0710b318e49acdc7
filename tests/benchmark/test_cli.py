"""The command line: every stage of dvc.yaml is a command, and user mistakes are sentences."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import yaml

from benchmark import cli

REPOSITORY = Path(__file__).parents[2]


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
