"""Contractive and denoising autoencoders of MNIST by the norm of their Jacobian: the study of Jacobians as a table."""

from dataclasses import replace
from functools import partial

from aejax.datasets.dataset import Splits
from aejax.experiment.configuration import Data
from aejax.studies.jacobian.methods import METHODS
from aejax.studies.jacobian.published import TABLE as PUBLISHED
from aejax.studies.jacobian.settings import PRESETS, Study
from aejax.studies.jacobian.study import conclude, draw_figures, load, make_measure_of, prepare
from aejax.studies.reproductions.bench import Bench
from aejax.studies.reproductions.record import Reproduction, Result, Row, Scale

_COLUMNS = {
    "ratio": "‖J‖_F over the plain autoencoder's",
    "saturated": "saturated units, %",
    "error": "test error, %: linear probe (published: fine-tuned)",
}


def _study(bench: Bench) -> Study:
    full = PRESETS["mnist"][1]
    if bench.budget == "full":
        study = replace(full, methods=tuple(PUBLISHED), seeds=bench.seeds)
    elif bench.budget == "reduced":
        study = replace(
            full,
            methods=tuple(PUBLISHED),
            seeds=bench.seeds,
            train_examples=5000,
            units=300,
            epochs=12,
            contractive_weights=(0.3, 1.0),
            weight_decays=(0.0003, 0.001),
            gaussian_deviations=(0.3, 0.5),
            masking_amounts=(0.1, 0.25),
        )
    else:
        study = Study(
            methods=tuple(PUBLISHED),
            seeds=bench.seeds,
            units=8,
            epochs=2,
            contractive_weights=(0.1,),
            weight_decays=(0.001,),
            gaussian_deviations=(0.3,),
            masking_amounts=(0.25,),
        )
    data = bench.data(Data(dataset=study.dataset))
    return replace(study, dataset=data.dataset, data_dir=data.data_dir)


def _run(bench: Bench) -> Result:
    study = _study(bench)
    splits: Splits = load(study)
    ready = prepare(study, splits)
    members = bench.sweep("methods", ready, measure=make_measure_of(study, ready))
    outcome = conclude(ready, members)
    chosen = outcome.chosen
    norm = chosen["ae"].mean["jacobian_norm"]
    rows = []
    for method, paper in PUBLISHED.items():
        own = [member.terms for member in members if ready.settings[member.setting] is chosen[method].setting]
        measured = {
            "ratio": [terms["jacobian_norm"] / norm for terms in own],
            "saturated": [terms["saturated_percent"] for terms in own],
            "error": [terms["probe_error_percent"] for terms in own],
        }
        ratio = round(paper.jacobian_norm / PUBLISHED["ae"].jacobian_norm, 3)
        published = {"ratio": ratio, "saturated": paper.saturated_percent, "error": paper.test_error_percent}
        rows.append(Row(METHODS[method].title, measured, published))
    return Result(_COLUMNS, rows, outcome.claims, partial(draw_figures, study, splits, outcome))


TABLE = Reproduction(
    title="Contractive autoencoders of MNIST, beside denoising ones, weight decay and none",
    source="S. Rifai et al. (2011), Contractive Auto-Encoders: Explicit Invariance During Feature Extraction, Table 1",
    scales={
        "full": Scale(2000, "1,000 units, 50 epochs, every strength of the study", 3),
        "reduced": Scale(5, "300 units, 5,000 training images, 12 epochs, two strengths of each method", 1),
        "smoke": Scale(0.5, "8 units on 8x8 digits, 2 epochs", 1),
    },
    run=_run,
)
