"""A plan names exactly the code and settings that its system's training depends on.

Over 300 lines on purpose: the settings that a plan refuses are one list, in the order of params.yaml.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmark import cli
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.evaluation import prompts
from benchmark.pipeline import layout, settings
from benchmark.planning import checks, code, plan
from offclip.options import described
from tests.benchmark.training import workplace
from tests.repository import REPOSITORY


def planned() -> None:
    """The stage as the command line runs it."""
    plan.run(cli.stage_modules())


def systems() -> list[Path]:
    """The plans of systems."""
    return sorted(Path("plan").glob("*.json"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small tree of the three packages in place of the repository."""
    root = tmp_path / "sources"
    for path, text in {
        "baselines/__init__.py": "",
        "baselines/simple.py": "from baselines import shared\ndef build(): pass\n",
        "baselines/other.py": "def build():\n    from baselines.deep.inner import x\n",
        "baselines/shared.py": "import torch\nfrom offclip.maths import log\n",
        "baselines/deep/__init__.py": "def lazy():\n    import baselines.shared\n",
        "baselines/deep/inner.py": "from . import sibling\n",
        "baselines/deep/sibling.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import offclip.maths\n",
        "offclip/__init__.py": "",
        "offclip/maths.py": "",
        "offclip/objective.py": "",
        "benchmark/__init__.py": "",
        "benchmark/common/files.py": "import benchmark.never\n",
        "benchmark/never.py": "",
        "benchmark/training/__init__.py": "",
        "benchmark/training/train.py": "from benchmark.common import files\nfrom offclip import objective\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    monkeypatch.setattr(code, "ROOT", root)
    monkeypatch.setattr(checks, "ROOT", root)
    code.imports.cache_clear()
    yield root
    code.imports.cache_clear()


def test_reachable_follows_imports_of_the_three_packages_wherever_they_stand(sources: Path) -> None:
    assert code.reachable(["baselines/simple.py"]) == [
        "baselines/__init__.py", "baselines/shared.py", "baselines/simple.py", "offclip/maths.py",
    ]  # fmt: skip
    # An import inside a function counts; one for type checkers, and a function of a package merely passed, do not.
    assert code.reachable(["baselines/other.py"]) == [
        "baselines/__init__.py", "baselines/deep/__init__.py", "baselines/deep/inner.py", "baselines/deep/sibling.py",
        "baselines/other.py",
    ]  # fmt: skip


def test_plumbing_is_neither_hashed_nor_followed(sources: Path) -> None:
    assert code.reachable(["benchmark/training/train.py"]) == [
        "benchmark/training/__init__.py", "benchmark/training/train.py", "offclip/objective.py",
    ]  # fmt: skip


def test_models_are_found_without_importing_them(sources: Path) -> None:
    assert checks.models() == ["other", "simple"]


def test_what_is_found_statically_is_what_the_packages_say() -> None:
    for name in checks.models():
        assert callable(importlib.import_module(f"baselines.{name}").build)


def test_every_module_that_training_loads_is_in_the_plan(folder: Path) -> None:
    """The static walk against Python's own list of loaded modules."""
    program = (
        "import sys, json, baselines.carzero, offclip.objective, benchmark.training.train\n"
        "from baselines import base\n"
        f"base.load('carzero', {workplace.ENCODERS!r}, {{}}, ['a'])\n"
        "print(json.dumps([m.__file__ for n, m in sys.modules.items()"
        " if n.split('.')[0] in ('benchmark', 'baselines', 'offclip') and getattr(m, '__file__', None)]))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    loaded = {Path(path).relative_to(REPOSITORY).as_posix() for path in json.loads(done.stdout)}
    assert loaded - code.PLUMBING <= set(plan.of_system("carzero", settings.parse(workplace.params()))["code"])


def test_an_edit_changes_the_plans_that_use_the_edited_code_alone(folder: Path) -> None:
    chosen = settings.parse(workplace.params())
    clip, carzero = (set(plan.of_system(name, chosen)["code"]) for name in ("clip", "carzero"))
    assert "baselines/clip.py" in clip - carzero
    assert {"baselines/carzero.py", "baselines/fusion.py"} <= carzero - clip
    for reached in (clip, carzero):
        assert "benchmark/training/loop.py" in reached
        assert not {
            path for path in reached if {"reporting", "statistics", "cohort", "tracking"} & set(path.split("/"))
        }


def write(values: dict[str, Any]) -> None:
    """params.yaml in the working directory; JSON is YAML."""
    Path("params.yaml").write_text(json.dumps(values), encoding="utf-8")


def test_a_plan_is_rewritten_only_when_it_changed(folder: Path) -> None:
    values = workplace.params()
    write(values)
    planned()
    names = [*values["compare"], *values["scratch"], *values["ablation"]]
    assert sorted(path.stem for path in systems()) == sorted(names)
    before = {path: path.stat().st_mtime_ns for path in [*systems(), *Path("plan/stages").iterdir()]}
    content = {path: path.read_bytes() for path in before}
    planned()
    assert {path: path.stat().st_mtime_ns for path in [*systems(), *Path("plan/stages").iterdir()]} == before

    values["systems"]["clip"]["label"] = "CLIP, renamed"
    values["systems"]["offclip"]["objective_options"] = {"form": "softmax"}
    values["statistics"]["replicates"] = 99
    write(values)
    planned()
    changed = {path.stem for path in before if path.read_bytes() != content[path]}
    assert changed == {"offclip", "measure", "report"}


def test_a_second_plan_says_that_nothing_changed_for_dvc_leaves_the_first(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(workplace.params())
    planned()
    assert "43 changed" in capsys.readouterr().err
    planned()
    assert "43 changed" not in (said := capsys.readouterr().err)
    assert ", 0 changed" in said
    declared = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]["plan"]
    assert declared["outs"] == [{"plan": {"persist": True}}]  # DVC would remove it before the stage runs


def test_the_plan_of_a_system_that_left_is_removed(folder: Path) -> None:
    write(workplace.params())
    planned()
    write({**workplace.params(), "scratch": [], "ablation": []})
    planned()
    assert sorted(path.stem for path in systems()) == ["carzero", "carzero_filter", "clip", "offclip"]


def test_a_plan_holds_every_resolved_setting(folder: Path) -> None:
    write(workplace.params(training={"learning_rate": 0.123}))
    planned()
    found = files.read_json(layout.plan("offclip"))
    assert found["training"]["learning_rate"] == 0.123
    assert settings.TrainingSettings.model_validate(found["training"]) == settings.load().training
    assert found["budget"] == {"unit": "samples", "amount": 480}
    assert (found["model"], found["objective"], found["captions"]) == ("carzero", "off_clip", "filtered")
    assert found["phantom"] is True
    assert found["code_hash"] == files.sha256_json(found["code"])


def test_planning_imports_no_torch_and_takes_about_a_second(folder: Path) -> None:
    program = "import sys, benchmark.planning.plan; sys.exit('torch' in sys.modules or 'mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=False).returncode == 0


@pytest.mark.parametrize(
    ("section", "change", "sentence"),
    [
        ("training", {"precision": "float16", "device": "cpu"}, "float16` does not work on a CPU; use bfloat16"),
        ("training", {"snapshots": [0.5, 0.25]}, r"rising fractions between 0 and 1, found \[0.5, 0.25\]"),
        ("training", {"snapshots": [1.0]}, "rising fractions between 0 and 1"),
        ("training", {"batch_size": [[0.1, 64]]}, "must start at progress 0"),
        ("training", {"batch_size": 1}, "must be at least 2"),
        ("training", {"chunk_size": 0}, "chunk_size` must be at least 1"),
        ("encoders", {"image": {"kind": "convv"}}, "did you mean 'conv'"),
        ("encoders", {"image": {"kind": "conv", "init": "gone.pt"}}, "`encoders.image.init`: gone.pt does not exist"),
        ("datasets", {"padchest": {"root": ""}}, "`datasets.padchest.root`: String should have at least 1 character"),
        ("budget", {"unit": "flops", "amount": float("inf")}, "`budget.amount`: Input should be a finite number"),
        ("statistics", {"seed": -1}, "`statistics.seed`: Input should be greater than or equal to 0"),
        ("systems", {"clip": {"label": "x", "model": "clipp"}}, r"clipp.py is not a baseline; did you mean 'clip'"),
        ("systems", {"clip": {"label": "x", "model": "base"}}, r"baselines/base.py is not a baseline"),
        ("systems", {"clip": {"label": "x", "model": "clip", "objective": "infonce"}}, "did you mean 'info_nce'"),
        ("systems", {"clip": {"label": "x", "model": "clip", "checkpoint": "gone.ckpt"}}, "gone.ckpt does not exist"),
        ("statistics", {"references": ["carzeroo"]}, "references` names 'carzeroo'.*did you mean 'carzero'"),
        (
            *("statistics", {"primary": {"a": "offclipp", "b": "carzero", "score": "prompt"}}),
            "endpoint of `statistics` names 'offclipp'.*did you mean 'offclip'",
        ),
        ("statistics", {"ablation_references": ["x"]}, "`statistics.ablation_references` names 'x'"),
        ("datasets", {"padchest": {"labels": "exact"}}, "`datasets.padchest.labels: exact` exists for open_i alone"),
        ("phantom", {"studies": {"mimic_cxr": 9}}, "`phantom.studies.vindr_cxr` must be at least 1"),
        ("captions", {"prompting": "table"}, "set captions.table to a CSV"),
        ("captions", {"prompting": "table", "table": "gone.csv"}, r"gone.csv .* was not found"),
        ("captions", {"prompting": "endpoint"}, "set captions.endpoint.url"),
        ("training", {"clip_norm": -1}, "`training.clip_norm`: Input should be greater than 0"),
        ("training", {"clip_norm": 0}, "`training.clip_norm`: Input should be greater than 0"),
        ("training", {"betas": [2, 3]}, r"`training.betas.0`: Input should be less than 1"),
        ("training", {"threads": 1_000_000}, "`training.threads`: Input should be less than or equal to 1024"),
        ("scoring", {"threads": 1_000_000}, "`scoring.threads`: Input should be less than or equal to 1024"),
        ("encoders", {"text": {"kind": "words", "layers": -1}}, r"text.layers` must be int \(at least 0 .*found -1"),
        ("encoders", {"text": {"kind": "words", "dim": 63}}, "`dim` 63 must be a multiple of `heads` 4"),
        ("encoders", {"text": {"kind": "words", "max_tokens": 0}}, r"max_tokens` must be int \(at least 1 .*found 0"),
        ("encoders", {"text": {"kind": "bert", "max_tokens": 600}}, "600 is more than the 512 `positions`"),
        ("encoders", {"text": {"kind": "bert", "sentence": "slot"}}, "one of slots, words, found 'slot'; did you mean"),
        ("encoders", {"image": {"kind": "conv", "width": 0}}, r"`encoders.image.width` must be int \(at least 1"),
        ("encoders", {"image": {"kind": "conv", "width": True}}, "`encoders.image.width` must be int .*found True"),
    ],
)  # fmt: skip
def test_what_cannot_run_is_refused_in_a_sentence(
    folder: Path, section: str, change: dict[str, Any], sentence: str
) -> None:
    write(workplace.params(**{section: change}))
    with pytest.raises(UserError, match=sentence):
        planned()
    assert not Path("plan").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"seeds": [0, 0]}, r"`seeds` names something twice: \[0, 0\]"),
        ({"seeds": []}, "must each name at least one"),
        ({"seeds": [-1]}, r"`seeds.0`: Input should be greater than or equal to 0"),
        ({"seeds": [2**32]}, r"`seeds.0`: Input should be less than 4294967296"),
        ({"ablation": ["clip"]}, r"both name \['clip'\]"),
        ({"compare": ["clip", "clip"]}, "`compare` names something twice"),
        ({"seeds": [True]}, "`seeds.0`: Input should be a valid integer"),
        ({"ablation_seeds": [0, 7]}, r"`ablation_seeds` names 7, which `seeds` \[0, 1, 2\] does not; an ablation row"),
        ({"scratch": ["clip_scratch", "offclip_ignore"], "ablation": []}, "'offclip_ignore', which starts from a pre"),
    ],
)
def test_lists_that_cannot_run_are_refused(folder: Path, change: dict[str, Any], sentence: str) -> None:
    write({**workplace.params(), **change})
    with pytest.raises(UserError, match=sentence):
        planned()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"objective_options": {"off_diagonal_weight": -1}}, r"weight` must be float \(at least 0\), found -1"),
        ({"objective_options": {"abnormal_weight": "big"}}, r"abnormal_weight` must be float .* found 'big'"),
        ({"objective_options": {"scale": 0}}, r"`systems.offclip.objective_options.scale` must be float \(above 0\)"),
        ({"objective_options": {"bias": float("nan")}}, "objective_options.bias` must be float, found nan"),
        ({"objective_options": {"form": "sigmod"}}, "must be one of sigmoid, softmax, found 'sigmod'; did you mean"),
        ({"objective_options": {"wieght": 1}}, "objective_options.wieght` does not exist"),
        ({"objective": "info_nce", "objective_options": {"form": "softmax"}}, "form` does not exist. There are none"),
        ({"model_options": {"heads": 7}}, "`encoders.text.dim` 16 must be a multiple of `model_options.heads` 7"),
        ({"model_options": {"image": {"init": "data/pretrained"}}}, "image.init`: data/pretrained is for `enc"),
        ({"model_options": {"layer": 1}}, "offclip.model_options.layer` does not exist; did you mean 'layers'"),
        ({"model_options": {"dropout": 1}}, r"dropout` must be float \(at least 0 and below 1\), found 1"),
        ({"model_options": {"text": {"layers": -1}}}, "`systems.offclip`: `encoders.text.layers` must be int"),
        ({"model_options": {"text": 3}}, "must be options of the text tower, found 3"),
        ({"model_options": {"text": {"dim": 32}}}, "must have one width, found image 16 and text 32"),
        ({"model": "clip", "model_options": {"projection": -5}}, "model_options.projection` must be int .* found -5"),
        ({"model": "clip", "model_options": {"temperature": 0}}, r"temperature` must be float \(above 0\), found 0"),
        ({"model": "clip", "checkpoint": "params.yaml"}, "'clip' takes no released weights; `published` takes"),
        ({"label": "CLIP"}, "`systems.clip` and `systems.offclip` have one label, 'CLIP'"),
    ],
)  # fmt: skip
def test_options_of_a_system_are_checked_before_anything_runs(
    folder: Path, change: dict[str, Any], sentence: str
) -> None:
    values = workplace.params()
    values["systems"]["offclip"] |= change
    Path("params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(UserError, match=sentence):
        planned()


def test_what_the_plan_accepts_every_model_and_objective_accepts_and_the_reverse() -> None:
    """The options that are checked without torch are those that are built with it."""
    from baselines import options
    from offclip import objective, objective_options

    assert list(objective_options.OPTIONS) == list(objective.OBJECTIVES)
    for name, made in objective.OBJECTIVES.items():
        defaults = {
            option: parameter.default
            for option, parameter in inspect.signature(made).parameters.items()
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        }
        assert set(defaults) <= set(objective_options.OPTIONS[name])
        assert objective_options.checked(name, defaults) == defaults
        hints = objective_options.OPTIONS[name]
        objective.build(name, {option: 1.0 for option, hint in hints.items() if "float" in described(hint)})
    declared = {name for name in checks.models() if options.of(name)}
    assert declared == {path.stem for path in (REPOSITORY / "baselines/options").glob("*.py")} - {"__init__"}
    assert declared == set(checks.models())


@pytest.mark.parametrize("name", ["x²", "größe", "clip-2", "Clip", "", "коса"])
def test_a_name_that_is_no_plain_word_is_refused(folder: Path, name: str) -> None:
    values = workplace.params()
    values["systems"][name] = {"label": "x", "model": "clip"}
    write({**values, "compare": ["carzero", name]})
    with pytest.raises(UserError, match="a name is written in the letters a to z, digits and underscores"):
        planned()


def test_a_misspelt_section_names_the_nearest(folder: Path) -> None:
    values = workplace.params()
    values["budgett"] = values.pop("budget")
    write(values)
    with pytest.raises(UserError, match="unknown key `budgett`; did you mean 'budget'"):
        planned()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"normal: [\n", "prompts.yaml is not valid YAML"),
        (b"\xff\xfe", "prompts.yaml is not valid YAML"),
        (b"", "prompts.yaml: "),
        (b"normal: {a: []}\nabnormal: {b: [x]}\ntemplate: Is {}\nfindings: {}\n", "wording 'a' needs at least one"),
        (b"normal: {a: [x]}\nabnormal: {b: [x]}\ntemplate: There is\nfindings: {}\n", "exactly one {}"),
    ],
)  # fmt: skip
def test_prompts_that_cannot_be_asked_are_refused_by_the_plan(
    folder: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, sentence: str
) -> None:
    write(workplace.params())
    (folder / "prompts.yaml").write_bytes(content)
    monkeypatch.setattr(prompts, "load", functools.partial(prompts.load, folder / "prompts.yaml"))
    with pytest.raises(UserError, match=sentence):
        planned()


def test_a_misspelt_dataset_of_the_phantom_is_refused(folder: Path) -> None:
    values = workplace.params()
    values["phantom"]["studies"]["padchets"] = 9
    write(values)
    with pytest.raises(UserError, match=r"`phantom.studies` names 'padchets'.*did you mean 'padchest'"):
        planned()


def test_an_endpoint_for_credentialed_reports_is_refused_before_a_report_is_read(folder: Path) -> None:
    values = workplace.params(
        captions={"prompting": "endpoint", "endpoint": {"url": "http://127.0.0.1:9/v1", "model": "m"}}
    )
    write(values)
    planned()
    values["datasets"]["mimic_cxr"]["root"] = "/releases/mimic-cxr"
    write(values)
    with pytest.raises(UserError, match="would send credentialed report text"):
        planned()


def test_planning_removes_what_killed_processes_left(folder: Path) -> None:
    write(workplace.params())
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for name in ("scores", "data/cohort", "runs/.state"):
        Path(name).mkdir(parents=True)
    dead, alive = f"{files.MACHINE}.{gone.pid}.part", f"{files.MACHINE}.{os.getppid()}.part"
    left = [Path(f"scores/.clip-0.{dead}"), Path(f"data/cohort/.padchest.{dead}")]
    kept = [Path("data/cohort/.padchest.part"), Path(f"scores/.clip-1.{alive}")]
    for path in [*left, *kept]:
        path.mkdir()
    planned()
    assert [path for path in [*left, *kept] if path.exists()] == kept
    assert Path("runs/.state").is_dir()
