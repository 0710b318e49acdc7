"""What DVC's cache adds to the files of the pipeline: a second copy, or another name for the same blocks."""

from __future__ import annotations

import configparser
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

DEFAULT_LINKS = ("reflink", "copy")
"""DVC's own order of link types."""
CLONE = 0x40049409
"""FICLONE of Linux: let two files share their blocks until one is written."""
HOW_TO_LINK = "`dvc config --local cache.type reflink,hardlink,symlink` links instead"


@dataclass(frozen=True)
class DvcCache:
    """Where DVC keeps what stages make, and how it gets there."""

    place: Path
    link: str
    """The first link type that works between the cache and here: ``reflink``, ``hardlink``, ``symlink`` or ``copy``."""

    @property
    def copies(self) -> bool:
        """Whether every output lies on the disk twice."""
        return self.link == "copy"

    @property
    def free_bytes(self) -> int:
        """Free on the cache's file system."""
        return shutil.disk_usage(self.place).free

    @property
    def is_elsewhere(self) -> bool:
        """Whether the cache is on another file system than the working directory."""
        return os.stat(self.place).st_dev != os.stat(".").st_dev


def dvc_cache() -> DvcCache:
    """The cache of the repository in the working directory, as its configuration has it."""
    configured = configparser.ConfigParser(interpolation=None)
    configured.read([".dvc/config", ".dvc/config.local"])
    options = dict(configured["cache"]) if configured.has_section("cache") else {}
    place = Path(".dvc") / options.get("dir", "cache")
    while not place.is_dir():  # made with its first file
        place = place.parent
    types = [word.strip() for word in options["type"].split(",")] if options.get("type") else DEFAULT_LINKS
    return DvcCache(place, next((kind for kind in types if _works(kind, place)), "copy"))


def _works(link: str, place: Path) -> bool:
    """Whether a file in ``place`` can be linked into the working directory."""
    try:
        with (
            tempfile.TemporaryDirectory(dir=place, prefix=".try") as there,
            tempfile.TemporaryDirectory(dir=".") as here,
        ):
            source, target = Path(there).resolve() / "source", Path(here).resolve() / "target"
            source.write_bytes(b"x" * 4096)
            LINKS[link](source, target)
    except (OSError, KeyError, ImportError):
        return False
    return True


def _clone(source: Path, target: Path) -> None:
    import fcntl

    with open(source, "rb") as read, open(target, "wb") as written:
        fcntl.ioctl(written.fileno(), CLONE, read.fileno())


LINKS: dict[str, Callable[[Path, Path], object]] = {
    "reflink": lambda source, target: _clone(source, target),
    "hardlink": lambda source, target: os.link(source, target),
    "symlink": lambda source, target: os.symlink(source, target),
    "copy": lambda source, target: shutil.copyfile(source, target),
}
