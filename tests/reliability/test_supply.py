"""What is installed fits together, is pinned, and its licences are written down."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata

import pytest

from tests.reliability import dependencies


def test_the_installed_packages_fit_together() -> None:
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("package", dependencies.declared())
def test_every_direct_dependency_is_pinned_and_its_licence_written_down(package: str) -> None:
    constraints = (dependencies.REPOSITORY / "constraints.txt").read_text(encoding="utf-8")
    pins = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in constraints.splitlines() if "==" in line}
    assert re.sub(r"[-_.]+", "-", package).lower() in pins
    listed = (dependencies.REPOSITORY / "docs/dependencies.md").read_text(encoding="utf-8")
    assert f"| {package} | {dependencies.licence(package)} |" in listed


def test_no_direct_dependency_is_under_the_gpl() -> None:
    strict = {n for n in dependencies.declared() if re.search(r"\bA?GPL|General Public", dependencies.licence(n))}
    assert strict == set()


def test_constraints_are_what_is_installed() -> None:
    text = (dependencies.REPOSITORY / "constraints.txt").read_text(encoding="utf-8")
    pins = dict(line.split("==") for line in text.splitlines() if "==" in line and not line.startswith("#"))
    direct = {re.sub(r"[-_.]+", "-", name).lower() for name in dependencies.declared()}
    differing = []
    for name, version in pins.items():
        if re.sub(r"[-_.]+", "-", name).lower() in direct:
            installed = metadata.version(name)
            if installed.split("+")[0] != version.strip().split("+")[0]:
                differing.append(f"{name}: {version} pinned, {installed} installed")
    assert differing == []
