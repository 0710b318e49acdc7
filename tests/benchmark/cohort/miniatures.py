"""A few studies in each published layout, written by hand from the releases' descriptions.

Nothing here shares code with the phantom's writer or with the adapters: if either drifts from the releases, the
tests notice. Images are smooth gradients with a bright patch, so that orientation and identity can be checked.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco
from pydicom import dcmread
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

VINDR_LABELS = (
    "Aortic enlargement,Atelectasis,Calcification,Cardiomegaly,Clavicle fracture,Consolidation,Edema,Emphysema,"
    "Enlarged PA,ILD,Infiltration,Lung Opacity,Lung cavity,Lung cyst,Mediastinal shift,Nodule/Mass,Pleural effusion,"
    "Pleural thickening,Pneumothorax,Pulmonary fibrosis,Rib fracture,Other lesion,COPD,Lung tumor,Pneumonia,"
    "Tuberculosis,Other diseases,No finding"
)
CHEXPERT_LABELS = (
    "No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,"
    "Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices"
)
MIMIC_LABELS = (
    "Atelectasis,Cardiomegaly,Consolidation,Edema,Enlarged Cardiomediastinum,Fracture,Lung Lesion,Lung Opacity,"
    "No Finding,Pleural Effusion,Pleural Other,Pneumonia,Pneumothorax,Support Devices"
)


def gradient(height: int, width: int, peak: int, bright: float = 0.0) -> np.ndarray:
    """uint16 (height, width) that rises to the right up to ``peak`` / 2, with a brighter patch near the top left."""
    values = np.tile(np.linspace(0, peak / 2, width), (height, 1))
    values[height // 8 : height // 4, width // 8 : width // 4] += bright * peak / 2
    return np.round(values).astype(np.uint16)


def jpeg(path: Path, height: int, width: int, bright: float = 0.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(gradient(height, width, 255, bright).astype(np.uint8)).save(path, quality=95)


def png(path: Path, height: int, width: int, peak: int, bright: float = 0.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = gradient(height, width, peak, bright)
    Image.fromarray(values if peak > 255 else values.astype(np.uint8)).save(path)


def dicom(path: Path, stored: np.ndarray, photometric: str = "MONOCHROME2", **elements: object) -> None:
    """An uncompressed computed radiograph with the given further elements (WindowCenter=..., RescaleSlope=...)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(path)])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.Modality, dataset.PhotometricInterpretation = "CR", photometric
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = *stored.shape, 1
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = int(stored.dtype == np.int16)
    for name, value in elements.items():
        setattr(dataset, name, value)
    dataset.PixelData = stored.tobytes()
    dataset.save_as(path, enforce_file_format=True)


def encapsulated(path: Path, stored: np.ndarray, syntax: str, stream: bytes) -> None:
    """As ``dicom``, with ``stream`` as its compressed pixel data: for codecs that pydicom has no encoder for."""
    dicom(path, stored)
    dataset = dcmread(path)
    dataset.PixelData = encapsulate([stream])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path)


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(content.encode()))
    else:
        path.write_text(content, encoding="utf-8")


def lines(*rows: str) -> str:
    return "\n".join(rows) + "\n"


def mimic_cxr(root: Path) -> Path:
    """Three patients of p10-p16 (one of them validates), one of p17; a study with two frontal images."""
    images = [  # dicom_id, subject, study, view, split
        ("aaaa-0001", "10000032", "50414267", "PA", "train"),
        ("aaaa-0002", "10000032", "50414267", "LATERAL", "train"),
        ("aaaa-0003", "10000032", "53189527", "AP", "train"),
        ("aaaa-0004", "10000032", "53189527", "AP", "train"),
        ("bbbb-0001", "11000011", "51029426", "PA", "validate"),
        ("cccc-0001", "16000022", "55555555", "AP", "train"),
        ("dddd-0001", "17000033", "56666666", "PA", "train"),
        ("eeee-0001", "12000044", "57777777", "PA", "test"),
        ("ffff-0001", "13000055", "58888888", "PA", "train"),
    ]
    reports = {
        "50414267": "                       FINAL REPORT\n EXAMINATION:  CHEST (PA AND LAT)\n\n INDICATION:  ___F"
        " with cough.\n\n FINDINGS: \n \n There is no focal consolidation. \n Heart size is normal.\n\n IMPRESSION: \n"
        " \n No acute process.\n",
        "53189527": " FINAL REPORT\n HISTORY:  Fever.\n\n IMPRESSION:  Right lower lobe pneumonia: 3.5 cm.\n",
        "51029426": " FINDINGS AND IMPRESSION:  Moderate left pleural effusion.\n\n NOTIFICATION:  Dr. ___, 3:15 pm.\n",
        "55555555": " FINDINGS:  Stable cardiomegaly.\n",
        "58888888": " INDICATION:  Cough.\n\n COMPARISON:  None.\n",
    }
    for dicom_id, subject, study, _view, _split in images:
        jpeg(root / f"files/p{subject[:2]}/p{subject}/s{study}/{dicom_id}.jpg", 60, 50, bright=0.8)
    for _, subject, study, _view, _split in images:
        if study in reports:
            text(root / f"files/p{subject[:2]}/p{subject}/s{study}.txt", reports[study])
    text(
        root / "mimic-cxr-2.0.0-metadata.csv.gz",
        lines(
            "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate",
            *(f'{d},{p},{s},"CHEST (PA AND LAT)",{v},60,50,21800506' for d, p, s, v, _ in images),
        ),
    )
    text(
        root / "mimic-cxr-2.0.0-split.csv.gz",
        lines("dicom_id,study_id,subject_id,split", *(f"{d},{s},{p},{split}" for d, p, s, _, split in images)),
    )
    text(
        root / "mimic-cxr-2.0.0-chexpert.csv.gz",
        lines(
            f"subject_id,study_id,{MIMIC_LABELS}",
            "10000032,50414267,,,,,,,,,1.0,,,,,",
            "10000032,53189527,,,-1.0,,,,,1.0,,0.0,,1.0,,",
            "11000011,51029426,,,,,,,,,,1.0,,,,",
            "17000033,56666666,,,,,,,,,1.0,,,,,",
            "12000044,57777777,,,,,,,,,1.0,,,,,",
        ),
    )
    return root


def vindr_cxr(root: Path) -> Path:
    """Four test images: inverted with boxes, normal, one with only a finding outside the published 17, one plain."""
    rows = {
        "0a1b": {"Cardiomegaly", "Pleural effusion"},
        "1c2d": {"No finding"},
        "2e3f": {"Rib fracture"},
        "3a4b": {"Lung tumor", "ILD"},
    }
    names = VINDR_LABELS.split(",")
    text(
        root / "annotations/image_labels_test.csv",
        lines(
            f"image_id,{VINDR_LABELS}",
            *(f"{name},{','.join(str(int(label in positive)) for label in names)}" for name, positive in rows.items()),
        ),
    )
    text(
        root / "annotations/annotations_test.csv",
        lines(
            "image_id,class_name,x_min,y_min,x_max,y_max",
            "0a1b,Cardiomegaly,20.5,40.0,70.25,90.0",
            "0a1b,Pleural effusion,5,80,30,100.4",
            "1c2d,No finding,,,,",
            "2e3f,Rib fracture,10,10,20,20",
            "3a4b,ILD,10,10,40,40",
        ),
    )
    stored = gradient(100, 80, 4095, bright=1.0)
    dicom(root / "test/0a1b.dicom", 4095 - stored, "MONOCHROME1", WindowCenter=2047.5, WindowWidth=4096)
    dicom(root / "test/1c2d.dicom", stored, WindowCenter=[1023.5, 2047], WindowWidth=[2048, 4096])
    dicom(root / "test/2e3f.dicom", stored)
    dicom(root / "test/3a4b.dicom", stored.astype(np.int16), RescaleSlope=1, RescaleIntercept=-1024)
    return root


OPEN_I = """<?xml version="1.0" encoding="utf-8"?>
<eCitation><meta type="rr"/><uId id="CXR{uid}"/><MedlineCitation><Article><Abstract>
<AbstractText Label="COMPARISON">None.</AbstractText><AbstractText Label="INDICATION">XXXX</AbstractText>
<AbstractText Label="FINDINGS">{findings}</AbstractText><AbstractText Label="IMPRESSION">{impression}</AbstractText>
</Abstract></Article></MedlineCitation><MeSH>{mesh}</MeSH>{images}</eCitation>"""


def open_i(root: Path, view_table: bool = True) -> Path:
    """Four reports: normal with two views, right upper opacity, pericardial effusion (a substring trap), no image."""
    reports = {
        "1": ("Clear lungs.", "Normal chest.", ["normal"], ["normal"], ["CXR1_1_IM-0001-3001", "CXR1_1_IM-0001-4001"]),
        "1000": (
            "Increased opacity in the right upper lobe.",
            "",
            ["Opacity/lung/upper lobe/right", "Pulmonary Atelectasis/upper lobe/right", "Thickening/pleura/apex/left"],
            ["opacity", "atelectases", "Pleural Thickening"],
            ["CXR1000_IM-0003-1001"],
        ),
        "22": ("", "Pericardial effusion.", ["Pericardial Effusion"], ["pericardial effusion"], ["CXR22_IM-0022-1001"]),
        "7": ("No films.", "", ["No Indexing"], [], []),
    }
    for uid, (findings, impression, major, automatic, images) in reports.items():
        mesh = "".join(f"<major>{tag}</major>" for tag in major)
        mesh += "".join(f"<automatic>{tag}</automatic>" for tag in automatic)
        elements = "".join(f'<parentImage id="{name}"><figureId>F1</figureId></parentImage>' for name in images)
        text(
            root / f"ecgen-radiology/{uid}.xml",
            OPEN_I.format(uid=uid, findings=findings, impression=impression, mesh=mesh, images=elements),
        )
        for name in images:
            png(root / f"NLMCXR_png/{name}.png", 64, 80, 255)
    if view_table:
        text(
            root / "nlmcxr_dicom_metadata.csv.gz",
            lines(
                "imageid,Modality,View Position",
                "CXR1_1_IM-0001-3001,CR,PA",
                "CXR1_1_IM-0001-4001,CR,LL",
                "CXR1000_IM-0003-1001,CR,AP",
                "CXR22_IM-0022-1001,CR,",
            ),
        )
    return root


def chexpert(root: Path) -> Path:
    """Three test studies, one with a lateral image; masks of two findings."""
    rows = {
        "patient64741/study1/view1_frontal.jpg": {"Cardiomegaly", "Enlarged Cardiomediastinum", "Lung Opacity"},
        "patient64741/study1/view2_lateral.jpg": {"Cardiomegaly", "Enlarged Cardiomediastinum", "Lung Opacity"},
        "patient64742/study1/view1_frontal.jpg": {"No Finding"},
        "patient64743/study2/view1_frontal.jpg": {"Support Devices"},
    }
    names = CHEXPERT_LABELS.split(",")
    for path in rows:
        jpeg(root / "test" / path, 90, 110)
    text(
        root / "test_labels.csv",
        lines(
            f"Path,{CHEXPERT_LABELS}",
            *(
                f"CheXpert-v1.0/test/{path},{','.join(str(float(name in positive)) for name in names)}"
                for path, positive in rows.items()
            ),
        ),
    )
    heart = np.zeros((90, 110), dtype=np.uint8, order="F")
    heart[40:70, 30:80] = 1
    nothing = np.zeros((90, 110), dtype=np.uint8, order="F")

    def encoded(mask: np.ndarray) -> dict[str, object]:
        value = coco.encode(mask)
        return {"size": value["size"], "counts": value["counts"].decode()}

    masks = {
        "patient64741_study1_view1_frontal": {
            "Cardiomegaly": encoded(heart),
            "Airspace Opacity": encoded(np.asfortranarray(np.roll(heart, 10, axis=1))),
            "Edema": encoded(nothing),
        },
        "patient64741_study1_view2_lateral": {"Cardiomegaly": encoded(heart)},
    }
    text(root / "CheXlocalize/gt_segmentations_test.json", json.dumps(masks))
    return root


PADCHEST = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz"


def padchest(root: Path) -> Path:
    """Six rows: normal, list of lists with stray spaces, lateral, excluded, suboptimal, labelled by the network."""
    rows = [  # ImageID, dir, patient, projection, method, labels, localizations by sentence
        ("100_a.png", 0, "P1", "PA", "Physician", "['normal']", "[['normal']]"),
        (
            "200_b.png", 13, "P2", "AP_horizontal", "Physician",
            "[['pleural effusion ', ' cardiomegaly'], ['pleural effusion', 'unchanged']]",
            "[['pleural effusion', 'loc pleural', 'loc right', 'loc basal'], ['cardiomegaly', 'loc cardiac']]",
        ),
        ("200_c.png", 13, "P2", "L", "Physician", "['pleural effusion', 'cardiomegaly']", "[]"),
        ("300_d.png", 54, "P3", "AP", "Physician", "['exclude']", "[['exclude']]"),
        (
            "400_e.png", 54, "P4", "PA", "Physician",
            "['suboptimal study', 'nodule']",
            "[['nodule', 'loc left upper lobe']]",
        ),
        ("500_f.png", 54, "P5", "PA", "RNN_model", "['pneumonia']", "[['pneumonia', 'loc right']]"),
    ]  # fmt: skip
    header = (
        ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,ViewPosition_DICOM,Projection,"
        "MethodProjection,Pediatric,ReportID,Report,MethodLabel,Labels,Localizations,LabelsLocalizationsBySentence,labelCUIS,"
        "LocalizationsCUIS"
    )
    text(
        root / PADCHEST,
        lines(
            header,
            *(
                f"{at},{image},{folder},20140915,{image[:3]},{patient},1930.0,F,POSTEROANTERIOR,{view},Manual,No,{at},"
                f'sin hallazg .,{method},"{labels}",[],"{by_sentence}",[],[]'
                for at, (image, folder, patient, view, method, labels, by_sentence) in enumerate(rows)
            ),
        ),
    )
    for image, folder, *_ in rows:
        png(root / str(folder) / image, 120, 100, 4095)
    return root


WRITERS = {
    "mimic_cxr": mimic_cxr,
    "vindr_cxr": vindr_cxr,
    "open_i": open_i,
    "chexpert": chexpert,
    "padchest": padchest,
}
