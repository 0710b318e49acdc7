"""One report of Open-I / NLMCXR as its XML file says it: sections and MeSH tags (``ecgen-radiology/<n>.xml``).

Both an Open-I release on the user's disk and the public material of the embedded cohort are read here.
Demner-Fushman et al., JAMIA 2016.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from defusedxml import DefusedXmlException, ElementTree

from benchmark.common import bounded
from benchmark.common.errors import UserError

PLEURAL_THICKENING = ("thickening", "pleura")
"""The indexers write pleural thickening as a base term with a qualifier."""


@dataclass(frozen=True)
class OpenIReport:
    """What one XML file says: one study."""

    uid: str
    findings: str
    impression: str
    indication: str
    comparison: str
    major: tuple[str, ...]
    """Human indexing: ``base term/qualifier/...``."""
    automatic: tuple[str, ...]
    """Machine indexing."""
    image_ids: tuple[str, ...]
    """Published image names without ending, e.g. ``CXR1000_IM-0003-1001``."""

    @property
    def text(self) -> str:
        """Findings, then impression: what a captioned image is paired with."""
        return " ".join(part for part in (self.findings, self.impression) if part)

    @property
    def normal(self) -> bool:
        """The indexers' rule: the one human tag is ``normal``."""
        return [tag.lower() for tag in self.major] == ["normal"]

    @property
    def tags(self) -> set[str]:
        """Every whole tag in lower case: automatic tags and base terms; pleural thickening as one tag."""
        parts = [tuple(term.strip() for term in major.lower().split("/")) for major in self.major]
        whole = {tag.lower().strip() for tag in self.automatic} | {terms[0] for terms in parts}
        if any(all(term in terms for term in PLEURAL_THICKENING) for terms in parts):
            whole.add("pleural thickening")
        return whole


def read_reports(source: Path) -> Iterator[OpenIReport]:
    """Every report of a folder of XML files or of the released tar archive, in the order of their names.

    Raises:
        UserError: one cannot be read, or is larger than any report.
    """
    if source.is_dir():
        for path in sorted(source.glob("*.xml")):
            try:
                xml = bounded.content(path, bounded.LARGEST_REPORT)
            except bounded.UNREADABLE as error:
                raise bounded.unreadable(path, "XML", error) from None
            yield parse_report(xml, str(path))
        return
    try:
        with tarfile.open(fileobj=io.BytesIO(bounded.content(source))) as archive:
            for member in sorted(archive.getmembers(), key=lambda member: member.name):
                if member.isfile() and member.name.endswith(".xml"):
                    name = f"{source}:{member.name}"
                    if member.size > bounded.LARGEST_REPORT:  # as a sparse file it takes no room in the archive
                        raise UserError(f"{name} has {member.size:,} bytes, expected a report; download it again.")
                    handle = archive.extractfile(member)
                    assert handle is not None  # of a regular file there is one
                    yield parse_report(handle.read(), name)
    except (*bounded.UNREADABLE, tarfile.TarError) as error:
        raise bounded.unreadable(source, "a tar archive", error) from None


def parse_report(xml: bytes, name: str) -> OpenIReport:
    """Read one XML report; whitespace is folded, entities are expanded by nobody (defusedxml).

    Args:
        xml: the file's bytes.
        name: the file's name, for messages.

    Raises:
        UserError: it is not XML, or names no ``uId``.
    """
    try:
        top = ElementTree.fromstring(xml)
    except (ElementTree.ParseError, DefusedXmlException, LookupError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{name} is not valid XML ({reason}); unpack NLMCXR_reports.tgz again.") from None
    if (uid := top.find("uId")) is None or not uid.get("id", "").strip():
        raise UserError(f"{name}: expected an element <uId id=...>, found none; is this an Open-I report?")

    def folded(text: str | None) -> str:
        return " ".join((text or "").split())

    def texts(tag: str) -> tuple[str, ...]:
        return tuple(folded(node.text) for node in top.iter(tag))

    section = {node.get("Label", "").upper(): folded(node.text) for node in top.iter("AbstractText")}
    return OpenIReport(
        uid=uid.get("id", ""),
        findings=section.get("FINDINGS", ""),
        impression=section.get("IMPRESSION", ""),
        indication=section.get("INDICATION", ""),
        comparison=section.get("COMPARISON", ""),
        major=texts("major"),
        automatic=texts("automatic"),
        image_ids=tuple(node.get("id", "") for node in top.iter("parentImage")),
    )
