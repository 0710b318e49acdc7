"""``python -m benchmark check-baseline NAME``: does a model meet the contract, before anyone spends a budget on it?

The contract is baselines/base.py, the explanation docs/adding-a-baseline.md; each promise is a function of
benchmark/tools/contract/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmark.common.errors import one_line
from benchmark.common.progress import say
from benchmark.pipeline import settings
from benchmark.tools.contract import scoring, subject, training
from benchmark.tools.contract.subject import Broken, Subject

CHECKS: dict[str, Callable[[Subject], str]] = {
    "shapes": scoring.shapes,
    "tokens": scoring.tokens,
    "gradients": training.gradients,
    "determinism": scoring.determinism,
    "a pair alone = in a batch": scoring.independence,
    "chunks = a whole batch": training.chunks,
    "heatmaps lie over the image": scoring.placing,
    "save and restore": training.round_trip,
    "learns": training.learning,
}


def check(checked: Subject) -> Iterator[tuple[str, bool, str]]:
    """Every check's name, whether it passed, and what was found."""
    for name, function in CHECKS.items():
        try:
            yield name, True, function(checked)
        except Broken as broken:
            yield name, False, str(broken)
        except Exception as error:
            # A newcomer's model may fail in any way; each way is a finding, and the other checks still run.
            yield name, False, one_line(error, 300)


def run(name: str) -> int:
    """Print one line per check.

    Args:
        name: a system of params.yaml or a file of baselines/.

    Returns:
        0 when every check passed, else 1.
    """
    failed = 0
    for title, passed, found in check(subject.of(name, settings.load())):
        failed += not passed
        say(f"{'ok  ' if passed else 'FAIL'} {title}: {found}")
    say(
        f"{name} meets the contract."
        if not failed
        else f"{name} breaks the contract in {failed} of {len(CHECKS)} checks."
    )
    return 1 if failed else 0
