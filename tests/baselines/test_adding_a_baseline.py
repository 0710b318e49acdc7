"""The guide's own examples, in a copy of the project: new files, lines of params.yaml, nothing else touched."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repository import REPOSITORY

GUIDE = (REPOSITORY / "docs" / "adding-a-baseline.md").read_text()
CODE = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)


def project(folder: Path, *names: str) -> None:
    """Copy the three packages, compiled as they are, and put the guide's lines for some systems into params.yaml."""
    for package in ("baselines", "benchmark", "offclip"):
        shutil.copytree(REPOSITORY / package, folder / package)
    shutil.copy(REPOSITORY / "dvc.yaml", folder)
    params = (REPOSITORY / "params.yaml").read_text()
    for name in names:
        line = re.search(rf"^  {name}: \{{.*\}}$", GUIDE, re.MULTILINE)
        assert line is not None
        params = params.replace("\nsystems:\n", f"\nsystems:\n{line[0]}\n")
    compare = re.findall(r"^compare: .*$", GUIDE, re.MULTILINE)["own" in names]
    (folder / "params.yaml").write_text(re.sub(r"^compare: .*$", compare, params, flags=re.MULTILINE))


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_guides_example_is_found_built_and_keeps_the_contract(tmp_path: Path) -> None:
    project(tmp_path, "mine")
    (tmp_path / "baselines/mine.py").write_text(CODE[0])
    done = run(tmp_path, "-m", "benchmark", "check-baseline", "mine")
    assert done.returncode == 0, done.stderr
    assert "mine meets the contract." in done.stderr


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with the model of its own encoders and a released file of it, of random weights."""
    folder = tmp_path_factory.mktemp("own")
    project(folder, "own", "own_released")
    (folder / "baselines/options/own.py").write_text(CODE[1])
    (folder / "baselines/own.py").write_text(CODE[2])
    release = (
        "import torch; from safetensors.torch import save_file; from baselines.base import load; "
        "torch.manual_seed(7); save_file(load('own', {}).state_dict(), 'own.safetensors')"
    )
    done = run(folder, "-c", release)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", ["own", "own_released"])
def test_the_model_with_its_own_encoders_keeps_the_contract(own: Path, name: str) -> None:
    done = run(own, "-m", "benchmark", "check-baseline", name)
    assert done.returncode == 0, done.stderr
    assert f"{name} meets the contract." in done.stderr


def test_its_released_weights_are_those_of_the_file_and_are_restored_without_it(own: Path) -> None:
    program = (
        "import torch; from safetensors.torch import load_file; from baselines import base; "
        "model = base.load('own', {}, {'checkpoint': 'own.safetensors'}); base.save(model, 'saved.safetensors'); "
        "import os; os.rename('own.safetensors', 'away'); restored = base.restore('saved.safetensors'); "
        "os.rename('away', 'own.safetensors'); file = load_file('own.safetensors'); "
        "assert all(torch.equal(file[k], v) for k, v in restored.state_dict().items())"
    )
    done = run(own, "-c", program)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("{}", ""),
        ("{dims: 3}", "`systems.own.model_options.dims` does not exist; did you mean 'dim'?"),
        ("{patch: 0}", "`systems.own.model_options.patch` must be int (at least 1 and at most 65536), found 0."),
        ("{temperature: hot}", "`systems.own.model_options.temperature` must be float (above 0), found 'hot'."),
    ],
)
def test_its_options_are_checked_by_the_plan(own: Path, tmp_path: Path, given: str, sentence: str) -> None:
    shutil.copytree(own, tmp_path, dirs_exist_ok=True)
    params = (tmp_path / "params.yaml").read_text()
    changed = params.replace("model_options: {dim: 32, max_tokens: 20}", f"model_options: {given}")
    assert changed != params
    (tmp_path / "params.yaml").write_text(changed)
    done = run(tmp_path, "-m", "benchmark", "plan")
    assert done.returncode == (2 if sentence else 0), done.stderr
    assert sentence in done.stderr
