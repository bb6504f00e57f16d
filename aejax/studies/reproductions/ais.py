"""Annealed importance sampling of an importance weighted autoencoder of binarized MNIST, against its bound."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from aejax.experiment.likelihood import Settings, evaluate_likelihood
from aejax.experiment.trained import TrainedRun
from aejax.plots import beside_published
from aejax.studies.reproductions.bench import Bench
from aejax.studies.reproductions.iwae import Key, experiment_of, name_of
from aejax.studies.reproductions.record import Claim, Reproduction, Result, Row, Scale

_VALUE, _SAMPLES, _EXAMPLES = "value", "samples", "examples"
_COLUMNS = {
    _VALUE: "log p(x), nats",
    _SAMPLES: "± samples, nats",
    _EXAMPLES: "± test examples, nats",
}
_MODEL: dict[str, Key] = {"full": (1, "IWAE", 50), "reduced": (1, "IWAE", 5), "smoke": (1, "IWAE", 5)}
# samples of the bound; distributions from the prior and from the encoder; test examples; examples of the model
_SCALES: dict[str, tuple[int, dict[Any, tuple[int, ...]], int, int]] = {
    "full": (10_000, {"prior": (1000, 10_000), "encoder": (100, 1000)}, 1000, 100),
    "reduced": (10_000, {"prior": (500, 2000), "encoder": (100, 500)}, 20, 10),
    "smoke": (20, {"prior": (8,), "encoder": (4,)}, 3, 2),
}
_PUBLISHED = {
    ("prior", 1000): -85.679,
    ("prior", 10_000): -85.619,
    ("encoder", 100): -85.754,
    ("encoder", 1000): -85.621,
    ("bound", 10_000): -86.902,
}
_CLOSED = 0.5  # nats between the bounds of the model's examples


def _measured(bench: Bench, run: TrainedRun, start: Any, distributions: int) -> dict[str, Any]:
    """Returns the rows of the bound, of annealing, and the gap of the bounds of the model's examples."""
    samples, _, examples, simulated = _SCALES[bench.budget]
    settings = Settings(
        samples=samples,
        examples=examples,
        distributions=distributions,
        start=(start,),
        annealed_examples=examples,
        simulated_examples=simulated,
        chains=2 if bench.budget == "smoke" else 16,
    )
    bench.note(f"annealing from the {start}, {distributions:,} distributions, {examples:,} test examples")
    result = evaluate_likelihood(run, settings)
    bound = next(row for row in reversed(result.rows) if row.name.startswith("IWAE bound"))
    annealed = next(row for row in result.rows if row.name.startswith("AIS"))
    gap = result.gaps[start]
    return {"bound": _numbers(bound), "annealed": _numbers(annealed), "gap": [gap.mean, gap.error or 0.0]}


def _numbers(row: Any) -> list[float]:
    return [row.mean, row.samples_error or 0.0, row.examples_error or 0.0]


def _run(bench: Bench) -> Result:
    key = _MODEL[bench.budget]
    run = bench.train(name_of(key, 0), experiment_of(bench, key, 0))
    samples, starts, _, _ = _SCALES[bench.budget]
    found = {
        (start, number): bench.measured(f"{start}-{number}", partial(_measured, bench, run, start, number))
        for start, numbers in starts.items()
        for number in numbers
    }
    bound = next(iter(found.values()))["bound"]
    rows = [_row(f"IWAE bound, {samples:,} samples", bound, _PUBLISHED.get(("bound", samples)))]
    for (start, number), content in found.items():
        name = f"AIS from the {start}, {number:,} distributions"
        rows.append(_row(name, content["annealed"], _PUBLISHED.get((start, number))))
    return Result(_COLUMNS, rows, _claims(bound, found), partial(_draw, rows))


def _row(name: str, numbers: Sequence[float], published: float | None) -> Row:
    measured = {column: [value] for column, value in zip(_COLUMNS, numbers, strict=True)}
    return Row(name, measured, {} if published is None else {_VALUE: published})


def _claims(bound: Sequence[float], found: dict[tuple[Any, int], dict[str, Any]]) -> list[Claim]:
    best = max(found, key=lambda each: found[each]["annealed"][0])
    above = found[best]["annealed"][0] - bound[0]
    longest = {start: max(number for each, number in found if each == start) for start, _ in found}
    gaps = {start: found[start, number]["gap"] for start, number in longest.items()}
    few = min(number for start, number in found if start == "encoder")
    at_few = found["encoder", few]["annealed"][0]
    return [
        Claim("annealing is above the bound of importance sampling", above > 0, f"{above:+.3f} nats ({_shown(*best)})"),
        Claim(
            f"{few:,} distributions from the encoder are above the bound of importance sampling",
            at_few > bound[0],
            f"{at_few:.3f} and {bound[0]:.3f} nats",
        ),
        Claim(
            f"the bounds of the model's examples are at most {_CLOSED} nats apart",
            all(gap <= _CLOSED for gap, _ in gaps.values()),
            "; ".join(
                f"{_shown(start, longest[start])}: {gap:.3f} ± {error:.3f}" for start, (gap, error) in gaps.items()
            ),
        ),
    ]


def _shown(start: str, distributions: int) -> str:
    return f"from the {start}, {distributions:,} distributions"


def _draw(rows: Sequence[Row]) -> dict[str, Figure]:
    measured = {row.setting: row.measured[_VALUE] for row in rows}
    published = {row.setting: row.published[_VALUE] for row in rows if row.published}
    return {"likelihoods": beside_published(measured, published, value=_COLUMNS[_VALUE])}


TABLE = Reproduction(
    title="Annealed importance sampling of an importance weighted autoencoder of binarized MNIST",
    source="Y. Wu, Y. Burda, R. Salakhutdinov, R. Grosse (2017), On the Quantitative Analysis of Decoder-Based "
    "Generative Models, section 5",
    scales={
        "full": Scale(40_000, "the IWAE with k = 50 after 3,280 epochs, 1,000 test images, 16 chains", 1),
        "reduced": Scale(12, "an IWAE with k = 5 after 6 epochs, 20 test images, 16 chains", 1),
        "smoke": Scale(1, "a small IWAE of 8x8 digits, 3 test images, 2 chains", 1),
    },
    run=_run,
    needs="mnist",
)
