"""CXR-BERT, the text tower of BioViL-T and BioViL (Boecking et al., ECCV 2022): the last [CLS], projected."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from baselines.config import BertOptions
from baselines.towers.bert import BertTower

DIM, WIDTH, TOKENS = 128, 768, 512
NAMES = {
    "bert.model.": "bert.",
    "head.0.": "cls_projection_head.dense_to_hidden.",
    "head.2.": "cls_projection_head.LayerNorm.",
    "head.3.": "cls_projection_head.dense_to_output.",
}
WORD_TABLE = "bert.embeddings.word_embeddings.weight"
FILES = ("model.safetensors", "pytorch_model.bin")


class CXRBert(nn.Module):
    """Token ids [N, T] to the projected [CLS] [N, 128], not normalised."""

    def __init__(self, vocabulary: list[str]) -> None:
        super().__init__()
        self.bert = BertTower(BertOptions(dim=WIDTH, max_tokens=TOKENS, cleaning="none"), vocabulary)
        self.head = nn.Sequential(nn.Linear(WIDTH, DIM), nn.GELU(), nn.LayerNorm(DIM, eps=1e-12), nn.Linear(DIM, DIM))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """``mask`` bool [N, T]."""
        return self.head(self.bert.model(ids, mask.long()).last_hidden_state[:, 0])


def weights_file(folder: str) -> Path:
    """The file of a snapshot that holds its weights.

    Raises:
        ValueError: there is none.
    """
    found = [path for name in FILES if (path := Path(folder) / name).is_file()]
    if not found:
        raise ValueError(
            f"`model_options.text_model` must be the folder of the text model's snapshot with {' or '.join(FILES)}, "
            f"found none in {folder}."
        )
    return found[0]


def unread(weights: Mapping[str, Tensor], is_tied: bool = False) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the masked-word head, whose decoder is the word embeddings.

    Args:
        weights: of the text model.
        is_tied: True for a file that leaves out what is tied to another tensor, as safetensors files do.
    """
    rows = len(weights.get(WORD_TABLE, ()))
    shapes: dict[str, tuple[int, ...]] = {
        "cls.predictions.bias": (rows,),
        "cls.predictions.decoder.weight": (rows, WIDTH),
        "cls.predictions.decoder.bias": (rows,),
        "cls.predictions.transform.dense.weight": (WIDTH, WIDTH),
        "cls.predictions.transform.dense.bias": (WIDTH,),
        "cls.predictions.transform.LayerNorm.weight": (WIDTH,),
        "cls.predictions.transform.LayerNorm.bias": (WIDTH,),
    }
    return {name: shape for name, shape in shapes.items() if name in weights or not is_tied or ".decoder." not in name}
