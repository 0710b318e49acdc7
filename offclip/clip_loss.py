"""OFF-CLIP's loss for models of open_clip's kind: the constructor and the call of ``open_clip.ClipLoss``, and labels.

    loss = OffClipLoss(local_loss=True, gather_with_grad=True, rank=rank, world_size=world_size)
    loss(image_features, text_features, logit_scale, is_normal, output_dict=True)

Needs torch alone. The formula is `OffClipObjective`'s; here are the scores, the gathering over processes and the
labels. Source of the interface: open_clip 3.3, open_clip/loss.py.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.nn.functional import all_gather

from offclip.losses import AbnormalPairs, Form, Reduction, Rows
from offclip.objective import OffClipObjective

LENGTH_TOLERANCE = {torch.float16: 0.02, torch.bfloat16: 0.02}
"""How far the length of a row of features may be from 1, by its type (half precision rounds); 0.001 for the others."""


class OffClipLoss(nn.Module):
    """OFF-CLIP instead of ``open_clip.ClipLoss``: off-diagonal term + InfoNCE over the abnormal pairs.

    Equal to `OffClipObjective` on the matrix of the gathered batch, in value and, with ``gather_with_grad``, in the
    gradients that DistributedDataParallel averages. Without it the gathered features of other processes are constants,
    as in open_clip: the value is the same, gradients are smaller.

    Args:
        local_loss: score the own images with all texts and the own texts with all images, [b, B] twice instead of
            [B, B]. Each process then returns world_size times its share: their mean is the loss.
        gather_with_grad: gather features with their gradients.
        cache_labels: accepted and without effect; the targets depend on the labels of the batch.
        rank: of this process, 0 to world_size - 1.
        world_size: number of processes, each with as many pairs.
        use_horovod: not supported.
        form: ``sigmoid`` or ``softmax``; this and what follows are `OffClipObjective`'s arguments.
        off_diagonal_weight: weight of the off-diagonal term.
        abnormal_weight: weight of the abnormal InfoNCE.
        abnormal_pairs: ``zero`` or ``ignore``.
        reduction: ``mean`` or ``balanced``.
        scale: factor on the logits inside the sigmoid.
        bias: offset on the logits inside the sigmoid.
        learn_scale: learn the scale. Off by default, because open_clip's loop optimises the parameters of the model
            alone; a learning loss goes to the optimizer and, with several processes, into DistributedDataParallel.
        learn_bias: learn the bias; the same holds. A model with a ``logit_bias`` of its own needs neither.

    Raises:
        ValueError: an option that does not exist or does not fit.
    """

    def __init__(
        self,
        local_loss: bool = False,
        gather_with_grad: bool = False,
        cache_labels: bool = False,
        rank: int = 0,
        world_size: int = 1,
        use_horovod: bool = False,
        *,
        form: Form = "sigmoid",
        off_diagonal_weight: float = 1.0,
        abnormal_weight: float = 1.0,
        abnormal_pairs: AbnormalPairs = "zero",
        reduction: Reduction = "mean",
        scale: float = 1.0,
        bias: float = 0.0,
        learn_scale: bool = False,
        learn_bias: bool = False,
    ) -> None:
        super().__init__()
        if use_horovod:
            raise ValueError("use_horovod is not supported; start the processes with torchrun instead.")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank must be 0 to {world_size - 1} (world_size {world_size}), found {rank}.")
        self.local_loss = local_loss
        self.gather_with_grad = gather_with_grad
        self.rank = rank
        self.world_size = world_size
        self.objective = OffClipObjective(
            form, off_diagonal_weight, abnormal_weight, abnormal_pairs, reduction, scale, bias, learn_scale, learn_bias
        )

    def forward(
        self,
        image_features: Tensor,
        text_features: Tensor,
        logit_scale: Tensor | float,
        is_normal: Tensor,
        logit_bias: Tensor | float | None = None,
        output_dict: bool = False,
        known: Tensor | None = None,
    ) -> Tensor | dict[str, Tensor]:
        """The loss of a batch of b pairs, of the b * world_size pairs of all processes.

        Args:
            image_features: [b, D], rows of length 1.
            text_features: [b, D], rows of length 1, of the same pairs.
            logit_scale: factor on the cosines, not its logarithm (models of open_clip return it so).
            is_normal: [b] bool, or floating point with 1 (normal), 0 (abnormal) and NaN (unknown).
            logit_bias: offset on the scores, where the model has one.
            output_dict: return the two weighted terms by name, for logging; their sum is the loss.
            known: [b] bool, False where the label of a pair is unknown. Such a pair counts on the diagonal alone
                (`off_diagonal` says how).

        Returns:
            Scalar, or ``{"off_diagonal_loss": scalar, "abnormal_contrastive_loss": scalar}``.

        Raises:
            ValueError: shapes or labels that do not fit, features that are not normalised, one pair in all.
        """
        labels = _labels(is_normal, known, len(image_features))
        _check_features(image_features, text_features)
        if len(image_features) * self.world_size < 2:
            raise ValueError("expected a batch of two pairs or more, found 1: it has no other pair to be told from.")
        all_images, all_texts, labels = self._gather(image_features, text_features, labels)

        def scores(left: Tensor, right: Tensor) -> Tensor:
            raw = logit_scale * left @ right.T
            return raw if logit_bias is None else raw + logit_bias

        matrix: Tensor | Rows
        if self.local_loss and self.world_size > 1:
            first = self.rank * len(image_features)
            matrix = Rows(scores(image_features, all_texts), scores(text_features, all_images), first)
        else:
            matrix = scores(all_images, all_texts)
        known = None if bool(labels.isfinite().all()) else labels.isfinite()
        terms = self.objective.terms(matrix, labels == 1, known)
        off_diagonal, abnormal = (term * self.world_size if isinstance(matrix, Rows) else term for term in terms)
        if output_dict:
            return {"off_diagonal_loss": off_diagonal, "abnormal_contrastive_loss": abnormal}
        return off_diagonal + abnormal

    def _gather(self, images: Tensor, texts: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features and labels of all processes, in the order of their ranks."""
        if self.world_size == 1:
            return images, texts, labels
        if not dist.is_initialized():
            raise ValueError(
                f"world_size is {self.world_size}, but torch.distributed is not initialised; call init_process_group."
            )
        images, texts = (self._gather_features(features) for features in (images, texts))
        return images, texts, torch.cat(_constant(labels, self.world_size))

    def _gather_features(self, features: Tensor) -> Tensor:
        if self.gather_with_grad:
            return torch.cat(all_gather(features.contiguous()))
        gathered = _constant(features, self.world_size)
        if not self.local_loss:  # else the own features carry gradients on the other side of the product
            gathered[self.rank] = features
        return torch.cat(gathered)


def _constant(rows: Tensor, world_size: int) -> list[Tensor]:
    """What every process holds, without gradients."""
    gathered = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(world_size)]
    dist.all_gather(gathered, rows.detach().contiguous())
    return gathered


def _labels(is_normal: Tensor, known: Tensor | None, pairs: int) -> Tensor:
    """[b] float32: 1 normal, 0 abnormal, NaN unknown, after a check."""
    if not isinstance(is_normal, Tensor) or not (is_normal.dtype == torch.bool or is_normal.is_floating_point()):
        found = is_normal.dtype if isinstance(is_normal, Tensor) else type(is_normal).__name__
        raise ValueError(f"is_normal must be a bool tensor, or floating point with 1, 0 and NaN, found {found}.")
    if list(is_normal.shape) != [pairs]:
        raise ValueError(f"is_normal must have shape [{pairs}], one label per pair, found {list(is_normal.shape)}.")
    labels = is_normal.float()
    if known is not None:
        if known.dtype != torch.bool or list(known.shape) != [pairs]:
            raise ValueError(f"known must be bool of shape [{pairs}], found {known.dtype} of {list(known.shape)}.")
        labels = labels.masked_fill(~known, torch.nan)
    if is_normal.is_floating_point() and not bool(((labels == 0) | (labels == 1) | labels.isnan()).all()):
        wrong = labels[(labels != 0) & (labels != 1) & ~labels.isnan()][0].item()
        raise ValueError(f"is_normal must be 1 (normal), 0 (abnormal) or NaN (unknown), found {wrong:g}.")
    return labels


def _check_features(images: Tensor, texts: Tensor) -> None:
    if images.ndim != 2 or images.shape != texts.shape:
        raise ValueError(
            "image_features and text_features must both have shape [B, D], "
            f"found {list(images.shape)} and {list(texts.shape)}."
        )
    for name, features in (("image_features", images), ("text_features", texts)):
        lengths = features.detach().float().norm(dim=1)
        worst = float(lengths[(lengths - 1).abs().argmax()]) if len(lengths) else 1.0
        if not abs(worst - 1) <= LENGTH_TOLERANCE.get(features.dtype, 0.001):
            raise ValueError(
                f"{name} must be normalised, found a row of length {worst:.3g}; divide each row by its length "
                "(open_clip: model.encode_image(images, normalize=True))."
            )
