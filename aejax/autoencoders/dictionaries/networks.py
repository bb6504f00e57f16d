"""The two linear maps of a dictionary, and what its families ask of an encoder and a decoder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PyTree

from aejax.autoencoders.dictionaries.division import AxisName, places_of_units, shared_by_units, summed_over_units
from aejax.autoencoders.entrance import part_of
from aejax.checks import as_float64, check_count, check_in_range, check_sizes
from aejax.networks.entrance import apply_to_one
from aejax.networks.network import SupportsInitApply, check_network, initialize

_TINY = 1e-12  # a row of this norm has no direction


@dataclass(frozen=True)
class DictionaryEncoder:
    """π = (x - c) W + b for ONE example, where c is the decoder's bias if `subtracts_bias`."""

    shape: tuple[int, ...]  # of an example, which is flattened
    units: int
    subtracts_bias: bool
    dtype: str  # of the product; parameters and output are float32
    units_axis: AxisName

    def init(self, key: Array, x: Array, center: Array | None = None) -> PyTree:
        """Returns `kernel` (D, F) and `bias` (F,)."""
        del center
        features = _size(self.shape)
        kernel = jax.random.normal(key, (features, self.units), x.dtype) / jnp.sqrt(jnp.asarray(features, x.dtype))
        return {"kernel": kernel, "bias": jnp.zeros(self.units, x.dtype)}

    def apply(self, params: PyTree, x: Array, center: Array | None = None) -> Array:
        """Returns the pre-activations (F,); without a center, c is 0."""
        x = shared_by_units(x.reshape(-1), self.units_axis)
        if center is None:
            return _product(x, params["kernel"], self.dtype) + params["bias"]
        center = shared_by_units(center.reshape(-1), self.units_axis)
        return centered_product(x, center, params["kernel"], self.dtype) + params["bias"]


@dataclass(frozen=True)
class DictionaryDecoder:
    """x̂ = f W + c for ONE code; the rows of W are the directions of the units."""

    shape: tuple[int, ...]  # of an output
    start_norm: float
    unit_norm: bool
    tied_start: bool
    center: tuple[float, ...] | None
    dtype: str
    units_axis: AxisName

    def init(self, key: Array, code: Array) -> PyTree:
        """Returns `kernel` (F, D) and `bias` (D,)."""
        kernel = jax.random.normal(key, (code.size, _size(self.shape)), code.dtype)
        bias = jnp.zeros(_size(self.shape)) if self.center is None else jnp.array(self.center)
        return {"kernel": normalized_rows(kernel) * self.start_norm, "bias": bias.astype(code.dtype)}

    def apply(self, params: PyTree, code: Array) -> Array:
        """Returns the reconstruction."""
        return self.directions(params, code) + params["bias"].reshape(self.shape)

    def directions(self, params: PyTree, code: Array, units: tuple[int, int] | None = None) -> Array:
        """Returns what the units of a range, or all of them, add to the bias."""
        kernel = without_radial_gradient(params["kernel"]) if self.unit_norm else params["kernel"]
        if units is not None and self.units_axis is None:
            first, last = units
            code, kernel = code[first:last], kernel[first:last]
        elif units is not None:
            code = _of_units(code, units, self.units_axis)
        return summed_over_units(_product(code, kernel, self.dtype), self.units_axis).reshape(self.shape)


class Dictionary(NamedTuple):
    """The encoder and the decoder of a dictionary, the first two arguments of its families."""

    encoder: DictionaryEncoder
    decoder: DictionaryDecoder


def dictionary(
    features: int | Sequence[int],
    units: int,
    *,
    outputs: int | Sequence[int] | None = None,
    center: ArrayLike | None = None,
    start_norm: float = 1.0,
    tied_start: bool = True,
    unit_norm: bool = False,
    subtracts_bias: bool | None = None,
    dtype: str = "float32",
    units_axis: AxisName = None,
) -> Dictionary:
    """Returns two linear maps, π = (x - c) W + b and x̂ = f V + c, as encoder and decoder of a dictionary's family.

    Args:
      features: D, the number of features of an example, or its shape.
      units: F, usually more than there are features.
      outputs: the features of the target, if it is another array than the input, as for a transcoder; D by default.
      center: (D,), where c starts: the data's mean or geometric median; 0 by default.
      start_norm: the norm of the rows of V at the start; 0 for a transcoder that starts at c.
      tied_start: whether W starts as the transpose of V; only without `outputs`.
      unit_norm: whether the rows of V keep norm 1: the radial part of their gradient is removed, and they are
        normalized after every step.
      subtracts_bias: whether c is subtracted from the input; by default only without `outputs`.
      dtype: the dtype of the two products, such as bfloat16; parameters, codes and outputs stay float32.
      units_axis: the mapped axis over which the units are divided, `aejax.training.UNITS` in `make_divided_step`; None
        if one device holds all.

    Raises:
      ValueError: a size is below 1, start_norm is negative, the center has another size than the output, or unit_norm
        is asked for with another start_norm than 1.
      TypeError: a size is not an integer.

    Source: T. Bricken et al. (2023), Towards Monosemanticity; L. Gao et al. (2024), Scaling and evaluating sparse
    autoencoders, sections 2 and A.

    >>> from aejax.autoencoders import top_k
    >>> autoencoder = top_k(*dictionary(3, 8, unit_norm=True), k=2)
    >>> params = autoencoder.init(jax.random.key(0), jnp.ones(3))
    >>> params["encoder"]["kernel"].shape, jnp.linalg.norm(params["decoder"]["kernel"][0]).round(3).item()
    ((3, 8), 1.0)
    """
    shape = _shape("features", features)
    output_shape = shape if outputs is None else _shape("outputs", outputs)
    check_count("units", units)
    check_in_range("start_norm", start_norm, 0.0)
    if unit_norm and start_norm != 1:
        raise ValueError(f"unit_norm keeps norm 1, but start_norm is {start_norm:g}")
    if center is not None:
        center = as_float64("center", center).reshape(-1)
        if center.size != _size(output_shape):
            raise ValueError(f"center must hold {_size(output_shape)} numbers, one per feature, got {center.size}")
    same = outputs is None
    subtracts = same if subtracts_bias is None else subtracts_bias
    if subtracts and output_shape != shape:
        raise ValueError(f"subtracts_bias: the bias has shape {output_shape}, but the input has {shape}")
    return Dictionary(
        DictionaryEncoder(shape, units, subtracts, dtype, units_axis),
        DictionaryDecoder(
            output_shape,
            float(start_norm),
            unit_norm,
            tied_start and same and start_norm > 0,
            None if center is None else tuple(center.tolist()),
            dtype,
            units_axis,
        ),
    )


class Networks(NamedTuple):
    """An encoder and a decoder as functions of an autoencoder's parameters and ONE example or code."""

    init: Callable[..., tuple[PyTree, int]]  # (key, example) -> params with `encoder` and `decoder`, and F
    pre_activations: Callable[..., Array]  # (params, x) -> π
    decode: Callable[..., Array]  # (params, code) -> x̂
    directions: Callable[..., Array]  # (params, code, units=(first, last)) -> x̂ less that of a code of zeros
    row_norms: Callable[[PyTree], Array]  # params -> the norms of the decoder's rows (F,), of a dictionary
    constrained: Callable[[PyTree], PyTree]  # params -> params with rows of norm 1 where they keep it
    units_axis: AxisName  # over which units are divided
    excludes: tuple[tuple[str, str], ...]  # what they cannot be combined with, as `Part` has it


def networks_of(
    encoder: SupportsInitApply | int,
    decoder: SupportsInitApply | int,
    constructor: str,
    *,
    of_dictionary: bool = False,
) -> Networks:
    """Returns the functions of an encoder and a decoder; two numbers stand for a dictionary of D features and F units.

    Args:
      encoder: a network whose output is a vector of F pre-activations, or D.
      decoder: a network, or F.
      constructor: the name of the family, for messages.
      of_dictionary: whether the family uses the arrays of a dictionary, so that it expects no other networks.

    Raises:
      TypeError: encoder or decoder is not a network, or not that of a dictionary where this is expected.
    """
    if isinstance(encoder, int) and isinstance(decoder, int):
        encoder, decoder = dictionary(encoder, decoder)
    return _networks_of(cast(SupportsInitApply, encoder), cast(SupportsInitApply, decoder), constructor, of_dictionary)


def _networks_of(
    encoder: SupportsInitApply, decoder: SupportsInitApply, constructor: str, of_dictionary: bool
) -> Networks:
    check_network(encoder, "encoder", constructor)
    check_network(decoder, "decoder", constructor)
    if of_dictionary and not (isinstance(encoder, DictionaryEncoder) and isinstance(decoder, DictionaryDecoder)):
        raise TypeError(
            f"{constructor} uses the directions of units, so it expects *dictionary(features, units), "
            f"got {encoder!r} and {decoder!r}"
        )
    has_bias = isinstance(encoder, DictionaryEncoder) and encoder.subtracts_bias

    def init(key: Array, example: Array, *condition: Array) -> tuple[PyTree, int]:
        encoder_key, decoder_key = jax.random.split(key)
        if isinstance(encoder, DictionaryEncoder):  # it knows its input, which may be another array than the target
            example = jnp.zeros(encoder.shape, example.dtype)
        params = {"encoder": initialize(encoder, encoder_key, example, *condition)}
        code = apply_to_one(encoder, params["encoder"], example, *condition, role="encoder", name="x")
        if code.ndim != 1:
            raise ValueError(f"{constructor} expects an encoder whose output is a vector of units, got {code.shape}")
        params["decoder"] = initialize(decoder, decoder_key, code, *condition)
        if isinstance(decoder, DictionaryDecoder) and isinstance(encoder, DictionaryEncoder) and decoder.tied_start:
            params["encoder"]["kernel"] = params["decoder"]["kernel"].T
        return params, code.size

    def pre_activations(params: PyTree, x: Array, *condition: Array) -> Array:
        center = (params["decoder"]["bias"],) if has_bias else ()
        return apply_to_one(encoder, part_of(params, "encoder"), x, *center, *condition, role="encoder", name="x")

    def decode(params: PyTree, code: Array, *condition: Array) -> Array:
        return apply_to_one(decoder, part_of(params, "decoder"), code, *condition, role="decoder", name="code")

    def directions(params: PyTree, code: Array, *condition: Array, units: tuple[int, int] | None = None) -> Array:
        if isinstance(decoder, DictionaryDecoder):
            return decoder.directions(part_of(params, "decoder"), code, units)
        some = code if units is None else _of_units(code, units, None)
        return decode(params, some, *condition) - decode(params, jnp.zeros_like(code), *condition)

    def row_norms(params: PyTree) -> Array:
        return jnp.linalg.norm(part_of(params, "decoder")["kernel"], axis=1)

    def constrained(params: PyTree) -> PyTree:
        if not (isinstance(decoder, DictionaryDecoder) and decoder.unit_norm):
            return params
        rows = normalized_rows(params["decoder"]["kernel"])
        return {**params, "decoder": {**params["decoder"], "kernel": rows}}

    has_linear_maps = isinstance(encoder, DictionaryEncoder) or isinstance(decoder, DictionaryDecoder)
    excludes = (("conditional", "the two linear maps of a dictionary have no input for a condition"),)
    return Networks(
        init,
        pre_activations,
        decode,
        directions,
        row_norms,
        constrained,
        decoder.units_axis if isinstance(decoder, DictionaryDecoder) else None,
        excludes if has_linear_maps else (),
    )


def normalized_rows(kernel: Float[Array, "F D"]) -> Float[Array, "F D"]:
    """Returns rows of norm 1; a row of zeros stays.

    >>> normalized_rows(jnp.array([[3.0, 4.0], [0.0, 0.0]]))
    Array([[0.6, 0.8],
           [0. , 0. ]], dtype=float32)
    """
    norms = jnp.linalg.norm(kernel, axis=1, keepdims=True)
    return kernel / jnp.maximum(norms, jnp.asarray(_TINY, kernel.dtype))


@jax.custom_vjp
def without_radial_gradient(kernel: Float[Array, "F D"]) -> Float[Array, "F D"]:
    """Returns the rows d unchanged; of their gradient g the part along d is removed, g - (g·d) d / ‖d‖².

    >>> row = jnp.array([[1.0, 0.0]])
    >>> jax.grad(lambda kernel: jnp.sum(without_radial_gradient(kernel)))(row).tolist()
    [[0.0, 1.0]]
    """
    return kernel


def _radial_forward(kernel: Array) -> tuple[Array, Array]:
    return kernel, kernel


def _radial_backward(kernel: Array, gradient: Array) -> tuple[Array]:
    unit = normalized_rows(kernel)
    return (gradient - jnp.sum(gradient * unit, axis=1, keepdims=True) * unit,)


without_radial_gradient.defvjp(_radial_forward, _radial_backward)


@partial(jax.custom_jvp, nondiff_argnums=(3,))
def centered_product(
    x: Float[Array, "D"], center: Float[Array, "D"], kernel: Float[Array, "D F"], dtype: str
) -> Float[Array, "F"]:
    """Returns (x - c) W.

    In a batch, the gradient of c is the sum over examples times Wᵀ, a product with one vector; the derivative of x - c
    would be a product with all examples, the sixth of a step.

    >>> centered_product(jnp.ones(2), jnp.zeros(2), jnp.ones((2, 3)), "float32").tolist()
    [2.0, 2.0, 2.0]
    """
    return _product(x - center, kernel, dtype)


@partial(centered_product.defjvp, symbolic_zeros=True)
def _centered_derivative(
    dtype: str, primals: tuple[Array, Array, Array], tangents: tuple[Any, Any, Any]
) -> tuple[Array, Array]:
    (x, center, kernel), (of_x, of_center, of_kernel) = primals, tangents
    terms = []
    if not isinstance(of_x, SymbolicZero):
        terms.append(_product(of_x, kernel, dtype))
    if not isinstance(of_center, SymbolicZero):
        terms.append(-_product(of_center, kernel, dtype))
    if not isinstance(of_kernel, SymbolicZero):
        terms.append(_product(x - center, of_kernel, dtype))
    return centered_product(x, center, kernel, dtype), sum(terms[1:], terms[0])


def _of_units(code: Float[Array, "F"], units: tuple[int, int], axis_name: AxisName) -> Float[Array, "F"]:
    """Returns the code with zeros outside a range of units."""
    places = places_of_units(len(code), axis_name)
    return jnp.where((places >= units[0]) & (places < units[1]), code, 0)


def _product(x: Array, kernel: Array, dtype: str) -> Array:
    if dtype == x.dtype:
        return x @ kernel
    product: Array = jnp.matmul(x.astype(dtype), kernel.astype(dtype), preferred_element_type=jnp.float32)
    return product.astype(x.dtype)


def _shape(name: str, value: int | Sequence[int]) -> tuple[int, ...]:
    if isinstance(value, int):
        check_count(name, value)
        return (value,)
    return check_sizes(name, value, at_least=1)


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for side in shape:
        size *= side
    return size
