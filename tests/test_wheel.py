"""What `pip install offclip` brings: one package, torch, and the README's example as it stands there."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import benchmark

REPOSITORY = Path(__file__).resolve().parents[1]
PACKED = ("offclip", "baselines", "benchmark", "examples", "tests")
MAKES_LITTER = shutil.ignore_patterns("__pycache__", "*.egg-info")


def run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the clone, so that building leaves nothing in the clone itself."""
    folder = tmp_path_factory.mktemp("wheel") / "clone"
    for name in PACKED:
        shutil.copytree(REPOSITORY / name, folder / name, ignore=MAKES_LITTER)
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(REPOSITORY / name, folder)
    return folder


@pytest.fixture(scope="module")
def wheel(clone: Path) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", clone.parent]
    run(*command, clone)
    (found,) = clone.parent.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def about(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def dependencies(package: str) -> set[str]:
    """A package and all that it requires here, by the packages' own metadata."""
    found, asked = set(), [package]
    while asked:
        name = re.sub(r"[-_.]+", "-", asked.pop()).lower()
        if name in found:
            continue
        found.add(name)
        for text in metadata.requires(name) or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                asked.append(requirement.name)
    return found


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has torch, what torch requires, and the wheel; nothing else can be imported."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    (site,) = folder.glob("lib/python*/site-packages")
    for name in dependencies("torch"):
        distribution = metadata.distribution(name)
        for top in {path.parts[0] for path in distribution.files or () if path.parts[0] not in ("..", "__pycache__")}:
            (site / top).symlink_to(Path(str(distribution.locate_file(top))))
    interpreter = folder / "bin/python"
    run(sys.executable, "-m", "pip", "--python", interpreter, "install", "--no-index", wheel)
    return interpreter


def test_it_holds_offclip_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    sources = {f"offclip/{path.name}" for path in (REPOSITORY / "offclip").glob("*.py")}
    packed = {name for name in names if ".dist-info/" not in name}
    assert packed == sources | {"offclip/findings.toml", "offclip/py.typed"}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_an_editable_installation_puts_the_whole_clone_on_the_path(clone: Path, tmp_path: Path) -> None:
    """So `python -m benchmark` runs anywhere; the current folder comes first, and with it a workspace's own copies."""
    run(sys.executable, "-c", f"import setuptools.build_meta as b; b.build_editable({str(tmp_path)!r})", cwd=clone)
    (built,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        (path,) = (name for name in archive.namelist() if name.endswith(".pth"))
        assert archive.read(path).decode().split() == [str(clone)]


def test_torch_is_its_one_dependency_and_the_rest_are_extras(about: Message) -> None:
    requirements = [Requirement(text) for text in about.get_all("Requires-Dist", [])]
    assert [r.name for r in requirements if r.marker is None] == ["torch"]
    assert [r.name for r in requirements if r.marker and r.marker.evaluate({"extra": "text"})] == ["scikit-learn"]
    assert set(about.get_all("Provides-Extra", [])) == {"text", "harness", "cluster", "dev"}


def test_the_metadata_are_what_the_index_expects(wheel: Path, about: Message) -> None:
    assert "PASSED" in run(sys.executable, "-m", "twine", "check", "--strict", wheel)
    assert about["Name"] == "offclip"
    assert about["Version"] == benchmark.__version__
    assert f"\n## {about['Version']}\n" in (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    assert about["Summary"]
    assert about.get_all("Classifier")
    assert about.get_all("Project-URL")


def test_the_readmes_example_trains_within_a_minute_where_only_torch_is(python: Path, tmp_path: Path) -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    first, last = map(float, re.findall(r"[\d.]+", run(python, "-I", "-c", example, cwd=tmp_path)))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 60 * (os.cpu_count() or 1)  # processor time: others may be busy here
    assert last < first / 2


def test_nothing_else_is_importable_there(python: Path, tmp_path: Path) -> None:
    program = "import importlib.util as u; print([n for n in {!r} if u.find_spec(n)])"
    absent = ["benchmark", "baselines", "tests", "sklearn", "scipy", "pandas", "open_clip", "transformers", "timm"]
    assert run(python, "-I", "-c", program.format(absent), cwd=tmp_path).strip() == "[]"


def test_the_text_side_says_there_what_it_needs(python: Path, tmp_path: Path) -> None:
    program = "import offclip\ntry: offclip.CaptionPipeline\nexcept ModuleNotFoundError as error: print(error)"
    assert "pip install 'offclip[text]'" in run(python, "-I", "-c", program, cwd=tmp_path)
