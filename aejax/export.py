"""A trained autoencoder for programs without aejax: its functions as StableHLO, its parameters as named arrays."""

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
    """`encode`, `decode` and `jacobian`, the encoder's, of a batch of any size, the parameters within.

    With B the size of the batch, named in no shape, they map examples (B, ...) to codes (B, ...code), codes to examples
    in data space, and examples to ∂code/∂example (B, ...code, ...). The condition, (B, ...), is the second argument of
    each where there is one.

    Args:
      autoencoder: any.
      params: its parameters.
      example: ONE, for its shape and dtype.
      *condition: what is known of it, where the autoencoder is conditional.
      platforms: of `PLATFORMS`, those that the functions are to run on.

    Raises:
      UserError: no platform, or an unknown one.
      ValueError: an example that the autoencoder does not take, such as a batch.
      TypeError: an argument of another kind.

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
        raise UserError(f"platforms must be of {', '.join(PLATFORMS)}, got {got}")
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
    """Raise UserError unless the packages that an export is written with are installed."""
    if missing := [name for name in ("flatbuffers", "safetensors") if importlib.util.find_spec(name) is None]:
        raise UserError(f"an export needs the package {' and '.join(missing)}: pip install 'aejax[export]'")


def named_parameters(params: PyTree) -> dict[str, np.ndarray]:
    """Every array of the parameters by its path.

    >>> named_parameters({"encoder": {"kernel": np.ones((2, 3))}})["encoder/kernel"].shape
    (2, 3)
    """
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf) for path, leaf in leaves}


def load_parameters(path: str | Path, template: PyTree) -> PyTree:
    """Parameters from a safetensors file that `write_export` has written.

    Args:
      path: of the file.
      template: parameters of the same autoencoder, for their structure.

    Raises:
      UserError: a file that cannot be read, or arrays of other names or shapes.
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
    shapes, wanted = ({name: array.shape for name, array in named.items()} for named in (arrays, expected))
    if shapes != wanted:
        wrong = sorted(name for name in shapes.keys() | wanted.keys() if shapes.get(name) != wanted.get(name))
        raise UserError(f"{path}: holds the parameters of another autoencoder: {wrong[0]} is {shapes.get(wrong[0])}")
    return jax.tree.unflatten(jax.tree.structure(template), [arrays[name] for name in expected])


def write_export(
    folder: str | Path,
    functions: dict[str, export.Exported],
    params: PyTree,
    description: str,
    *,
    classes: Sequence[int | str | None] | None = None,
) -> None:
    """Write exported functions, parameters, and export.json, which tells of their shapes and how to call them.

    Args:
      folder: which exists.
      functions: of `export_functions`.
      params: the parameters that are in them.
      description: of what was exported.
      classes: the label that each condition k stands for, where the functions have conditions.

    Raises:
      UserError: a package that is missing, or no such folder.
    """
    check_packages()
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: is no folder; make it first")
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
