"""A program: train small autoencoders of many families for 50 steps, alone or as one of several processes."""

import argparse
import contextlib
from functools import partial
from pathlib import Path

import jax
import numpy as np
import optax

from aejax.autoencoders import (
    Autoencoder,
    Examples,
    conditional,
    contractive,
    denoising,
    mmd_regularized,
    part_names,
    sparse_kl,
    total_correlation_penalized,
    undercomplete,
    variational,
)
from aejax.corruption import salt_and_pepper
from aejax.networks import MLP
from aejax.training import AXIS, start, train
from aejax.training.devices import choose_devices
from aejax.training.distributed import join_processes

SHAPE, EXAMPLES, BATCH, EPOCHS = (6, 5, 1), 85, 16, 10  # 5 steps an epoch, and examples that do not fill a batch


def mlps(code_size: int) -> tuple[MLP, MLP]:
    return MLP(output_shape=(code_size,), hidden=(12,)), MLP(output_shape=SHAPE, hidden=(12,))


def by_kl() -> Autoencoder:
    encoder, decoder = MLP(output_shape=(40,), output_activation=jax.nn.sigmoid), MLP(output_shape=SHAPE)
    return sparse_kl(undercomplete(encoder, decoder), weight=1.0, rho=0.05, axis_name=AXIS)


FAMILIES = {
    "undercomplete": lambda: undercomplete(*mlps(3)),
    "variational": lambda: variational(*mlps(6)),
    "denoising": lambda: denoising(undercomplete(*mlps(3)), corrupt=partial(salt_and_pepper, amount=0.3)),
    "contractive": lambda: contractive(undercomplete(*mlps(3)), weight=0.1),
    "sparse_kl": by_kl,
    "free_bits": lambda: variational(*mlps(6), free_bits=0.05, axis_name=AXIS),
    "mmd": lambda: mmd_regularized(variational(*mlps(6)), weight=1.0, axis_name=AXIS),
    "total_correlation": lambda: total_correlation_penalized(
        variational(*mlps(6)), weight=2.0, examples=EXAMPLES, axis_name=AXIS
    ),
    "conditional": lambda: conditional(variational(*mlps(6)), classes=3),
}


def learn(autoencoder: Autoencoder, number: int | None, streamed: bool | None) -> dict[str, np.ndarray]:
    """Parameters after the last step, and the means of the last evaluation."""
    x = np.random.default_rng(0).uniform(size=(EXAMPLES, *SHAPE)).astype(np.float32)
    conditions = (np.arange(EXAMPLES, dtype=np.int32) % 3,) if "conditional" in part_names(autoencoder.parts) else ()
    examples = Examples(x, None, *conditions)
    optimizer = optax.adam(1e-3)
    snapshot = start(autoencoder, optimizer, jax.random.key(0), x[0], *(c[0] for c in conditions))
    options = {"batch_size": BATCH, "epochs": EPOCHS, "evaluate_every": 5, "devices": choose_devices(number)}
    options["streamed"] = streamed
    for report in train(
        autoencoder, optimizer, snapshot, examples, jax.tree.map(lambda a: a[:37], examples), **options
    ):
        last = report
    assert last.step == 50
    params = jax.device_get(last.snapshot.state.params)
    paths = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(params)}
    return paths | {name: np.float32(value) for name, value in last.evaluation.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("output", type=Path)
    parser.add_argument("--families", nargs="+", default=list(FAMILIES))
    parser.add_argument("--devices", type=int)
    parser.add_argument("--streamed", action="store_true", default=None)
    parser.add_argument("--group", nargs=3, metavar=("COORDINATOR", "PROCESSES", "PROCESS"))
    options = parser.parse_args()
    group = contextlib.nullcontext()
    if options.group is not None:
        coordinator, processes, process = options.group
        group = join_processes(coordinator, int(processes), int(process))
    with group:
        for name in options.families:
            learned = learn(FAMILIES[name](), options.devices, options.streamed)
            np.savez(options.output / f"{name}-{jax.process_index()}.npz", **learned)


if __name__ == "__main__":
    main()
