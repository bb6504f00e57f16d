"""Dictionaries in the formats of others: equal arrays after a round trip, and the formulas of their libraries."""

import json
from functools import partial

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from aejax import formats
from aejax.autoencoders import gated, jump_relu, l1_dictionary, matryoshka, top_k
from aejax.errors import UserError
from aejax.formats import DictionaryWeights, autoencoder_of, weights_of
from aejax.formats.sae_lens import CONFIGURATION

D, F, K = 4, 7, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, D)).astype(np.float32)
KINDS = ("standard", "topk", "jumprelu", "gated")


def normal(*shape, dtype=np.float32):
    return RNG.normal(size=shape).astype(dtype)


def sae_lens_folder(folder, architecture, dtype=np.float32, /, **changes):
    """A folder of SAELens, made by the package of the format; None for a value leaves it out."""
    arrays = {"W_enc": normal(D, F), "W_dec": normal(F, D), "b_dec": normal(D)}
    if architecture == "gated":
        arrays |= {"b_gate": normal(F), "b_mag": normal(F), "r_mag": 0.3 * normal(F)}
    else:
        arrays["b_enc"] = normal(F)
    if architecture == "jumprelu":
        arrays["threshold"] = np.abs(normal(F))
    configuration = {
        "architecture": architecture,
        "d_in": D,
        "d_sae": F,
        "dtype": np.dtype(dtype).name,
        "device": "cuda",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"model_name": "gpt2", "hook_name": "blocks.3.hook_resid_pre", "sae_lens_version": "6.0.0"},
    }
    if architecture == "topk":
        configuration |= {"k": K, "rescale_acts_by_decoder_norm": False}
    arrays = {name: array.astype(dtype) for name, array in arrays.items()}
    for name, value in changes.items():
        (arrays if name[0] in "Wb" or name == "threshold" else configuration)[name] = value
    folder.mkdir(exist_ok=True)
    safetensors.numpy.save_file({n: a for n, a in arrays.items() if a is not None}, folder / "sae_weights.safetensors")
    kept = {name: value for name, value in configuration.items() if value is not None}
    (folder / CONFIGURATION).write_text(json.dumps(kept))
    return arrays, configuration


def formula(architecture, arrays, configuration, x):
    """Codes and reconstructions as SAELens computes them, in float64."""
    a = {name: array.astype(np.float64) for name, array in arrays.items()}
    shifted = x - a["b_dec"] * configuration["apply_b_dec_to_input"]
    if architecture == "gated":
        gate = shifted @ a["W_enc"] + a["b_gate"] > 0
        code = gate * np.maximum(shifted @ (a["W_enc"] * np.exp(a["r_mag"])) + a["b_mag"], 0)
    else:
        pre = shifted @ a["W_enc"] + a["b_enc"]
        code = np.maximum(pre, 0)
        if architecture == "jumprelu":
            code *= pre > a["threshold"]
        if architecture == "topk":
            norms = np.linalg.norm(a["W_dec"], axis=1) if configuration["rescale_acts_by_decoder_norm"] else 1
            scaled = pre * norms
            smallest = np.sort(scaled, axis=1)[:, -K][:, None]
            code = np.where(scaled >= smallest, np.maximum(scaled, 0), 0)
            return code, code / norms @ a["W_dec"] + a["b_dec"]
    return code, code @ a["W_dec"] + a["b_dec"]


def applied(weights, x=X):
    """Codes and reconstructions of our autoencoder."""
    autoencoder, params = autoencoder_of(weights)
    codes = jax.jit(jax.vmap(partial(autoencoder.encode, params)))(x)
    return codes, jax.jit(jax.vmap(partial(autoencoder.decode, params)))(codes)


def assert_same(one: DictionaryWeights, other: DictionaryWeights, *, without=()) -> None:
    for field in DictionaryWeights._fields:
        mine, theirs = getattr(one, field), getattr(other, field)
        if field in without:
            continue
        if isinstance(mine, np.ndarray):
            assert (mine.dtype, mine.shape) == (theirs.dtype, theirs.shape)
            assert mine.tobytes() == theirs.tobytes()
        else:
            assert mine == theirs, field


@pytest.mark.parametrize("architecture", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_sae_lens_to_ours_to_sae_lens_gives_equal_arrays_and_configuration(tmp_path, architecture, dtype) -> None:
    arrays, configuration = sae_lens_folder(tmp_path / "theirs", architecture, dtype)
    formats.write_sae_lens(tmp_path / "ours", formats.read_dictionary(tmp_path / "theirs"))
    found = safetensors.numpy.load_file(tmp_path / "ours" / "sae_weights.safetensors")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert found[name].tobytes() == array.tobytes()
    assert json.loads((tmp_path / "ours" / CONFIGURATION).read_text()) == configuration


@pytest.mark.slow_after_first
@pytest.mark.parametrize("architecture", KINDS)
@pytest.mark.parametrize("subtracts", [True, False])
def test_codes_and_reconstructions_are_those_of_sae_lens(tmp_path, architecture, subtracts) -> None:
    arrays, configuration = sae_lens_folder(tmp_path / "x", architecture, apply_b_dec_to_input=subtracts)
    codes, reconstructions = applied(formats.read_sae_lens(tmp_path / "x"))
    expected, reconstructed = formula(architecture, arrays, configuration, X)
    np.testing.assert_allclose(codes, expected, atol=1e-5)
    np.testing.assert_allclose(reconstructions, reconstructed, atol=1e-5)
    assert 0 < np.count_nonzero(expected) < expected.size


def test_selection_by_norm_is_folded(tmp_path) -> None:
    arrays, configuration = sae_lens_folder(tmp_path / "x", "topk", rescale_acts_by_decoder_norm=True)
    codes, reconstructions = applied(formats.read_sae_lens(tmp_path / "x"))
    expected, reconstructed = formula("topk", arrays, configuration, X)
    np.testing.assert_allclose(codes, expected, atol=1e-5)
    np.testing.assert_allclose(reconstructions, reconstructed, atol=1e-5)
    other, _ = formula("topk", arrays, configuration | {"rescale_acts_by_decoder_norm": False}, X)
    assert np.any((other > 0) != (expected > 0))


def test_older_configurations_name_top_k_by_its_activation(tmp_path) -> None:
    older = {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 2}, "architecture": "standard", "k": None}
    sae_lens_folder(tmp_path / "x", "topk", **older)
    weights = formats.read_sae_lens(tmp_path / "x")
    assert (weights.kind, weights.k) == ("top_k", 2)


@pytest.mark.parametrize("architecture", ["standard", "jumprelu", "gated"])
def test_folded_scales_leave_reconstructions_unchanged(tmp_path, architecture) -> None:
    """Also thresholds: the codes of scaled inputs have the same ones, those of rows of norm 1 have others."""
    sae_lens_folder(tmp_path / "x", architecture)
    weights = formats.read_sae_lens(tmp_path / "x")
    codes, reconstructions = applied(weights, 2.5 * X)
    of_scaled, scaled = applied(formats.with_folded_input_scale(weights, 2.5))
    np.testing.assert_allclose(2.5 * scaled, reconstructions, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(of_scaled > 0, codes > 0)
    folded = formats.with_folded_decoder_norm(weights)
    np.testing.assert_allclose(applied(folded, 2.5 * X)[1], reconstructions, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(folded.decoder, axis=1), 1, rtol=1e-6)


def test_norms_cannot_be_folded_where_the_selection_would_change(tmp_path) -> None:
    sae_lens_folder(tmp_path / "x", "topk")
    with pytest.raises(ValueError, match="are others after a multiplication"):
        formats.with_folded_decoder_norm(formats.read_sae_lens(tmp_path / "x"))
    with pytest.raises(ValueError, match="scale must be positive"):
        formats.with_folded_input_scale(formats.read_sae_lens(tmp_path / "x"), 0.0)


@pytest.mark.parametrize("transcode", [False, True])
def test_sparsify_and_back(tmp_path, transcode) -> None:
    arrays = {"encoder.weight": normal(F, D), "encoder.bias": normal(F), "W_dec": normal(F, D), "b_dec": normal(D)}
    configuration = {"activation": "topk", "expansion_factor": 32, "normalize_decoder": True, "num_latents": F, "k": K}
    configuration |= {"multi_topk": False, "skip_connection": transcode, "transcode": transcode, "d_in": D}
    if transcode:
        arrays["W_skip"] = normal(D, D)
    (tmp_path / "theirs").mkdir()
    safetensors.numpy.save_file(arrays, tmp_path / "theirs" / "sae.safetensors")
    (tmp_path / "theirs" / "cfg.json").write_text(json.dumps(configuration))
    weights = formats.read_dictionary(tmp_path / "theirs")
    formats.write_sparsify(tmp_path / "ours", weights)
    found = safetensors.numpy.load_file(tmp_path / "ours" / "sae.safetensors")
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
    assert json.loads((tmp_path / "ours" / "cfg.json").read_text()) == configuration
    if transcode:
        np.testing.assert_array_equal(weights.skip, arrays["W_skip"].T)
        with pytest.raises(UserError, match="skip connection"):
            autoencoder_of(weights)
    pre = (X - (0 if transcode else arrays["b_dec"])) @ arrays["encoder.weight"].T + arrays["encoder.bias"]
    expected = np.where(pre >= np.sort(pre, axis=1)[:, -K][:, None], np.maximum(pre, 0), 0)
    np.testing.assert_allclose(applied(weights._replace(skip=None))[0], expected, atol=1e-5)


def test_gemma_scope_and_back(tmp_path) -> None:
    arrays = {"W_enc": normal(D, F), "b_enc": normal(F), "W_dec": normal(F, D), "b_dec": normal(D)}
    arrays["threshold"] = np.abs(normal(F))
    np.savez(tmp_path / "params.npz", **arrays)
    weights = formats.read_dictionary(tmp_path)
    formats.write_gemma_scope(tmp_path / "again.npz", weights)
    for name, array in np.load(tmp_path / "again.npz").items():
        np.testing.assert_array_equal(array, arrays[name])
    pre = X @ arrays["W_enc"] + arrays["b_enc"]
    expected = np.where(pre > arrays["threshold"], np.maximum(pre, 0), 0)
    codes, _ = applied(weights)
    np.testing.assert_allclose(codes, expected, atol=1e-5)
    subtracting = weights._replace(subtracts_bias=True)
    formats.write_gemma_scope(tmp_path / "shifted.npz", subtracting)
    ours, theirs = applied(subtracting), applied(formats.read_dictionary(tmp_path / "shifted.npz"))
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-5)


def test_bfloat16_weights_keep_their_bits(tmp_path) -> None:
    sae_lens_folder(tmp_path / "x", "jumprelu")
    half = formats.read_sae_lens(tmp_path / "x")
    half = half._replace(**{n: a.astype(ml_dtypes.bfloat16) for n, a in half._asdict().items() if hasattr(a, "dtype")})
    formats.write_sae_lens(tmp_path / "half", half)
    assert_same(formats.read_sae_lens(tmp_path / "half"), half, without=("description",))


@pytest.mark.slow_after_first
@pytest.mark.parametrize(
    "family",
    [
        partial(l1_dictionary, weight=0.1),
        partial(jump_relu, weight=0.1),
        partial(gated, weight=0.1),
        partial(top_k, k=K),
        partial(matryoshka, k=K, prefixes=(2, F)),
    ],
    ids=["l1", "jump_relu", "gated", "top_k", "matryoshka"],
)
def test_every_family_is_written_and_read_as_it_encodes(tmp_path, family) -> None:
    autoencoder = family(D, F)
    params = autoencoder.init(jax.random.key(0), jnp.ones(D))
    params["decoder"]["bias"] = jnp.asarray(normal(D))
    if "threshold" in params.get("state", {}):
        params["state"]["threshold"] = jnp.float32(0.4)
    formats.write_sae_lens(tmp_path / "x", weights_of(autoencoder, params, k=K))
    codes, reconstructions = applied(formats.read_sae_lens(tmp_path / "x"))
    expected = jax.vmap(partial(autoencoder.encode, params))(X)
    np.testing.assert_allclose(codes, expected, atol=1e-6)
    np.testing.assert_allclose(reconstructions, jax.vmap(partial(autoencoder.decode, params))(expected), atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"W_dec": normal(F, D + 1)}, r"array W_dec has shape \(7, 5\), but W_enc with 4 .* 7 units requires \(7, 4\)"),
        ({"b_enc": normal(F - 1)}, r"array b_enc has shape \(6,\), .* requires \(7,\)"),
        ({"W_enc": normal(D * F)}, r"array W_enc must be a matrix, got shape \(28,\)"),
        ({"threshold": None}, r"array threshold is missing; the file holds W_dec \(7, 4\), W_enc"),
        ({"threshold": np.full(F, np.nan, np.float32)}, r"array threshold of shape \(7,\) holds NaN"),
        ({"b_dec": np.zeros(D, np.int64)}, "array b_dec must hold floating-point numbers, got int64"),
        ({"architecture": "temporal"}, "architecture: expected standard, topk, jumprelu, gated, got 'temporal'"),
        ({"normalize_activations": "layer_norm"}, "normalize_activations: 'layer_norm' is not supported"),
        ({"reshape_activations": "hook_z"}, "reshape_activations: 'hook_z' is not supported"),
        ({"architecture": "topk", "k": F + 1}, "k must be a number from 1 to 7, the number of units, got 8"),
        ({"architecture": "topk"}, "k must be a number from 1 to 7, the number of units, got None"),
    ],
)
def test_bad_folders_are_refused_in_one_line(tmp_path, changes, message) -> None:
    sae_lens_folder(tmp_path / "x", "jumprelu", **changes)
    with pytest.raises(UserError, match=message) as raised:
        formats.read_dictionary(tmp_path / "x")
    assert "\n" not in str(raised.value)


def test_other_paths_are_refused(tmp_path) -> None:
    with pytest.raises(UserError, match="holds no dictionary: expected a folder with"):
        formats.read_dictionary(tmp_path)
    (tmp_path / "ae.pt").write_bytes(b"pickle")
    with pytest.raises(UserError, match="is a pickle, which may run code"):
        formats.read_dictionary(tmp_path)
    (tmp_path / "params.npz").write_bytes(b"nothing")
    with pytest.raises(UserError, match="damaged or holds pickled objects"):
        formats.read_dictionary(tmp_path)
    (tmp_path / "cfg.json").write_text("[]")
    (tmp_path / "sae_weights.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match="expected a JSON object"):
        formats.read_dictionary(tmp_path)


def test_what_a_format_has_not_is_refused(tmp_path) -> None:
    sae_lens_folder(tmp_path / "x", "gated")
    weights = formats.read_sae_lens(tmp_path / "x")
    with pytest.raises(UserError, match="sparsify has top_k dictionaries, this one is gated"):
        formats.write_sparsify(tmp_path / "y", weights)
    with pytest.raises(UserError, match="Gemma Scope has jump_relu dictionaries, this one is gated"):
        formats.write_gemma_scope(tmp_path / "y", weights)
    with pytest.raises(UserError, match="requires the array b_mag"):
        formats.write_sae_lens(tmp_path / "y", weights._replace(magnitude_bias=None))
    with pytest.raises(UserError, match="k: the parameters of top_k do not hold it"):
        weights_of(top_k(D, F, k=2), top_k(D, F, k=2).init(jax.random.key(0), jnp.ones(D)))
