"""``params.yaml`` as typed, validated objects.

Unknown keys are refused with the nearest valid name; every field says its unit. Stages read the
part they need, so that DVC sees which stage a change concerns (see dvc.yaml). Over 300 lines on purpose: a class
for each section, in the order of params.yaml, to be read beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from benchmark.common import cpus
from benchmark.common.errors import UserError, nearest
from benchmark.pipeline import layout

PHANTOM_ROOT = "phantom"
ON_HUB = "hf-hub:"
"""How a checkpoint begins that is no file but a name on the hub."""
PUBLISHED_CROP = 224 / 256
"""Side of the image that ``training.augment: published`` leaves, part of ``cohort.size``."""


Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]
"""What every random generator in use takes; neither `true` nor 1.0."""
Processes = Annotated[int, Field(ge=1, le=1024)]
"""Processes or threads of one machine."""
Decay = Annotated[float, Field(ge=0, lt=1)]
"""Of a running mean."""
HALF = 0.5
"""Of the captions in the prompted form, where a system does not say otherwise."""
COMPARED = "compare"
GROUPS = {COMPARED: "seeds", "scratch": "scratch_seeds", "ablation": "ablation_seeds"}
"""Lists of systems in params.yaml, and the list of their seeds."""


class Strict(BaseModel):
    """A frozen settings object that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _at_home(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UserError(f"{path} names the home of nobody on this machine; write the whole path.") from None


class DatasetSettings(Strict):
    """Where one dataset lies and which of its label sets is scored."""

    root: str = Field(PHANTOM_ROOT, min_length=1)
    """``phantom``, or the folder of the published release."""
    labels: Literal["published", "all", "exact"] = "all"
    grounding: str | None = None
    """File with CheXlocalize masks or PadChest-GR boxes when it is not inside the root."""
    views: Literal["frontal", "all"] = "frontal"
    """Open-I: frontal images alone, as in the other datasets, or all 7,470 of the published protocol."""
    reports: str | None = None
    """MIMIC-CXR's reports when they are not inside the root: their folder, or ``mimic-cxr-reports.zip``."""
    extra_boxes: Literal["first", "union"] = "first"
    """PadChest-GR: the boxes of the first reader, or those of both."""
    subset: bool = False
    """A part of the published release is meant: fewer rows than it has are no error."""
    share_examples: bool = False
    """Allow report text and images of this dataset to appear in reports and MLflow."""

    @property
    def folder(self) -> Path:
        """The release's folder, ``~`` written out.

        Raises:
            UserError: it lies in the home of somebody whom this machine does not know.
        """
        return _at_home(self.root)

    @property
    def grounding_file(self) -> Path | None:
        """The masks or boxes, ``~`` written out; raises as ``folder`` does."""
        return _at_home(self.grounding) if self.grounding else None

    @property
    def is_phantom(self) -> bool:
        """True when the images of this dataset are drawn by the harness."""
        return self.root == PHANTOM_ROOT


class PhantomSettings(Strict):
    """The embedded cohort: how many studies of each layout, from which seed."""

    seed: Seed = 2025
    image_size: int = Field(256, ge=32, le=4096)
    """Longest side of a rendered image, pixels."""
    studies: dict[str, int]
    """Studies to render per dataset."""


class CohortSettings(Strict):
    """How images enter the cache."""

    size: int = Field(80, ge=16, le=1024)
    """Side of a cached square image, pixels."""
    decode: Literal["published", "faithful", "draft"] = "faithful"
    max_missing: float = Field(0.01, ge=0, le=1)
    """Share of images that may be missing or unreadable before the stage fails."""
    workers: Processes = Field(default_factory=cpus.available)
    """Processes that render and decode; as many as this process may use."""


class EndpointSettings(Strict):
    """An OpenAI-compatible server for prompting; never used unless configured."""

    url: str
    model: str
    allow_remote_text: bool = False
    """Credentialed report text may leave this machine."""


class CaptionSettings(Strict):
    """Report -> sentences -> prompted form -> normal/abnormal -> kept."""

    seed: Seed = 7
    prompting: Literal["rules", "table", "endpoint"] = "rules"
    table: str | None = None
    """CSV with columns study_id, prompted (backend ``table``)."""
    endpoint: EndpointSettings | None = None
    threshold: float = Field(0.5, gt=0, lt=1)
    """Abnormal probability above which a sentence counts as abnormal."""
    min_patients: int = Field(5, ge=1)
    """Words in the reports of fewer training patients are unknown to the text tower: no name gets into weights."""


class BudgetSettings(Strict):
    """One number for every system; progress = spent / amount drives schedule and end."""

    unit: Literal["flops", "device_seconds", "samples"] = "flops"
    amount: float = Field(gt=0)
    """Floating-point operations (forward and backward), seconds, or training pairs seen."""


class TrainingSettings(Strict):
    """The loop that all systems share."""

    batch_size: int | list[tuple[float, int]] = 64
    """Pairs a step; or ``[[progress_from, size], ...]`` for a schedule by budget progress."""
    chunk_size: int | None = None
    """Images (and texts) per chunk of the pair matrix; None = the whole batch at once."""
    optimizer: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = Field(2e-3, gt=0)
    schedule: Literal["one_cycle", "cosine", "constant"] = "one_cycle"
    warmup: float = Field(0.1, ge=0, lt=1)
    """Share of the budget over which the learning rate rises."""
    betas: tuple[Decay, Decay] = (0.9, 0.98)
    weight_decay: float = Field(0.01, ge=0)
    clip_norm: Annotated[float, Field(gt=0)] | None = 1.0
    """Largest norm of the gradient; None = it is not clipped."""
    augment: Literal["none", "light", "published"] = "light"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """``auto``: bfloat16 where the hardware multiplies it, else float32; the ledger says which. Weights are float32."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Processes = 2
    compile: bool = False
    deterministic: bool = True
    checkpoint_seconds: float | None = Field(None, gt=0)
    """Between two checkpoints; None: as their cost allows, at most 2 % of the time and at most 10 minutes apart."""
    snapshots: list[float] = [0.25, 0.5]
    """Budget fractions at which weights are kept for the budget curve (1.0 always is)."""
    snapshot_weights: Literal["exact", "compact"] = "exact"
    """``compact``: a seventh of the room, and the budget curve rounded (benchmark/artifacts/snapshots.py)."""


class SystemSettings(Strict):
    """One row of a comparison: what scores a pair, what is learnt, from which captions."""

    label: str
    """The name printed in reports."""
    model: str
    """A file of ``baselines/``, without ``.py``."""
    objective: str = "info_nce"
    objective_options: dict[str, Any] = {}
    captions: Literal["raw", "filtered"] = "raw"
    prompted_share: float = Field(default=HALF, ge=0, le=1)
    """Share of sampled training captions taken in the prompted form, the rest as dictated."""
    start: Literal["pretrained", "scratch"] = "pretrained"
    """Of the image tower: as ``encoders`` say (``init``), or from random weights."""
    model_options: dict[str, Any] = {}
    """Overrides of ``encoders`` and the model's own options."""
    checkpoint: str | None = None
    """Released weights: the system is evaluated only."""
    release: str | None = None
    """Which release it is, a name of baselines/releases.toml: what it has seen in training, and where it comes from."""
    optional: bool = False
    """A released system whose files are not there is left out of the comparison, instead of stopping the run."""

    @property
    def options(self) -> dict[str, Any]:
        """What the model is built with: its own options, and where its released weights lie."""
        return {**self.model_options, **({"checkpoint": self.checkpoint} if self.checkpoint is not None else {})}

    @property
    def is_released(self) -> bool:
        """True when the system comes from a checkpoint and spends nothing of the budget."""
        return self.checkpoint is not None

    @field_validator("label")
    @classmethod
    def _is_plain(cls, label: str) -> str:
        """A label stands in exported tables, where a spreadsheet would run ``=...`` as a formula."""
        if not label.strip() or not label.isprintable() or label[0] in "=+-@":
            raise ValueError(f"expected a name of one line that does not begin with = + - or @, found {label!r}")
        return label


class ScoringSettings(Strict):
    """Zero-shot scoring."""

    batch_size: int = Field(128, ge=1)
    precision: Literal["float32", "bfloat16"] = "float32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Processes = 2
    tolerance_px: float = Field(0, ge=0)
    """Pointing-game tolerance around a region, pixels of the original image."""


class SupervisionSettings(Strict):
    """A network of the same image tower that learns from targets instead of text."""

    samples: int = Field(ge=1)
    """Training images seen."""
    learning_rate: float = Field(6e-3, gt=0)


class ProbeSettings(SupervisionSettings):
    """The supervised reference: it learns the training set's labels."""

    seed: Seed = 0


class PretrainingSettings(SupervisionSettings):
    """Where the image towers of each training seed start: they predict the words of the report (training split)."""

    min_count: int = Field(30, ge=1)
    """Words in fewer reports are no targets, nor are those in more than nine of ten."""


class Endpoint(Strict):
    """A comparison that is declared before its numbers are seen: a quantity of system ``a`` minus that of ``b``."""

    a: str
    b: str
    quantity: Literal[
        "normal_auc",
        "abnormal_auc",
        "abnormal_auc_visible",
        "abnormal_auc_among_abnormals",
        "abnormal_auc_against_normals",
        "pointing",
        "false_positive_rate",
        "false_negative_rate",
    ] = "normal_auc"
    score: Literal["", "prompt", "one_minus_max", "contrast", "worst_wording"] = ""
    """Of a normal AUC or an error rate: what ranks the images (docs/files.md)."""
    rule: Literal["", "youden", "specificity_95", "sensitivity_95"] = ""
    """Of an error rate: how its threshold was fitted."""

    @model_validator(mode="after")
    def _is_whole(self) -> Endpoint:
        is_rate = self.quantity.endswith("_rate")
        if (self.quantity == "normal_auc" or is_rate) != bool(self.score) or is_rate != bool(self.rule):
            raise ValueError(
                f"the endpoint {self.quantity} has score '{self.score}' and rule '{self.rule}'; a normal AUC needs a "
                "score, an error rate a score and a rule, any other quantity neither"
            )
        return self


class StatisticsSettings(Strict):
    """Intervals."""

    seed: Seed = 11
    replicates: int = Field(2000, ge=10)
    level: float = Field(0.95, gt=0, lt=1)
    interval: Literal["percentile", "logit", "bca"] = "logit"
    """Form of the intervals; the default is the one that keeps its promise (`python -m benchmark coverage`)."""
    min_positives: int = Field(10, ge=1)
    """Findings with positives, or negatives, of fewer patients are listed as undefined."""
    visible_above: float = Field(0.7, ge=0.5, lt=1)
    """A finding is visible when the lower bound of the supervised reference's AUC, or any system's, lies above this."""
    primary: Endpoint = Endpoint(a="offclip", b="carzero", score="prompt")
    """The question, asked of the mean over the datasets."""
    secondary: list[Endpoint] = []
    """What else is declared. One family (Holm): all of these and the primary, on every dataset and on their mean."""
    references: list[str] = ["carzero", "clip"]
    """Every compared system's differences from these are measured."""
    ablation_references: list[str] = ["offclip", "carzero"]
    """Every ablation row is tested against these."""


class TrackingSettings(Strict):
    """MLflow; the environment's MLFLOW_TRACKING_URI wins over ``uri``."""

    uri: str = "sqlite:///mlflow.db"
    experiment: str = "off-clip"


class Settings(Strict):
    """The whole of params.yaml."""

    datasets: dict[str, DatasetSettings]
    phantom: PhantomSettings
    cohort: CohortSettings
    captions: CaptionSettings
    encoders: dict[str, dict[str, Any]]
    """``image:`` and ``text:`` options of the towers (baselines/towers.py)."""
    pretraining: PretrainingSettings
    training: TrainingSettings
    budget: BudgetSettings
    compare: list[str]
    scratch: list[str] = []
    """Systems that start from random weights, where the spread over seeds is itself a finding."""
    ablation: list[str]
    seeds: list[Seed]
    scratch_seeds: list[Seed] = []
    ablation_seeds: list[Seed]
    systems: dict[str, SystemSettings]
    scoring: ScoringSettings
    probe: ProbeSettings
    """The supervised head on the same tower: what can be seen at all."""
    statistics: StatisticsSettings
    tracking: TrackingSettings

    @model_validator(mode="after")
    def _names_exist(self) -> Settings:
        for listed in GROUPS:
            for name in getattr(self, listed):
                if name not in self.systems:
                    hint = nearest(name, self.systems)
                    raise ValueError(f"`{listed}` names '{name}', which `systems` does not define{hint}")
        if missing := set(layout.DATASETS) - set(self.datasets):
            raise ValueError(f"`datasets` lacks {sorted(missing)}")
        if unknown := set(self.datasets) - set(layout.DATASETS):
            raise ValueError(f"`datasets` has unknown {sorted(unknown)}")
        return self

    @model_validator(mode="after")
    def _images_fit_the_tower(self) -> Settings:
        """A vision transformer takes one size, and cuts whole patches off both sides of a larger image."""
        image = {"size": 224, "patch": 16, **self.encoders.get("image", {})}
        size, patch = image["size"], image["patch"]
        if image.get("kind") != "vit" or not (isinstance(size, int) and isinstance(patch, int) and patch > 0):
            return self  # not a transformer, or refused with its own sentence where the towers' options are read
        seen = {"scoring": self.cohort.size, f"`training.augment: {self.training.augment}`": self.cohort.size}
        if self.training.augment == "published":
            seen["`training.augment: published`"] = round(self.cohort.size * PUBLISHED_CROP)
        for who, side in seen.items():
            if side < size or (side - size) % (2 * patch):
                raise ValueError(
                    f"`encoders.image` is a vit of {size} px in patches of {patch}, but with `cohort.size` "
                    f"{self.cohort.size} {who} gives it images of {side} px; expected {size} px plus a multiple of "
                    f"{2 * patch}: set `cohort.size` (256 for the published 224), `training.augment` or "
                    "`encoders.image.size`"
                )
        return self

    @property
    def is_phantom(self) -> bool:
        """True when any dataset is the phantom: then every output says PHANTOM."""
        return any(dataset.is_phantom for dataset in self.datasets.values())

    def groups(self) -> dict[str, tuple[list[str], list[Seed]]]:
        """Group -> its systems and their seeds."""
        return {group: (getattr(self, group), getattr(self, seeds)) for group, seeds in GROUPS.items()}

    def names(self) -> list[str]:
        """Every system of every group."""
        return [system for systems, _ in self.groups().values() for system in systems]

    def group_of(self, system: str) -> str:
        """The group that names a system; that of the comparison where none does."""
        return next((group for group, (systems, _) in self.groups().items() if system in systems), COMPARED)

    def runs(self) -> list[tuple[str, int]]:
        """Every (system, seed), group by group."""
        return [(system, seed) for systems, seeds in self.groups().values() for system in systems for seed in seeds]

    def encoders_of(self, system: str) -> dict[str, dict[str, Any]]:
        """``encoders`` as a system starts from them: from scratch, without the weights of the image tower."""
        if self.systems[system].start == "pretrained" or "image" not in self.encoders:
            return self.encoders
        return {**self.encoders, "image": {**self.encoders["image"], "init": None}}


def _sentence(error: ValidationError, path: Path) -> str:
    """The first problem of a validation error as one sentence with the key's path."""
    # A misspelt key is two errors: what was written is said, rather than what is missing.
    problem = next((one for one in error.errors() if one["type"] == "extra_forbidden"), error.errors()[0])
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        model: Any = Settings
        for part in problem["loc"][:-1]:
            field = model.model_fields.get(part) if hasattr(model, "model_fields") else None
            model = field.annotation if field else model
            if getattr(model, "__origin__", None) is dict:
                model = model.__args__[1]
        hint = nearest(str(problem["loc"][-1]), getattr(model, "model_fields", {}))
        return f"{path}: unknown key `{where}`{hint or '; remove it.'}"
    said = problem["msg"].removeprefix("Value error, ")
    return f"{path}: {f'`{where}`: ' if where else ''}{said}{'' if said.endswith('?') else '.'}"


def parse(values: Any, path: Path = layout.PARAMS) -> Settings:
    """Validate a params mapping.

    Raises:
        UserError: one sentence with the key, what was expected and what was found.
    """
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise UserError(_sentence(error, path)) from None


def load(path: Path = layout.PARAMS) -> Settings:
    """Read and validate params.yaml.

    Raises:
        UserError: the file is missing, is not YAML, or a value is wrong.
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} was not found; run from the repository's root.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); restore it from the repository.") from None
    except RecursionError:
        raise UserError(f"{path} is nested too deeply to be read; restore it from the repository.") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date that no calendar has
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from None
    return parse(values, Path(path))
