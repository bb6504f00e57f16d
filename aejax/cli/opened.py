"""The options of verbs that open a run: its folder, the new place of its data, and whether to trust its code."""

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
    """The new place of the run's data, if it has moved: the file, or the folder that contains it. The data must be
    unchanged; they are read only if they are needed."""
    trust_code: bool = field(default=False, kw_only=True)
    """Allow the Python file in the folder of a run that was trained with --autoencoder FILE to run. Use it only if you
    trust whoever wrote that file."""

    def open_run(self) -> "TrainedRun":
        """Returns the run with its best parameters; raises UserError as `open_run` does."""
        from aejax.experiment.trained import open_run

        return open_run(self.run, data=self.data, trust_code=self.trust_code)
