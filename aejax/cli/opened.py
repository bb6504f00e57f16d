"""The run that a verb opens: its folder, where its examples are now, and whether its own code may run."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:  # imported where it is used, so that --help answers at once
    from aejax.experiment.trained import TrainedRun


@dataclass(frozen=True)
class RunOptions:
    """Which run, and how to open it."""

    run: tyro.conf.Positional[Path]
    """The run folder."""
    data: Path | None = field(default=None, kw_only=True)
    """Where the run's examples are now, if they have moved: their file, or the folder it lies in. They must be the
    same, and are read only if they are needed."""
    trust_code: bool = field(default=False, kw_only=True)
    """For a run with an --autoencoder of your own: run the Python file in its folder."""

    def open_run(self) -> "TrainedRun":
        """Returns the run with its best parameters; UserError where `open_run` refuses it."""
        from aejax.experiment.trained import open_run

        return open_run(self.run, data=self.data, trust_code=self.trust_code)
