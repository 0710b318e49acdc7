"""Stage ``index``: a release's tables -> one index, its regions and the list of its image files. No image is opened.

Seconds, so that an edited label costs seconds: stage ``decode`` depends on the list of files alone.
"""

from __future__ import annotations

from benchmark.cohort import adapters, disk, indexed, losses, pointer, protocol
from benchmark.common.errors import UserError
from benchmark.common.progress import say
from benchmark.pipeline import layout, settings


def run(dataset: str) -> None:
    """Index one dataset (``python -m benchmark index DATASET``).

    Raises:
        UserError: the tree is not as published, or more than ``cohort.max_missing`` of its images or reports is
            not on disk.
    """
    values = settings.load()
    root, phantom = pointer.read(dataset)
    chosen = values.datasets[dataset]
    if phantom:  # of lateral images the phantom draws none
        chosen = chosen.model_copy(update={"views": "frontal"})
    cohort = adapters.reader(dataset)(root, chosen, chosen.grounding_file)
    if not phantom:
        protocol.check_whole(dataset, cohort, chosen.subset)
    if cohort.index.empty:
        reasons = "; ".join(f"{len(item.names)} {item.reason}" for item in cohort.exclusions) or "the tables are empty"
        raise UserError(f"{dataset}: no image of {root} is left to use ({reasons}).")
    # Looking names up takes seconds, decoding hours: a download that is not complete fails before it begins.
    listed = disk.look_up(root, list(cohort.index["path"]))
    absent = [f"{root / path} not on disk" for path in listed.loc[listed["size"] == disk.ABSENT, "path"]]
    incomplete = [item for item in cohort.exclusions if item.incomplete]
    absent += [f"study {name}: {item.reason}" for item in incomplete for name in item.names]
    total = len(cohort.index) + sum(len(item.names) for item in incomplete)
    losses.refuse_above(
        dataset, len(absent), total, "images", absent, values.cohort.max_missing, phantom or chosen.share_examples
    )
    if phantom:  # DVC compares the content of what the harness renders; its times differ from machine to machine
        listed = listed.assign(size=disk.ABSENT, modified=disk.ABSENT)
    indexed.write(dataset, cohort, listed)
    say(f"{dataset}: {len(cohort.index)} images, {len(cohort.regions)} regions -> {layout.index(dataset)}")
