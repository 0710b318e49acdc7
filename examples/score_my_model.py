"""Score any model that turns images and sentences into vectors: AUCs with intervals over patients, worst wording.

    python examples/score_my_model.py --model my_model.py --csv my.csv
    python examples/score_my_model.py --model my_model.py --cohort data/cohort/vindr_cxr

``my_model.py`` defines ``encode_image(list of PIL images)`` and ``encode_text(list of str)``; both return one vector
per item, [n, D]. No training and no pipeline: the statistics are functions on arrays (docs/statistics.md).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from studies import Studies, arguments, read

from benchmark.statistics.bootstrap import Draws, Resampled, draw, mean, resampled_aucs
from benchmark.statistics.intervals import interval

NORMAL = (
    "There is no finding",  # the published wording comes first
    "There is no acute cardiopulmonary abnormality",
    "There is no abnormality",
    "The lungs are clear",
    "There is no evidence of active disease",
)
ABNORMAL = "There is finding"
FINDING = "There is {}"
AT_ONCE = 256
Encode = Callable[[Sequence[Any]], Any]


def unit_vectors(encode: Encode, items: Sequence[Any], what: str) -> NDArray[np.float64]:
    """[n, D] of length 1, whatever the model returns (array, tensor or lists).

    Raises:
        SystemExit: it does not return one finite vector other than 0 per item.
    """
    some = [np.asarray(encode(items[i : i + AT_ONCE]), np.float64) for i in range(0, len(items), AT_ONCE)]
    vectors = np.concatenate(some)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if vectors.ndim != 2 or len(vectors) != len(items) or not (np.isfinite(lengths) & (lengths > 0)).all():
        raise SystemExit(f"{what} should return one vector per item, [{len(items)}, D], found {list(vectors.shape)}.")
    return vectors / lengths


def measure(
    encode_image: Encode, encode_text: Encode, studies: Studies, draws: Draws, min_positives: int
) -> dict[str, Resampled]:
    """Every AUC by its name, all on the same draws of patients, so that differences of rows would be paired."""
    findings = [
        str(name)
        for name, labels in studies.findings.items()
        if min(labels.eq(1).sum(), labels.eq(0).sum()) >= min_positives
    ]
    asked = [*NORMAL, ABNORMAL, *(FINDING.format(name[0].lower() + name[1:]) for name in findings)]
    images = unit_vectors(encode_image, studies.images, "encode_image")
    similarity = images @ unit_vectors(encode_text, asked, "encode_text").T
    wordings, abnormal = similarity[:, : len(NORMAL)], similarity[:, len(NORMAL)]
    scores = np.column_stack([wordings, wordings[:, 0] - abnormal, similarity[:, len(NORMAL) + 1 :]])
    labels = np.column_stack([*[studies.normal] * (len(NORMAL) + 1), studies.findings[findings]])
    by_wording = dict(zip([*NORMAL, "contrast", *findings], resampled_aucs(labels, scores, draws), strict=True))
    worst = min(NORMAL, key=lambda wording: by_wording[wording].estimate)
    rows = {f'normal, "{NORMAL[0]}"': by_wording[NORMAL[0]], f'normal, worst wording: "{worst}"': by_wording[worst]}
    rows[f'normal, "{NORMAL[0]}" minus "{ABNORMAL}"'] = by_wording["contrast"]
    if findings:
        rows[f"findings, mean of {len(findings)}"] = mean([by_wording[name] for name in findings])
    return rows | {name: by_wording[name] for name in findings}


def table(rows: dict[str, Resampled], level: float) -> str:
    """Markdown: name, AUC, interval."""
    lines = [f"| label and prompt | AUC | {100 * level:g} % interval |", "|---|--:|--:|"]
    for name, statistic in rows.items():
        bounds = interval(statistic, "logit", level)
        lines.append(f"| {name} | {statistic.estimate:.3f} | {bounds.low:.3f} to {bounds.high:.3f} |")
    return "\n".join(lines)


def encoders(path: Path) -> tuple[Encode, Encode]:
    """The two functions of a Python file.

    Raises:
        SystemExit: the file or one of the functions is missing.
    """
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SystemExit(f"{path}: expected a Python file with encode_image and encode_text.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("encode_image", "encode_text"):
        if not callable(getattr(module, name, None)):
            raise SystemExit(f"{path} lacks the function {name}; define it.")
    return module.encode_image, module.encode_text


def main() -> None:
    """Read, encode, print."""
    parser = arguments(__doc__, "data/cohort/vindr_cxr")
    parser.add_argument("--model", type=Path, required=True, help="Python file with encode_image and encode_text")
    parser.add_argument("--replicates", type=int, default=1000, help="bootstrap replicates")
    parser.add_argument("--level", type=float, default=0.95)
    parser.add_argument("--min-positives", type=int, default=10, help="fewest of each class for a finding to count")
    chosen = parser.parse_args()
    encode_image, encode_text = encoders(chosen.model)
    studies = read(chosen)
    draws = draw(studies.patients, chosen.replicates, seed=0)
    rows = measure(encode_image, encode_text, studies, draws, chosen.min_positives)
    print(f"{len(studies.images)} images of {draws.clusters} patients\n")
    print(table(rows, chosen.level))


if __name__ == "__main__":
    main()
