"""Which brush draws which kind of finding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from benchmark.cohort.phantom.anatomy import Anatomy
from benchmark.cohort.phantom.canvas import Drawing
from benchmark.cohort.phantom.findings import air as draw_air
from benchmark.cohort.phantom.findings import bone as draw_bone
from benchmark.cohort.phantom.findings import devices as draw_devices
from benchmark.cohort.phantom.findings import lung as draw_lung
from benchmark.cohort.phantom.findings import mediastinum as draw_mediastinum
from benchmark.cohort.phantom.findings import pleura as draw_pleura
from benchmark.cohort.phantom.findings.finding import Finding

Draw = Callable[[Anatomy, Finding, np.random.Generator], Drawing]

DRAW: dict[str, Draw] = {
    "airspace_disease": draw_lung.consolidation,
    "aorta_enlarged": draw_mediastinum.aorta_enlarged,
    "aortic_calcification": draw_mediastinum.aortic_calcification,
    "atelectasis": draw_lung.atelectasis,
    "blunted_angle": draw_pleura.blunted_angle,
    "breast_implants": draw_bone.breast_implants,
    "bulla": draw_air.bulla,
    "bullous_emphysema": draw_air.bullous_emphysema,
    "calcified_nodes": draw_lung.calcified_nodes,
    "cardiomegaly": draw_mediastinum.cardiomegaly,
    "catheter": draw_devices.catheter,
    "cavity": draw_lung.cavity,
    "chest_tube": draw_devices.chest_tube,
    "clavicle_fracture": draw_bone.clavicle_fracture,
    "congestion": draw_lung.congestion,
    "consolidation": draw_lung.consolidation,
    "copd": draw_air.emphysema,
    "degenerative_spine": draw_bone.degenerative_spine,
    "diaphragm_elevated": draw_pleura.diaphragm_elevated,
    "edema": draw_lung.edema,
    "effusion": draw_pleura.effusion,
    "emphysema": draw_air.emphysema,
    "endotracheal_tube": draw_devices.endotracheal_tube,
    "epicardial_fat": draw_mediastinum.epicardial_fat,
    "fibrosis": draw_lung.fibrosis,
    "foreign_body": draw_devices.foreign_body,
    "gastric_tube": draw_devices.gastric_tube,
    "granuloma": draw_lung.granuloma,
    "granulomatous_disease": draw_lung.granulomatous_disease,
    "hernia": draw_pleura.hernia,
    "hilar_enlargement": draw_mediastinum.hilar_enlargement,
    "hydropneumothorax": draw_pleura.hydropneumothorax,
    "hyperinflation": draw_air.hyperinflation,
    "infiltrate": draw_lung.infiltrate,
    "interstitial": draw_lung.interstitial,
    "kyphosis": draw_bone.kyphosis,
    "low_volume": draw_air.low_volume,
    "mass": draw_lung.mass,
    "mastectomy": draw_bone.mastectomy,
    "mediastinal_enlargement": draw_mediastinum.mediastinal_enlargement,
    "mediastinal_shift": draw_air.mediastinal_shift,
    "monitoring_leads": draw_devices.monitoring_leads,
    "nipple_shadow": draw_devices.nipple_shadow,
    "nodule": draw_lung.nodule,
    "nodules": draw_lung.nodules,
    "opacity": draw_lung.opacity,
    "osteopenia": draw_bone.osteopenia,
    "pacemaker": draw_devices.pacemaker,
    "pleural_calcification": draw_pleura.pleural_calcification,
    "pleural_thickening": draw_pleura.pleural_thickening,
    "pneumonia": draw_lung.consolidation,
    "pneumoperitoneum": draw_pleura.pneumoperitoneum,
    "pneumothorax": draw_pleura.pneumothorax,
    "pulmonary_artery_enlarged": draw_mediastinum.pulmonary_artery_enlarged,
    "rib_fracture": draw_bone.rib_fracture,
    "scar": draw_lung.scar,
    "scoliosis": draw_bone.scoliosis,
    "shoulder_arthritis": draw_bone.shoulder_arthritis,
    "spinal_fusion": draw_devices.spinal_fusion,
    "stent": draw_devices.stent,
    "sternotomy": draw_devices.sternotomy,
    "subcutaneous_emphysema": draw_bone.subcutaneous_emphysema,
    "surgical_clips": draw_devices.surgical_clips,
    "tube": draw_devices.tube,
    "tuberculosis": draw_lung.tuberculosis,
    "valve_calcification": draw_mediastinum.valve_calcification,
    "vascular_markings": draw_lung.vascular_markings,
    "vertebral_deformity": draw_bone.vertebral_deformity,
    "volume_loss": draw_air.volume_loss,
}

BOTH_SIDES = frozenset({"edema", "congestion", "fibrosis", "interstitial", "vascular_markings"})
"""Kinds that lie in both lungs unless the tag names one."""
NO_SIDE = frozenset(
    {
        "aorta_enlarged",
        "aortic_calcification",
        "breast_implants",
        "cardiomegaly",
        "copd",
        "degenerative_spine",
        "emphysema",
        "endotracheal_tube",
        "gastric_tube",
        "hernia",
        "hyperinflation",
        "kyphosis",
        "low_volume",
        "mediastinal_enlargement",
        "monitoring_leads",
        "nipple_shadow",
        "osteopenia",
        "pneumoperitoneum",
        "pulmonary_artery_enlarged",
        "spinal_fusion",
        "stent",
        "sternotomy",
        "valve_calcification",
        "vertebral_deformity",
    }
)
"""Kinds drawn once, whatever side the tag names."""
COMPOUND = {"heart_failure": ("cardiomegaly", "congestion")}
"""Tags that stand for several drawings."""


def to_draw(finding: Finding, rng: np.random.Generator) -> list[Finding]:
    """The single drawings that a finding asks for, each with its side settled."""
    if finding.kind in COMPOUND:
        return [part for kind in COMPOUND[finding.kind] for part in to_draw(replace(finding, kind=kind), rng)]
    if finding.kind in NO_SIDE:
        return [finding]
    side = finding.side
    if not side:
        side = "bilateral" if finding.kind in BOTH_SIDES else ("right" if rng.random() < 0.5 else "left")
        if finding.kind == "pacemaker":
            side = "left"
    if side == "bilateral":
        return [replace(finding, side="right"), replace(finding, side="left")]
    return [replace(finding, side=side)]
