"""The guide's own example, in a copy of the project: one new file, one line of params.yaml, nothing else touched."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.repository import REPOSITORY


def test_the_guides_example_is_found_built_and_keeps_the_contract(tmp_path: Path) -> None:
    for folder in ("baselines", "benchmark", "offclip"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    guide = (REPOSITORY / "docs" / "adding-a-baseline.md").read_text()
    code = re.search(r"```python\n(.*?)```", guide, re.DOTALL)
    line = re.search(r"^  mine: \{.*\}$", guide, re.MULTILINE)
    assert code is not None
    assert line is not None
    (tmp_path / "baselines" / "mine.py").write_text(code[1])
    params = (REPOSITORY / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(params.replace("\nsystems:\n", f"\nsystems:\n{line[0]}\n"))
    command = [sys.executable, "-m", "benchmark", "check-baseline", "mine"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "mine meets the contract." in done.stderr
