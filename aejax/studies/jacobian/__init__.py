"""The comparison of regularized autoencoders by their encoders' Jacobians; `scripts/jacobian_study.py` runs it."""

from aejax.studies.jacobian.settings import PRESETS as PRESETS
from aejax.studies.jacobian.settings import Study as Study

__all__ = ["PRESETS", "Study"]
