"""The published vocabularies, and which CheXpert labels the findings of a training report carry.

A kind that the vocabulary has no word for has no label, as in the real release: CheXpert does not speak of scoliosis.
``LOCAL`` VinDr labels are those that carry boxes.
"""

from __future__ import annotations

from collections.abc import Iterable

VINDR_LOCAL = (
    "Aortic enlargement",
    "Atelectasis",
    "Calcification",
    "Cardiomegaly",
    "Clavicle fracture",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Enlarged PA",
    "ILD",
    "Infiltration",
    "Lung Opacity",
    "Lung cavity",
    "Lung cyst",
    "Mediastinal shift",
    "Nodule/Mass",
    "Pleural effusion",
    "Pleural thickening",
    "Pneumothorax",
    "Pulmonary fibrosis",
    "Rib fracture",
    "Other lesion",
)
VINDR_GLOBAL = ("COPD", "Lung tumor", "Pneumonia", "Tuberculosis", "Other disease(s)", "No finding")
VINDR_COLUMNS = VINDR_LOCAL + VINDR_GLOBAL

CHEXPERT_COLUMNS = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
CHEXLOCALIZE = {
    "Enlarged Cardiomediastinum": "Enlarged Cardiomediastinum",
    "Cardiomegaly": "Cardiomegaly",
    "Lung Lesion": "Lung Lesion",
    "Lung Opacity": "Airspace Opacity",
    "Edema": "Edema",
    "Consolidation": "Consolidation",
    "Atelectasis": "Atelectasis",
    "Pneumothorax": "Pneumothorax",
    "Pleural Effusion": "Pleural Effusion",
    "Support Devices": "Support Devices",
}
"""CheXpert label -> its name in the CheXlocalize masks."""

CHEXPERT: dict[str, tuple[str, ...]] = {
    "airspace_disease": ("Lung Opacity",),
    "atelectasis": ("Atelectasis",),
    "blunted_angle": ("Pleural Effusion",),
    "cardiomegaly": ("Cardiomegaly",),
    "catheter": ("Support Devices",),
    "cavity": ("Lung Lesion",),
    "clavicle_fracture": ("Fracture",),
    "congestion": ("Edema",),
    "consolidation": ("Consolidation",),
    "edema": ("Edema",),
    "effusion": ("Pleural Effusion",),
    "fibrosis": ("Lung Opacity",),
    "heart_failure": ("Cardiomegaly", "Edema"),
    "hydropneumothorax": ("Pneumothorax", "Pleural Effusion"),
    "infiltrate": ("Lung Opacity",),
    "interstitial": ("Lung Opacity",),
    "mass": ("Lung Lesion",),
    "mediastinal_enlargement": ("Enlarged Cardiomediastinum",),
    "monitoring_leads": ("Support Devices",),
    "nodule": ("Lung Lesion",),
    "opacity": ("Lung Opacity",),
    "pacemaker": ("Support Devices",),
    "pleural_calcification": ("Pleural Other",),
    "pleural_thickening": ("Pleural Other",),
    "pneumonia": ("Pneumonia",),
    "pneumothorax": ("Pneumothorax",),
    "rib_fracture": ("Fracture",),
    "stent": ("Support Devices",),
    "tube": ("Support Devices",),
    "tuberculosis": ("Lung Lesion", "Lung Opacity"),
    "vertebral_deformity": ("Fracture",),
    "volume_loss": ("Atelectasis",),
}
CHEXPERT_PARENTS = {
    "Cardiomegaly": ("Enlarged Cardiomediastinum",),
    "Edema": ("Lung Opacity",),
    "Consolidation": ("Lung Opacity",),
    "Pneumonia": ("Lung Opacity", "Consolidation"),
    "Atelectasis": ("Lung Opacity",),
    "Lung Lesion": ("Lung Opacity",),
}
"""The label hierarchy of the CheXpert paper (Irvin 2019, figure 1), which the radiologists' test labels follow."""


def labels(kinds: Iterable[str]) -> set[str]:
    """CheXpert labels that the kinds of a study carry, without those that the hierarchy adds."""
    return {label for kind in kinds for label in CHEXPERT.get(kind, ())}


def with_parents(found: Iterable[str]) -> set[str]:
    """CheXpert labels with those that the hierarchy adds."""
    result = set(found)
    for label in sorted(result):
        result.update(CHEXPERT_PARENTS.get(label, ()))
    return result
