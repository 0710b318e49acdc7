"""What the published protocols count, beside what is counted here."""

from __future__ import annotations

from benchmark.cohort.contract import Release
from benchmark.cohort.schema import Counts
from benchmark.common.errors import UserError

PUBLISHED: dict[str, dict[str, float]] = {
    "mimic_cxr": {},
    "vindr_cxr": {"images": 3_000, "normal share": 0.683},
    "open_i": {"images": 7_470},
    "chexpert": {"studies": 500},
    "padchest": {"images": 39_053},
}
"""Dataset -> what OFF-CLIP's paper (arXiv 2503.01794) and the releases say of the evaluated part; of MIMIC-CXR it
says the rule (folders p10-p16, one frontal image a study) and no number."""
SHARE_STEP = 0.001
"""The paper gives shares to a tenth of a per cent, rounded or cut."""


def check_whole(dataset: str, cohort: Release, subset: bool) -> None:
    """Refuse a table with fewer rows than the published one has, unless a part of it is meant.

    Raises:
        UserError: names both numbers.
    """
    if cohort.rows < cohort.published_rows and not subset:
        raise UserError(
            f"{dataset}: its table has {cohort.rows:,} rows, the published one {cohort.published_rows:,}; download it "
            f"again, or set `datasets.{dataset}.subset: true` in params.yaml when a part is meant."
        )


def compared(dataset: str, counts: Counts) -> list[str]:
    """A sentence that sets the published counts beside these; none where none is published."""
    known = counts.normal + counts.abnormal
    ours = {"images": counts.images, "studies": counts.studies, "normal share": counts.normal / max(known, 1)}
    parts = []
    for what, published in PUBLISHED[dataset].items():
        is_share = what.endswith("share")
        same = abs(ours[what] - published) <= (SHARE_STEP if is_share else 0)
        shown = f"{published:.1%}" if is_share else f"{published:,.0f}"
        found = f"{ours[what]:.1%}" if is_share else f"{ours[what]:,.0f}"
        parts.append(f"{what} {shown}, {'the same here' if same else f'here {found}'}")
    return [f"Published protocol: {'; '.join(parts)}."] if parts else []
