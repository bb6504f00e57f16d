"""Autoencoders in JAX as pure functions.

`import aejax` is light: a module (`aejax.losses`, `aejax.autoencoders`, ...) is imported when it is first used.
"""

import importlib
from types import ModuleType

__version__ = "0.1.0"

_MODULES = (
    "augmentation",
    "autoencoders",
    "corruption",
    "datasets",
    "divergences",
    "evaluation",
    "experiment",
    "export",
    "formats",
    "generation",
    "geometric_median",
    "jacobian",
    "keys",
    "likelihoods",
    "losses",
    "networks",
    "plots",
    "priors",
    "sampling",
    "schedules",
    "sklearn",
    "standardization",
    "studies",
    "training",
)

__all__ = ["__version__", *_MODULES]


def __getattr__(name: str) -> ModuleType:
    if name in _MODULES:
        return importlib.import_module(f"aejax.{name}")
    raise AttributeError(f"module 'aejax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
