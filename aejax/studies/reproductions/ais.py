"""Annealed importance sampling of an importance weighted autoencoder of binarized MNIST, against its bound."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from aejax.experiment.likelihood import Settings, evaluate_likelihood
from aejax.experiment.trained import TrainedRun
from aejax.plots import beside_published
from aejax.studies.claims import Claim
from aejax.studies.reproductions.bench import Bench
from aejax.studies.reproductions.iwae import Key, experiment_of, name_of
from aejax.studies.reproductions.record import Reproduction, Result, Row, Scale

_VALUE, _ABOVE, _SAMPLES, _EXAMPLES = "value", "above", "samples", "examples"
_COLUMNS = {
    _VALUE: "log p(x), nats",
    _ABOVE: "above the IWAE bound, nats",
    _SAMPLES: "± samples, nats",
    _EXAMPLES: "± test examples, nats",
}
_MODEL: dict[str, Key] = {"full": (1, "IWAE", 50), "reduced": (1, "IWAE", 5), "smoke": (1, "IWAE", 5)}
# samples of the bound; distributions from the prior and from the encoder; test examples; examples of the model
_SCALES: dict[str, tuple[int, dict[Any, tuple[int, ...]], int, int]] = {
    "full": (10_000, {"prior": (1000, 10_000), "encoder": (100, 1000)}, 1000, 100),
    "reduced": (10_000, {"prior": (500, 2000), "encoder": (100, 500)}, 60, 10),
    "smoke": (20, {"prior": (8,), "encoder": (4,)}, 3, 2),
}
# Over the bound of 10,000 samples, -86.902 nats. The paper's model is another one, so the values do not compare.
_PUBLISHED = {("prior", 1000): 1.223, ("prior", 10_000): 1.283, ("encoder", 100): 1.148, ("encoder", 1000): 1.281}
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


Found = dict[tuple[Any, int], list[dict[str, Any]]]  # (start, distributions) -> what `_measured` returns of every seed


def _run(bench: Bench) -> Result:
    key = _MODEL[bench.budget]
    samples, starts, _, _ = _SCALES[bench.budget]
    found: Found = {}
    for seed in range(bench.seeds):
        run = bench.train(name := name_of(key, seed), experiment_of(bench, key, seed))
        for start, numbers in starts.items():
            for number in numbers:
                measure = partial(_measured, bench, run, start, number)
                own = bench.measured(f"{name}-{start}-{number}", measure)
                found.setdefault((start, number), []).append(own)
    bounds = [content["bound"] for content in next(iter(found.values()))]
    rows = [Row(f"IWAE bound, {samples:,} samples", _columns(bounds))]
    for (start, number), contents in found.items():
        annealed = [content["annealed"] for content in contents]
        above = [own[0] - bound[0] for own, bound in zip(annealed, bounds, strict=True)]
        is_published = bench.budget == "full" and (start, number) in _PUBLISHED
        rows.append(
            Row(
                f"AIS {_shown(start, number)}",
                {**_columns(annealed), _ABOVE: above},
                {_ABOVE: _PUBLISHED[start, number]} if is_published else {},
            )
        )
    return Result(_COLUMNS, rows, _claims(bounds, found), partial(_draw, rows))


def _columns(numbers: Sequence[Sequence[float]]) -> dict[str, list[float]]:
    return {column: [own[place] for own in numbers] for place, column in enumerate((_VALUE, _SAMPLES, _EXAMPLES))}


def _claims(bounds: Sequence[Sequence[float]], found: Found) -> list[Claim]:
    few, most = (choose(number for start, number in found if start == "encoder") for choose in (min, max))
    claims = []
    for number in sorted({few, most}):
        differences = [
            (content["annealed"][0] - bound[0], math.hypot(content["annealed"][1], bound[1]))
            for content, bound in zip(found["encoder", number], bounds, strict=True)
        ]
        claims.append(
            Claim(
                f"annealing over {number:,} distributions from the encoder is above the bound by two standard errors",
                all(difference > 2 * error for difference, error in differences),
                ", ".join(f"{difference:+.3f} ± {error:.3f} nats" for difference, error in differences),
            )
        )
    longest = {start: max(number for each, number in found if each == start) for start, _ in found}
    gaps = [(start, content["gap"]) for start, number in longest.items() for content in found[start, number]]
    claims.append(
        Claim(
            f"the bounds of the model's examples are at most {_CLOSED} nats apart, and not crossed",
            all(-2 * error <= gap <= _CLOSED for _, (gap, error) in gaps),
            "; ".join(f"{_shown(start, longest[start])}: {gap:.3f} ± {error:.3f}" for start, (gap, error) in gaps),
        )
    )
    return claims


def _shown(start: str, distributions: int) -> str:
    return f"from the {start}, {distributions:,} distributions"


def _draw(rows: Sequence[Row]) -> dict[str, Figure]:
    measured = {row.setting: row.measured[_VALUE] for row in rows}
    return {"likelihoods": beside_published(measured, {}, value=_COLUMNS[_VALUE])}


TABLE = Reproduction(
    title="Annealed importance sampling of an importance weighted autoencoder of binarized MNIST",
    source="Y. Wu, Y. Burda, R. Salakhutdinov, R. Grosse (2017), On the Quantitative Analysis of Decoder-Based "
    "Generative Models, section 5",
    scales={
        "full": Scale(40_000, "the IWAE with one layer and k = 50 after 3,280 epochs, 1,000 test images, 16 chains", 1),
        "reduced": Scale(12, "an IWAE with k = 5 after 30 epochs, 60 test images, 16 chains", 1),
        "smoke": Scale(1, "a small IWAE of 8x8 digits, 3 test images, 2 chains", 1),
    },
    run=_run,
)
