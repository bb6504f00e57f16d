"""Exact Jacobians of functions of one example, and what is made of them."""

from aejax.jacobian.penalties import contractive_penalty as contractive_penalty
from aejax.jacobian.penalties import contractive_penalty_of_sigmoid_layer as contractive_penalty_of_sigmoid_layer
from aejax.jacobian.penalties import higher_order_penalty as higher_order_penalty

__all__ = ["contractive_penalty", "contractive_penalty_of_sigmoid_layer", "higher_order_penalty"]
