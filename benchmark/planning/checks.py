"""What cannot be run is refused before anything is computed: settings that each field alone allows."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

from baselines import listing, options, releases
from baselines.config import encoder_options
from benchmark.captions.prompters import prompter
from benchmark.common.errors import UserError, nearest
from benchmark.evaluation import prompts
from benchmark.pipeline import layout, pretrained, released, settings
from benchmark.planning.code import ROOT
from offclip import objective_options

NAME = re.compile(r"[a-z0-9_]+")
"""Of a system: it names files, and DVC's stages."""


def models() -> list[str]:
    """The models of ``baselines/``, by name.

    Raises:
        UserError: a file there is no Python.
    """
    try:
        return listing.names(ROOT / "baselines")
    except ValueError as error:
        raise UserError(str(error)) from None


def _check_training(chosen: settings.Settings) -> None:
    """Refuse combinations that each field alone allows."""
    training = chosen.training
    if training.precision == "float16" and training.device == "cpu":
        raise UserError("`training.precision: float16` does not work on a CPU; use bfloat16 or float32.")
    fractions = training.snapshots
    if any(not 0 < part < 1 for part in fractions) or fractions != sorted(set(fractions)):
        raise UserError(f"`training.snapshots` must be rising fractions between 0 and 1, found {fractions}.")
    sizes = training.batch_size if isinstance(training.batch_size, list) else [(0.0, training.batch_size)]
    starts = [start for start, _ in sizes]
    if not sizes or starts[0] != 0 or starts != sorted(set(starts)) or starts[-1] >= 1:
        raise UserError(f"`training.batch_size` must start at progress 0 and rise below 1, found {sizes}.")
    if min(size for _, size in sizes) < 2:
        raise UserError(f"`training.batch_size` must be at least 2 (a contrastive loss compares pairs), found {sizes}.")
    if training.chunk_size is not None and training.chunk_size < 1:
        raise UserError(
            f"`training.chunk_size` must be at least 1, found {training.chunk_size}; leave it out for none."
        )


def _check_data(chosen: settings.Settings) -> None:
    """Refuse data and texts that a stage would ask for in vain, hours later on a real release."""
    for dataset, given in chosen.datasets.items():
        if given.labels == "exact" and dataset != "open_i":
            raise UserError(f"`datasets.{dataset}.labels: exact` exists for open_i alone; use `published` or `all`.")
        if given.reports and dataset != layout.TRAINING_DATASET:
            raise UserError(f"`datasets.{dataset}.reports` exists for {layout.TRAINING_DATASET} alone; remove it.")
        if given.is_phantom and chosen.phantom.studies.get(dataset, 0) < 1:
            raise UserError(
                f"`phantom.studies.{dataset}` must be at least 1 where `datasets.{dataset}.root` is phantom."
            )
    for name in sorted(set(chosen.phantom.studies) - set(layout.DATASETS)):
        raise UserError(f"`phantom.studies` names '{name}', which is not a dataset{nearest(name, layout.DATASETS)}")
    prompter(chosen.captions, credentialed=not chosen.datasets[layout.TRAINING_DATASET].is_phantom)


def _needs_checkpoint(declared: type[options.ModelOptions]) -> bool:
    """True for a released model: its options have a ``checkpoint`` without a default."""
    return "checkpoint" in declared.names() and not hasattr(declared, "checkpoint")


def _check_release(name: str, system: settings.SystemSettings) -> None:
    """Refuse a release that is not known, or is another model's."""
    if system.optional and system.checkpoint is None:
        raise UserError(f"`systems.{name}.optional` is for released models; give `systems.{name}.checkpoint`.")
    if system.release is None:
        return
    known = releases.read()
    if system.release not in known:
        raise UserError(
            f"`systems.{name}.release`: '{system.release}' is not in baselines/releases.toml"
            f"{nearest(system.release, known)}; known: {', '.join(known)}."
        )
    if known[system.release].model != system.model:
        raise UserError(
            f"`systems.{name}.release`: '{system.release}' is read by the model '{known[system.release].model}', "
            f"found '{system.model}'."
        )


def _check_system(name: str, chosen: settings.Settings) -> None:
    """Refuse a system that names what does not exist."""
    system = chosen.systems[name]
    if not NAME.fullmatch(name):
        raise UserError(f"`systems.{name}`: a name is written in the letters a to z, digits and underscores.")
    if system.model not in (known := models()):
        raise UserError(
            f"`systems.{name}.model`: baselines/{system.model}.py is not a baseline{nearest(system.model, known)}; "
            f"known: {', '.join(known)}."
        )
    _check_release(name, system)
    is_left_out = bool(released.absent(system))
    on_hub = system.checkpoint is not None and system.checkpoint.startswith(settings.ON_HUB)
    if system.checkpoint is not None and not (on_hub or is_left_out or Path(system.checkpoint).exists()):
        raise UserError(
            f"`systems.{name}.checkpoint`: {system.checkpoint} does not exist; put the released file there."
        )
    declared = options.of(system.model)
    if system.is_released and declared is not None and "checkpoint" not in declared.names():
        raise UserError(
            f"`systems.{name}.checkpoint`: the model '{system.model}' takes no released weights; `published` takes "
            "those of CARZero and OFF-CLIP, `open_clip` any open_clip model's (docs/adding-a-baseline.md)."
        )
    if not system.is_released and declared is not None and _needs_checkpoint(declared):
        raise UserError(
            f"`systems.{name}`: the model '{system.model}' is a released one that is evaluated only; give its file as "
            f"`systems.{name}.checkpoint`."
        )
    try:
        objective_options.checked(system.objective, system.objective_options, f"systems.{name}.objective_options")
        options.check(system.model, chosen.encoders, system.options, f"systems.{name}.model_options")
    except ValueError as error:
        said = str(error)
        where = "" if said.startswith(f"`systems.{name}.") else f"`systems.{name}`: "
        raise UserError(f"{layout.PARAMS}: {where}{said}") from None


def _check_starts(chosen: settings.Settings) -> None:
    """Refuse runs whose start no stage makes: `pretrain` makes one for each of `seeds`."""
    for name in chosen.scratch:
        if chosen.systems[name].start != "scratch":
            raise UserError(
                f"`scratch` names '{name}', which starts from a pretrained tower; write `start: scratch` in "
                f"`systems.{name}`, or name it in another group."
            )
    for name in chosen.names():
        image = chosen.systems[name].model_options.get("image")
        if isinstance(image, dict) and pretrained.is_made_here(image.get("init")):
            raise UserError(
                f"`systems.{name}.model_options.image.init`: {layout.PRETRAINED} is for `encoders.image.init`, "
                "where the systems of a seed start together; name a file of weights here, or leave it out."
            )
    strange = sorted(set(chosen.ablation_seeds) - set(chosen.seeds)) if chosen.ablation else []
    if strange:
        raise UserError(
            f"`ablation_seeds` names {strange[0]}, which `seeds` {chosen.seeds} does not; an ablation row starts where "
            "the compared systems of its seed do: add it there or take it out here."
        )


def check(chosen: settings.Settings) -> None:
    """Refuse what cannot be run, before anything is computed."""
    _check_training(chosen)
    for listed in (*settings.GROUPS, *settings.GROUPS.values()):
        values = getattr(chosen, listed)
        if len(set(values)) < len(values):
            raise UserError(f"`{listed}` names something twice: {values}.")
    for first, second in combinations(settings.GROUPS, 2):
        if both := set(getattr(chosen, first)) & set(getattr(chosen, second)):
            raise UserError(f"`{first}` and `{second}` both name {sorted(both)}; a system belongs to one of them.")
    if not chosen.compare or not chosen.seeds:
        raise UserError("`compare` and `seeds` must each name at least one.")
    for group, seeds in settings.GROUPS.items():
        if getattr(chosen, group) and not getattr(chosen, seeds):
            raise UserError(f"`{group}` names systems, but `{seeds}` names no seed.")
    _check_starts(chosen)
    try:
        encoder_options(chosen.encoders)
    except ValueError as error:
        raise UserError(f"params.yaml: {error}") from None
    missing = [released.absent(chosen.systems[name]) for name in chosen.compare]
    if all(missing):
        raise UserError(
            f"`compare`: no system has its files, {missing[0][0]} and others are not there; put those of at least one "
            "there, `python -m benchmark doctor` says which they are and where they come from."
        )
    init = chosen.encoders.get("image", {}).get("init")
    if init and not pretrained.is_made_here(init) and not Path(init).is_file():
        raise UserError(
            f"`encoders.image.init`: {init} does not exist; name a file of weights, or {layout.PRETRAINED} for "
            "what stage `pretrain` makes, a start for each training seed."
        )
    declared = [chosen.statistics.primary, *chosen.statistics.secondary]
    for name in [name for endpoint in declared for name in (endpoint.a, endpoint.b)]:
        if name not in chosen.systems:
            raise UserError(
                f"An endpoint of `statistics` names '{name}', which `systems` does not define"
                f"{nearest(name, chosen.systems)}"
            )
    for listed in ("references", "ablation_references"):
        for name in getattr(chosen.statistics, listed):
            if name not in chosen.systems:
                hint = nearest(name, chosen.systems)
                raise UserError(f"`statistics.{listed}` names '{name}', which `systems` does not define{hint}")
    _check_data(chosen)
    prompts.load()
    labels: dict[str, str] = {}
    for name in chosen.names():
        _check_system(name, chosen)
        first = labels.setdefault(chosen.systems[name].label, name)
        if first != name:
            raise UserError(
                f"`systems.{first}` and `systems.{name}` have one label, '{chosen.systems[name].label}'; tables could "
                "not tell them apart: give each its own."
            )
