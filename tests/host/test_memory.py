"""Computations that exceed the memory are refused in one line before anything is allocated."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aejax.autoencoders import undercomplete
from aejax.datasets.arrays import load_arrays
from aejax.datasets.dataset import Dataset
from aejax.datasets.documents import Page, PageSplits, crop_pages
from aejax.errors import UserError
from aejax.experiment.build import build_autoencoder
from aejax.experiment.configuration import Experiment, Model, Optimization, Regularization, Training, check
from aejax.experiment.facts import facts_of
from aejax.experiment.loading import as_examples
from aejax.experiment.optimizers import build_optimizer
from aejax.experiment.plausibility import check_memory
from aejax.host import memory
from aejax.host.memory import available_memory, bytes_of, check_fits, host_memory, largest_array
from aejax.networks import MLP
from aejax.training import start
from aejax.training.population import start_population

X = np.random.default_rng(0).uniform(size=(20, 16, 16, 1)).astype(np.float32)
TRAIN = Dataset(X)
REFUSED = r"need at least [\d,.]+ GB, but only [\d,.]+ GB of memory are available; use "


def build(experiment: Experiment):
    facts = facts_of(TRAIN)
    autoencoder = build_autoencoder(experiment, facts)
    optimizer = build_optimizer(experiment, len(X))
    snapshot = start(autoencoder, optimizer, jax.random.key(0), X[0])
    examples = as_examples(experiment.model, TRAIN, facts)
    check_memory(autoencoder, snapshot.state.params, examples, experiment.training, 1)


def experiment(model: Model | None = None, regularization: Regularization | None = None) -> Experiment:
    small = Training(batch_size=10)
    return Experiment(model=model or Model(), regularization=regularization or Regularization(), training=small)


ABSURD = {
    **{f"hidden {width:g}": experiment(Model(hidden=(width,))) for width in (10**9, 2**31, 10**12, 10**18, 10**30)},
    "hidden twice": experiment(Model(hidden=(10**6, 10**6))),
    **{f"code {size:g}": experiment(Model(code_size=size)) for size in (10**9, 10**12, 10**18)},
    "conv": experiment(Model(network="conv", hidden=(10**9,))),
    "conv, the second block": experiment(Model(network="conv", hidden=(4, 10**9))),
    "conv, the code": experiment(Model(network="conv", hidden=(4,), code_size=10**12)),
    "unet": experiment(Model(family="undercomplete", network="unet", hidden=(10**9,), code_size=None)),
    "tied": experiment(Model(family="tied", hidden=(10**10,))),
    "k_sparse": experiment(Model(family="k_sparse", code_size=2**31 - 1, active_entries=5)),
    "mixture": experiment(regularization=Regularization(prior="mixture", prior_components=10**12)),
    **{
        f"importance {samples:g}": experiment(regularization=Regularization(importance_samples=samples))
        for samples in (10**9, 10**18, 10**30)
    },
    **{
        f"projections {count:g}": experiment(
            Model(family="undercomplete"), Regularization(contractive_weight=1.0, contractive_projections=count)
        )
        for count in (10**9, 10**12, 10**18, 10**30)
    },
}


@pytest.mark.slow_after_first
@pytest.mark.parametrize("name", ABSURD)
def test_absurd_sizes_are_refused(name: str) -> None:
    check(ABSURD[name])
    with jax.numpy_dtype_promotion("standard"), pytest.raises(UserError, match=REFUSED) as error:
        build(ABSURD[name])
    assert "\n" not in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "one",
    [
        experiment(),
        experiment(Model(network="conv", hidden=(4, 8))),
        experiment(Model(family="tied")),
        experiment(regularization=Regularization(prior="mixture", importance_samples=5, total_correlation_weight=1.0)),
        experiment(Model(family="undercomplete"), Regularization(contractive_weight=1.0)),
    ],
    ids=range(5),
)
def test_ordinary_sizes_pass(one: Experiment) -> None:
    with jax.numpy_dtype_promotion("standard"):
        build(one)


@pytest.mark.parametrize(
    "regularization",
    [
        Regularization(beta_schedule="linear", beta_steps=10**18),
        Regularization(beta_schedule="cyclical", beta_cycles=2**31),
        Regularization(beta_schedule="cyclical", beta_steps=2**31),
    ],
)
def test_more_schedule_steps_than_an_int32_are_refused(regularization: Regularization) -> None:
    with pytest.raises(UserError, match="input should be less than 2147483648, got "):
        check(experiment(regularization=regularization))


def test_a_code_too_long_to_be_sorted_is_refused() -> None:
    with pytest.raises(
        UserError, match="code_size: family k_sparse expects fewer than 2,147,483,648 units, got 10,000,000,000"
    ):
        check(experiment(Model(family="k_sparse", code_size=10**10)))


def test_more_training_steps_than_an_int32_are_refused() -> None:
    one = experiment()
    many = replace(one, training=replace(one.training, epochs=10**18))
    with pytest.raises(UserError, match="epochs: must be below 2,147,483,648 steps, got 2,000,000,000"):
        build_optimizer(many, len(X))
    late = replace(one, optimization=Optimization(warmup_steps=2**31))
    with pytest.raises(UserError, match="warmup_steps: input should be less than 2147483648"):
        check(late)


@pytest.mark.slow
def test_the_library_refuses_them_too() -> None:
    autoencoder = undercomplete(MLP(hidden=(10**12,), output_shape=(2,)), MLP(output_shape=(5,)))
    with pytest.raises(ValueError, match=f"parameters that are trained {REFUSED}"):
        start(autoencoder, optax.adam(1e-3), jax.random.key(0), jnp.ones(5))
    small = undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(5,)))
    wide = undercomplete(MLP(hidden=(10**8,), output_shape=(2,)), MLP(output_shape=(5,)))
    keys = jax.vmap(jax.random.key)(jnp.arange(100))
    for autoencoder, refused in ((small, False), (wide, True)):
        arguments = (lambda _, a=autoencoder: a, optax.adam(1e-3), keys, jnp.ones(100), jnp.ones(5))
        if refused:
            with pytest.raises(UserError, match=REFUSED):
                start_population(*arguments, devices=jax.devices()[:1])
        else:
            start_population(*arguments, devices=jax.devices()[:1])


def test_crops_that_do_not_fit() -> None:
    page = Page("a", np.ones((40, 40), np.float32), np.ones((40, 40), np.float32))
    with pytest.raises(UserError, match=f"1,000,000,000,000 crops of each page {REFUSED}"):
        crop_pages(PageSplits([page], [page], [page]), crop=16, crops_per_page=10**12, seed=0)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_file_larger_than_memory_that_is_to_be_read_whole(tmp_path: Path, suffix: str) -> None:
    """The file is sparse and uses no disk space."""
    path = tmp_path / f"x{suffix}"
    np.save(tmp_path / "x.npy", np.ones((4, 3), np.float32))
    with path.open("ab") as file:
        file.truncate(2**42)
    with pytest.raises(
        UserError, match=rf"x{suffix}: the arrays in it {REFUSED[:20]}|x{suffix}: cannot be read"
    ) as error:
        load_arrays(path, stored=False)
    assert "memory are available" in str(error.value)


def test_memory_of_machine_container_and_accelerator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_LIMIT_OF_CONTAINER", tmp_path / "nowhere")
    whole = host_memory()
    assert 2**28 < whole < 2**50
    for text, expected in {"max\n": whole, "1000000\n": 1_000_000, f"{2**60}\n": whole}.items():
        (tmp_path / "limit").write_text(text, encoding="utf-8")
        monkeypatch.setattr(memory, "_LIMIT_OF_CONTAINER", tmp_path / "limit")
        assert host_memory() == expected
    assert available_memory() == whole

    class Accelerator:
        def memory_stats(self) -> dict[str, int]:
            return {"bytes_limit": 123_456_789}

    monkeypatch.setattr(jax, "local_devices", lambda: [Accelerator()])
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert available_memory() == 123_456_789
    with pytest.raises(UserError, match=r"they need at least 0\.2 GB, but only 0\.1 GB of memory are available; less"):
        check_fits(2 * 10**8, "they", advice="less")
    check_fits(2 * 10**8, "they", advice="less", host=True)


def test_counting() -> None:
    assert bytes_of({"a": np.ones((2, 3), np.float64), "b": [np.ones(5, np.int8)]}) == 53
    inner = jax.jit(lambda x: jnp.outer(x, x).sum())
    for function in (
        inner,
        jax.grad(inner),
        lambda x: jax.lax.map(lambda y: inner(y * x), x).sum(),
        jax.checkpoint(inner),
    ):
        assert largest_array(function, jax.ShapeDtypeStruct((1000,), np.float32)) == 4 * 1000**2
