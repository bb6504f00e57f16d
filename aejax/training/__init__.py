"""Training: a state, a step compiled with `pmap`, and a loop that is an iterator of reports."""

from aejax.training.devices import AXIS as AXIS
from aejax.training.divided import UNITS as UNITS
from aejax.training.divided import bytes_per_device as bytes_per_device
from aejax.training.divided import make_divided_step as make_divided_step
from aejax.training.divided import start_divided as start_divided
from aejax.training.divided import unit_mesh as unit_mesh
from aejax.training.evaluate import make_evaluate as make_evaluate
from aejax.training.loop import NonFiniteLossError as NonFiniteLossError
from aejax.training.loop import Report as Report
from aejax.training.loop import Snapshot as Snapshot
from aejax.training.loop import check_parameters as check_parameters
from aejax.training.loop import start as start
from aejax.training.loop import train as train
from aejax.training.state import RunKeys as RunKeys
from aejax.training.state import TrainState as TrainState
from aejax.training.state import create_state as create_state
from aejax.training.state import run_keys as run_keys
from aejax.training.step import make_train_steps as make_train_steps
from aejax.training.step import train_step as train_step

__all__ = [
    "AXIS",
    "UNITS",
    "NonFiniteLossError",
    "Report",
    "RunKeys",
    "Snapshot",
    "TrainState",
    "bytes_per_device",
    "check_parameters",
    "create_state",
    "make_divided_step",
    "make_evaluate",
    "make_train_steps",
    "run_keys",
    "start",
    "start_divided",
    "train",
    "train_step",
    "unit_mesh",
]
