"""The section of a run's page with the scores of its samples."""

from aejax.experiment.report import Cell, Section, paragraph, table
from aejax.experiment.sample_quality import can_score_samples, read_samples, score_samples
from aejax.experiment.trained import TrainedRun


def sample_quality_section(run: TrainedRun) -> list[Section]:
    """Returns a table of the scores of samples, from the run folder or, of an older run, computed; or nothing.

    Raises:
      UserError: the file with the scores was changed, or there are too few examples.
    """
    if not can_score_samples(run):
        return []
    result = read_samples(run.path) or score_samples(run)
    rows: list[list[Cell]] = [
        [
            (score.title, "" if score.unit in ("no unit", "fraction") else score.unit),
            "not finite" if score.value is None else f"{score.value:.4g}",
            "" if score.equal is None else f"{score.equal:.3g}",
        ]
        for score in result.scores
    ]
    kind = "drawn from the likelihood" if result.drawn else "the decoder's means"
    text = (
        f"{result.samples:,} decoded samples from the prior, {kind}, against {result.test_examples:,} test examples. "
        f"{_compared(run)} No pretrained network is used. The accuracy is that of a nearest-neighbor "
        "classifier of samples and test examples, on a held-out half. The nearest-neighbor ratio is the median "
        f"distance of samples to the nearest of {result.training_examples:,} training examples, divided by that of "
        "test examples; it is far below 1 for copies. Compare only numbers from the same numbers of examples."
    )
    heads: list[Cell] = ["", "samples", "mean if distributions are equal"]
    return [Section("Scores of samples", paragraph(text) + table(heads, rows))]


def _compared(run: TrainedRun) -> str:
    """Returns a sentence that says between what distances are."""
    if run.facts.columns is not None:
        return (
            "Distances are those of standardized numbers and one-hot classes; what is missing in a test row is left "
            "out of the sample beside it."
        )
    if run.facts.lengths is not None:
        return (
            "Distances are those of the data; each sample has the length of a test sequence, and steps that a sequence "
            "does not have are at the mean."
        )
    return "Distances are those of the data."
