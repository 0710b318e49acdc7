"""Stage ``captions``: the training reports as sentences, prompted, judged and filtered.

Writes sentences.parquet, studies.parquet, vocabulary.json and quality.json (docs/files.md). The sentence classifier
learns from the study labels of the training split alone; validation studies are only judged.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

import pandas as pd

from benchmark.artifacts import cohort as cohorts
from benchmark.artifacts import reading
from benchmark.captions import hand_labels, quality
from benchmark.captions.prompters import Prompter, prompter
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.common.progress import say
from benchmark.materials import contents
from benchmark.pipeline import layout, settings
from offclip.captions import CaptionPipeline
from offclip.sentences import normalise, report_sentences


def read_studies(index: pd.DataFrame) -> pd.DataFrame:
    """One row per study with a report: study_id, split, normal (Int8), sentences (list), in the index's order."""
    studies = index.drop_duplicates("study_id")[["study_id", "split", "report", "normal"]].reset_index(drop=True)
    studies["sentences"] = [report_sentences(report) for report in studies.pop("report").fillna("")]
    return studies[studies["sentences"].str.len() > 0].reset_index(drop=True)


def learnt(studies: pd.DataFrame, chosen: settings.CaptionSettings) -> tuple[CaptionPipeline, pd.DataFrame]:
    """The text side, fitted on the labels of the training studies, and the studies that it learnt from.

    Raises:
        UserError: there is no normal or no abnormal study.
    """
    pipeline = CaptionPipeline(threshold=chosen.threshold, seed=chosen.seed)
    training = studies[(studies["split"] == "train") & studies["normal"].notna()]
    taught = training["sentences"].tolist(), training["normal"].tolist()
    weak = training.iloc[pipeline.learning_set(*taught)]
    try:
        return pipeline.fit_sentences(*taught), weak
    except ValueError as error:
        raise UserError(
            f"{cohorts.index_path(layout.TRAINING_DATASET)}: the sentence classifier cannot learn: {error}"
        ) from None


def tables(studies: pd.DataFrame, pipeline: CaptionPipeline, backend: Prompter) -> tuple[pd.DataFrame, pd.DataFrame]:
    """sentences.parquet and studies.parquet.

    The first holds every dictated sentence with its prompted form, then free prompted clauses (text ""); the second
    the pair label of each study by the rule of the text filter.
    """
    ids, reports = studies["study_id"].tolist(), studies["sentences"].tolist()
    captions = list(pipeline.judge(reports, backend(ids, reports)))
    columns = ["study_id", "position", "text", "prompted", "abnormal_probability", "normal"]
    rows = [
        (study, position, said.text, said.prompted, said.abnormal_probability, said.normal)
        for study, caption in zip(ids, captions, strict=True)
        for position, said in enumerate(caption.sentences)
    ]
    sentences = pd.DataFrame(rows, columns=columns).astype({"position": "int32", "abnormal_probability": "float32"})
    pairs = pd.DataFrame({"study_id": ids, "normal": [bool(caption.is_normal) for caption in captions]})
    return sentences, pairs


def vocabulary(texts: Iterable[str], patients: Iterable[str], min_patients: int) -> list[str]:
    """Words of the texts as the word tower splits them, most frequent first, ties in alphabetical order.

    Args:
        texts: sentences; the weights of a trained model carry the words chosen from them.
        patients: whom each text is about, in the same order.
        min_patients: a word is left to the unknown token unless it occurs in texts about so many different patients,
            so that a name in the reports of one patient goes no further.

    Raises:
        UserError: no word is that common.
    """
    from baselines.towers.words import WORD

    counts: Counter[str] = Counter()
    said_of: defaultdict[str, set[str]] = defaultdict(set)
    for text, patient in zip(texts, patients, strict=True):
        words = WORD.findall(text.lower())
        counts.update(words)
        for word in words:
            said_of[word].add(patient)
    common = [word for word in counts if len(said_of[word]) >= min_patients]
    if not common:
        raise UserError(
            f"No word occurs in the reports of {min_patients} patients of the training split; "
            "lower `captions.min_patients`, or prepare more of the release."
        )
    return sorted(common, key=lambda word: (-counts[word], word))


def run() -> None:
    """Stage ``captions``."""
    chosen = settings.load().captions
    path = cohorts.index_path(layout.TRAINING_DATASET)
    index = reading.read_table(path, ["study_id", "patient_id", "split", "report", "normal"])
    credentialed = chosen.prompting == "endpoint" and bool(cohorts.read_card(layout.TRAINING_DATASET)["credentialed"])
    backend = prompter(chosen, credentialed)
    studies = read_studies(index)
    say(f"captions: {len(studies)} studies with a report, {int(studies['sentences'].str.len().sum())} sentences")
    pipeline, weak = learnt(studies, chosen)
    sentences, pairs = tables(studies, pipeline, backend)

    training_ids = studies.loc[studies["split"] == "train", "study_id"]
    training = sentences[sentences["study_id"].isin(training_ids)]
    patients = training["study_id"].map(index.drop_duplicates("study_id").set_index("study_id")["patient_id"])
    words = vocabulary([*training["text"], *training["prompted"]], [*patients, *patients], chosen.min_patients)
    drawn = hand_labels.draw(hand_labels.evaluation_sentences(contents.open_i_reports()))
    labels = hand_labels.read_labels()
    if not any(hand_labels.label_of(sentence.text, labels) is not None for sentence in drawn):
        raise UserError(
            f"none of the {len(labels)} hand-labelled sentences occurs in {layout.MATERIALS}; the reports, or the "
            "rules that split them (offclip/sentences.py), are not those that were labelled."
        )
    measured = {
        "classifier": quality.classifier_quality(
            pipeline.classifier, chosen.threshold, drawn, labels, set(map(normalise, training["text"]))
        ),
        "alternatives": quality.alternatives(weak, drawn, labels),
        "filter": quality.filter_summary(sentences, pairs, studies.set_index("study_id")["normal"]),
        "prompting": {"backend": chosen.prompting, **quality.prompting_summary(sentences)},
    }
    with files.replacing(layout.CAPTIONS) as part:
        part.mkdir()
        files.write_parquet(part / "sentences.parquet", sentences)
        files.write_parquet(part / "studies.parquet", pairs)
        files.write_json(part / "vocabulary.json", words)
        files.write_json(part / "quality.json", measured)
    accuracy = measured["classifier"]["accuracy"]
    say(
        f"captions: {int(pairs['normal'].sum())} of {len(pairs)} studies normal; classifier accuracy on "
        f"{accuracy['n']} hand-labelled sentences {accuracy['estimate']:.3f}"
    )
