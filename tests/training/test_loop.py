"""The loop: right answers, early stopping, resuming between any two steps, refusal of what cannot work."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA

from aejax.autoencoders import Autoencoder, Examples, standardized, undercomplete, variational
from aejax.datasets.dataset import split
from aejax.datasets.digits import load_digits
from aejax.errors import UserError
from aejax.evaluation import reconstruct_all
from aejax.networks import MLP
from aejax.training import NonFiniteLossError, Report, Snapshot, check_parameters, start, train

DIGITS = split(load_digits(), fractions=(0.1, 0.2), seed=0)
TRAIN, VALIDATION, TEST = (part.x for part in DIGITS)
OPTIMIZER = optax.adam(1e-3)


def small() -> Autoencoder:
    return variational(MLP(output_shape=(4,)), MLP(output_shape=TRAIN.shape[1:]))


def begin(autoencoder: Autoencoder, optimizer=OPTIMIZER, seed: int = 0) -> Snapshot:
    return start(autoencoder, optimizer, jax.random.key(seed), jnp.asarray(TRAIN[0]))


def run(snapshot: Snapshot, autoencoder: Autoencoder, **options) -> list[Report]:
    defaults = {"batch_size": 64, "epochs": 3, "devices": jax.local_devices()[:1]}
    reports = []
    for report in train(autoencoder, OPTIMIZER, snapshot, TRAIN, VALIDATION, **defaults | options):
        # the next step uses up the buffers of the state
        reports.append(report._replace(snapshot=copy(report.snapshot)))
    return reports


def copy(snapshot: Snapshot) -> Snapshot:
    return jax.tree.map(lambda leaf: leaf.copy() if isinstance(leaf, jax.Array) else leaf, snapshot)


@pytest.mark.slow
def test_linear_autoencoder_reaches_pca() -> None:
    """Squared error and linear networks: the optimum is PCA, reached on test examples within 1 %."""
    code_size, epochs = 8, 300
    linear = undercomplete(MLP(output_shape=(code_size,)), MLP(output_shape=TRAIN.shape[1:]))
    optimizer = optax.adam(optax.cosine_decay_schedule(1e-2, epochs * (len(TRAIN) // 64)))
    snapshot = begin(linear, optimizer)
    for report in train(linear, optimizer, snapshot, TRAIN, VALIDATION, batch_size=64, epochs=epochs):
        params = report.snapshot.best_params
    test = jnp.asarray(TEST)
    error, _ = linear.loss(params, jax.random.key(0), test)
    pca = PCA(code_size).fit(TRAIN.reshape(len(TRAIN), -1))
    flat = TEST.reshape(len(TEST), -1)
    residual = flat - pca.inverse_transform(pca.transform(flat))
    assert error.item() == pytest.approx(np.square(residual).sum(axis=1).mean(), rel=0.01)


@pytest.mark.slow
def test_linear_autoencoder_spans_the_principal_subspace() -> None:
    """The decoder's columns span the 4 leading components, which a gap of variance sets apart from the fifth."""
    code_size, epochs, batch_size = 4, 300, 64
    linear = undercomplete(MLP(output_shape=(code_size,)), MLP(output_shape=TRAIN.shape[1:]))
    optimizer = optax.adam(optax.cosine_decay_schedule(1e-2, epochs * (len(TRAIN) // batch_size)))
    options = {"batch_size": batch_size, "epochs": epochs, "evaluate_every": epochs}
    for report in train(linear, optimizer, begin(linear, optimizer), TRAIN, VALIDATION, **options):
        params = report.snapshot.state.params
    columns = np.asarray(params["decoder"]["params"]["Dense_0"]["kernel"]).T
    components = PCA(code_size).fit(TRAIN.reshape(len(TRAIN), -1)).components_.T
    assert np.degrees(subspace_angles(columns, components).max()) < 1.0


@pytest.mark.slow
def test_evaluations_hold_every_term_of_both_splits() -> None:
    reports = run(begin(small()), small(), evaluate_every=2, epochs=3)
    evaluated = {report.epoch: report.evaluation for report in reports if report.evaluation}
    assert list(evaluated) == [2.0, 3.0]  # every second epoch, and the last
    terms = ("loss", "reconstruction", "kl", "elbo")
    assert set(evaluated[2.0]) == {f"{part}/{term}" for part in ("train", "validation") for term in terms}
    assert [report.finished for report in reports] == [False, False, True]


@pytest.mark.slow
def test_training_means_are_means_over_the_steps_since_the_last_evaluation() -> None:
    reports = run(begin(small()), small(), epochs=2, evaluate_every=2, steps_per_call=1)
    losses = [report.loss for report in reports]
    assert reports[-1].evaluation is not None
    assert reports[-1].evaluation["train/loss"] == pytest.approx(np.mean(losses), rel=1e-6)


def test_early_stopping_keeps_the_best_parameters() -> None:
    """Validation loss is made to rise from the first epoch on: training ends after 1 + patience evaluations."""
    autoencoder = small()
    reports = run(begin(autoencoder), autoencoder, epochs=50, patience=2, min_delta=1e9)
    assert [report.epoch for report in reports] == [1.0, 2.0, 3.0]
    assert reports[-1].snapshot.stopping.best_epoch == 1
    jax.tree.map(np.testing.assert_array_equal, reports[-1].snapshot.best_params, reports[0].snapshot.state.params)


@pytest.mark.slow_after_first
@pytest.mark.parametrize("stop_after", [1, 7, 19, 25])
def test_resuming_between_any_two_steps_changes_no_bit(stop_after: int) -> None:
    whole = run(begin(small()), small(), steps_per_call=1)
    first = next(report for report in whole if report.step == stop_after).snapshot
    resumed = run(copy(first), small(), steps_per_call=1)
    jax.tree.map(np.testing.assert_array_equal, resumed[-1].snapshot.state.params, whole[-1].snapshot.state.params)
    assert resumed[-1].evaluation == whole[-1].evaluation
    assert resumed[-1].snapshot.stopping == whole[-1].snapshot.stopping


@pytest.mark.slow
def test_seed_decides() -> None:
    first, again, other = (run(begin(small(), seed=seed), small(), epochs=1)[-1] for seed in (0, 0, 1))
    assert first.evaluation == again.evaluation
    assert first.evaluation != other.evaluation


@pytest.mark.slow
def test_epochs_take_every_example_once_in_a_new_order() -> None:
    """The loss is made to report which example it saw: batches of one, so that no order hides in a mean."""
    x = np.arange(1, 9, dtype=np.float32).reshape(8, 1, 1, 1)
    linear = undercomplete(MLP(output_shape=(1,)), MLP(output_shape=(1, 1, 1)))

    def loss(params, key, batch):
        return 0.0 * sum(jnp.sum(leaf) for leaf in jax.tree.leaves(params)), {"loss": batch.x[0, 0, 0, 0]}

    watched = linear._replace(loss=loss)
    snapshot = start(watched, OPTIMIZER, jax.random.key(0), jnp.asarray(x[0]))
    reports = train(
        watched, OPTIMIZER, snapshot, x, x, batch_size=1, epochs=2, steps_per_call=1, devices=jax.local_devices()[:1]
    )
    seen = [report.loss for report in reports]
    assert sorted(seen[:8]) == sorted(seen[8:]) == list(range(1, 9))
    assert seen[:8] != seen[8:]


@pytest.mark.slow
@pytest.mark.parametrize("term", ["kl", "reconstruction"])
def test_non_finite_loss_is_named_with_its_step(term: str) -> None:
    """The term is NaN from the fifth step on, in the middle of a compiled call."""
    autoencoder = small()

    def loss(params, key, batch):
        value, metrics = autoencoder.loss(params, key, batch)
        spoiled = jnp.where(params["steps"] >= 4, jnp.nan, metrics[term])
        return value + 1e3 * params["steps"], {**metrics, term: spoiled}

    def init(key, example):
        return {**autoencoder.init(key, example), "steps": jnp.zeros(())}

    broken = autoencoder._replace(init=init, loss=loss)
    optimizer = optax.multi_transform(
        {"count": optax.sgd(-1e-3), "learn": OPTIMIZER},
        lambda params: {name: "count" if name == "steps" else "learn" for name in params},
    )
    snapshot = begin(broken, optimizer)
    with pytest.raises(NonFiniteLossError, match=f"step 5, .*: {term} is nan"):
        list(train(broken, optimizer, snapshot, TRAIN, VALIDATION, batch_size=64, epochs=1))


@pytest.mark.slow
def test_diverging_training_stops() -> None:
    optimizer = optax.sgd(1e6)
    linear = undercomplete(MLP(output_shape=(2,)), MLP(output_shape=TRAIN.shape[1:]))
    with pytest.raises(NonFiniteLossError, match=r"reconstruction is (inf|nan)"):
        list(train(linear, optimizer, begin(linear, optimizer), TRAIN, VALIDATION, batch_size=64, epochs=5))


@pytest.mark.slow
@pytest.mark.parametrize("standardizes", [False, True])
def test_the_message_names_the_scale_of_the_data_where_that_may_be_the_cause(standardizes: bool) -> None:
    years = 2000 + 5 * TRAIN
    optimizer = optax.sgd(1e6)
    model = undercomplete(MLP(output_shape=(2,)), MLP(output_shape=TRAIN.shape[1:]))
    if standardizes:
        model = standardized(model, mean=2000.0, standard_deviation=5.0)
    snapshot = start(model, optimizer, jax.random.key(0), jnp.asarray(years[0]))
    spoiled = snapshot.state._replace(
        step=snapshot.state.step + 7, params=jax.tree.map(lambda leaf: leaf * jnp.nan, snapshot.state.params)
    )

    with pytest.raises(NonFiniteLossError) as caught:
        list(train(model, optimizer, snapshot, years, years[:8], batch_size=64, epochs=5))

    named = "the training examples range from 2000 to 2005, far from unit scale: scale them, or standardize them"
    assert ("a lower learning rate" if standardizes else named) in str(caught.value)
    assert (named in str(caught.value)) != standardizes
    with pytest.raises(NonFiniteLossError) as caught:
        check_parameters(spoiled, model, years)
    assert (named in str(caught.value)) != standardizes


@pytest.mark.parametrize(
    ("batch_size", "devices", "message"),
    [(2000, 1, "at most the 1258"), (20, 8, "8 devices: 16 or 24, got 20"), (3, 8, "8 devices: 8, got 3")],
)
def test_batches_that_do_not_fit_are_refused(batch_size: int, devices: int, message: str) -> None:
    reports = train(
        small(),
        OPTIMIZER,
        begin(small()),
        TRAIN,
        VALIDATION,
        batch_size=batch_size,
        epochs=1,
        devices=jax.local_devices()[:devices],
    )
    with pytest.raises(UserError, match=message):
        next(reports)


def test_no_validation_examples_are_refused() -> None:
    with pytest.raises(UserError, match="there are no validation examples"):
        next(train(small(), OPTIMIZER, begin(small()), TRAIN, VALIDATION[:0], batch_size=64, epochs=1))


@pytest.mark.slow
def test_pairs_of_clean_and_noisy_examples_are_learned_from() -> None:
    """The input is the example upside down: a linear map learns to turn it, and it explains 80 % of the variance."""
    pairs, validation = (Examples(jnp.asarray(x), jnp.asarray(x[:, ::-1])) for x in (TRAIN, VALIDATION))
    linear = undercomplete(MLP(output_shape=(32,)), MLP(output_shape=TRAIN.shape[1:]))
    optimizer = optax.adam(1e-2)
    snapshot = start(linear, optimizer, jax.random.key(0), jnp.asarray(TRAIN[0]))
    devices = jax.local_devices()[:1]
    for report in train(linear, optimizer, snapshot, pairs, validation, batch_size=64, epochs=40, devices=devices):
        params = report.snapshot.best_params
    turned = reconstruct_all(linear, params, TEST[:, ::-1])
    assert np.square(turned - TEST).sum() < 0.2 * np.square(TEST - TEST.mean(axis=0)).sum()


def test_spoiled_parameters_are_named_with_their_step() -> None:
    state = begin(small()).state
    check_parameters(state)
    spoiled = state._replace(step=state.step + 7, params=jax.tree.map(lambda leaf: leaf * jnp.nan, state.params))
    with pytest.raises(NonFiniteLossError, match="step 7, whose parameters are not finite"):
        check_parameters(spoiled)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["training", "validation"])
def test_examples_that_the_likelihood_cannot_explain_are_refused_before_the_first_step(part: str) -> None:
    vae = variational(MLP(output_shape=(4,)), MLP(output_shape=(3,)))
    good, bad = np.full((8, 3), 0.5, np.float32), np.full((8, 3), 1.5, np.float32)
    snapshot = start(vae, optax.adam(1e-3), jax.random.key(0), good[0])
    parts = (bad, good) if part == "training" else (good, bad)
    message = rf"the {part} examples: bernoulli expects values in \[0, 1\], but they range from 1.5 to 1.5; scale them"
    with pytest.raises(UserError, match=message):
        next(train(vae, optax.adam(1e-3), snapshot, *parts, batch_size=8, epochs=1))
