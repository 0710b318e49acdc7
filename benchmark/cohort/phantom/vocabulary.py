"""Kinds of findings -> the labels of each published vocabulary.

A kind that a vocabulary has no word for has no label there, as in the real releases: CheXpert does
not speak of scoliosis. ``LOCAL`` VinDr labels are those that carry boxes.
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

OTHER = ("Other lesion",)
VINDR: dict[str, tuple[str, ...]] = {
    "airspace_disease": ("Lung Opacity",),
    "aorta_enlarged": ("Aortic enlargement",),
    "aortic_calcification": ("Calcification",),
    "atelectasis": ("Atelectasis",),
    "blunted_angle": ("Pleural effusion",),
    "bulla": ("Lung cyst",),
    "bullous_emphysema": ("Emphysema", "Lung cyst"),
    "calcified_nodes": ("Calcification",),
    "cardiomegaly": ("Cardiomegaly",),
    "cavity": ("Lung cavity",),
    "clavicle_fracture": ("Clavicle fracture",),
    "congestion": ("Edema",),
    "consolidation": ("Consolidation",),
    "copd": ("Emphysema", "COPD"),
    "degenerative_spine": OTHER,
    "diaphragm_elevated": OTHER,
    "edema": ("Edema",),
    "effusion": ("Pleural effusion",),
    "emphysema": ("Emphysema",),
    "fibrosis": ("Pulmonary fibrosis",),
    "granuloma": ("Calcification",),
    "granulomatous_disease": ("Calcification",),
    "heart_failure": ("Cardiomegaly", "Edema"),
    "hernia": OTHER,
    "hilar_enlargement": OTHER,
    "hydropneumothorax": ("Pneumothorax", "Pleural effusion"),
    "hyperinflation": ("COPD",),
    "infiltrate": ("Infiltration",),
    "interstitial": ("ILD",),
    "mass": ("Nodule/Mass", "Lung tumor"),
    "mediastinal_enlargement": OTHER,
    "mediastinal_shift": ("Mediastinal shift",),
    "nodule": ("Nodule/Mass",),
    "opacity": ("Lung Opacity",),
    "pleural_calcification": ("Calcification", "Pleural thickening"),
    "pleural_thickening": ("Pleural thickening",),
    "pneumonia": ("Consolidation", "Pneumonia"),
    "pneumothorax": ("Pneumothorax",),
    "pulmonary_artery_enlarged": ("Enlarged PA",),
    "rib_fracture": ("Rib fracture",),
    "scar": ("Pulmonary fibrosis",),
    "scoliosis": OTHER,
    "tuberculosis": ("Lung cavity", "Infiltration", "Tuberculosis"),
    "volume_loss": ("Atelectasis", "Mediastinal shift"),
}

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

PADCHEST: dict[str, tuple[str, ...]] = {
    "airspace_disease": ("alveolar pattern",),
    "aorta_enlarged": ("aortic elongation",),
    "aortic_calcification": ("aortic atheromatosis",),
    "atelectasis": ("laminar atelectasis",),
    "blunted_angle": ("costophrenic angle blunting",),
    "breast_implants": ("mammary prosthesis",),
    "bulla": ("bullas",),
    "bullous_emphysema": ("emphysema", "bullas"),
    "calcified_nodes": ("calcified adenopathy",),
    "cardiomegaly": ("cardiomegaly",),
    "catheter": ("central venous catheter",),
    "cavity": ("cavitation",),
    "clavicle_fracture": ("clavicle fracture",),
    "congestion": ("vascular redistribution",),
    "consolidation": ("consolidation",),
    "copd": ("COPD signs",),
    "degenerative_spine": ("vertebral degenerative changes",),
    "diaphragm_elevated": ("hemidiaphragm elevation",),
    "edema": ("pulmonary edema",),
    "effusion": ("pleural effusion",),
    "emphysema": ("emphysema",),
    "fibrosis": ("pulmonary fibrosis",),
    "foreign_body": ("metal",),
    "granuloma": ("calcified granuloma",),
    "granulomatous_disease": ("granuloma",),
    "heart_failure": ("heart insufficiency", "cardiomegaly"),
    "hernia": ("hiatal hernia",),
    "hilar_enlargement": ("hilar enlargement",),
    "hydropneumothorax": ("hydropneumothorax",),
    "hyperinflation": ("air trapping",),
    "infiltrate": ("infiltrates",),
    "interstitial": ("interstitial pattern",),
    "kyphosis": ("kyphosis",),
    "low_volume": ("hypoexpansion",),
    "mass": ("pulmonary mass",),
    "mastectomy": ("mastectomy",),
    "mediastinal_enlargement": ("mediastinal enlargement",),
    "mediastinal_shift": ("mediastinal shift",),
    "nipple_shadow": ("nipple shadow",),
    "nodule": ("nodule",),
    "opacity": ("increased density",),
    "osteopenia": ("osteopenia",),
    "pacemaker": ("pacemaker",),
    "pleural_calcification": ("calcified pleural thickening",),
    "pleural_thickening": ("pleural thickening",),
    "pneumonia": ("pneumonia",),
    "pneumoperitoneum": ("pneumoperitoneo",),
    "pneumothorax": ("pneumothorax",),
    "pulmonary_artery_enlarged": ("pulmonary artery enlargement",),
    "rib_fracture": ("rib fracture",),
    "scar": ("fibrotic band",),
    "scoliosis": ("scoliosis",),
    "spinal_fusion": ("osteosynthesis material",),
    "sternotomy": ("sternotomy",),
    "subcutaneous_emphysema": ("subcutaneous emphysema",),
    "surgical_clips": ("suture material",),
    "tuberculosis": ("tuberculosis",),
    "tube": ("endotracheal tube",),
    "vascular_markings": ("bronchovascular markings",),
    "vertebral_deformity": ("vertebral compression",),
    "volume_loss": ("volume loss",),
}
OF_DATASET = {"mimic_cxr": CHEXPERT, "vindr_cxr": VINDR, "chexpert": CHEXPERT, "padchest": PADCHEST, "open_i": PADCHEST}


def labels(dataset: str, kinds: Iterable[str]) -> set[str]:
    """Labels of a dataset's vocabulary that the kinds of a study carry (CheXpert without its hierarchy)."""
    words = OF_DATASET[dataset]
    return {label for kind in kinds for label in words.get(kind, ())}


def with_parents(found: Iterable[str]) -> set[str]:
    """CheXpert labels with those that the hierarchy adds."""
    result = set(found)
    for label in sorted(result):
        result.update(CHEXPERT_PARENTS.get(label, ()))
    return result
