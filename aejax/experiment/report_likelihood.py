"""The section of a run's page on the log-likelihood of its test examples, if it has been estimated."""

from aejax.experiment.likelihood_record import gap_lines, read_likelihood
from aejax.experiment.report import Cell, Section, aligned, paragraph, table
from aejax.experiment.trained import TrainedRun


def likelihood_section(run: TrainedRun) -> list[Section]:
    """Returns the table that `aejax likelihood` has written into the run folder; nothing if there is none.

    Raises:
      UserError: the file holds no such table.
    """
    result = read_likelihood(run.path)
    if result is None:
        return []
    columns = zip(*((row.mean, row.samples_error, row.examples_error) for row in result.rows), strict=True)
    numbers = zip(*(aligned([[value] for value in column]) for column in columns), strict=True)
    rows: list[list[Cell]] = [
        [
            row.name,
            f"{row.examples:,}",
            *("not finite" if row.mean is None and not place else text for place, [text] in enumerate(shown)),
            "" if row.bits_per_dimension is None else f"{row.bits_per_dimension:.4f}",
        ]
        for row, shown in zip(result.rows, numbers, strict=True)
    ]
    heads: list[Cell] = [
        "",
        "examples",
        ("mean log p(x)", "nats"),
        ("error of samples", "nats"),
        ("error of examples", "nats"),
        ("", "bits per dimension"),
    ]
    effective = "not finite" if result.effective_samples is None else f"{result.effective_samples:,.1f}"
    text = (
        f"Likelihood {result.likelihood}; data {result.treatment}. Every row but the upper bound is a lower bound of "
        "log p(x) in expectation. The errors are standard errors, from the samples and from the choice of test "
        f"examples. The effective sample size of the weights is {effective} of {result.samples:,} "
        "(median)." + "".join(f" {line}." for line in gap_lines(result))
    )
    warnings = "".join(paragraph(f"Warning: {note}.") for note in result.notes)
    return [Section("Likelihood", paragraph(text) + table(heads, rows) + warnings)]
