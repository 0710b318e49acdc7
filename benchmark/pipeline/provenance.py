"""Which code, settings, packages and hardware a result came from.

Reports print it, MLflow runs carry it as tags, and ``verify`` uses it to say why numbers differ.
"""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from benchmark.common import files
from benchmark.pipeline import layout

PACKAGES = ("torch", "timm", "open_clip_torch", "transformers", "numpy", "scipy", "scikit-learn", "pandas")
CODE = ("offclip", "baselines", "benchmark", "params.yaml")
LOCK = Path("dvc.lock")
AFTER_MEASURING = ("report", "track")
"""Stages whose entries in dvc.lock follow from a report and so cannot be named in it."""


def commit() -> str:
    """The checked-out commit, with ``+changes`` where the code or params.yaml differ from it."""
    head = _git("rev-parse", "HEAD")
    if not head:
        return "unknown"
    return f"{head}+changes" if _git("status", "--porcelain", "--", *CODE) else head


def lock_hash() -> str:
    """Hash of dvc.lock up to ``measure``: names every input, setting and output; "none" without a lock."""
    if not LOCK.exists():
        return "none"
    # libyaml where it is there: the lock of a whole comparison takes the plain loader most of a second.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    stages = (yaml.load(LOCK.read_text(encoding="utf-8"), Loader=loader) or {}).get("stages", {})
    return files.sha256_json({name: entry for name, entry in stages.items() if name not in AFTER_MEASURING})


def params_hash() -> str:
    """Hash of params.yaml's values; comments and order do not matter."""
    return files.sha256_json(yaml.safe_load(layout.PARAMS.read_text(encoding="utf-8")))


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Installed versions; packages that are absent are left out."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """The CPU's model name."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def snapshot(ledgers: Iterable[dict[str, Any]] = ()) -> dict[str, Any]:
    """What may explain a difference between two results: code, settings, packages, hardware that trained."""
    trained = sorted({str(ledger["hardware"]) for ledger in ledgers if "hardware" in ledger})
    return {
        "commit": commit(),
        "params": yaml.safe_load(layout.PARAMS.read_text(encoding="utf-8")),
        "versions": versions(),
        "hardware": trained or [processor()],
    }


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
