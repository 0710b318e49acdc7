"""Where the free-text reports of MIMIC-CXR lie: a project of their own, beside MIMIC-CXR-JPG.

``files/p10/p10000032/s50414267.txt`` in the images' root, in the folder that ``datasets.mimic_cxr.reports`` names, or
inside ``mimic-cxr-reports.zip``, which is read without unpacking it. Johnson et al., Scientific Data 2019.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from benchmark.common import bounded
from benchmark.common.errors import UserError

FOLDERS = ("", "mimic-cxr-reports/", "reports/")
"""Where the reports' ``files/`` may have been unpacked, relative to a folder."""
ARCHIVE = "mimic-cxr-reports.zip"


class Reports:
    """The reports of a release, looked up by the path of an image of their study."""

    def __init__(self, root: Path, given: str | None = None) -> None:
        """Find them.

        Args:
            root: the images' root, searched where nothing is given.
            given: folder or ``.zip`` of the reports.

        Raises:
            UserError: what is given does not exist or is no archive.
        """
        place = Path(given).expanduser() if given else root
        if given and not place.exists():
            raise UserError(
                f"datasets.mimic_cxr.reports is {given}, which does not exist; give the folder that holds the reports' "
                f"files/, or {ARCHIVE}."
            )
        if place.name == "files":
            place = place.parent
        self.place = place
        places = [] if place.is_file() else [place / folder for folder in FOLDERS]
        self.folders = [folder for folder in places if (folder / "files").is_dir()]
        archives = [place] if place.is_file() else [folder / ARCHIVE for folder in places]
        self._archive: zipfile.ZipFile | None = None
        self._members: dict[str, str] = {}
        for path in filter(Path.is_file, archives):
            try:
                self._archive = zipfile.ZipFile(path)
            except (OSError, zipfile.BadZipFile) as error:
                raise bounded.unreadable(path, "ZIP", error) from None
            names = self._archive.namelist()
            self._members = {name[name.find("files/") :]: name for name in names if name.endswith(".txt")}
            break

    def has(self, image: str) -> bool:
        """Whether the report of an image's study is there."""
        name = f"{Path(image).parent.as_posix()}.txt"
        return name in self._members or any(os.path.isfile(folder / name) for folder in self.folders)

    def text(self, image: str) -> str | None:
        """The whole report of an image's study; None where none can be read."""
        name = f"{Path(image).parent.as_posix()}.txt"
        for folder in self.folders:
            try:
                with open(folder / name, encoding="utf-8", errors="replace") as handle:
                    text = handle.read(bounded.LARGEST_REPORT)
            except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError):
                continue
            return text if len(text) < bounded.LARGEST_REPORT else None
        return self._unpacked(self._members.get(name))

    def _unpacked(self, member: str | None) -> str | None:
        if member is None or self._archive is None:
            return None
        try:
            with self._archive.open(member) as handle:
                content = handle.read(bounded.LARGEST_REPORT)
        except (*bounded.UNREADABLE, zipfile.BadZipFile, NotImplementedError, RuntimeError):
            return None  # cut short, spoilt, encrypted
        return content.decode("utf-8", "replace") if len(content) < bounded.LARGEST_REPORT else None
