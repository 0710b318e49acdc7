"""Releases with the published numbers of rows, laid out as they are published; every image is a tiny file.

PadChest's and Open-I's tables are the real ones (public material). The credentialed tables are drawn, with as many
rows, patients and studies as published. An image file is another name of one of a few tiny files, so that a tree of
377,110 takes a minute and little disk. What no stage opens is not laid out: CheXpert's training images.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.materials import contents
from benchmark.materials.wheels import TORCHXRAYVISION
from benchmark.pipeline import layout
from tests.benchmark.cohort import miniatures
from tests.rehearsal import texts

IMAGES, STUDIES, REPORTS, PATIENTS = 377_110, 227_835, 227_827, 65_379
"""MIMIC-CXR-JPG 2.0.0 and the reports of MIMIC-CXR."""
CHEXPERT = {"train": 223_414, "valid": 234}
CHEXPERT_PATIENTS = 64_540
CHEXPERT_TEST = 668
VINDR = {"train": 15_000, "test": 3_000}
PADCHEST = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz"
MOST_NAMES = 60_000
"""Of one file; ext4 allows 65,000."""
SIDE = 24


def lay_out(root: Path, material: Path) -> None:
    """All five, each in a folder of its name."""
    for dataset in layout.DATASETS:
        folder = root / dataset
        folder.mkdir(parents=True, exist_ok=True)
        globals()[dataset](folder, material)


def name_files(root: Path, names: Iterable[str], tiny: Path) -> None:
    """Give the file ``tiny`` every one of the names below ``root``; where it has as many as it may, a copy goes on."""
    content = tiny.read_bytes()
    made: set[str] = set()
    for number, name in enumerate(names):
        if number % MOST_NAMES == 0:
            tiny = tiny.with_name(f"{number}{tiny.suffix}")
            tiny.write_bytes(content)
        folder = f"{root}/{name.rpartition('/')[0]}"
        if folder not in made:
            os.makedirs(folder, exist_ok=True)
            made.add(folder)
        os.link(tiny, f"{root}/{name}")


def mimic_cxr(root: Path, material: Path) -> None:
    """Tables, images and the reports' archive as PhysioNet distributes it."""
    generator = np.random.default_rng(1)
    patient = np.sort(np.r_[np.arange(PATIENTS), generator.integers(0, PATIENTS, STUDIES - PATIENTS)])
    subject = np.sort(generator.choice(10_000_000, PATIENTS, replace=False) + 10_000_000)[patient]
    study = generator.choice(10_000_000, STUDIES, replace=False) + 50_000_000
    # Every study has a frontal image; most further ones are lateral.
    of = np.r_[np.arange(STUDIES), generator.integers(0, STUDIES, IMAGES - STUDIES)]
    further = np.arange(IMAGES) >= STUDIES
    view = np.where(
        further,
        generator.choice(["LATERAL", "LL", "PA", "AP"], IMAGES, p=[0.5, 0.35, 0.05, 0.1]),
        generator.choice(["PA", "AP"], IMAGES),
    )
    order = np.argsort(of, kind="stable")
    of, view = of[order], view[order]
    fold = generator.choice(["train", "validate", "test"], PATIENTS, p=[0.98, 0.01, 0.01])
    dicom_id = ["-".join(f"{part:08x}" for part in five) for five in generator.integers(0, 1 << 32, (IMAGES, 5))]
    images = pd.DataFrame({"dicom_id": dicom_id, "subject_id": subject[of], "study_id": study[of]})
    metadata = images.assign(
        PerformedProcedureStepDescription="CHEST (PA AND LAT)", ViewPosition=view, Rows=SIDE, Columns=SIDE,
        StudyDate=21800506,
    )  # fmt: skip
    packed = {"index": False, "compression": {"method": "gzip", "compresslevel": 1}}
    metadata.to_csv(root / "mimic-cxr-2.0.0-metadata.csv.gz", **packed)
    images.assign(split=fold[patient[of]]).to_csv(root / "mimic-cxr-2.0.0-split.csv.gz", **packed)
    labels = pd.DataFrame(
        generator.choice(["", "1.0", "0.0", "-1.0"], (STUDIES, 14), p=[0.8, 0.12, 0.05, 0.03]),
        columns=miniatures.MIMIC_LABELS.split(","),
    )
    labels.insert(0, "subject_id", subject)
    labels.insert(1, "study_id", study)
    labels.iloc[:REPORTS].to_csv(root / "mimic-cxr-2.0.0-chexpert.csv.gz", **packed)
    place = [f"files/p{str(person)[:2]}/p{person}/s{name}" for person, name in zip(subject, study, strict=True)]
    miniatures.jpeg(root / ".tiny/image.jpg", SIDE, SIDE, bright=0.8)
    name_files(
        root, (f"{place[at]}/{name}.jpg" for at, name in zip(of, dicom_id, strict=True)), root / ".tiny/image.jpg"
    )
    with zipfile.ZipFile(root / "mimic-cxr-reports.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for where, (findings, impression) in zip(place[:REPORTS], texts.reports(material, REPORTS), strict=True):
            archive.writestr(f"{where}.txt", texts.as_dictated(findings, impression))


def vindr_cxr(root: Path, material: Path) -> None:
    """Both splits; the training tables name three readers an image."""
    generator = np.random.default_rng(2)
    names = miniatures.VINDR_LABELS.split(",")
    miniatures.dicom(root / ".tiny/image.dicom", miniatures.gradient(SIDE, SIDE, 4095, bright=1.0))
    for split, images in VINDR.items():
        image_id = [f"{number:032x}" for number in generator.integers(0, 1 << 62, images)]
        readers = 3 if split == "train" else 1
        positive = generator.random((images * readers, len(names))) < 0.08
        positive[:, -1] = generator.random(len(positive)) < 0.683
        positive[:, :-1] &= ~positive[:, -1:]
        table = pd.DataFrame(positive.astype(int), columns=names)
        table.insert(0, "image_id", np.repeat(image_id, readers))
        boxes = pd.DataFrame(
            [
                (table["image_id"].iloc[row], names[column], 2, 3, 12, 15)
                for row, column in np.argwhere(positive[:, :22])
            ],
            columns=["image_id", "class_name", "x_min", "y_min", "x_max", "y_max"],
        )
        if split == "train":
            table.insert(1, "rad_id", np.tile(["R1", "R2", "R3"], images))
            boxes["rad_id"] = "R1"
        (root / "annotations").mkdir(exist_ok=True)
        table.to_csv(root / f"annotations/image_labels_{split}.csv", index=False)
        boxes.to_csv(root / f"annotations/annotations_{split}.csv", index=False)
        name_files(root, (f"{split}/{name}.dicom" for name in image_id), root / ".tiny/image.dicom")


def open_i(root: Path, material: Path) -> None:
    """The released archive of 3,955 reports and its 7,470 images."""
    _member(material, "NLMCXR_reports.tgz", root)
    names = [image for report in contents.open_i_reports(material) for image in report.image_ids]
    miniatures.png(root / ".tiny/image.png", SIDE, SIDE, 255)
    name_files(root, (f"NLMCXR_png/{name}.png" for name in names), root / ".tiny/image.png")


def chexpert(root: Path, material: Path) -> None:
    """Three tables; the training patients' folders; the images of the test and validation sets."""
    generator = np.random.default_rng(3)
    columns = miniatures.CHEXPERT_LABELS.split(",")
    first = CHEXPERT_PATIENTS + 1
    parts = {
        "train": _chexpert_paths("train", 1, CHEXPERT_PATIENTS, CHEXPERT["train"]),
        "valid": _chexpert_paths("valid", first, 200, CHEXPERT["valid"]),
        "test": _chexpert_paths("test", first + 200, 500, CHEXPERT_TEST),
    }
    miniatures.jpeg(root / ".tiny/image.jpg", SIDE, SIDE)
    for part, paths in parts.items():
        table = pd.DataFrame((generator.random((len(paths), 14)) < 0.15).astype(float), columns=columns)
        table.insert(0, "Path", [f"CheXpert-v1.0/{path}" for path in paths])
        if part != "test":  # as released: those tables have four columns more
            for at, (name, value) in enumerate(
                {"Sex": "Male", "Age": 60, "Frontal/Lateral": "Frontal", "AP/PA": "AP"}.items(), start=1
            ):
                table.insert(at, name, value)
        table.to_csv(root / ("test_labels.csv" if part == "test" else f"{part}.csv"), index=False)
        if part == "train":
            for folder in {path.rsplit("/", 2)[0] for path in paths}:
                os.makedirs(root / folder)
        else:
            name_files(root, paths, root / ".tiny/image.jpg")


def _chexpert_paths(part: str, first: int, patients: int, images: int) -> Sequence[str]:
    """As many paths, each patient's studies in order; a second image of a study is lateral."""

    def paths() -> Iterator[str]:
        for number in range(images):
            patient, again = first + number % patients, number // patients
            view = "view2_lateral" if again % 4 == 1 else "view1_frontal"
            yield f"{part}/patient{patient:05d}/study{again + (view[4] == '1')}/{view}.jpg"

    return list(paths())


def padchest(root: Path, material: Path) -> None:
    """The real table and every image that it names."""
    _member(material, PADCHEST, root)
    table = contents.published_table(PADCHEST, material, dtype=str, usecols=["ImageID", "ImageDir"])
    miniatures.png(root / ".tiny/image.png", SIDE, SIDE, 4095)
    name_files(root, table["ImageDir"] + "/" + table["ImageID"], root / ".tiny/image.png")


def _member(material: Path, name: str, folder: Path) -> None:
    """A table of the public material as its own file."""
    with zipfile.ZipFile(material / TORCHXRAYVISION.filename) as archive:
        (folder / name).write_bytes(archive.read(f"torchxrayvision/data/{name}"))
