"""Stacked autoencoders: layers that are trained one after the other, then all of them as a classifier."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from aejax.autoencoders import denoising, tied
from aejax.corruption import masking
from aejax.evaluation import encode_all
from aejax.keys import named_key
from aejax.training import start, train
from aejax.training.state import epoch_order

_EVALUATED = 10_000  # examples that are classified at a time


class Layer(NamedTuple):
    """A dense layer h = σ(x W + b)."""

    weights: Float[Array, "inputs units"]
    bias: Float[Array, "units"]


class Classified(NamedTuple):
    """A fine-tuned classifier."""

    layers: list[Layer]  # the last one returns logits
    best_epoch: int  # with the fewest errors on validation examples, whose layers these are
    validation_error: float  # fraction of validation examples that are wrong


def pretrain(
    key: Key[Array, ""],
    train_x: Float[np.ndarray, "N D"],
    validation_x: Float[np.ndarray, "M D"],
    widths: Sequence[int],
    *,
    masked: float,
    epochs: int,
    batch_size: int = 100,
    learning_rate: float = 1e-3,
    on_layer: Callable[[int], None] | None = None,
) -> list[Layer]:
    """Returns sigmoid layers, each the encoder of an autoencoder of the codes of the layers before it.

    Weights are tied, the loss is the cross-entropy, and a fraction of the inputs of each layer is set to 0; layers
    before it see what is not corrupted.

    Args:
      key: a random key, not used elsewhere.
      train_x: training examples in [0, 1].
      validation_x: validation examples, which choose the epoch.
      widths: the units of the layers.
      masked: the fraction of inputs that are set to 0; 0 trains plain autoencoders.
      epochs: passes over the training examples, for each layer.
      batch_size: examples of a step.
      learning_rate: of Adam.
      on_layer: called with the number of each layer, from 1, before it is trained.

    Source: P. Vincent et al. (2010), Stacked Denoising Autoencoders, section 3.
    """
    layers = []
    for number, width in enumerate(widths, 1):
        if on_layer is not None:
            on_layer(number)
        autoencoder = tied(train_x.shape[1:], (width,))
        if masked:
            autoencoder = denoising(autoencoder, corrupt=partial(masking, amount=masked))
        optimizer = optax.adam(learning_rate)
        own_key = named_key(key, f"layer {number}")
        snapshot = start(autoencoder, optimizer, own_key, jnp.asarray(train_x[0]))
        for report in train(
            autoencoder,
            optimizer,
            snapshot,
            train_x,
            validation_x,
            batch_size=batch_size,
            epochs=epochs,
            devices=jax.devices()[:1],
        ):
            snapshot = report.snapshot
        params = snapshot.best_params
        layers.append(Layer(params["weights"][0], params["encoder_biases"][0]))
        train_x, validation_x = (encode_all(autoencoder, params, x) for x in (train_x, validation_x))
    return layers


def random_layers(key: Key[Array, ""], sizes: Sequence[int]) -> list[Layer]:
    """Returns layers before any training: Glorot's uniform weights and biases of 0.

    >>> [layer.weights.shape for layer in random_layers(jax.random.key(0), (4, 3, 2))]
    [(4, 3), (3, 2)]
    """
    keys = jax.random.split(key, len(sizes) - 1)
    draw = jax.nn.initializers.glorot_uniform()
    pairs = zip(keys, sizes[:-1], sizes[1:], strict=True)
    return [Layer(draw(own_key, (inputs, units), jnp.float32), jnp.zeros(units)) for own_key, inputs, units in pairs]


def logits(layers: Sequence[Layer], x: Float[Array, "D"]) -> Float[Array, "C"]:
    """Returns the output of sigmoid layers for ONE example; the last layer has no activation."""
    *hidden, last = layers
    for weights, bias in hidden:
        x = jax.nn.sigmoid(x @ weights + bias)
    return x @ last.weights + last.bias


_batch_logits = jax.vmap(logits, in_axes=(None, 0))
_classify = jax.jit(lambda layers, x: jnp.argmax(_batch_logits(layers, x), axis=1))


def error_rate(layers: Sequence[Layer], x: Float[np.ndarray, "N D"], labels: Int[np.ndarray, "N"]) -> float:
    """Returns the fraction of examples whose largest logit is not that of their label."""
    blocks = range(0, len(x), _EVALUATED)
    found = np.concatenate([_classify(layers, x[first : first + _EVALUATED]) for first in blocks])
    return float(np.mean(found != labels))


def fine_tune(
    key: Key[Array, ""],
    layers: Sequence[Layer],
    train: tuple[Float[np.ndarray, "N D"], Int[np.ndarray, "N"]],
    validation: tuple[Float[np.ndarray, "M D"], Int[np.ndarray, "M"]],
    *,
    classes: int,
    epochs: int,
    batch_size: int = 100,
    learning_rate: float = 1e-3,
    on_epoch: Callable[[int, float], None] | None = None,
) -> Classified:
    """Trains all layers and an output layer on labels, and returns those with the fewest errors on validation examples.

    Args:
      key: a random key, not used elsewhere: of the output layer and of the order of the examples.
      layers: the hidden layers, from `pretrain` or `random_layers`.
      train: training examples and their labels, 0 to classes - 1; the last incomplete batch is dropped.
      validation: validation examples and their labels.
      classes: the number of classes.
      epochs: passes over the training examples.
      batch_size: examples of a step.
      learning_rate: of Adam.
      on_epoch: called with the number of each epoch and the fraction of validation examples that are wrong.
    """
    x, labels = (jnp.asarray(array) for array in train)
    output = random_layers(named_key(key, "output"), (layers[-1].weights.shape[1], classes))
    params = [*layers, *output]
    optimizer = optax.adam(learning_rate)

    def loss(params: list[Layer], x: Array, labels: Array) -> Array:
        return optax.softmax_cross_entropy_with_integer_labels(_batch_logits(params, x), labels).mean()

    @partial(jax.jit, donate_argnums=(0, 1))
    def epoch(params: PyTree, state: optax.OptState, x: Array, labels: Array, order: Array) -> tuple[PyTree, PyTree]:
        def step(carry: tuple[PyTree, PyTree], positions: Array) -> tuple[tuple[PyTree, PyTree], None]:
            params, state = carry
            updates, state = optimizer.update(jax.grad(loss)(params, x[positions], labels[positions]), state, params)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (params, state), order)[0]

    state = optimizer.init(params)
    best = Classified(jax.tree.map(jnp.copy, params), 0, error_rate(params, *validation))
    params = jax.tree.map(jnp.copy, params)  # they are donated, and the caller keeps its own
    batches = len(x) // batch_size
    for number in range(1, epochs + 1):
        order = epoch_order(named_key(key, "order"), number, len(x))[: batches * batch_size]
        params, state = epoch(params, state, x, labels, order.reshape(batches, batch_size))
        wrong = error_rate(params, *validation)
        if wrong < best.validation_error:
            best = Classified(jax.tree.map(jnp.copy, params), number, wrong)
        if on_epoch is not None:
            on_epoch(number, wrong)
    return best
