"""Exports a trained autoencoder for use without aejax: functions as StableHLO, parameters as named arrays."""

import importlib.util
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import jax
import numpy as np
from jax import export
from jaxtyping import Array, PyTree

from aejax.autoencoders import Autoencoder
from aejax.checks import as_jax_array
from aejax.errors import UserError
from aejax.host.files import open_regular, write_text
from aejax.jacobian import jacobian
from aejax.training.entrance import check_autoencoder

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
MANIFEST, PARAMETERS, SUFFIX = "export.json", "params.safetensors", ".jax_export"


def export_functions(
    autoencoder: Autoencoder,
    params: PyTree,
    example: np.ndarray,
    *condition: np.ndarray,
    platforms: Sequence[str] = ("cpu",),
) -> dict[str, export.Exported]:
    """Returns exported functions of a batch: `encode`, `decode`, and `jacobian`, the Jacobian of the encoder.

    The functions contain the parameters. The batch size B is symbolic: it may differ at every call.

    Args:
      autoencoder: any autoencoder.
      params: its parameters.
      example: ONE example, for its shape and dtype.
      *condition: its condition, if the autoencoder is conditional.
      platforms: the platforms to compile for, a subset of `PLATFORMS`.

    Returns:
      `encode` maps examples (B, ...) to codes (B, ...code), `decode` maps codes to examples in data space, and
      `jacobian` maps examples to ∂code/∂example (B, ...code, ...). If the autoencoder is conditional, the conditions
      (B, ...) are the second argument of each.

    Raises:
      UserError: there is no platform, or an unknown one.
      ValueError: the autoencoder does not accept the example, for instance because it is a batch.
      TypeError: an argument has the wrong type.

    >>> from aejax.autoencoders import undercomplete
    >>> from aejax.networks import MLP
    >>> autoencoder = undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(5,)))
    >>> example = np.ones(5, np.float32)
    >>> functions = export_functions(autoencoder, autoencoder.init(jax.random.key(0), example), example)
    >>> {name: str(function.out_avals[0]) for name, function in functions.items()}
    {'encode': 'float32[b,2]', 'decode': 'float32[b,5]', 'jacobian': 'float32[b,2,5]'}
    """
    check_autoencoder(autoencoder)
    if isinstance(platforms, str) or not isinstance(platforms, Sequence):
        raise TypeError(f"platforms must be a sequence of names, such as ('cpu',), got {platforms!r}")
    example = np.asarray(as_jax_array("example", example))
    condition = tuple(np.asarray(as_jax_array("condition", part)) for part in condition)
    if not platforms or (unknown := set(platforms) - set(PLATFORMS)):
        got = ", ".join(sorted(unknown)) if platforms else "none"
        raise UserError(f"platforms must be one or more of {', '.join(PLATFORMS)}, got {got}")
    batch = export.symbolic_shape("b")
    code = jax.eval_shape(partial(autoencoder.encode, params), example, *condition)

    def exported(function: Callable[..., Array], *one: np.ndarray | jax.ShapeDtypeStruct) -> export.Exported:
        batches = [jax.ShapeDtypeStruct((*batch, *np.shape(array)), array.dtype) for array in one]
        return export.export(jax.jit(jax.vmap(function)), platforms=tuple(platforms))(*batches)

    def encoder_jacobian(x: Array, *condition: Array) -> Array:
        return jacobian(lambda x: autoencoder.encode(params, x, *condition), x, method="auto")

    return {
        "encode": exported(partial(autoencoder.encode, params), example, *condition),
        "decode": exported(partial(autoencoder.decode, params), code, *condition),
        "jacobian": exported(encoder_jacobian, example, *condition),
    }


def check_packages() -> None:
    """Raises UserError unless the packages that `write_export` requires are installed."""
    if missing := [name for name in ("flatbuffers", "safetensors") if importlib.util.find_spec(name) is None]:
        raise UserError(f"an export needs the package {' and '.join(missing)}: pip install 'aejax[export]'")


def named_parameters(params: PyTree) -> dict[str, np.ndarray]:
    """Returns the arrays of a parameter tree by their paths, such as "encoder/kernel".

    >>> named_parameters({"encoder": {"kernel": np.ones((2, 3))}})["encoder/kernel"].shape
    (2, 3)
    """
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf) for path, leaf in leaves}


def load_parameters(path: str | Path, template: PyTree) -> PyTree:
    """Returns the parameters in a safetensors file that `write_export` has written.

    Args:
      path: the file.
      template: parameters of the same autoencoder, for their structure and shapes.

    Returns:
      A pytree with the structure of `template`, of NumPy arrays.

    Raises:
      UserError: the file cannot be read, or its arrays differ from the template's in name or shape.
    """
    from safetensors import SafetensorError

    path = Path(path)
    from safetensors.numpy import load

    try:
        with open_regular(path) as file:
            arrays = load(file.read())
    except SafetensorError as error:
        raise UserError(f"{path}: cannot be read as safetensors: {error}") from error
    expected = named_parameters(template)
    got, needed = ({name: array.shape for name, array in named.items()} for named in (arrays, expected))
    if got != needed:
        name = min(name for name in got.keys() | needed.keys() if got.get(name) != needed.get(name))
        raise UserError(
            f"{path}: holds the parameters of another autoencoder: {name}: expected {needed.get(name, 'no array')}, "
            f"got {got.get(name, 'no array')}"
        )
    return jax.tree.unflatten(jax.tree.structure(template), [arrays[name] for name in expected])


def write_export(
    folder: str | Path,
    functions: dict[str, export.Exported],
    params: PyTree,
    description: str,
    *,
    classes: Sequence[int | str | None] | None = None,
) -> None:
    """Writes exported functions, their parameters, and export.json, which describes the files and how to call them.

    Args:
      folder: an existing folder.
      functions: what `export_functions` has returned.
      params: the parameters of the functions.
      description: what was exported, as text.
      classes: the class label of each condition 0, 1, ..., if the functions have conditions.

    Raises:
      UserError: a required package is missing, or the folder does not exist.
    """
    check_packages()
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: is not an existing folder; create it first")
    from safetensors.numpy import save_file

    for name, function in functions.items():
        (folder / f"{name}{SUFFIX}").write_bytes(function.serialize())
    named = {name: np.ascontiguousarray(array) for name, array in named_parameters(params).items()}
    save_file(named, folder / PARAMETERS, metadata={"description": description})
    manifest = {
        "description": description,
        "read": f"jax.export.deserialize(open('encode{SUFFIX}', 'rb').read()).call(x)",
        "jax": jax.__version__,
        "functions": {
            name: {
                "file": f"{name}{SUFFIX}",
                "arguments": [str(argument) for argument in function.in_avals],
                "result": str(function.out_avals[0]),
                "platforms": list(function.platforms),
            }
            for name, function in functions.items()
        },
        **({} if classes is None else {"classes": list(classes)}),
        "parameters": {"file": PARAMETERS, "shapes": {name: list(array.shape) for name, array in named.items()}},
    }
    write_text(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")
