"""Disentanglement against the evidence lower bound on sprites: β-VAE and β-TCVAE over β."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from aejax.experiment.configuration import Data, Experiment, Model, Optimization, Training
from aejax.plots import trade_offs
from aejax.studies.claims import Claim
from aejax.studies.reproductions.bench import Bench
from aejax.studies.reproductions.record import Reproduction, Result, Row, Scale
from aejax.studies.sweeps.factors import measure_of_factors
from aejax.studies.sweeps.plan import make_plan
from aejax.studies.sweeps.study import prepare

_MIG, _ELBO = "mig", "elbo"
_COLUMNS = {_MIG: "MIG", _ELBO: "ELBO, nats"}
_TERMS = {_MIG: "test/code/mig", _ELBO: "test/elbo"}
_BETAS = {"full": (2.0, 4.0, 6.0, 8.0, 10.0), "reduced": (4.0, 8.0), "smoke": (2.0, 4.0)}
_METHODS = {"β-VAE": ("beta", 0.0), "β-TCVAE": ("total_correlation_weight", -1.0)}  # knob, and what it adds to β
_EXAMPLES = {"full": 200_000, "reduced": 20_000, "smoke": 600}
_EPOCHS = {"full": 60, "reduced": 25, "smoke": 1}


def _experiment(bench: Bench) -> Experiment:
    smoke = bench.budget == "smoke"
    data = Data(
        dataset="sprites",
        examples=_EXAMPLES[bench.budget],
        image_size=(64 if bench.budget == "full" else 32,),
        factor_values=("orientation=0:40:8", "x=0:32:8", "y=0:32:8") if smoke else (),  # enough examples of each value
    )
    return Experiment(
        data=bench.data(data),
        model=Model(hidden=(16,) if smoke else (256, 256), code_size=10, activation="gelu"),
        optimization=Optimization(learning_rate=1e-3, schedule="cosine"),
        training=Training(
            batch_size=128, epochs=_EPOCHS[bench.budget], evaluate_every=5, patience=None, checkpoint_every=5
        ),
    )


def _run(bench: Bench) -> Result:
    betas = _BETAS[bench.budget]
    rows: list[Row] = []
    found: dict[tuple[str, float], Row] = {}
    for method, (knob, shift) in _METHODS.items():
        ready = prepare(make_plan(_experiment(bench), {knob: [beta + shift for beta in betas]}, seeds=bench.seeds))
        members = bench.sweep(knob, ready, measure=measure_of_factors(ready.jobs[0]))
        for place, beta in enumerate(betas):
            own = [member.terms for member in members if member.setting == place]
            measured = {column: [terms[name] for terms in own] for column, name in _TERMS.items()}
            found[method, beta] = Row(f"{method}, β = {beta:g}", measured)
            rows.append(found[method, beta])
    return Result(_COLUMNS, rows, _claims(betas, found), partial(_draw, betas, found))


def _claims(betas: Sequence[float], found: dict[tuple[str, float], Row]) -> list[Claim]:
    medians = {key: {name: float(np.median(row.measured[name])) for name in _COLUMNS} for key, row in found.items()}
    vae, tcvae = _METHODS
    claims = []
    for name, what in ((_MIG, "median MIG"), (_ELBO, "median ELBO")):
        pairs = {beta: (medians[tcvae, beta][name], medians[vae, beta][name]) for beta in betas}
        measured = "; ".join(f"β = {beta:g}: {own:.4g} and {other:.4g}" for beta, (own, other) in pairs.items())
        claims.append(
            Claim(
                f"the {what} of {tcvae} is above that of {vae} at every β",
                all(own > other for own, other in pairs.values()),
                measured,
            )
        )
    return claims


def _draw(betas: Sequence[float], found: dict[tuple[str, float], Row]) -> dict[str, Figure]:
    curves = {
        method: (list(betas), [float(np.median(found[method, beta].measured[_MIG])) for beta in betas])
        for method in reversed(_METHODS)
    }
    return {"mig": trade_offs(curves, title="disentanglement of sprites", cost="β", gain="median MIG")}


TABLE = Reproduction(
    title="Disentanglement of sprites by β-VAE and β-TCVAE",
    source="R. T. Q. Chen, X. Li, R. Grosse, D. Duvenaud (2018), Isolating Sources of Disentanglement in Variational "
    "Autoencoders, figure 3",
    scales={
        "full": Scale(
            3000, "200,000 of the 737,280 sprites of 64x64 pixels, dense networks, β from 2 to 10, 60 epochs", 10
        ),
        "reduced": Scale(6, "20,000 sprites of 32x32 pixels, β of 4 and 8, 25 epochs, 3 seeds instead of 10", 3),
        "smoke": Scale(1, "600 sprites, small networks, 1 epoch", 1),
    },
    run=_run,
)
