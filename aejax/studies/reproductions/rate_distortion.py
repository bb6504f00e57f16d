"""Rate and distortion of variational autoencoders of MNIST over β, with their lower hull."""

from functools import partial

import numpy as np
from matplotlib.figure import Figure

from aejax.evaluation.rate_distortion import RateDistortion, lower_hull, rate_and_distortion
from aejax.experiment.configuration import Data, Experiment, Model, Optimization, Training
from aejax.plots import rate_distortion_plane
from aejax.studies.claims import Claim
from aejax.studies.reproductions.bench import Bench
from aejax.studies.reproductions.record import Reproduction, Result, Row, Scale
from aejax.studies.sweeps.plan import make_plan
from aejax.studies.sweeps.study import prepare

_COLUMNS = {"rate": "rate R, nats", "distortion": "distortion D, nats", "negative_elbo": "-ELBO = D + R, nats"}
_BETAS = {
    "full": (0.03, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.5, 5.0, 10.0),
    "reduced": (0.1, 0.4, 1.0, 2.5, 10.0),
    "smoke": (0.3, 1.0, 3.0),
}
_EPOCHS = {"full": 200, "reduced": 8, "smoke": 2}


def _experiment(bench: Bench) -> Experiment:
    smoke = bench.budget == "smoke"
    data = Data(dataset="digits" if smoke else "mnist", binarize="fixed")
    return Experiment(
        data=bench.data(data),
        model=Model(hidden=(16,) if smoke else (256,), code_size=4 if smoke else 32, activation="gelu"),
        optimization=Optimization(learning_rate=1e-3, schedule="cosine"),
        training=Training(batch_size=128, epochs=_EPOCHS[bench.budget], patience=None, checkpoint_every=5),
    )


def _run(bench: Bench) -> Result:
    betas = _BETAS[bench.budget]
    ready = prepare(make_plan(_experiment(bench), {"beta": betas}, seeds=bench.seeds))
    members = bench.sweep("beta", ready)
    points: dict[float, list[RateDistortion]] = {beta: [] for beta in betas}
    for member in members:
        found = rate_and_distortion(member.terms, split="test")
        assert found is not None  # of a variational autoencoder
        points[ready.settings[member.setting].knobs["beta"]].append(found)
    rows = [
        Row(
            f"β = {beta:g}",
            {
                "rate": [point.rate for point in own],
                "distortion": [point.distortion for point in own],
                "negative_elbo": [point.negative_elbo for point in own],
            },
        )
        for beta, own in points.items()
    ]
    rates, distortions = (np.array([[point[axis] for point in own] for own in points.values()]) for axis in (0, 1))
    claims = _claims(betas, rates.mean(1), distortions.mean(1))
    return Result(_COLUMNS, rows, claims, partial(_draw, betas, rates, distortions))


def _claims(betas: tuple[float, ...], rates: np.ndarray, distortions: np.ndarray) -> list[Claim]:
    bound = rates + distortions
    best, one = int(np.argmin(bound)), betas.index(1.0)
    hull = lower_hull(rates, distortions)
    chord = np.interp(rates[one], rates[[-1, 0]], distortions[[-1, 0]])  # between the largest and the smallest β
    return [
        Claim(
            "the rate falls and the distortion rises with β",
            bool((np.diff(rates) < 0).all() and (np.diff(distortions) > 0).all()),
            f"rates {_listed(rates)}; distortions {_listed(distortions)}",
        ),
        Claim(
            "the least -ELBO is that of β = 1",
            best == one,
            f"least {bound[best]:.2f} nats at β = {betas[best]:g}; {bound[one]:.2f} at β = 1",
        ),
        Claim(
            "β = 1 is on the lower hull, below the line between the ends of the sweep",
            bool(one in hull and distortions[one] < chord),
            f"distortion {distortions[one]:.2f} nats, on the line {chord:.2f}",
        ),
    ]


def _listed(values: np.ndarray) -> str:
    return ", ".join(f"{value:.1f}" for value in values)


def _draw(betas: tuple[float, ...], rates: np.ndarray, distortions: np.ndarray) -> dict[str, Figure]:
    hull = lower_hull(rates.mean(1), distortions.mean(1))
    names = [f"β {beta:g}" for beta in betas]
    title = "rate and distortion of test examples"
    return {"rate_distortion": rate_distortion_plane(rates, distortions, hull=hull, names=names, title=title)}


TABLE = Reproduction(
    title="Rate and distortion of variational autoencoders of binarized MNIST over β",
    source="A. A. Alemi et al. (2018), Fixing a Broken ELBO, section 5 (its figures; there is no table)",
    scales={
        "full": Scale(600, "ten values of β, dense networks 784-256-32 (the paper's are convolutional), 200 epochs", 3),
        "reduced": Scale(2, "five values of β, dense networks 784-256-32, 8 epochs", 1),
        "smoke": Scale(0.3, "three values of β on 8x8 digits, 2 epochs", 1),
    },
    run=_run,
)
