"""What `from offclip import ...` offers, and what it does not drag in."""

import subprocess
import sys

import pytest

import offclip


@pytest.mark.parametrize("name", offclip.__all__)
def test_every_name_loads(name: str) -> None:
    assert getattr(offclip, name).__name__ == name


def test_unknown_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute nothing"):
        _ = offclip.nothing


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("from offclip import OffClipObjective", ("sklearn", "timm", "transformers", "mlflow", "pandas")),
        (
            "from offclip import SentenceClassifier, filter_report",
            ("torch", "timm", "transformers", "mlflow", "pandas"),
        ),
        ("from offclip import split_sentences, prompt_report", ("torch", "sklearn", "numpy")),
    ],
)
def test_each_part_needs_its_own_packages_only(statement: str, absent: tuple[str, ...]) -> None:
    """Each statement runs in an interpreter in which the packages cannot be imported at all."""
    block = f"""
import sys
from importlib.abc import MetaPathFinder

class Refuse(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in {absent!r}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refuse())
"""
    result = subprocess.run([sys.executable, "-c", block + statement], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
