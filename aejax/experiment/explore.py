"""The latent explorer: a page that decodes a run's code at the pointer, by itself or with a server's help."""

import json
import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from aejax.autoencoders import part_names
from aejax.datasets.dataset import Dataset, take
from aejax.datasets.jsb_chorales import LOWEST_NOTE
from aejax.errors import UserError
from aejax.experiment.architectures import architecture_of
from aejax.experiment.at_use import check_kind
from aejax.experiment.browser_program import Constants, as_constant, as_program
from aejax.experiment.explored import Explored, columns_as_json, explored
from aejax.experiment.explored_units import units_as_json
from aejax.experiment.trained import TrainedRun
from aejax.host.commands import verb_command
from aejax.host.escaping import as_html, printable
from aejax.plots.examples import is_image

MAX_BYTES = 48_000_000  # of the weights in a page, before base64
_MAX_EXAMPLES, _MAX_EXAMPLE_BYTES = 1000, 1_500_000  # of a split in the page
_MAX_FITTED = 5000  # training codes that the principal components are computed from
_MAX_SPECTRUM = 256  # singular values that a page computes at the pointer
_MAX_COLUMNS = 40  # features that are listed with their values, if the data set does not say what they are
_MAX_CLASSES = 28  # classes with a color and a shape of their own
_ELLIPSE = 0.25  # distance in data space from an ellipse to its center, in root mean squared distances from the mean
_FOLDER = Path(__file__).with_name("explorer")
_SCRIPTS = {  # in the order in which they run; the worker, a thread of its own, runs the shared ones too
    "shared": ("program.js", "geometry.js", "functions.js"),
    "worker": ("worker.js",),
    "page": (
        *("data.js", "requests.js", "drawing.js", "table.js", "coordinates.js", "plane.js"),
        *("heat.js", "pointer.js", "paths.js", "input.js", "units.js", "begin.js"),
    ),
}


def explorer_page(run: TrainedRun, *, served: Mapping[str, list[int]] | None = None) -> str:
    """Returns a self-contained HTML page that explores the code of a run.

    The page evaluates the run's own decoder and encoder, and their exact Jacobians, in the browser: it holds their JAX
    equations and weights. It shows the plane of two units or of two principal components of the code with up to 1000
    test examples, and up to 1000 training examples to compare with.

    Args:
      run: a run whose code is a vector.
      served: the functions that the server of the page computes in place of the page, as those of
        `aejax.experiment.explorer_server.served_functions`, and the sizes of their outputs; None for a page without
        a server.

    Raises:
      UserError: the code is not a vector; the decoder is too large for a page or computes with an operation that a page
        does not know; or the data are missing or have changed.
    """
    content = json.dumps(_content(run, served), allow_nan=False).replace("<", "\\u003c")
    filled = {
        "title": as_html(_name(run)),
        "connections": "'none'" if served is None else "'self'",
        "style": _text("explorer.css"),
        **{use: "\n".join(map(_text, names)) for use, names in _SCRIPTS.items()},
        "content": content,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: filled[match[1]], _text("explorer.html"))


def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def explore_command(run: TrainedRun, *options: str) -> str:
    """Returns the command that explores a run; one with the user's own autoencoder needs --trust-code."""
    trust = () if run.experiment.model.autoencoder is None else ("--trust-code",)
    return verb_command("explore", run.path, *options, *trust)


class _Programs(NamedTuple):
    """The programs of a page by name, and remarks on those that are missing."""

    programs: dict[str, Any]
    notes: list[str]


def _content(run: TrainedRun, served: Mapping[str, list[int]] | None) -> dict[str, Any]:
    check_kind(run, len(run.code_shape) == 1, "a run whose code is a vector", what="the explorer")
    space, splits, constants = explored(run), run.splits, Constants()
    programs, notes = _programs(run, space, constants) if served is None else _Programs({}, [])
    if not has_spectrum(run, space):
        notes.append(f"Jacobians are shown for at most {_MAX_SPECTRUM} singular values; here there would be more.")
    train, test = (_evenly(split, _shown_count(run, space, split)) for split in (splits.train, splits.test))
    codes = run.encode(_evenly(splits.train, _MAX_FITTED)).astype(np.float64)
    center, basis, variances = _principal_components(codes)
    classes, places = _classes(run, train, test)
    variance = _log_variances(run, train, codes)
    targets = space.values(train.x).reshape(len(train.x), -1)
    known = np.ma.masked_invalid(targets.astype(np.float64))
    spread = math.sqrt(known.var(axis=0).sum())
    low, high = run.limits if run.facts.columns is None else (0.0, 1.0)
    is_shown = ", ".join(
        f"{len(shown.x):,} of {len(split.x):,} {name} examples"
        for name, shown, split in (("test", test, splits.test), ("training", train, splits.train))
    )
    return {
        "title": printable(_name(run)),
        "subtitle": f"{' and '.join(part_names(run.autoencoder.parts)).replace('_', ' ')} on "
        f"{printable(Path(run.experiment.data.dataset).name)}; {run.code_shape[0]}-dimensional code; {is_shown}",
        "notes": notes,
        "layout": _layout(run),
        "shape": space.shape,
        "low": low,
        "high": high,
        "columns": columns_as_json(run, train.x),
        "ranges": [targets.min(axis=0).tolist(), targets.max(axis=0).tolist()] if _layout(run) == "row" else None,
        "lowestNote": LOWEST_NOTE,
        "classes": classes,
        "conditions": [printable(str(label)) for label in run.facts.classes or ()] if _is_conditional(run) else [],
        "constants": constants.rows,
        "programs": programs,
        "served": served,
        "units": {
            "mean": codes.mean(axis=0).tolist(),
            "deviation": codes.std(axis=0).tolist(),
        },
        "components": {
            "mean": center.tolist(),
            "basis": as_constant(basis.astype(np.float32)),
            "deviation": np.sqrt(variances).tolist(),
        },
        "test": {**_examples(run, space, test), "classes": places[1], "errors": as_constant(_errors(run, space, test))},
        "train": {**_examples(run, space, train), "classes": places[0], "logVariances": as_constant(variance)},
        "dictionary": units_as_json(run, test),
        "isVariational": run.autoencoder.variational is not None,
        "radius": _ELLIPSE * spread,
        "spread": spread,
    }


def _programs(run: TrainedRun, space: Explored, constants: Constants) -> _Programs:
    """Returns the decoder, the encoder, and both with their Jacobians, as programs; those that a page can evaluate."""
    units, features = math.prod(run.code_shape), math.prod(space.shape)
    condition = (np.int32(0),) if _is_conditional(run) else ()
    code, example = np.zeros(run.code_shape, np.float32), np.zeros(space.shape, np.float32)
    programs, notes = {}, []
    instead = f"a server computes with any decoder: {explore_command(run, '--serve')}"
    try:
        programs["decode"] = as_program(
            space.decode_row, [code, *condition], constants, name=f"{run.path}: the decoder"
        )
        if has_spectrum(run, space):
            both = with_jacobian(space.decode, units, features)
            programs["linearize"] = as_program(both, [code, *condition], constants, name=f"{run.path}: the Jacobian")
    except UserError as error:
        raise UserError(f"{error}; {instead}") from error
    try:
        programs["encode"] = as_program(space.encode, [example, *condition], constants, name="the encoder")
        if has_spectrum(run, space) and encoder_has_jacobian(run, space):
            both = with_jacobian(space.encode, features, units)
            programs["linearizeEncoder"] = as_program(both, [example, *condition], constants, name="the encoder")
    except UserError as error:
        notes.append(f"The page does not hold the encoder: {error}.")
    size = sum(4 * math.prod(row["shape"]) for row in constants.rows if "data" in row)
    if size > MAX_BYTES:
        raise UserError(
            f"{run.path}: the explorer embeds the weights of encoder and decoder, at most {MAX_BYTES / 1e6:.0f} MB; "
            f"this run has {size / 1e6:.0f} MB; {instead}"
        )
    return _Programs(programs, notes)


def with_jacobian(function: Callable[..., Any], inputs: int, outputs: int) -> Callable[..., tuple[Any, Any]]:
    """Returns a function x -> (f(x), J(x)) whose Jacobian lies along its smaller side: (inputs, ...) or (outputs, ...).

    Args:
      function: f, from ONE array and any further arguments to one array.
      inputs: the number of entries of x.
      outputs: the number of entries of f(x).

    >>> square = with_jacobian(lambda x: jnp.stack([x[0] ** 2, x[1], x[0]]), 2, 3)
    >>> square(jnp.array([3.0, 1.0]))[1].tolist()
    [[6.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """

    def both(x: Any, *others: Any) -> tuple[Any, Any]:
        if inputs <= outputs:
            directions = jnp.eye(inputs, dtype=jnp.result_type(x)).reshape(inputs, *jnp.shape(x))
            forward = partial(jax.jvp, lambda x: function(x, *others), (x,))
            return jax.vmap(lambda direction: forward((direction,)), out_axes=(None, 0))(directions)
        y, pull = jax.vjp(lambda x: function(x, *others), x)
        return y, jax.vmap(lambda row: pull(row)[0])(jnp.eye(outputs, dtype=y.dtype).reshape(outputs, *y.shape))

    return both


def has_spectrum(run: TrainedRun, space: Explored) -> bool:
    """Returns whether the Jacobians of the run have few enough singular values to be computed at the pointer."""
    return min(math.prod(run.code_shape), math.prod(space.shape)) <= _MAX_SPECTRUM


def encoder_has_jacobian(run: TrainedRun, space: Explored) -> bool:
    """Returns whether the encoder has the derivative that its Jacobian is computed from; that of jump_relu has not."""
    condition = (np.int32(0),) if _is_conditional(run) else ()
    both = with_jacobian(space.encode, math.prod(space.shape), math.prod(run.code_shape))
    try:
        jax.eval_shape(both, np.zeros(space.shape, np.float32), *condition)
    except TypeError:  # of JAX, for a function whose derivative is defined backwards only
        return False
    return True


def _name(run: TrainedRun) -> str:
    return run.path.resolve().name


def _is_conditional(run: TrainedRun) -> bool:
    return run.experiment.model.conditional


def _layout(run: TrainedRun) -> str:
    """Returns how the page draws an example: table, image, roll, series, row or vector."""
    if run.facts.columns is not None:
        return "table"
    shape = run.example_shape
    layouts = run.facts.layout, architecture_of(run.experiment.model.network).layout
    for layout in ("roll", "series", "row"):
        if layout in layouts:
            return layout
    if is_image(shape) or (len(shape) == 3 and shape[2] == 4):
        return "image"
    return "row" if math.prod(shape) <= _MAX_COLUMNS else "vector"


def _shown_count(run: TrainedRun, space: Explored, split: Dataset) -> int:
    size = math.prod(space.shape) * (1 if _layout(run) in ("image", "roll") else 4)
    size += 0 if space.row is None else 4 * math.prod(run.example_shape)
    return min(len(split.x), _MAX_EXAMPLES, max(1, _MAX_EXAMPLE_BYTES // size))


def _evenly(split: Dataset, count: int) -> Dataset:
    """Returns at most `count` examples at equal distances, in memory."""
    some = take(split, np.unique(np.linspace(0, len(split.x) - 1, min(count, len(split.x))).astype(int)))
    return some._replace(x=np.asarray(some.x), input=None if some.input is None else np.asarray(some.input))


def _principal_components(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the mean (K,), the components in rows (K, K), and the variances (K,), in decreasing order."""
    center = codes.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(codes, rowvar=False, bias=True).reshape(codes.shape[1], -1))
    basis = vectors[:, ::-1].T
    signs = np.sign(basis[np.arange(len(basis)), np.abs(basis).argmax(axis=1)])  # the same on every machine
    return center, basis * signs[:, None], np.maximum(values[::-1], 0)


def _classes(run: TrainedRun, *splits: Dataset) -> tuple[list[str], list[list[int]]]:
    """Returns the names of the classes, and the class of every example of each split; none if there are too many."""
    if any(split.labels is None for split in splits):
        return [], [[] for _ in splits]
    labels = [np.asarray(split.labels) for split in splits]
    distinct = np.unique(np.concatenate(labels))
    if len(distinct) > _MAX_CLASSES:
        return [], [[] for _ in splits]
    facts = run.facts
    names = dict(zip(facts.classes or (), facts.class_names or (), strict=False))
    return [printable(names.get(label, str(label))) for label in distinct.tolist()], [
        np.searchsorted(distinct, each).tolist() for each in labels
    ]


def _log_variances(run: TrainedRun, train: Dataset, codes: np.ndarray) -> np.ndarray:
    """Returns log σ² of each training example's code (N, K): of its posterior, or of a kernel by Scott's rule."""
    count, units = len(train.x), run.code_shape[0]
    variational = run.autoencoder.variational
    if variational is not None:
        posterior = jax.jit(jax.vmap(partial(variational.posterior, run.params)))
        return np.asarray(posterior(train.encoder_inputs, *run.conditions_of(train))[1], np.float32)
    deviations = codes.std(axis=0)
    bandwidths = np.maximum(deviations, 1e-3 * max(deviations.max(), 1e-6)) * count ** (-1 / (units + 4))
    return np.tile(2 * np.log(bandwidths), (count, 1)).astype(np.float32)


def _examples(run: TrainedRun, space: Explored, split: Dataset) -> dict[str, Any]:
    """Returns the examples of a split and their codes; images and rolls as bytes between the limits of the data."""
    examples = space.values(split.x)
    if _layout(run) in ("image", "roll"):
        low, high = run.limits
        examples = np.round(np.clip((examples - low) / ((high - low) or 1), 0, 1) * 255).astype(np.uint8)
    return {
        "count": len(examples),
        "examples": as_constant(examples),
        "rows": None if space.row is None else as_constant(split.x),
        "codes": as_constant(run.encode(split).astype(np.float32)),
    }


def _errors(run: TrainedRun, space: Explored, split: Dataset) -> np.ndarray:
    """Returns the root mean squared error (N,) of every example, over the values that a row has."""
    examples = space.values(split.x).reshape(len(split.x), -1)
    decoded = jax.jit(jax.vmap(space.decode))(run.encode(split), *run.conditions_of(split))
    squares = np.square(examples - np.reshape(decoded, examples.shape), dtype=np.float64)
    return np.sqrt(np.ma.array(squares, mask=np.isnan(examples)).mean(axis=1)).filled(np.nan).astype(np.float32)
