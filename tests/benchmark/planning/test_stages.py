"""A stage's plan changes with the code that the stage reaches, and with nothing else: on the repository's own code."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

from benchmark import cli
from benchmark.pipeline import layout, settings
from benchmark.planning import code, plan
from tests.benchmark.training.workplace import REPOSITORY

SETTINGS = settings.load(REPOSITORY / layout.PARAMS)
SYSTEMS = frozenset([*SETTINGS.compare, *SETTINGS.ablation])
RAW, INDEX, DECODE, PREPARE = (
    frozenset(f"{stage}-{dataset}" for dataset in layout.DATASETS) for stage in ("raw", "index", "decode", "prepare")
)
TOWERS = SYSTEMS | {"pretrain", "probe"}
CROSS_ATTENTION = SYSTEMS - {"clip", "clip_offclip"}
CHANGES = {
    "offclip/losses.py": SYSTEMS,
    "offclip/names.py": set(),  # what an error sentence suggests
    "offclip/findings.toml": SYSTEMS | {"captions"},
    "offclip/sentence_classifier.py": {"captions"},
    "baselines/clip.py": SYSTEMS - CROSS_ATTENTION,
    "baselines/fusion.py": CROSS_ATTENTION,
    "baselines/towers/conv.py": TOWERS,
    "baselines/gloria.py": set(),  # no system of params.yaml uses it
    "benchmark/common/placement.py": DECODE | PREPARE | {"score", "probe"},
    "benchmark/common/bounded.py": RAW | INDEX | {"captions"},
    "benchmark/common/progress.py": set(),  # what it says, and when
    "benchmark/pipeline/effects.py": {"measure", "report"},
    "benchmark/artifacts/select.py": {"measure", "report"},
    "benchmark/artifacts/cohort.py": SYSTEMS
    | INDEX
    | PREPARE
    | {"captions", "pretrain", "score", "probe", "measure", "report"},
    "benchmark/materials/wheels.py": RAW | {"materials", "captions", "index-open_i"},
    "benchmark/compute/augment.py": TOWERS | {"score"},
    "benchmark/compute/supervised.py": {"pretrain", "probe"},
    "benchmark/cohort/phantom/findings/lung.py": RAW,
    "benchmark/cohort/phantom/layouts/padchest.py": {"raw-padchest"},
    "benchmark/cohort/adapters/chexpert.py": {"index-chexpert", "index-mimic_cxr"},  # they share label columns
    "benchmark/cohort/adapters/open_i.py": RAW | {"index-open_i"},
    "benchmark/cohort/decoding/decode.py": DECODE | PREPARE,
    "benchmark/captions/quality.py": {"captions"},
    "benchmark/training/loop.py": SYSTEMS,
    "benchmark/training/pretrain.py": {"pretrain"},
    "benchmark/evaluation/surface.py": {"score", "probe"},
    "benchmark/evaluation/prompts.yaml": {"score"},
    "benchmark/evaluation/probe.py": {"probe"},
    "benchmark/statistics/bootstrap.py": {"measure"},
    "benchmark/reporting/headline.py": {"report"},
    "benchmark/reporting/references.csv": {"report"},
    "benchmark/tracking/records.py": set(),  # `track` always runs
    "benchmark/planning/plan.py": set(),  # so does `plan`
    "benchmark/tools/verify.py": set(),
    "benchmark/fanout/schedule.py": set(),  # it runs the commands of dvc.yaml
    "benchmark/cli.py": set(),
}
"""File -> the plans, of stages and of systems, that a change of a number in it changes."""


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code, to be edited and restored."""
    root = tmp_path_factory.mktemp("copied")
    for package in code.PACKAGES:
        shutil.copytree(REPOSITORY / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "dvc.yaml", root)
    return root


@pytest.fixture
def tree(copied: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The copy in place of the repository."""
    monkeypatch.setattr(code, "ROOT", copied)
    code.imports.cache_clear()
    yield copied
    code.imports.cache_clear()


def plans() -> dict[str, dict[str, str]]:
    """Stage or system -> its files with their digests."""
    stages = {path.stem: content["code"] for path, content in plan.of_stages(cli.stage_modules(), SETTINGS)}
    return stages | {name: plan.of_system(name, SETTINGS)["code"] for name in sorted(SYSTEMS)}


def changed(before: dict[str, dict[str, str]]) -> set[str]:
    """The plans that are no longer what they were."""
    after = plans()
    assert after.keys() == before.keys()
    return {name for name in before if after[name] != before[name]}


def with_another_number(text: str) -> str:
    """The module with its first number, wherever it stands, raised by one."""
    numbers = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and type(node.value) in (int, float)
    ]
    first = min(numbers, key=lambda node: (node.lineno, node.col_offset))
    lines = text.splitlines(keepends=True)
    line = lines[first.lineno - 1].encode()
    line = line[: first.col_offset] + repr(first.value + 1).encode() + line[first.end_col_offset :]
    lines[first.lineno - 1] = line.decode()
    return "".join(lines)


def with_other_words(text: str) -> str:
    """The module with another docstring everywhere and a comment at its end."""
    lines = text.splitlines(keepends=True)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines[node.lineno - 1] = lines[node.lineno - 1].replace('"""', '"""Otherwise said: ', 1)
    return "".join(lines) + "\n# A remark.\n"


def test_other_comments_and_docstrings_change_no_plan(tree: Path) -> None:
    before, edited = plans(), 0
    sources = [path for package in code.PACKAGES for path in (tree / package).rglob("*.py")]
    texts = {path: path.read_text(encoding="utf-8") for path in sources}
    try:
        for path, text in texts.items():
            path.write_text(with_other_words(text), encoding="utf-8")
            edited += path.read_text(encoding="utf-8").count("Otherwise said")
        code.imports.cache_clear()
        assert changed(before) == set()
    finally:
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8")
    assert edited > 1000


def test_every_room_has_a_row() -> None:
    rooms = {path.parent.name for path in (REPOSITORY / "benchmark").glob("*/__init__.py")}
    assert rooms == {path.split("/")[1] for path in CHANGES if path.count("/") > 1 and path.startswith("benchmark")}
    assert SYSTEMS | RAW | INDEX | DECODE | PREPARE | {
        "captions",
        "materials",
        "pretrain",
        "score",
        "probe",
        "measure",
        "report",
    } == {*plans()}


def test_a_changed_number_changes_the_plans_of_what_uses_it_and_no_others(tree: Path) -> None:
    before, found = plans(), {}
    for name in CHANGES:
        path = tree / name
        text = path.read_text(encoding="utf-8")
        path.write_text(with_another_number(text) if path.suffix == ".py" else f"{text}\n", encoding="utf-8")
        found[name] = changed(before)
        path.write_text(text, encoding="utf-8")
    assert found == CHANGES
    assert changed(before) == set()


def test_an_added_import_is_noticed_and_so_is_what_it_leads_to(tree: Path) -> None:
    stage, added = tree / "benchmark/captions/quality.py", tree / "benchmark/captions/added.py"
    text, before = stage.read_text(encoding="utf-8"), plans()
    try:
        added.write_text("SHARE = 1\n", encoding="utf-8")
        assert changed(before) == set()  # nothing imports it
        stage.write_text(f"{text}\n\ndef late():\n    from benchmark.captions import added\n", encoding="utf-8")
        code.imports.cache_clear()
        assert changed(before) == {"captions"}
        imported = plans()
        assert "benchmark/captions/added.py" in imported["captions"]
        added.write_text("SHARE = 2\n", encoding="utf-8")
        assert changed(imported) == {"captions"}
    finally:
        stage.write_text(text, encoding="utf-8")
        added.unlink()
