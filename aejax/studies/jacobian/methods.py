"""Methods that a study compares: each is a plain autoencoder with knobs of its own, one of which is its strength."""

from types import MappingProxyType
from typing import Any, NamedTuple

from aejax.experiment.configuration import Data, Experiment, Model, Optimization, Training
from aejax.experiment.knobs import with_knobs
from aejax.studies.jacobian.settings import MethodName, Study
from aejax.studies.sweeps.plan import Setting

VALIDATION_FRACTION = 1 / 6  # 10,000 of MNIST's 60,000 training examples, as in the paper's time
_CHECKPOINTS = 5  # of a group of settings, from which a stopped study continues


class Method(NamedTuple):
    """A method to regularize the plain autoencoder, with a strength."""

    title: str  # in tables and figures
    symbol: str = ""  # of the strength
    strength: str = ""  # the knob that it is; empty for the plain autoencoder
    others: MappingProxyType[str, Any] = MappingProxyType({})  # knob -> value


METHODS: dict[MethodName, Method] = {
    "ae": Method("AE"),
    "weight-decay": Method("AE + weight decay", "λ", "l2_weight"),
    "dae-gaussian": Method(
        "DAE, Gaussian", "σ", "corruption_level", MappingProxyType({"corruption": "gaussian_noise"})
    ),
    "dae-masking": Method("DAE, masking", "ν", "corruption_level", MappingProxyType({"corruption": "masking"})),
    "cae": Method("CAE", "λ", "contractive_weight"),
    "cae-estimator": Method(
        "CAE, estimated", "λ", "contractive_weight", MappingProxyType({"contractive_projections": 1})
    ),
}


def plain_experiment(study: Study) -> Experiment:
    """Returns the experiment that every method regularizes: one sigmoid layer, tied weights, cross-entropy.

    The parameters of the last epoch are measured: it is the only one that is evaluated.
    """
    return Experiment(
        data=Data(dataset=study.dataset, data_dir=study.data_dir, validation_fraction=VALIDATION_FRACTION),
        model=Model(family="tied", hidden=(), code_size=study.units, activation="sigmoid", loss="binary_cross_entropy"),
        optimization=Optimization(learning_rate=study.learning_rate, schedule="cosine"),
        training=Training(
            batch_size=study.batch_size,
            epochs=study.epochs,
            evaluate_every=study.epochs,
            patience=None,
            checkpoint_every=max(1, study.epochs // _CHECKPOINTS),
        ),
    )


def settings_of(study: Study) -> list[Setting]:
    """Returns every method of a study with each of its strengths; with a strength of 0, it is the plain autoencoder.

    >>> settings = settings_of(Study(methods=("ae", "cae"), contractive_weights=(0.0, 0.1)))
    >>> [(setting.knobs["strength"], setting.experiment.regularization.contractive_weight) for setting in settings]
    [(0.0, 0.0), (0.0, 0.0), (0.1, 0.1)]
    """
    plain = plain_experiment(study)
    settings = []
    for name in study.methods:
        method = METHODS[name]
        for strength in study.strengths(name):
            knobs = {method.strength: strength, **method.others} if strength else {}
            settings.append(Setting({"method": name, "strength": strength}, with_knobs(plain, knobs)))
    return settings
