"""README's table of additions: one of each, in a copy of the package, touches the files that it names and works."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import aejax

ROOT = Path(aejax.__file__).parents[1]


class Addition(NamedTuple):
    """Files that are new, and lines that are put before others in those that are there."""

    files: dict[str, str]
    lines: dict[str, list[tuple[str, str]]]  # file -> (line that is there, lines before it)
    use: str  # a program that uses it


DATA_SET = '''
"""Points on two half circles."""

import numpy as np

from aejax.datasets.dataset import Dataset, Splits, split
from aejax.datasets.source import Request, Source


def _load_splits(request: Request, *, points: int) -> Splits:
    angle = np.random.default_rng(0).uniform(0, np.pi, points)
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    return Splits(*split(Dataset(x), fractions=request.fractions, seed=request.seed))


SOURCE = Source(_load_splits, layout="vector", name="moons", knobs=("points",))
'''
NETWORK = '''
"""Linear maps."""

from aejax.networks.architecture import Architecture
from aejax.networks.mlp import MLP


def _build(shape, output_shape, hidden, code_size, activation):
    return MLP((code_size,)), MLP(output_shape)


ARCHITECTURE = Architecture(_build, expects="vectors (D,)", ranks=(1,), layout="row", is_dense=True)
'''
LIKELIHOOD = '''
"""Logistic noise of scale 1."""

import jax
import jax.numpy as jnp

from aejax.likelihoods.record import Likelihood, Support


def logistic() -> Likelihood:
    return Likelihood(
        log_prob=lambda x, mean: jnp.sum(jax.nn.log_sigmoid(x - mean) + jax.nn.log_sigmoid(mean - x)),
        mean=lambda mean: mean,
        sample=lambda key, mean: mean + jax.random.logistic(key, mean.shape, mean.dtype),
        support=Support(-jnp.inf, jnp.inf),
        name="logistic",
    )
'''
REGULARIZER = '''
"""Codes whose mean over a batch is near 0."""

from functools import partial

import jax
import jax.numpy as jnp

from aejax.autoencoders.part import Part, Term
from aejax.autoencoders.penalized import penalized
from aejax.autoencoders.record import encoder_inputs, global_mean_over_batch

CENTERED = Part(
    "centered",
    terms=(Term("mean_penalty", "squared mean of the codes", "square of the code's unit"),),
    excludes=(("k_sparse", "most of its entries are 0 already"),),
    coupled_through="the mean of all codes",
)


def centered(autoencoder, *, weight, axis_name=None):
    def terms(params, batch):
        codes = jax.vmap(partial(autoencoder.encode, params))(*encoder_inputs(batch))
        return {"mean_penalty": jnp.sum(jnp.square(global_mean_over_batch(codes, batch, axis_name)))}

    return penalized(autoencoder, CENTERED, terms, weight=weight)
'''
OWN = """
from aejax.autoencoders import undercomplete
from aejax.networks import MLP


def build(facts):
    return undercomplete(MLP((2,)), MLP(facts.shape))
"""
BUILD = """
import jax, numpy as np
from aejax.datasets.dataset import Dataset
from aejax.experiment.build import build_autoencoder
from aejax.experiment.configuration import Data, Experiment, Model, Regularization, check
from aejax.experiment.scaling import make_facts


def terms_of(experiment):
    check(experiment)
    x = np.ones((4, 5), np.float32)
    autoencoder = build_autoencoder(experiment, make_facts(experiment, Dataset(x)))
    params = autoencoder.init(jax.random.key(0), x[0])
    return autoencoder.loss(params, jax.random.key(1), x)[1]


"""
ADDITIONS = {
    "a data set": Addition(
        {"aejax/datasets/moons.py": DATA_SET},
        {
            "aejax/datasets/sources.py": [('"image_folder", "activations.source"', '"moons", ')],
            "aejax/experiment/data_knobs.py": [("    crop: PositiveInt = 64", "    points: PositiveInt = 50\n")],
        },
        """
from aejax.datasets.paths import refuse_dataset
from aejax.errors import UserError
from aejax.experiment.configuration import Data
from aejax.experiment.loading import load_splits

assert [len(part.x) for part in load_splits(Data("moons", points=20))] == [14, 2, 4]
assert "did you mean moons?" in str(refuse_dataset("mons", ()))
try:
    load_splits(Data(points=20))
except UserError as error:
    assert "points: requires the dataset moons" in str(error)
else:
    raise AssertionError
""",
    ),
    "a network": Addition(
        {"aejax/networks/linear.py": NETWORK},
        {
            "aejax/experiment/architectures.py": [
                ('    "conv": (', '    "linear": ("linear maps of vectors", "aejax.networks.linear"),\n')
            ]
        },
        BUILD
        + """
assert "reconstruction" in terms_of(Experiment(model=Model(family="undercomplete", network="linear", code_size=2)))
from aejax.errors import UserError
try:
    check(Experiment(model=Model(family="undercomplete", network="linear", code_size=None)))
except UserError as error:
    assert "network linear requires a number" in str(error)
else:
    raise AssertionError
""",
    ),
    "a measure": Addition(
        {},
        {
            "aejax/evaluation/measures.py": [
                (
                    '    Measure("saturation"',
                    '    Measure("largest", "largest code", "no unit", lambda encoded: float(encoded.codes.max())),\n',
                )
            ]
        },
        """
import jax, numpy as np
from aejax.autoencoders import undercomplete
from aejax.evaluation import as_terms, code_statistics
from aejax.experiment.code_sentences import code_sentences
from aejax.networks import MLP

autoencoder, x = undercomplete(MLP((2,)), MLP((5,))), np.ones((7, 5), np.float32)
found = code_statistics(autoencoder, autoencoder.init(jax.random.key(0), x[0]), jax.random.key(1), x)
assert "code/largest" in as_terms(found)
assert "Largest code: " in " ".join(code_sentences(found))
""",
    ),
    "a regularizer": Addition(
        {"aejax/autoencoders/centered.py": REGULARIZER},
        {
            "aejax/autoencoders/__init__.py": [
                (
                    "from aejax.autoencoders.conditional import conditional as conditional\n",
                    "from aejax.autoencoders.centered import centered as centered\n",
                ),
                ('    "conditional",', '    "centered",\n'),
            ],
            "aejax/experiment/configuration.py": [
                ("    beta: Annotated[", '    centered_weight: Annotated[NonNegative, AddsPart("centered")] = 0.0\n')
            ],
            "aejax/experiment/build.py": [
                (
                    "    if not is_zero(terms.sparse_weight):",
                    "    if not is_zero(terms.centered_weight):\n"
                    "        autoencoder = autoencoders.centered(autoencoder, weight=terms.centered_weight)\n",
                )
            ],
        },
        BUILD
        + """
from aejax.errors import UserError
from aejax.experiment.configuration import Training
from aejax.experiment.report import loss_sum, term_of

plain, mean = Model(family="undercomplete", code_size=2), Regularization(centered_weight=0.5)
experiment = Experiment(model=plain, regularization=mean)
assert "mean_penalty" in terms_of(experiment)
facts = make_facts(experiment, Dataset(np.ones((4, 5), np.float32)))
parts = build_autoencoder(experiment, facts).parts
assert loss_sum(parts) == "loss = reconstruction + 0.5 × squared mean of the codes"
assert term_of("mean_penalty", parts).unit == "square of the code's unit"
for refused, message in (
    (
        Experiment(model=Model(family="k_sparse", code_size=20), regularization=mean),
        "centered_weight and family k_sparse cannot be combined: most of its entries are 0 already",
    ),
    (
        Experiment(model=plain, regularization=mean, training=Training(accumulation_steps=2)),
        "accumulation_steps: centered_weight computes the mean of all codes over the whole batch",
    ),
):
    try:
        terms_of(refused)
    except UserError as error:
        assert message in str(error)
    else:
        raise AssertionError
""",
    ),
    "a likelihood": Addition(
        {"aejax/likelihoods/logistic.py": LIKELIHOOD},
        {
            "aejax/likelihoods/__init__.py": [
                ("from aejax.likelihoods.record import Likelihood", "from aejax.likelihoods.logistic import logistic\n")
            ],
            "aejax/experiment/configuration.py": [('            "laplace",', '            "logistic",\n')],
        },
        BUILD + 'assert "elbo" in terms_of(Experiment(model=Model(likelihood="logistic", code_size=2)))\n',
    ),
    "an autoencoder of your own": Addition(
        {"mine.py": OWN},
        {},
        BUILD + 'assert "reconstruction" in terms_of(Experiment(model=Model(autoencoder="mine.py")))\n',
    ),
}


def files_in_readme() -> dict[str, set[str]]:
    """The files that each addition touches by README's table; NAME stands for any."""
    section = (ROOT / "README.md").read_text().partition("\n## Extending\n")[2].partition("\n## ")[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| ") and "`" in line]
    return {row[0].removeprefix("| "): set(re.findall(r"`([\w/.]+\.py)`", row[1])) for row in rows}


def test_readme_lists_every_addition():
    assert set(files_in_readme()) == set(ADDITIONS)


@pytest.mark.parametrize("name", ADDITIONS)
def test_an_addition_touches_what_readme_names(name):
    addition = ADDITIONS[name]
    new = {re.sub(r"\w+\.py$", "NAME.py", file) if "/" in file else file for file in addition.files}
    assert files_in_readme()[name] == new | set(addition.lines)


@pytest.mark.slow
@pytest.mark.parametrize("name", ADDITIONS)
def test_an_addition_works_in_a_copy_of_the_package(name, tmp_path):
    shutil.copytree(ROOT / "aejax", tmp_path / "aejax", ignore=shutil.ignore_patterns("__pycache__"))
    for file, content in ADDITIONS[name].files.items():
        (tmp_path / file).write_text(content)
    for file, insertions in ADDITIONS[name].lines.items():
        text = (tmp_path / file).read_text()
        for anchor, line in insertions:
            assert text.count(anchor) == 1, f"{file}: {anchor}"
            text = text.replace(anchor, line + anchor)
        (tmp_path / file).write_text(text)
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{ADDITIONS[name].use}"
    program += f"import aejax; assert aejax.__file__.startswith({str(tmp_path)!r})\n"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
