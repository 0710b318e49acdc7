"""``python -m benchmark STAGE``: one sub-command per DVC stage, and the tools around them.

Each sub-command imports its module when it runs, so that ``--help`` and ``plan`` stay quick.
A ``UserError`` is printed as its sentence, as is a full or read-only disk, exit status 2; Ctrl-C ends with a sentence
as well; anything else keeps its traceback.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import math
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from benchmark.common.errors import UserError, nearest
from benchmark.common.progress import say
from benchmark.pipeline import layout

Arguments = Callable[[argparse.ArgumentParser], None]
Number = TypeVar("Number", int, float)


def _no_arguments(parser: argparse.ArgumentParser) -> None:
    """A command without arguments."""


def _at_least(least: Number, most: float = math.inf) -> Callable[[str], Number]:
    """Reads a number of the kind of ``least`` that is neither below it nor above ``most``."""

    def number(text: str) -> Number:
        try:
            value = type(least)(text)
        except ValueError:
            value = type(least)(-1)
        if not least <= value <= most or value == math.inf:
            upper = "" if most == math.inf else f" and at most {most}"
            raise argparse.ArgumentTypeError(f"expected a number of at least {least}{upper}, found '{text}'")
        return value

    return number


def _dataset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", choices=layout.DATASETS, help="which dataset")


def _decode(parser: argparse.ArgumentParser) -> None:
    _dataset(parser)
    parser.add_argument(
        "--shard", type=_shard, metavar="K/N", help="a part of the list alone, for a later run without it to take over"
    )


def _shard(text: str) -> Any:
    from benchmark.cohort.decoding.shards import Shard

    try:
        return Shard.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _planned(system: str) -> str:
    """A system that was planned; without any plan the stage itself says what is missing."""
    known = sorted(path.stem for path in layout.plan(system).parent.glob("*.json"))
    if known and system not in known:
        raise argparse.ArgumentTypeError(
            f"'{system}' is none of the planned systems ({', '.join(known)})"
            f"{nearest(system, known) or '; after a change of params.yaml run `dvc repro plan`'}"
        )
    return system


def _seed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", required=True, type=int, help="training seed")


def _run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--system", required=True, type=_planned, help="a name of `systems` in params.yaml")
    _seed(parser)


def _train(parser: argparse.ArgumentParser) -> None:
    _run(parser)
    parser.add_argument("--max-minutes", type=_at_least(0.0), help="stop after a checkpoint; run again to resume")


def _check_baseline(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="a system of params.yaml, or a file of baselines/ without .py")


def _profile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="a file of profiles/, without .yaml")
    parser.add_argument("--root", action="append", metavar="DATASET=PATH", help="folder of a published release")


def _workspace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", help="folder to set up")
    parser.add_argument("--profile", required=True, help="a file of profiles/, without .yaml")
    parser.add_argument("--force", action="store_true", help="replace files that were changed in the workspace, too")


def _verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--update", action="store_true", help="write the present results as the reference")
    parser.add_argument(
        "--against-noise", action="store_true", help="call equal what another choice of training seeds would explain"
    )


def _ui(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_at_least(1, 65_535), default=5000, help="port to serve on (5000)")


def _fanout(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "stages", nargs="*", metavar="STAGE", help="stages of dvc.yaml such as train, or one item such as train@clip-0"
    )
    parser.add_argument("--address", metavar="auto|HOST:PORT", help="a running Ray cluster (default: this machine)")
    parser.add_argument(
        "--gpus-per-run", type=_at_least(0.0), metavar="G", help="GPUs a run; a fraction puts several on one card"
    )
    parser.add_argument(
        "--cpus-per-run", type=_at_least(0.0), metavar="C", help="CPUs a run takes (default: its `threads`)"
    )
    parser.add_argument("--max-minutes", type=_at_least(0.0), help="stop with checkpoints; run again to go on")


def _coverage(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--simulations", type=_at_least(1), default=3000, help="simulated studies per setting (default 3000)"
    )
    parser.add_argument("--keep", action="store_true", help="replace the kept table even by one of fewer studies")


def stage_modules() -> dict[str, str]:
    """Stage -> the module that runs it."""
    return {name: command.target.split(":")[0] for name, command in STAGES.items()}


def _live_curves() -> dict[str, Any]:
    """Training is shown by the tracking room and imports nothing of it."""
    return {"watcher": importlib.import_module("benchmark.tracking.live").Curves}


@dataclass(frozen=True)
class Command:
    """A sub-command: ``function`` is called with the parsed arguments as keywords."""

    target: str
    """``module:function``."""
    help: str
    arguments: Arguments = field(default=_no_arguments)
    supplies: Callable[[], dict[str, Any]] = dict
    """Further keywords that the command line hands over: what one room offers another without being imported by it."""


STAGES = {
    "plan": Command(
        "benchmark.planning.plan:run",
        "validate params.yaml and write plan/",
        supplies=lambda: {"modules": stage_modules()},
    ),
    "materials": Command("benchmark.materials.wheels:run", "fetch and verify the public material (CT, reports, boxes)"),
    "raw": Command(
        "benchmark.cohort.raw:run", "render the phantom in a dataset's layout, or point to your root", _dataset
    ),
    "index": Command("benchmark.cohort.index:run", "tables -> labels, regions, the list of image files", _dataset),
    "decode": Command("benchmark.cohort.decoding.stage:run", "image files -> one array, each decoded once", _decode),
    "prepare": Command("benchmark.cohort.prepare:run", "index and images -> the cohort and its data card", _dataset),
    "captions": Command("benchmark.captions.stage:run", "reports -> sentences, prompted form, normal/abnormal, filter"),
    "pretrain": Command(
        "benchmark.training.pretrain:run", "pretrain the image tower that the systems of one seed start from", _seed
    ),
    "train": Command(
        "benchmark.training.train:run", "train one system from one seed under the budget", _train, _live_curves
    ),
    "score": Command(
        "benchmark.evaluation.score:run", "compute zero-shot scores and grounding on all four datasets", _run
    ),
    "probe": Command(
        "benchmark.evaluation.probe:run", "train the supervised reference: a head on the same image tower"
    ),
    "measure": Command("benchmark.statistics.measure:run", "compute AUC, intervals, differences and claims"),
    "report": Command("benchmark.reporting.report:run", "write the PDF reports and tables"),
    "track": Command("benchmark.tracking.track:run", "record every run in MLflow"),
}
"""The stages of dvc.yaml in its order; `dvc repro` calls them."""
TOOLS = {
    "summary": Command("benchmark.tools.summary:run", "print the main table and where the reports are"),
    "verify": Command("benchmark.tools.verify:run", "compare results/ with the reference results", _verify),
    "ui": Command("benchmark.tracking.track:ui", "open MLflow on the recorded runs", _ui),
    "doctor": Command(
        "benchmark.tools.doctor:run",
        "check the dataset roots in params.yaml: what is there, what is missing, what it needs",
    ),
    "sheet": Command(
        "benchmark.tools.sheet:run", "draw a contact sheet of the phantom with a box round each finding", _dataset
    ),
    "profile": Command("benchmark.pipeline.profiles:run", "merge profiles/NAME.yaml into params.yaml", _profile),
    "workspace": Command("benchmark.pipeline.workspace:run", "set up the same pipeline in another folder", _workspace),
    "check-baseline": Command(
        "benchmark.tools.check_baseline:run",
        "test that a model meets the contract before a budget is spent",
        _check_baseline,
    ),
    "fanout": Command(
        "benchmark.fanout.command:run",
        "run what is out of date of decode, train and score side by side, on this machine or a cluster (Ray)",
        _fanout,
    ),
    "coverage": Command(
        "benchmark.statistics.coverage:run",
        "simulate studies: coverage of the intervals, size and power of the tests",
        _coverage,
    ),
}
COMMANDS = {**STAGES, **TOOLS}


REFUSED = {
    errno.ENOSPC: "the disk is full; free some space and run the same command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
    errno.EROFS: "the folder is read-only; make it writable, or work in another one",
    errno.EACCES: "access is denied; correct the permissions, or work in another folder",
    errno.EPERM: "access is denied; correct the permissions, or work in another folder",
    errno.ENOTDIR: "there is a file where a folder is expected; move it out of the way",
    errno.EEXIST: "there is a file where a folder is expected; move it out of the way",
    errno.EISDIR: "there is a folder where a file is expected; move it out of the way",
    errno.ELOOP: "its symbolic links lead in a circle; fix them",
    errno.ENAMETOOLONG: "its name is too long for this file system; work in a folder with a shorter path",
}
"""What the operating system refuses and its user can fix. Files are written whole or not at all (files.py)."""
MADE = ("plan", "data", "runs", "scores", "probe", "results", "reports", "tracked.json")
"""Where stages write; what is missing there was not made yet."""


INTERRUPTED = 130
"""Exit status as a shell gives it to a program that SIGINT ended."""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="python -m benchmark",
        usage="%(prog)s COMMAND ...",
        description=_overview(),
        epilog="`python -m benchmark COMMAND --help` lists the arguments of one.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", help=argparse.SUPPRESS)
    for name, command in COMMANDS.items():
        command.arguments(commands.add_parser(name, prog=f"python -m benchmark {name}", description=f"{command.help}."))
    return top


def _overview() -> str:
    """What there is to call: the stages apart from the tools."""
    lines = ["CLIP, CARZero and OFF-CLIP under one budget. `dvc repro` runs everything that is not up to date."]
    for title, group in (("stages of dvc.yaml, in their order", STAGES), ("tools", TOOLS)):
        lines += ["", f"{title}:", *(f"  {name:<15} {command.help}" for name, command in group.items())]
    return "\n".join(lines)


def _refuse_unknown(argv: Sequence[str]) -> None:
    """Name the nearest command for a misspelt one: argparse would list them all."""
    if argv and not argv[0].startswith("-") and argv[0] not in COMMANDS:
        hint = nearest(argv[0], COMMANDS) or "; `python -m benchmark --help` lists them."
        raise UserError(f"There is no command '{argv[0]}'{hint}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; return the exit status."""
    try:
        given = list(sys.argv[1:] if argv is None else argv) or ["--help"]
        _refuse_unknown(given)
        arguments = vars(parser().parse_args(given))
        command = COMMANDS[arguments.pop("command")]
        module, function = command.target.split(":")
        return getattr(importlib.import_module(module), function)(**arguments, **command.supplies()) or 0
    except KeyboardInterrupt:
        say("interrupted; what was finished is kept")
        return INTERRUPTED
    except UserError as error:
        say(f"error: {error}")
        return 2
    except BrokenExecutor:
        say(
            "error: a worker process was killed, most often because memory ran out. What it had finished is kept; "
            "set `cohort.workers` lower and run the same command again."
        )
        return 2
    except OSError as error:
        missing = Path(str(error.filename or error))  # Arrow's errors hold the path alone
        if isinstance(error, FileNotFoundError) and missing.parts[:1] and missing.parts[0] in MADE:
            say(f"error: {missing} is missing; run `dvc repro` to make it.")
            return 2
        if error.errno not in REFUSED:
            raise
        say(f"error: {error.filename or 'A file could not be written'}: {REFUSED[error.errno]}.")
        return 2
