"""A workspace: the code and the settings in another folder; nothing of the user's is lost there, or in the source."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmark.common.errors import UserError
from benchmark.pipeline import settings, workspace

REPOSITORY = Path(__file__).parents[3]
SYSTEM = "  mine: {label: Mine, model: mine}"


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source with a model of its user's, and a workspace of it (``work``)."""
    root = tmp_path_factory.mktemp("once")
    for name in workspace.COPIED:
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, root / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(REPOSITORY / name, root / "source" / name)
    (root / "source/baselines/mine.py").write_text("def build(encoders, options, vocabulary): ...\n")
    params = (root / "source/params.yaml").read_text()
    params = params.replace("carzero_filter, offclip]\nscratch", "carzero_filter, offclip, mine]\nscratch")
    (root / "source/params.yaml").write_text(params.replace("\nsystems:\n", f"\nsystems:\n{SYSTEM}\n"))
    assert workspace.create(root / "work", "smoke", root / "source") == []
    return root


@pytest.fixture
def places(once: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Copies of source and workspace, to be changed."""
    shutil.copytree(once, tmp_path, dirs_exist_ok=True)
    return tmp_path / "source", tmp_path / "work"


def tree(folder: Path) -> dict[str, bytes]:
    """Every file's content by its path, DVC's own left out."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {
        name: path.read_bytes() for path in paths if not (name := str(path.relative_to(folder))).startswith(".dvc/")
    }


def test_it_holds_the_code_and_the_profiles_settings(once: Path) -> None:
    chosen = settings.load(once / "work/params.yaml")
    assert chosen.budget.amount == 2e9
    source = tree(once / "source")
    assert {name: tree(once / "work")[name] for name in source if name != "params.yaml"} == {
        name: content for name, content in source.items() if name != "params.yaml"
    }


def test_the_smoke_profile_keeps_a_users_own_system(once: Path) -> None:
    assert settings.load(once / "work/params.yaml").compare == ["clip", "carzero", "carzero_filter", "offclip", "mine"]


def test_a_folder_that_it_did_not_make_is_refused_and_left_as_it_was(places: tuple[Path, Path], tmp_path: Path) -> None:
    source, _ = places
    (tmp_path / "mine/benchmark").mkdir(parents=True)
    (tmp_path / "mine/benchmark/notes.txt").write_text("a year of notes")
    for force in (False, True):
        with pytest.raises(UserError, match="holds files and is no workspace"):
            workspace.create(tmp_path / "mine", "smoke", source, force)
    assert tree(tmp_path / "mine") == {"benchmark/notes.txt": b"a year of notes"}


@pytest.mark.parametrize("inside", ["benchmark", "benchmark/cohort", "baselines/new", "data/new", ".", ".."])
def test_nothing_is_laid_out_in_the_source_or_around_it(places: tuple[Path, Path], inside: str) -> None:
    source, _ = places
    before = tree(source)
    with pytest.raises(UserError, match="name another"):
        workspace.create(source / inside, "smoke", source)
    assert tree(source) == before


def test_a_second_call_refreshes_what_is_as_it_was_left_and_keeps_what_was_changed_there(
    places: tuple[Path, Path],
) -> None:
    source, work = places
    (work / "baselines/theirs.py").write_text("# a new model\n")
    (work / "baselines/clip.py").write_text("# changed here\n")
    params = (work / "params.yaml").read_text().replace("amount: 2.0e+9", "amount: 3.0e+9")
    (work / "params.yaml").write_text(params)
    (work / "results").mkdir()
    (work / "results/auc.csv").write_text("made by the pipeline")
    (source / "baselines/gloria.py").write_text("# changed in the source\n")
    (source / "baselines/convirt.py").unlink()
    assert sorted(workspace.create(work, "smoke", source)) == ["baselines/clip.py", "params.yaml"]
    assert (work / "baselines/theirs.py").read_text() == "# a new model\n"
    assert (work / "baselines/clip.py").read_text() == "# changed here\n"
    assert (work / "params.yaml").read_text() == params
    assert (work / "results/auc.csv").read_text() == "made by the pipeline"
    assert (work / "baselines/gloria.py").read_text() == "# changed in the source\n"
    assert not (work / "baselines/convirt.py").exists()
    assert workspace.create(work, "smoke", source, force=True) == []
    assert (work / "baselines/clip.py").read_bytes() == (source / "baselines/clip.py").read_bytes()
    assert settings.load(work / "params.yaml").budget.amount == 2e9
    assert (work / "baselines/theirs.py").exists()


def test_a_half_laid_out_workspace_is_completed(places: tuple[Path, Path]) -> None:
    """As a kill leaves it: the record of nothing, and some of the files."""
    source, work = places
    whole = tree(work)
    (work / workspace.RECORD).write_text("{}")
    shutil.rmtree(work / "offclip")
    assert workspace.create(work, "smoke", source) == []
    assert tree(work) == whole
