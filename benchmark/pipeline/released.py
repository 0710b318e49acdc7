"""The files of released systems, where params.yaml wants them, and which of them are not there."""

from __future__ import annotations

from pathlib import Path

from baselines import releases
from baselines.releases import File, Release
from benchmark.pipeline.settings import ON_HUB, SystemSettings


def of(system: SystemSettings) -> Release | None:
    """What is known of a system's release; None where it names none."""
    return releases.read().get(system.release or "")


def wanted(system: SystemSettings) -> list[tuple[Path, File]]:
    """Each file of a system's release and its path; what the options leave to the hub is not listed."""
    release = of(system)
    placed = [(_place(file, system), file) for file in release.files] if release else []
    return [(path, file) for path, file in placed if path is not None]


def _place(file: File, system: SystemSettings) -> Path | None:
    given = system.options.get(file.option)
    if not isinstance(given, str) or _is_on_hub(given, system):
        return None
    path, name = Path(given), Path(file.path).name
    if not path.is_dir() and path.suffix:
        return path
    # Where a snapshot holds both, the models read that one.
    return path / (file.instead if file.instead and (path / file.instead).is_file() else name)


def _is_on_hub(given: str, system: SystemSettings) -> bool:
    """Whether an option is a name on the hub (``owner/name``), not a path beside the checkpoint's."""
    if given.startswith(ON_HUB):
        return True
    parts, beside = Path(given).parts, Path(system.checkpoint or "").parts
    return len(parts) == 2 and parts[0] not in ("/", ".", "..", "~", beside[0]) and not Path(given).exists()


def absent(system: SystemSettings) -> list[str]:
    """The files of an optional released system that are not there: then it is left out. [] of any other system."""
    if not system.optional or system.checkpoint is None:
        return []
    needed = [path for path, file in wanted(system) if file.needed]
    if not needed and not system.checkpoint.startswith(ON_HUB):
        needed = [Path(system.checkpoint)]
    return [str(path) for path in needed if not path.exists()]
