"""An experiment: its configuration, what is built from it, and the run that it leaves.

`import aejax.experiment` is light: what stands here is imported when it is first used.

>>> from aejax.experiment import Experiment, open_run, train_run
>>> Experiment().model.family
'variational'
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aejax.experiment.configuration import Experiment as Experiment
    from aejax.experiment.job import Job as Job
    from aejax.experiment.job import fit as fit
    from aejax.experiment.job import make_job as make_job
    from aejax.experiment.run import train_run as train_run
    from aejax.experiment.trained import TrainedRun as TrainedRun
    from aejax.experiment.trained import open_run as open_run

_MODULES = {
    "Experiment": "configuration",
    "Job": "job",
    "TrainedRun": "trained",
    "fit": "job",
    "make_job": "job",
    "open_run": "trained",
    "train_run": "run",
}

__all__ = ["Experiment", "Job", "TrainedRun", "fit", "make_job", "open_run", "train_run"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"aejax.experiment.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'aejax.experiment' has no attribute {name!r}")
