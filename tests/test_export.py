"""Exports run without aejax: the same numbers in a process that cannot import it."""

import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.autoencoders import as_batch, conditional, contractive, undercomplete, variational
from aejax.errors import UserError
from aejax.export import PARAMETERS, export_functions, load_parameters, named_parameters, write_export
from aejax.jacobian import jacobian
from aejax.networks import MLP, ConvDecoder, ConvEncoder

RNG = np.random.default_rng(0)
IMAGE = (9, 8, 1)
MODELS = {
    "dense": contractive(undercomplete(MLP((3,), (16,), jnp.tanh), MLP(IMAGE, (16,))), weight=0.1),
    "conv": variational(ConvEncoder((4, 2), 6), ConvDecoder(IMAGE, (2, 4))),
    "conditional": conditional(variational(MLP((6,), (16,)), MLP(IMAGE, (16,))), classes=4),
}
# what a user would write; aejax is made impossible to import
PROGRAM = """
import json, sys
sys.modules["aejax"] = None
import jax, numpy as np
for name in ("encode", "decode", "jacobian"):
    function = jax.export.deserialize(open(name + ".jax_export", "rb").read())
    for size in (1, 5):
        arguments = [np.load(f"{name}-{place}.npy")[:size] for place in range(len(function.in_avals))]
        np.save(f"{name}-result-{size}.npy", function.call(*arguments))
print(sorted(module for module in sys.modules if module.startswith("aejax.")))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dense", "conv", "conditional"])
def test_functions_are_equal_in_a_process_without_aejax(name, tmp_path):
    autoencoder = MODELS[name]
    x = RNG.uniform(size=(5, *IMAGE)).astype(np.float32)
    conditions = [np.arange(5, dtype=np.int32) % 4] if name == "conditional" else []
    one = (x[0], *(condition[0] for condition in conditions))
    params = autoencoder.init(jax.random.key(0), *map(jnp.asarray, one))
    write_export(tmp_path, export_functions(autoencoder, params, *one), params, name)

    codes = np.asarray(jax.vmap(lambda *a: autoencoder.encode(params, *a))(x, *conditions))
    expected = {
        "encode": codes,
        "decode": jax.vmap(lambda *a: autoencoder.decode(params, *a))(codes, *conditions),
        "jacobian": jax.vmap(lambda x, *c: jacobian(lambda x: autoencoder.encode(params, x, *c), x))(x, *conditions),
    }
    given = {"encode": x, "decode": codes, "jacobian": x}
    for function, array in given.items():
        for place, argument in enumerate([array, *conditions]):
            np.save(tmp_path / f"{function}-{place}.npy", argument)
    environment = os.environ | {"XLA_FLAGS": "", "PYTHONPATH": ""}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"
    for function, values in expected.items():
        for size in (1, 5):
            got = np.load(tmp_path / f"{function}-result-{size}.npy")
            np.testing.assert_allclose(got, values[:size], atol=1e-6, rtol=1e-6, err_msg=function)
    manifest = json.loads((tmp_path / "export.json").read_text())
    assert manifest["functions"]["encode"]["result"] == f"float32[b,{codes.shape[1]}]"
    assert manifest["functions"]["jacobian"]["result"].startswith("float32[b,")


@pytest.mark.slow
def test_parameters_are_read_back(tmp_path):
    autoencoder = MODELS["dense"]
    x = RNG.uniform(size=IMAGE).astype(np.float32)
    params = autoencoder.init(jax.random.key(0), x)
    write_export(tmp_path, {}, params, "dense")
    template = autoencoder.init(jax.random.key(1), x)
    loaded = load_parameters(tmp_path / PARAMETERS, template)
    assert jax.tree.structure(loaded) == jax.tree.structure(params)
    jax.tree.map(np.testing.assert_array_equal, loaded, params)
    batch = as_batch(jnp.asarray(x)[None])
    assert (
        autoencoder.loss(loaded, jax.random.key(0), batch)[0] == autoencoder.loss(params, jax.random.key(0), batch)[0]
    )
    assert sorted(named_parameters(params))[0] == "decoder/params/Dense_0/bias"

    from safetensors import safe_open

    with safe_open(tmp_path / PARAMETERS, "np") as file:
        assert file.metadata() == {"description": "dense"}
        assert set(file.keys()) == set(named_parameters(params))


@pytest.mark.slow
def test_refusals(tmp_path):
    autoencoder = MODELS["dense"]
    x = RNG.uniform(size=IMAGE).astype(np.float32)
    params = autoencoder.init(jax.random.key(0), x)
    with pytest.raises(UserError, match="platforms must be one or more of cpu, cuda, rocm, tpu, got gpu"):
        export_functions(autoencoder, params, x, platforms=("gpu",))
    with pytest.raises(UserError, match="got none"):
        export_functions(autoencoder, params, x, platforms=())
    write_export(tmp_path, {}, {"other": np.zeros(3, np.float32)}, "other")
    with pytest.raises(
        UserError, match=r"of another autoencoder: decoder/params/Dense_0/bias: expected \(16,\), got no array"
    ):
        load_parameters(tmp_path / PARAMETERS, params)
    (tmp_path / PARAMETERS).write_bytes(b"no")
    with pytest.raises(UserError, match="cannot be read as safetensors"):
        load_parameters(tmp_path / PARAMETERS, params)


def test_a_package_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r"needs the package flatbuffers and safetensors: pip install 'aejax\[export\]'"
    ):
        write_export(tmp_path, {}, {}, "")


def test_arguments_of_another_kind_or_shape_are_refused(tmp_path):
    autoencoder = undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(5,)))
    example = np.ones(5, np.float32)
    params = autoencoder.init(jax.random.key(0), example)
    with pytest.raises(ValueError, match=r"ONE x of shape \(5,\), got shape \(7, 5\)"):
        export_functions(autoencoder, params, np.ones((7, 5), np.float32))
    for arguments in (
        (MLP(output_shape=(2,)), params, example),
        (autoencoder, params, {"a": 1.0}),
        (autoencoder, None, example),
    ):
        with pytest.raises(TypeError):
            export_functions(*arguments)
    for platforms in ("cpu", None, 3):
        with pytest.raises(TypeError, match="platforms must be a sequence of names"):
            export_functions(autoencoder, params, example, platforms=platforms)
    with pytest.raises(UserError, match="is not an existing folder"):
        write_export(str(tmp_path / "none"), {}, params, "nothing")


def test_a_list_is_an_example_and_a_path_may_be_text(tmp_path):
    autoencoder = undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(5,)))
    params = autoencoder.init(jax.random.key(0), [1.0] * 5)
    functions = export_functions(autoencoder, params, [1.0] * 5)
    assert str(functions["encode"].in_avals[0]) == "float32[b,5]"
    write_export(str(tmp_path), functions, params, "nothing")
    restored = load_parameters(str(tmp_path / "params.safetensors"), params)
    jax.tree.map(np.testing.assert_array_equal, restored, params)
