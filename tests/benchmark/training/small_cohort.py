"""A training cohort of a few dozen studies in the files' contract (docs/files.md), quick enough for tests.

An image is bright in one quarter, its report names the quarter; half of the studies are normal and even.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.common import files
from benchmark.pipeline import layout

SIZE = 32
FINDINGS = ("opacity in the right upper lobe", "effusion at the left base", "nodule in the left apex", "right effusion")
NORMAL = ("the lungs are clear", "heart size is normal", "no pleural effusion")


def write(root: Path, studies: int = 96, seed: int = 5) -> None:
    """Write ``data/cohort/mimic_cxr`` and ``data/captions`` below ``root``; a fifth of the studies validates."""
    rng = np.random.default_rng(seed)
    images, rows, sentences, labels = [], [], [], []
    for number in range(studies):
        study, normal = f"s{number:04d}", bool(number % 2)
        quarter = int(rng.integers(4))
        image = rng.integers(0, 90, (SIZE, SIZE))
        if not normal:
            row, column = divmod(quarter, 2)
            image[row * 16 : row * 16 + 16, column * 16 : column * 16 + 16] += 120
        images.append(image.astype(np.uint8))
        split = "validate" if number % 5 == 0 else "train"
        names = {"image_id": f"{study}-PA", "patient_id": f"p{number // 2:04d}", "study_id": study}
        rows.append(names | {"split": split, "normal": int(normal)})
        texts = [(text, True) for text in NORMAL] if normal else [(FINDINGS[quarter], False), (NORMAL[0], True)]
        for position, (text, is_normal) in enumerate(texts):
            prompted = "" if is_normal else f"There is {text}"
            sentences.append((study, position, text, prompted, 0.0 if is_normal else 1.0, is_normal))
        labels.append((study, normal))
    folder = root / layout.cohort(layout.TRAINING_DATASET)
    folder.mkdir(parents=True)
    np.save(folder / "images.npy", np.stack(images))
    files.write_parquet(folder / "index.parquet", pd.DataFrame(rows))
    files.write_json(folder / "card.json", {"fingerprint": f"small {studies} {seed}", "findings": []})
    columns = ["study_id", "position", "text", "prompted", "abnormal_probability", "normal"]
    files.write_parquet(root / layout.CAPTIONS / "sentences.parquet", pd.DataFrame(sentences, columns=columns))
    files.write_parquet(
        root / layout.CAPTIONS / "studies.parquet", pd.DataFrame(labels, columns=["study_id", "normal"])
    )
    words = sorted({word for text in (*FINDINGS, *NORMAL, "there is") for word in text.split()})
    files.write_json(root / layout.CAPTIONS / "vocabulary.json", words)
