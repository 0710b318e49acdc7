"""How property tests draw their examples: the same everywhere in `make test`, fresh ones and more in `make chaos`.

A test that fails by luck of the draw tells the wrong person at the wrong time, so `make test` draws from a seed that
each test's own name gives. `make chaos` looks for what those examples miss; one that fails is printed with the line
that repeats it (``@reproduce_failure``), kept in .hypothesis/examples, and tried first the next time. Add it to the
test as an ``@example``.
"""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.database import DirectoryBasedExampleDatabase

FIXED, FRESH = "fixed", "fresh"
MORE = 5
"""How many examples `make chaos` draws for each of `make test`."""
KEPT = Path(__file__).resolve().parents[1] / ".hypothesis"


def register() -> None:
    """Make both known to ``pytest --hypothesis-profile``; the first is the default."""
    set_hypothesis_home_dir(KEPT)
    # An example may write files and decode an image: neither its time nor a folder shared by examples is a fault.
    suppressed = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    common = settings(deadline=None, suppress_health_check=suppressed)
    settings.register_profile(FIXED, common, derandomize=True, database=None)
    database = DirectoryBasedExampleDatabase(KEPT / "examples")
    settings.register_profile(FRESH, common, derandomize=False, database=database, print_blob=True)
    settings.load_profile(FIXED)


def examples(count: int) -> settings:
    """Decorator: so many examples in `make test`, ``MORE`` times as many in `make chaos`."""
    return settings(max_examples=count * (MORE if settings.get_current_profile_name() == FRESH else 1))
