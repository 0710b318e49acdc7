"""Open-I / NLMCXR (Indiana University, public): PNG pictures and XML reports with MeSH tags.

``NLMCXR_png/<picture>.png``, ``ecgen-radiology/<n>.xml`` (or the released ``NLMCXR_reports.tgz``). Views stand in the
DICOM headers only: a table of them is used where the root holds one. Demner-Fushman et al., JAMIA 2016.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from defusedxml import DefusedXmlException, ElementTree

from benchmark import bounded
from benchmark.cohort import adapter, zones
from benchmark.cohort.adapter import Cohort, Exclusion
from benchmark.errors import UserError
from benchmark.settings import DatasetSettings

PUBLISHED = {
    "Atelectasis": ("atelectasis", "atelectases"),
    "Cardiomegaly": ("cardiomegaly",),
    "Pleural Effusion": ("effusion",),
    "Lung Infiltration": ("infiltration", "infiltrate"),
    "Pulmonary Mass": ("mass",),
    "Lung Nodule": ("nodule",),
    "Pneumonia": ("pneumonia",),
    "Pneumothorax": ("pneumothorax",),
    "Pulmonary Edema": ("edema",),
    "Pulmonary Emphysema": ("emphysema",),
    "Pulmonary Fibrosis": ("fibrosis",),
    "Pleural Thickening": ("pleural_thickening", "pleural thickening"),
    "Hernia": ("hernia",),
    "Bone Fracture": ("fracture",),
    "Lung Opacity": ("opacity",),
    "Abnormal Lesion": ("lesion",),
    "Calcified Granuloma": ("calcified granuloma",),
    "Lung Granuloma": ("granuloma",),
}
"""The 18 findings in CARZero's order -> the lower-case substrings that the published labels look for in the tags."""
EXACT = {
    "Atelectasis": ("pulmonary atelectasis", "atelectasis", "atelectases"),
    "Cardiomegaly": ("cardiomegaly", "enlarged heart"),
    "Pleural Effusion": ("pleural effusion", "pleural effusions", "hydropneumothorax", "hemothorax", "pleural fluid"),
    "Lung Infiltration": ("infiltrate", "infiltrates"),
    "Pulmonary Mass": ("mass", "mass lesion"),
    "Lung Nodule": ("nodule", "nodules", "multiple pulmonary nodules"),
    "Pneumonia": ("pneumonia",),
    "Pneumothorax": ("pneumothorax", "hydropneumothorax", "hemopneumothorax"),
    "Pulmonary Edema": ("pulmonary edema",),
    "Pulmonary Emphysema": ("pulmonary emphysema", "emphysema", "bullous emphysema"),
    "Pulmonary Fibrosis": ("pulmonary fibrosis", "fibrosis"),
    "Pleural Thickening": ("pleural thickening",),
    "Hernia": ("hernia, hiatal", "hernia, diaphragmatic", "hiatal hernia"),
    "Bone Fracture": ("fractures, bone", "rib fractures", "rib fracture", "spinal fractures", "humeral fractures"),
    "Lung Opacity": ("opacity", "airspace disease"),
    "Abnormal Lesion": ("lesion", "expansile bone lesions"),
    "Calcified Granuloma": ("calcified granuloma",),
    "Lung Granuloma": ("granuloma", "calcified granuloma"),
}
"""The same findings -> the whole tags that name them."""
FINDINGS = tuple(PUBLISHED)
PLEURAL_THICKENING = ("thickening", "pleura")
"""The indexers write pleural thickening as a base term with a qualifier."""
UNINDEXED = "no indexing"
VIEW_TABLES = ("nlmcxr_dicom_metadata.csv*", "indiana_projections.csv*")
VIEWS = {"PA": "PA", "AP": "AP", "Frontal": "frontal", "LL": "lateral", "RL": "lateral", "L": "lateral"}
VIEWS |= {"LATERAL": "lateral", "LARGE LATERAL": "lateral", "Lateral": "lateral"}


@dataclass(frozen=True)
class Study:
    """What one XML file says."""

    uid: str
    findings: str
    impression: str
    indication: str
    comparison: str
    major: tuple[str, ...]
    """Human indexing: ``base term/qualifier/...``."""
    automatic: tuple[str, ...]
    """Machine indexing."""
    pictures: tuple[str, ...]

    @property
    def report(self) -> str:
        """Findings, then impression."""
        return " ".join(part for part in (self.findings, self.impression) if part)

    @property
    def tags(self) -> set[str]:
        """Every whole tag in lower case: automatic tags and base terms; pleural thickening as one tag."""
        parts = [tuple(term.strip() for term in major.lower().split("/")) for major in self.major]
        whole = {tag.lower().strip() for tag in self.automatic} | {terms[0] for terms in parts}
        if any(all(term in terms for term in PLEURAL_THICKENING) for terms in parts):
            whole.add("pleural thickening")
        return whole


def read(root: Path, settings: DatasetSettings, grounding: Path | None = None) -> Cohort:
    """Read every study that has pictures.

    ``labels: published``: substring match on the automatic tags, normal = none of the 18 (as the released scripts do).
    Otherwise ``exact``: whole tags, normal = the indexers' ``normal`` alone; studies never indexed are left out.

    Raises:
        UserError: a report is not XML or lacks its identifier, or a picture belongs to two reports.
    """
    exclusions: list[Exclusion] = []
    source = adapter.locate(root, adapter.MARKS["open_i"], "open_i")
    studies = list(read_studies(source))
    if not studies:
        raise UserError(f"open_i: {source} holds no .xml report; expected 3,955 of them.")
    published = settings.labels == "published"
    table = pd.DataFrame(
        [
            {
                "image_id": picture,
                "study_id": study.uid,
                "report": study.report,
                "normal": normal(study, published),
                "unindexed": UNINDEXED in study.tags,
                **labels(study, published),
            }
            for study in studies
            for picture in study.pictures
        ]
    )
    _check_one_report(table, source)
    if without_pictures := tuple(study.uid for study in studies if not study.pictures):
        exclusions.append(Exclusion("report without a picture", without_pictures))
    table["view"], view_table = views(root, table["image_id"])
    if view_table:
        unstated = f"view not stated in {view_table.name}"
        table = adapter.without(table, table["view"] == "lateral", "not a frontal view", "image_id", exclusions)
        table = adapter.without(table, table["view"] == "unknown", unstated, "image_id", exclusions)
    if not published:
        table = adapter.without(table, table["unindexed"], "study was not indexed", "image_id", exclusions)
    regions = [
        {"image_id": picture, **region}
        for study in studies
        for picture in study.pictures
        for region in study_zones(study, published)
    ]
    kept = adapter.make_regions(regions)
    kept = kept[kept["image_id"].isin(table["image_id"])].reset_index(drop=True)
    index = adapter.make_index(
        {name: table[name] for name in ("image_id", "study_id", "report", "view", "normal")}
        | {"path": "NLMCXR_png/" + table["image_id"] + ".png", "patient_id": table["study_id"]},
        table[list(FINDINGS)],
    )
    seen = f"views from {view_table.name}" if view_table else "no view table: lateral pictures are included"
    return Cohort(
        index=index,
        regions=kept,
        findings=FINDINGS,
        labels="published" if published else "exact",
        release=f"NLMCXR, {len(studies)} reports",
        grounding_truth="zone",
        credentialed=False,
        exclusions=tuple(exclusions),
        notes=(seen[0].upper() + seen[1:] + ".", "Each report is one patient: the release holds one report a patient."),
    )


def _check_one_report(table: pd.DataFrame, source: Path) -> None:
    """Refuse a picture of two reports: whose labels would it bear? (The release is public: names may be said.)

    Raises:
        UserError: names the picture and its reports.
    """
    repeated = table[table["image_id"].duplicated(keep=False)]
    if len(repeated):
        name = repeated["image_id"].iloc[0]
        reports = sorted(repeated.loc[repeated["image_id"] == name, "study_id"])
        raise UserError(
            f"{source}: picture '{name}' stands in the reports {' and '.join(reports)} "
            f"({repeated['image_id'].nunique()} such pictures); expected each in one: unpack NLMCXR_reports.tgz again."
        )


def read_studies(source: Path) -> Iterator[Study]:
    """Every report of a folder of XML files or of the released tar archive, in the order of their names.

    Raises:
        UserError: one cannot be read, or is larger than any report.
    """
    if source.is_dir():
        for path in sorted(source.glob("*.xml")):
            try:
                xml = bounded.content(path, bounded.LARGEST_REPORT)
            except bounded.UNREADABLE as error:
                raise adapter.unreadable(path, "XML", error) from None
            yield parse_study(xml, str(path))
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
                    yield parse_study(handle.read(), name)
    except (*bounded.UNREADABLE, tarfile.TarError) as error:
        raise adapter.unreadable(source, "a tar archive", error) from None


def parse_study(xml: bytes, name: str) -> Study:
    """Read one XML report; whitespace is folded, entities are expanded by nobody (defusedxml).

    Args:
        xml: the file's bytes.
        name: the file's name, for messages.

    Raises:
        UserError: it is not XML, or has no ``uId``.
    """
    try:
        top = ElementTree.fromstring(xml)
    except (ElementTree.ParseError, DefusedXmlException, LookupError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{name} is not valid XML ({reason}); unpack NLMCXR_reports.tgz again.") from None
    if (uid := top.find("uId")) is None:
        raise UserError(f"{name}: expected an element <uId id=...>, found none; is this an Open-I report?")

    def folded(text: str | None) -> str:
        return " ".join((text or "").split())

    def texts(tag: str) -> tuple[str, ...]:
        return tuple(folded(node.text) for node in top.iter(tag))

    section = {node.get("Label", "").upper(): folded(node.text) for node in top.iter("AbstractText")}
    return Study(
        uid=uid.get("id", ""),
        findings=section.get("FINDINGS", ""),
        impression=section.get("IMPRESSION", ""),
        indication=section.get("INDICATION", ""),
        comparison=section.get("COMPARISON", ""),
        major=texts("major"),
        automatic=texts("automatic"),
        pictures=tuple(node.get("id", "") for node in top.iter("parentImage")),
    )


def _named(tags: Iterable[str], finding: str, published: bool) -> bool:
    """Whether lower-case ``tags`` name the finding: by substring (published) or as whole tags."""
    if published:
        return any(part in tag for tag in tags for part in PUBLISHED[finding])
    return not set(EXACT[finding]).isdisjoint(tags)


def labels(study: Study, published: bool) -> dict[str, int]:
    """0/1 of each of the 18 findings."""
    tags = [tag.lower() for tag in study.automatic] if published else sorted(study.tags)
    return {finding: int(_named(tags, finding, published)) for finding in FINDINGS}


def normal(study: Study, published: bool) -> int:
    """1 when normal: none of the 18 findings (published), or indexed as ``normal`` and nothing else (exact)."""
    if published:
        return int(not any(labels(study, published).values()))
    return int([major.lower() for major in study.major] == ["normal"])


def study_zones(study: Study, published: bool) -> list[dict[str, object]]:
    """Zones of the study's positive findings, from the qualifiers of the human tags."""
    positive = [finding for finding, value in labels(study, published).items() if value]
    regions: list[dict[str, object]] = []
    for major in study.major:
        base, *qualifiers = (term.strip() for term in major.lower().split("/"))
        tag = "pleural thickening" if base == "thickening" and "pleura" in qualifiers else base
        for finding in positive:
            if _named([tag], finding, published):
                regions += [zone.as_region(finding) for zone in zones.from_words(qualifiers)]
    return [region for at, region in enumerate(regions) if region not in regions[:at]]


def views(root: Path, image_ids: pd.Series) -> tuple[pd.Series, Path | None]:
    """View of each picture from a table in the root: PA, AP, frontal, lateral, unknown; and that table.

    Read are the table of DICOM headers (columns ``imageid``, ``View Position``; its blanks are filled from
    ``nlmcxr_tsne_pa.csv`` where that lies beside it) and ``indiana_projections.csv`` (``filename``, ``projection``).
    """
    path = adapter.find(root, VIEW_TABLES)
    if path is None:
        return pd.Series("unknown", index=image_ids.index), None
    if path.name.startswith("indiana"):
        table = adapter.read_table(path, ["filename", "projection"])
        names = "CXR" + table["filename"].str.removesuffix(".png").str.removesuffix(".dcm")
        stated = dict(zip(names, table["projection"], strict=True))
    else:
        table = adapter.read_table(path, ["imageid", "View Position"])
        stated = dict(zip(table["imageid"], table["View Position"], strict=True))
        if (derived := adapter.find(root, ["nlmcxr_tsne_pa.csv*"])) is not None:
            extra = adapter.read_table(derived, ["imageid", "tsne-view"])
            for name, view in zip(extra["imageid"], extra["tsne-view"], strict=True):
                stated[name] = stated.get(name) or view
    return image_ids.map(lambda name: VIEWS.get(stated.get(name, ""), "unknown")), path
