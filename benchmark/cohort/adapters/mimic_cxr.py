"""MIMIC-CXR-JPG 2.x with the MIMIC-CXR reports (PhysioNet): the training pairs.

``files/p10/p10000032/s50414267/<dicom_id>.jpg`` and ``files/p10/p10000032/s50414267.txt`` with the metadata, CheXpert
and split tables. OFF-CLIP trains on the folders p10-p16, frontal views, one random frontal image a study.
Johnson et al., Scientific Data 2019.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from pathlib import Path

import pandas as pd

from benchmark.cohort import contract, labels, privacy, tables
from benchmark.cohort.adapters import chexpert
from benchmark.cohort.adapters.mimic_reports import Reports
from benchmark.cohort.contract import Exclusion, Release
from benchmark.common.errors import UserError
from benchmark.common.progress import with_progress
from benchmark.pipeline.settings import DatasetSettings
from offclip.sentences import report_body

FINDINGS = chexpert.FINDINGS
"""The labeler is CheXpert's; its columns stand in another order in this release."""
TRAINING_FOLDERS = tuple(f"p{number}" for number in range(10, 17))
"""p17-p19 never train (OFF-CLIP's protocol)."""
SPLITS = {"train": "train", "validate": "validate", "test": "test"}
REPORTS_LOOKED_UP = 100
CHOICE_SEED = 0
"""Seed of the choice of one frontal image a study."""
TITLE = re.compile(r"^[ \t]*(?:FINAL|WET READ|PRELIMINARY) REPORT[ \t]*$", re.MULTILINE)
"""A line above the sections of most reports that says nothing of the image."""


def read(root: Path, settings: DatasetSettings, grounding: Path | None = None) -> Release:
    """Read studies with their reports (findings and impression sections).

    Raises:
        UserError: see ``survey``.
    """
    release = survey(root, settings, grounding)
    index, exclusions = release.index, list(release.exclusions)
    reports = Reports(root, settings.reports)
    found = [reports.text(path) for path in with_progress(index["path"], "reading mimic_cxr reports")]
    texts = [None if text is None else dictated(text) for text in found]
    missing = pd.Series([text is None for text in texts], dtype=bool)
    index = index.assign(report=[text or "" for text in texts])
    if missing.any():
        exclusions.append(
            Exclusion("report file is missing or unreadable", tuple(index.loc[missing, "study_id"]), incomplete=True)
        )
    index = index[~missing].reset_index(drop=True)
    index = contract.without(index, index["report"] == "", "report says nothing of the image", "study_id", exclusions)
    return dataclasses.replace(release, index=index, exclusions=tuple(exclusions))


def survey(root: Path, settings: DatasetSettings, grounding: Path | None = None) -> Release:
    """The same studies without their reports: three tables, seconds instead of minutes (a sample is looked up).

    Of a study's frontal images the one whose SHA-256 of ``"<CHOICE_SEED>:<dicom_id>"`` is smallest is taken: random,
    yet the same on every machine and whatever else the table holds.

    Raises:
        UserError: a table is not as published, or no report is found under the root.
    """
    path = tables.locate(root, tables.MARKS["mimic_cxr"], "mimic_cxr")
    table = tables.read_table(path, ["dicom_id", "subject_id", "study_id", "ViewPosition"])
    tables.check_unique(table["dicom_id"], path)
    images = len(table)
    table["row"] = range(images)
    table = table.merge(_splits(root), on="dicom_id", how="left", validate="one_to_one")
    exclusions: list[Exclusion] = []

    def leave_out(rows: pd.Series, reason: str) -> None:
        nonlocal table
        table = contract.without(table, rows, reason, "dicom_id", exclusions)

    folder = "p" + table["subject_id"].str[:2]
    leave_out(~folder.isin(TRAINING_FOLDERS), "folder p17-p19: not used for training")
    leave_out(table["split"].isna(), "not in the split table")
    leave_out(table["split"] == "test", "official test split")
    leave_out(~table["ViewPosition"].isin(contract.FRONTAL), "not a frontal view (PA, AP)")
    tables.check_one_split(table["subject_id"], table["split"], table["row"], path)
    draw = table["dicom_id"].map(lambda name: hashlib.sha256(f"{CHOICE_SEED}:{name}".encode()).hexdigest())
    chosen = table.index.isin(draw.groupby(table["study_id"]).idxmin()) if len(table) else draw.astype(bool)
    leave_out(pd.Series(~chosen), "another frontal image of the study was selected")
    truth = _labels(root).reindex(table["study_id"])
    patient = "p" + table["subject_id"]
    index = contract.make_index(
        {
            "image_id": table["dicom_id"],
            "path": "files/"
            + patient.str[:3]
            + "/"
            + patient
            + "/s"
            + table["study_id"]
            + "/"
            + table["dicom_id"]
            + ".jpg",
            "patient_id": table["subject_id"],
            "study_id": table["study_id"],
            "split": table["split"],
            "view": table["ViewPosition"],
            "normal": truth["normal"].array,
        },
        truth[list(FINDINGS)].reset_index(drop=True),
    )
    sample = list(index["path"].iloc[:: max(len(index) // REPORTS_LOOKED_UP, 1)])
    reports = Reports(root, settings.reports)
    if sample and not any(map(reports.has, sample)):
        raise UserError(
            f"mimic_cxr: no report was found in {reports.place}, expected files/pNN/pNNNNNNNN/sNNNNNNNN.txt; they are "
            "a project of their own: let datasets.mimic_cxr.reports name its folder or mimic-cxr-reports.zip."
        )
    return Release(
        index=index,
        regions=contract.make_regions(),
        findings=FINDINGS,
        labels="all",
        version=f"MIMIC-CXR-JPG 2.x, {images} images in the metadata table",
        exclusions=tuple(exclusions),
        rows=images,
        published_rows=377_110,
        notes=(
            "Training uses p10-p16 of the official train split; validation is the official validate split of p10-p16.",
        ),
    )


def _splits(root: Path) -> pd.DataFrame:
    """The official split of each image: dicom_id, split."""
    path = tables.locate(root, ["mimic-cxr-2.0.0-split.csv*"], "mimic_cxr")
    table = tables.read_table(path, ["dicom_id", "split"])
    tables.check_unique(table["dicom_id"], path)
    unknown = ~table["split"].isin(SPLITS)
    if unknown.any():
        at = int(unknown.to_numpy().argmax())
        raise UserError(
            f"{path}, {privacy.row_of(at)}: column 'split' holds {privacy.cell_shown(table['split'].iloc[at])}, "
            "expected train, validate or test."
        )
    return table


def _labels(root: Path) -> pd.DataFrame:
    """CheXpert labels by study_id; ``normal`` is 1 where No Finding is, else 0 (the labeler left it blank)."""
    path = tables.locate(root, ["mimic-cxr-2.*-chexpert.csv*"], "mimic_cxr")
    table = tables.read_table(path, ["study_id", chexpert.NORMAL, *FINDINGS])
    tables.check_unique(table["study_id"], path)
    truth = pd.DataFrame({name: labels.label_column(table[name], path) for name in (chexpert.NORMAL, *FINDINGS)})
    normal = (truth.pop(chexpert.NORMAL) == 1).fillna(False).astype("Int8")
    return truth.assign(normal=normal).set_index(table["study_id"])


def without_report(root: Path, settings: DatasetSettings, images: list[str]) -> list[str]:
    """The images of which the study's report is not on disk."""
    reports = Reports(root, settings.reports)
    return [image for image in images if not reports.has(image)]


def dictated(text: str) -> str:
    """What a report says of the image (its findings and impression) as one line of text.

    >>> dictated("FINAL REPORT\\nINDICATION: Cough.\\nFINDINGS: Clear lungs.\\n\\nIMPRESSION: Normal.")
    'Clear lungs. Normal.'
    """
    return " ".join(report_body(TITLE.sub("", text)).split())
