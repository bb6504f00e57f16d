"""Study that compares regularized autoencoders by their encoders' Jacobians."""

from aejax.studies.jacobian.settings import PRESETS as PRESETS
from aejax.studies.jacobian.settings import Study as Study

__all__ = ["PRESETS", "Study"]
