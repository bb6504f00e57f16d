"""The comparison of regularized autoencoders by their encoders' Jacobians; `scripts/jacobian_study.py` runs it."""

from aejax.study.settings import PRESETS as PRESETS
from aejax.study.settings import Study as Study

__all__ = ["PRESETS", "Study"]
