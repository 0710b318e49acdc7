"""Open-I / NLMCXR (Indiana University, public): PNG images and XML reports with MeSH tags.

``NLMCXR_png/<image>.png``, ``ecgen-radiology/<n>.xml`` (or the released ``NLMCXR_reports.tgz``). The release names no
views (open_i_views.py). Demner-Fushman et al., JAMIA 2016.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from benchmark.cohort import contract, tables
from benchmark.cohort.adapters import locations, open_i_views
from benchmark.cohort.contract import Exclusion, Release
from benchmark.common.errors import UserError
from benchmark.common.progress import say
from benchmark.materials import open_i_report
from benchmark.materials.open_i_report import OpenIReport
from benchmark.pipeline.settings import DatasetSettings

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
UNINDEXED = "no indexing"


def read(root: Path, settings: DatasetSettings, grounding: Path | None = None) -> Release:
    """Read every study that has images.

    ``labels: published``: substring match on the automatic tags, normal = none of the 18 (as the released scripts do).
    Otherwise ``exact``: whole tags, normal = the indexers' ``normal`` alone; studies never indexed are left out.

    Raises:
        UserError: a report is not XML or lacks its identifier, two bear the same, or an image belongs to two reports.
    """
    exclusions: list[Exclusion] = []
    source = tables.locate(root, tables.MARKS["open_i"], "open_i")
    studies = list(open_i_report.read_reports(source))
    if not studies:
        raise UserError(f"open_i: {source} holds no .xml report; expected 3,955 of them.")
    published = settings.labels == "published"
    table = pd.DataFrame(
        [
            {
                "image_id": image,
                "study_id": study.uid,
                "report": study.text,
                "normal": normal(study, published),
                "unindexed": UNINDEXED in study.tags,
                **labels(study, published),
            }
            for study in studies
            for image in study.image_ids
        ]
    )
    _check_one_report(table, source)
    counts = Counter(study.uid for study in studies)
    if repeated := sorted(uid for uid, count in counts.items() if count > 1):
        raise UserError(
            f"{source}: {counts[repeated[0]]} reports bear the uId '{repeated[0]}' ({len(repeated)} such); expected a "
            "report a uId: unpack NLMCXR_reports.tgz again."
        )
    if without_images := tuple(study.uid for study in studies if not study.image_ids):
        exclusions.append(Exclusion("report without an image", without_images))
    notes = []
    if settings.views == "frontal":
        read = open_i_views.read_tables(root)
        named = " and ".join(view_table.name for view_table in read)
        table["view"], surplus, conflicts = open_i_views.judge(table, read)
        reason = pd.Series("", index=table.index)
        reason[table["view"] == "lateral"] = "not a frontal view"
        reason[table["view"] == "unknown"] = f"view not stated in {named}"
        reason[surplus] = "another frontal image of its study is more certain"
        for text in sorted(set(reason) - {""}):
            table = contract.without(table.assign(reason=reason), reason == text, text, "image_id", exclusions)
            reason = table["reason"]
        notes.append(f"Frontal images alone (`views: frontal`), by {named}: {conflicts} conflicts between them.")
        say(f"open_i: {notes[-1]}")
    else:
        table["view"] = "unknown"
        notes.append("Every image, lateral ones included (`views: all`), as the published protocol has it.")
    if not published:
        table = contract.without(table, table["unindexed"], "study was not indexed", "image_id", exclusions)
    regions = [
        {"image_id": image, **region}
        for study in studies
        for image in study.image_ids
        for region in study_zones(study, published)
    ]
    kept = contract.make_regions(regions)
    kept = kept[kept["image_id"].isin(table["image_id"])].reset_index(drop=True)
    index = contract.make_index(
        {name: table[name] for name in ("image_id", "study_id", "report", "view", "normal")}
        | {"path": "NLMCXR_png/" + table["image_id"] + ".png", "patient_id": table["study_id"]},
        table[list(FINDINGS)],
    )
    return Release(
        index=index,
        regions=kept,
        findings=FINDINGS,
        labels="published" if published else "exact",
        version=f"NLMCXR, {len(studies)} reports, {settings.views} images",
        grounding_truth="zone",
        credentialed=False,
        rows=len(studies),
        published_rows=3_955,
        exclusions=tuple(exclusions),
        notes=(*notes, "Each report is one patient: the release holds one report a patient."),
    )


def _check_one_report(table: pd.DataFrame, source: Path) -> None:
    """Refuse an image of two reports: whose labels would it bear? (The release is public: names may be said.)

    Raises:
        UserError: names the image and its reports.
    """
    repeated = table[table["image_id"].duplicated(keep=False)]
    if len(repeated):
        name = repeated["image_id"].iloc[0]
        reports = sorted(repeated.loc[repeated["image_id"] == name, "study_id"])
        raise UserError(
            f"{source}: image '{name}' appears in the reports {' and '.join(reports)} "
            f"({repeated['image_id'].nunique()} such images); expected each in one: unpack NLMCXR_reports.tgz again."
        )


def _named(tags: Iterable[str], finding: str, published: bool) -> bool:
    """Whether lower-case ``tags`` name the finding: by substring (published) or as whole tags."""
    if published:
        return any(part in tag for tag in tags for part in PUBLISHED[finding])
    return not set(EXACT[finding]).isdisjoint(tags)


def labels(study: OpenIReport, published: bool) -> dict[str, int]:
    """0/1 of each of the 18 findings."""
    tags = [tag.lower() for tag in study.automatic] if published else sorted(study.tags)
    return {finding: int(_named(tags, finding, published)) for finding in FINDINGS}


def normal(study: OpenIReport, published: bool) -> int:
    """1 when normal: none of the 18 findings (published), or indexed as ``normal`` and nothing else (exact)."""
    if published:
        return int(not any(labels(study, published).values()))
    return int(study.normal)


def study_zones(study: OpenIReport, published: bool) -> list[dict[str, object]]:
    """Zones of the study's positive findings, from the qualifiers of the human tags."""
    positive = [finding for finding, value in labels(study, published).items() if value]
    regions: list[dict[str, object]] = []
    for major in study.major:
        base, *qualifiers = (term.strip() for term in major.lower().split("/"))
        tag = "pleural thickening" if base == "thickening" and "pleura" in qualifiers else base
        for finding in positive:
            if _named([tag], finding, published):
                regions += [zone.as_region(finding) for zone in locations.from_words(qualifiers)]
    return [region for at, region in enumerate(regions) if region not in regions[:at]]
