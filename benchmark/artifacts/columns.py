"""The columns of results/ and what they may hold, for who writes the tables and who reads them (docs/files.md)."""

from __future__ import annotations

OVERALL = "overall"
"""In the column ``dataset``: the mean over the evaluation datasets."""
SUPERVISED = "probe"
"""In the column ``system`` of grounding.csv: the supervised reference."""
PUBLISHED, CELL = "published", "cell"
"""In the column ``heatmap``: what the model was published with (judged), and what it says of each cell alone."""
NORMALITY_SCORES = ("prompt", "one_minus_max", "contrast")
"""In the column ``score``: the three main ways to score normality, the published one first."""
WORST, BEST = "worst_wording", "best_wording"
"""In the column ``score``: the least and the greatest normal AUC over the wordings of the normal prompt."""
ABNORMAL_PARTS = ("abnormal_auc_among_abnormals", "abnormal_auc_against_normals")
"""A finding's AUC is the mean of these two, weighted by its negatives: abnormal images without it, and normal ones."""
THRESHOLD_RULES = ("youden", "specificity_95", "sensitivity_95")
"""In the column ``rule``: how a threshold was fitted; the first is the one that claims and reports speak of."""
PRIMARY_RULES = ("", THRESHOLD_RULES[0])
"""Where a threshold is used, the rule that is meant unless another is named; "" where there is none."""
COLUMNS = {
    "auc": "dataset system seed quantity score finding progress estimate low high positives n seeds seed_sd note",
    "grounding": "dataset system seed heatmap finding measure size estimate low high chance n kind seeds seed_sd note",
    "operating": "dataset system seed score rule quantity estimate low high threshold n seeds seed_sd note",
    "differences": "dataset quantity score rule a b estimate low high detectable p p_holm p_delong seeds seed_sd note",
    "ranking": "dataset quantity score a b estimate low high level detectable p p_holm pairs seeds seed_sd note",
    "finding_differences": "dataset finding a b estimate low high detectable p positives seeds seed_sd note",
    "effects": (
        "dataset kind effect quantity score rule added removed estimate low high detectable p p_holm seeds seed_sd note"
    ),
    "subgroups": "dataset system seed subgroup level estimate low high positives n seeds seed_sd note",
    "embedding": "system seed measure estimate low high n seeds seed_sd",
    "ceiling": "dataset quantity finding estimate low high positives n visible note",
}
SCHEMES = (WORST, BEST, *NORMALITY_SCORES[1:])
"""Scores of a normal AUC that are no wording of the normal prompt."""
HASHES = ["cohort_hash", "prompts_hash", "weights_hash", "code_hash"]


def is_wording(score: str) -> bool:
    """Whether a score of a normal AUC is one wording of the normal prompt (the published one is ``prompt``)."""
    return score not in SCHEMES and not score.startswith("contrast:")


def columns(table: str) -> list[str]:
    """The columns of a table of results/, in order."""
    return COLUMNS[table].split() + (HASHES[:1] if table == "ceiling" else HASHES)
