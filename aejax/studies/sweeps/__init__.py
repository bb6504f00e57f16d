"""Sweeps: any experiment with many values of its knobs and several seeds, trained together; the best by validation.

`import aejax.studies.sweeps` is light: what stands here is imported when it is first used.

>>> from aejax.experiment.presets import PRESETS
>>> from aejax.studies.sweeps import make_plan
>>> plan = make_plan(PRESETS["digits-vae"][1], {"beta": [0.3, 1.0], "learning_rate": [1e-3, 3e-3]}, seeds=5)
>>> plan.values["beta"]
(0.3, 1.0)
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aejax.studies.sweeps.plan import make_plan as make_plan
    from aejax.studies.sweeps.study import Outcome as Outcome
    from aejax.studies.sweeps.study import sweep as sweep

_MODULES = {"Outcome": "study", "make_plan": "plan", "sweep": "study"}

__all__ = ["Outcome", "make_plan", "sweep"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"aejax.studies.sweeps.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'aejax.studies.sweeps' has no attribute {name!r}")
