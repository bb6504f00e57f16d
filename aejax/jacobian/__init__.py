"""Exact Jacobians of functions of one example, and what is made of them."""

from aejax.jacobian.penalties import contractive_penalty as contractive_penalty

__all__ = ["contractive_penalty"]
