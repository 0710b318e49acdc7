"""What is to be drawn: MeSH tags of an Open-I report -> findings with side, zone and severity.

A major tag is a base term and qualifiers, ``Opacity/lung/base/left/mild``. The first rule whose base
is the tag's and whose qualifiers the tag holds names the kind of finding; the other qualifiers say
where it lies and how plain it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Side = Literal["left", "right", "bilateral", ""]
Zone = Literal["upper", "middle", "lower", ""]


@dataclass(frozen=True)
class Place:
    """A box on the canvas, pixels."""

    row: float
    """Of its centre."""
    column: float
    half_height: float
    half_width: float


@dataclass(frozen=True)
class Finding:
    """One finding of a study."""

    kind: str
    """A key of ``drawing.DRAW``."""
    side: Side = ""
    """The patient's side; empty where the tag names none or the kind has none."""
    zone: Zone = ""
    """Third of the lung field."""
    severity: float = 0.5
    """0 (hardly visible) to 1 (plain)."""
    qualifiers: frozenset[str] = frozenset()
    tag: str = ""
    labels: tuple[str, ...] = ()
    """The release's labels that it stands for; empty where a report's tags asked for it."""
    box: tuple[float, float, float, float] | None = None
    """x_min, y_min, x_max, y_max of where it is to lie, as shares of the image; None = anywhere in its zone."""
    at: Place | None = None
    """The same on the canvas; set by ``render``."""


RULES: tuple[tuple[str, str, str], ...] = (
    # base term, qualifiers it must hold (blank = any), kind
    ("Lung", "hypoinflation", "low_volume"),
    ("Lung", "hyperdistention", "hyperinflation"),
    ("Lung, Hyperlucent", "", "emphysema"),
    ("Opacity", "interstitial", "interstitial"),
    ("Opacity", "reticular", "interstitial"),
    ("Opacity", "round", "nodule"),
    ("Opacity", "costophrenic angle", "blunted_angle"),
    ("Opacity", "pleura", "pleural_thickening"),
    ("Opacity", "", "opacity"),
    ("Density", "round", "nodule"),
    ("Density", "", "opacity"),
    ("Lucency", "", "bulla"),
    ("Cardiomegaly", "", "cardiomegaly"),
    ("Cardiac Shadow", "enlarged", "cardiomegaly"),
    ("Cardiac Shadow", "prominent", "cardiomegaly"),
    ("Heart", "enlarged", "cardiomegaly"),
    ("Heart", "prominent", "cardiomegaly"),
    ("Heart Ventricles", "", "cardiomegaly"),
    ("Heart Atria", "", "cardiomegaly"),
    ("Pericardial Effusion", "", "cardiomegaly"),
    ("Heart Failure", "", "heart_failure"),
    ("Pulmonary Atelectasis", "", "atelectasis"),
    ("Volume Loss", "", "volume_loss"),
    ("Shift", "", "mediastinal_shift"),
    ("Pneumonectomy", "", "volume_loss"),
    ("Calcinosis", "lymph nodes", "calcified_nodes"),
    ("Calcinosis", "aorta", "aortic_calcification"),
    ("Calcinosis", "aorta, thoracic", "aortic_calcification"),
    ("Calcinosis", "blood vessels", "aortic_calcification"),
    ("Calcinosis", "mediastinum", "calcified_nodes"),
    ("Calcinosis", "hilum", "calcified_nodes"),
    ("Calcinosis", "pleura", "pleural_calcification"),
    ("Calcinosis", "mitral valve", "valve_calcification"),
    ("Calcinosis", "aortic valve", "valve_calcification"),
    ("Calcinosis", "abdomen", "surgical_clips"),
    ("Calcinosis", "", "granuloma"),
    ("Calcified Granuloma", "", "granuloma"),
    ("Granuloma", "", "granuloma"),
    ("Granulomatous Disease", "", "granulomatous_disease"),
    ("Lymph Nodes", "", "hilar_enlargement"),
    ("Sarcoidosis", "", "hilar_enlargement"),
    ("Thoracic Vertebrae", "degenerative", "degenerative_spine"),
    ("Thoracic vertebrae", "degenerative", "degenerative_spine"),
    ("Spine", "degenerative", "degenerative_spine"),
    ("Lumbar Vertebrae", "degenerative", "degenerative_spine"),
    ("Spondylosis", "", "degenerative_spine"),
    ("Osteophyte", "", "degenerative_spine"),
    ("Hyperostosis, Diffuse Idiopathic Skeletal", "", "degenerative_spine"),
    ("Sclerosis", "", "degenerative_spine"),
    ("Scoliosis", "", "scoliosis"),
    ("Kyphosis", "", "kyphosis"),
    ("Spinal Fusion", "", "spinal_fusion"),
    ("Bone Diseases, Metabolic", "", "osteopenia"),
    ("Osteoporosis", "", "osteopenia"),
    ("Cicatrix", "", "scar"),
    ("Pleural Effusion", "", "effusion"),
    ("Hemothorax", "", "effusion"),
    ("Hydropneumothorax", "", "hydropneumothorax"),
    ("Hemopneumothorax", "", "hydropneumothorax"),
    ("Costophrenic Angle", "", "blunted_angle"),
    ("Sulcus", "", "blunted_angle"),
    ("Markings", "interstitial", "interstitial"),
    ("Markings", "bronchovascular", "vascular_markings"),
    ("Markings", "", "vascular_markings"),
    ("Aorta", "", "aorta_enlarged"),
    ("Aorta, Thoracic", "", "aorta_enlarged"),
    ("Aortic Aneurysm", "", "aorta_enlarged"),
    ("Atherosclerosis", "", "aortic_calcification"),
    ("Diaphragm", "flattened", "hyperinflation"),
    ("Diaphragm", "elevated", "diaphragm_elevated"),
    ("Diaphragmatic Eventration", "", "diaphragm_elevated"),
    ("Airspace Disease", "", "airspace_disease"),
    ("Infiltrate", "", "infiltrate"),
    ("Consolidation", "", "consolidation"),
    ("Pneumonia", "", "pneumonia"),
    ("Tuberculosis", "", "tuberculosis"),
    ("Pulmonary Edema", "", "edema"),
    ("Pulmonary Congestion", "", "congestion"),
    ("Catheters, Indwelling", "", "catheter"),
    ("Implanted Medical Device", "", "pacemaker"),
    ("Medical Device", "", "monitoring_leads"),
    ("Tube, Inserted", "", "tube"),
    ("Surgical Instruments", "abdomen", "surgical_clips"),
    ("Surgical Instruments", "mediastinum", "sternotomy"),
    ("Surgical Instruments", "sternum", "sternotomy"),
    ("Surgical Instruments", "", "surgical_clips"),
    ("Stents", "", "stent"),
    ("Sutures", "", "surgical_clips"),
    ("Foreign Bodies", "", "foreign_body"),
    ("Breast Implants", "", "breast_implants"),
    ("Mastectomy", "", "mastectomy"),
    ("Deformity", "thoracic vertebrae", "vertebral_deformity"),
    ("Deformity", "spine", "vertebral_deformity"),
    ("Deformity", "clavicle", "clavicle_fracture"),
    ("Deformity", "ribs", "rib_fracture"),
    ("Fractures, Bone", "clavicle", "clavicle_fracture"),
    ("Fractures, Bone", "thoracic vertebrae", "vertebral_deformity"),
    ("Fractures, Bone", "spine", "vertebral_deformity"),
    ("Fractures, Bone", "humerus", "clavicle_fracture"),
    ("Fractures, Bone", "", "rib_fracture"),
    ("Ribs", "", "rib_fracture"),
    ("Nodule", "", "nodule"),
    ("Mass", "", "mass"),
    ("Cavitation", "", "cavity"),
    ("Cysts", "", "bulla"),
    ("Blister", "", "bulla"),
    ("Bullous Emphysema", "", "bullous_emphysema"),
    ("Emphysema", "", "emphysema"),
    ("Pulmonary Emphysema", "", "emphysema"),
    ("Pulmonary Disease, Chronic Obstructive", "", "copd"),
    ("Thickening", "pleura", "pleural_thickening"),
    ("Thickening", "", "pleural_thickening"),
    ("Pleura", "", "pleural_thickening"),
    ("Hernia, Hiatal", "", "hernia"),
    ("Hernia, Diaphragmatic", "", "hernia"),
    ("Mediastinum", "", "mediastinal_enlargement"),
    ("Pneumothorax", "", "pneumothorax"),
    ("Pulmonary Fibrosis", "", "fibrosis"),
    ("Cystic Fibrosis", "", "fibrosis"),
    ("Fibrosis", "", "fibrosis"),
    ("Bronchiectasis", "", "fibrosis"),
    ("Lung Diseases, Interstitial", "", "interstitial"),
    ("Pulmonary Artery", "", "pulmonary_artery_enlarged"),
    ("Hypertension, Pulmonary", "", "pulmonary_artery_enlarged"),
    ("Epicardial Fat", "", "epicardial_fat"),
    ("Adipose Tissue", "", "epicardial_fat"),
    ("Pneumoperitoneum", "", "pneumoperitoneum"),
    ("Subcutaneous Emphysema", "", "subcutaneous_emphysema"),
    ("Mediastinal Emphysema", "", "subcutaneous_emphysema"),
    ("Arthritis", "", "shoulder_arthritis"),
    ("Shoulder", "", "shoulder_arthritis"),
    ("Nipple Shadow", "", "nipple_shadow"),
)

SEVERITY = {
    "borderline": 0.15,
    "small": 0.3,
    "mild": 0.35,
    "blunted": 0.3,
    "moderate": 0.7,
    "prominent": 0.5,
    "large": 0.95,
    "severe": 1.0,
}
ZONES: dict[str, Zone] = {
    "apex": "upper",
    "upper lobe": "upper",
    "hilum": "middle",
    "middle lobe": "lower",  # in front of the right heart border: the lower third of a frontal view
    "lingula": "lower",
    "base": "lower",
    "lower lobe": "lower",
    "costophrenic angle": "lower",
    "retrocardiac": "lower",
    "cardiophrenic angle": "lower",
}
SIDED_BY: dict[str, Side] = {"middle lobe": "right", "lingula": "left", "retrocardiac": "left"}


def _side(qualifiers: Iterable[str]) -> Side:
    found = set(qualifiers)
    if "bilateral" in found or {"left", "right"} <= found:
        return "bilateral"
    sides: tuple[Side, ...] = ("left", "right")
    for side in sides:
        if side in found:
            return side
    return next((SIDED_BY[name] for name in sorted(found) if name in SIDED_BY), "")


def _zone(qualifiers: Iterable[str]) -> Zone:
    zones = {ZONES[name] for name in qualifiers if name in ZONES}
    return zones.pop() if len(zones) == 1 else ""


def from_tag(tag: str) -> Finding | None:
    """The finding that a major MeSH tag asks for; None for ``normal`` and for what no radiograph shows here."""
    base, *rest = [part.strip() for part in tag.split("/")]
    base = " ".join(base.split())
    qualifiers = frozenset(rest)
    for name, needed, kind in RULES:
        if name == base and (not needed or needed in qualifiers):
            severity = next((SEVERITY[q] for q in SEVERITY if q in qualifiers), 0.55)
            return Finding(kind, _side(qualifiers), _zone(qualifiers), severity, qualifiers, tag)
    return None


def plan(tags: Iterable[str]) -> list[Finding]:
    """The findings of one report, in the order of its tags; the same kind at the same place once."""
    planned: dict[tuple[str, str, str], Finding] = {}
    for tag in tags:
        finding = from_tag(tag)
        if finding is not None:
            planned.setdefault((finding.kind, finding.side, finding.zone), finding)
    return list(planned.values())


def with_jitter(finding: Finding, rng: np.random.Generator) -> Finding:
    """The finding with its severity varied by about a tenth, within [0.05, 1]."""
    return replace(finding, severity=float(np.clip(finding.severity + rng.normal(0, 0.1), 0.05, 1)))
