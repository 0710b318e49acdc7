"""Train an open_clip model with OffClipLoss on filtered captions, and print the normal AUC before and after.

    python examples/open_clip_finetune.py                              # on the cohort of the benchmark
    python examples/open_clip_finetune.py --csv my.csv --save my.safetensors

The model is small and starts from random weights, so that 200 steps take less than two minutes on a CPU; put your own
in place of `small_clip`. What is OFF-CLIP's are the lines marked so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_model, save_model
from sklearn.metrics import roc_auc_score
from studies import Studies, arguments, read
from torch import Tensor

from baselines import torchvision_cure
from offclip import CaptionPipeline, OffClipLoss  # OFF-CLIP

torchvision_cure.apply()  # needed only where torch is a CPU build and torchvision is not
import open_clip  # noqa: E402

CONFIG: dict[str, Any] = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 64, "patch_size": 8, "width": 96, "head_width": 24, "layers": 3},
    "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 96, "heads": 4, "layers": 2},
}
NORMAL, ABNORMAL = "There is no finding", "There is finding"
Encoder = Callable[[Sequence[Any]], NDArray[np.float32]]


def small_clip() -> torch.nn.Module:
    """A CLIP of three and two layers; ``init_logit_bias`` gives the sigmoid of the loss its offset."""
    return open_clip.CLIP(**CONFIG, output_dict=True, init_logit_bias=0.0)


def pixels(images: Sequence[Image.Image]) -> Tensor:
    """[n, 3, S, S] as the model reads them."""
    size = CONFIG["vision_cfg"]["image_size"]
    grey = np.stack([np.asarray(image.convert("L").resize((size, size)), np.float32) for image in images])
    return torch.from_numpy((grey / 255 - 0.5) / 0.25)[:, None].expand(-1, 3, -1, -1)


def encoders(model: Any) -> tuple[Encoder, Encoder]:
    """``encode_image`` and ``encode_text`` of a model: lists of images or sentences to unit vectors [n, D]."""

    @torch.inference_mode()
    def embed(encode: Callable[..., Tensor], read_some: Callable[..., Tensor], items: Sequence[Any]) -> NDArray:
        model.eval()
        some = [encode(read_some(items[i : i + 256]), normalize=True) for i in range(0, len(items), 256)]
        return torch.cat(some).numpy()

    tokenize = open_clip.SimpleTokenizer(context_length=CONFIG["text_cfg"]["context_length"])
    return partial(embed, model.encode_image, pixels), partial(embed, model.encode_text, tokenize)


def load(path: str | Path) -> tuple[Encoder, Encoder]:
    """The encoders of what ``--save`` wrote."""
    model = small_clip()
    load_model(model, path)
    return encoders(model)


def held_out(studies: Studies) -> NDArray[np.intp]:
    """Rows of labelled studies that are not trained on, of both classes."""
    rows = np.flatnonzero(~studies.training & ~np.isnan(studies.normal))
    if len(np.unique(studies.normal[rows])) < 2:
        raise SystemExit(f"expected normal and abnormal studies outside the training split, found {len(rows)} of one.")
    return rows


def normal_auc(model: Any, studies: Studies) -> float:
    """AUC of "normal" by the similarity to the normal minus that to the abnormal sentence, on what was held out."""
    rows = held_out(studies)
    encode_image, encode_text = encoders(model)
    normal, abnormal = (encode_image([studies.images[row] for row in rows]) @ encode_text([NORMAL, ABNORMAL]).T).T
    return float(roc_auc_score(studies.normal[rows], normal - abnormal))


def train(model: Any, studies: Studies, steps: int, batch: int, rate: float, seed: int) -> None:
    """Steps of AdamW on random pairs, each with one of its filtered captions."""
    rows = np.flatnonzero(studies.training)
    reports = [studies.reports[row] for row in rows]
    pipeline = CaptionPipeline().fit(reports, studies.normal[rows])  # OFF-CLIP
    captions = list(pipeline(reports))  # OFF-CLIP
    usable = [place for place, study in enumerate(captions) if study.is_normal is not None]
    images = pixels([studies.images[row] for row in rows])
    tokenize = open_clip.SimpleTokenizer(context_length=CONFIG["text_cfg"]["context_length"])
    loss = OffClipLoss()  # OFF-CLIP: open_clip.ClipLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    random = np.random.default_rng(seed)
    model.train()
    for step in range(steps):
        chosen = random.choice(usable, min(batch, len(usable)), replace=False)
        texts = [str(random.choice(captions[k].filtered_prompted or captions[k].filtered)) for k in chosen]
        is_normal = torch.tensor([captions[k].is_normal for k in chosen])  # OFF-CLIP
        terms = loss(**model(images[chosen], tokenize(texts)), is_normal=is_normal, output_dict=True)  # OFF-CLIP
        optimizer.zero_grad()
        sum(terms.values()).backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % 50 == 0:
            print(f"step {step + 1}: " + ", ".join(f"{name} {value.item():.3f}" for name, value in terms.items()))


def main() -> None:
    """Read, measure, train, measure."""
    parser = arguments(__doc__, "data/cohort/mimic_cxr")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", type=Path, help="write the trained weights here (safetensors)")
    chosen = parser.parse_args()
    studies = read(chosen)
    torch.manual_seed(chosen.seed)
    model = small_clip()
    print(f"training on {studies.training.sum()} images, testing on {len(held_out(studies))}")
    print(f"normal AUC before: {normal_auc(model, studies):.3f}")
    train(model, studies, chosen.steps, chosen.batch, chosen.rate, chosen.seed)
    print(f"normal AUC after: {normal_auc(model, studies):.3f}")
    if chosen.save:
        save_model(model, str(chosen.save))


if __name__ == "__main__":
    main()
