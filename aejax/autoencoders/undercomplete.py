"""The undercomplete autoencoder: its code has fewer dimensions than its input."""

from collections.abc import Callable

import jax
from jaxtyping import Array, PyTree

from aejax.autoencoders.entrance import as_inputs, check_example, check_no_batch_of_one, output_shape, part_of
from aejax.autoencoders.part import Part, Term
from aejax.autoencoders.record import Autoencoder, BatchLike, Metrics, encoder_inputs, masked_batch, mean_over_batch
from aejax.losses import OverKnown, ReconstructionLoss, loss_unit, output_link, squared_error
from aejax.networks.entrance import apply_to_one
from aejax.networks.network import SupportsInitApply, check_network, initialize

UNDERCOMPLETE = Part("undercomplete")


def undercomplete(
    encoder: SupportsInitApply,
    decoder: SupportsInitApply,
    *,
    loss: ReconstructionLoss = squared_error,
    link: Callable[[Array], Array] | None = None,
) -> Autoencoder:
    """Minimizes E L(x, g(f(x))).

    With linear networks and squared error, the decoder's columns span the subspace of the leading principal components.

    Args:
      encoder: f, maps one example to its code.
      decoder: g, maps one code to the output that `loss` compares with the example.
      loss: L(x, output of the decoder), the loss of one example.
      link: maps the decoder's output to data space; by default the link that belongs to the loss.

    Returns:
      An autoencoder; its metrics are `loss` and `reconstruction`.

    Raises:
      TypeError: encoder or decoder is not a network, or loss or link is not a function.

    Source: P. Baldi, K. Hornik (1989), Neural Networks and Principal Component Analysis; Goodfellow et al. (2016),
    Deep Learning, section 14.1.

    >>> import jax.numpy as jnp
    >>> from aejax.networks import MLP
    >>> autoencoder = undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(5,)))
    >>> params = autoencoder.init(jax.random.key(0), jnp.ones(5))
    >>> autoencoder.encode(params, jnp.ones(5)).shape
    (2,)
    >>> loss, metrics = jax.eval_shape(autoencoder.loss, params, jax.random.key(1), jnp.ones((8, 5)))
    >>> sorted(metrics)
    ['loss', 'reconstruction']
    """
    check_network(encoder, "encoder", "undercomplete")
    check_network(decoder, "decoder", "undercomplete")

    def init(key: Array, example: Array, *condition: Array) -> PyTree:
        encoder_key, decoder_key = jax.random.split(key)
        params = {"encoder": initialize(encoder, encoder_key, example, *condition)}
        code = encode(params, example, *condition)
        return params | {"decoder": initialize(decoder, decoder_key, code, *condition)}

    def encode(params: PyTree, x: Array, *condition: Array) -> Array:
        return apply_to_one(encoder, part_of(params, "encoder"), x, *condition, role="encoder", name="x")

    def decode_output(params: PyTree, code: Array, *condition: Array) -> Array:
        return apply_to_one(decoder, part_of(params, "decoder"), code, *condition, role="decoder", name="code")

    return from_functions(UNDERCOMPLETE, init, encode, decode_output, loss=loss, link=link)


def from_functions(
    part: Part,
    init: Callable[..., PyTree],
    encode: Callable[..., Array],
    decode_output: Callable[..., Array],
    *,
    loss: ReconstructionLoss,
    link: Callable[[Array], Array] | None,
) -> Autoencoder:
    """Returns the autoencoder that minimizes E L(x, g(f(x))), from functions f and g of the same parameters.

    In a conditional autoencoder the condition is the last argument of `init`, `encode` and `decode_output`.

    Args:
      part: the traits of the constructor that calls this function.
      init: (key, example) -> params.
      encode: f, (params, x) -> code, of one example.
      decode_output: g, (params, code) -> the output that `loss` compares with the example.
      loss: L(x, output of the decoder), the loss of one example.
      link: maps the decoder's output to data space; None for the link that belongs to the loss.

    Raises:
      TypeError: loss or link is not a function.
    """
    if not callable(loss):
        raise TypeError(f"loss must be a function (x, output of the decoder) -> number, got {loss!r}")
    if link is not None and not callable(link):
        raise TypeError(f"link must be a function from the decoder's output to data space, got {link!r}")
    to_data_space = output_link(loss) if link is None else link

    def init_with(key: Array, example: Array, *condition: Array) -> PyTree:
        example, condition = as_inputs("example", example, *condition)
        params = init(key, example, *condition)
        check_example(example, lambda: output_shape(reconstruct, params, example, *condition))
        return params

    def reconstruct(params: PyTree, x: Array, *condition: Array) -> Array:
        return decode_output(params, encode(params, x, *condition), *condition)

    def encode_one(params: PyTree, x: Array, *condition: Array) -> Array:
        x, condition = as_inputs("x", x, *condition)
        code = encode(params, x, *condition)
        check_no_batch_of_one("x", x, lambda: output_shape(decode_output, params, code, *condition))
        return code

    def decode(params: PyTree, code: Array, *condition: Array) -> Array:
        code, condition = as_inputs("code", code, *condition)
        output = decode_output(params, code, *condition)
        check_no_batch_of_one("code", code, lambda: output_shape(encode, params, output, *condition))
        return to_data_space(output)

    def batch_loss(params: PyTree, key: Array, batch: BatchLike) -> tuple[Array, Metrics]:
        del key  # this loss has no noise
        batch = masked_batch(batch)

        def error(x: Array, *inputs: Array) -> Array:
            return loss(x, reconstruct(params, *inputs))

        reconstruction = mean_over_batch(jax.vmap(error)(batch.x, *encoder_inputs(batch)), batch)
        return reconstruction, {"loss": reconstruction, "reconstruction": reconstruction}

    part = part._replace(terms=reconstruction_terms(loss), accepts_missing=isinstance(loss, OverKnown))
    return Autoencoder(init_with, encode_one, decode, batch_loss, parts=(part,))


def reconstruction_terms(loss: ReconstructionLoss) -> tuple[Term, ...]:
    """Returns the terms of an autoencoder that minimizes a reconstruction loss, with the unit of that loss."""
    unit = loss_unit(loss)
    return Term("loss", "loss", unit), Term("reconstruction", "reconstruction", unit, weight=1.0)
