"""Sparse mixtures of known features: a generator of examples for which the true dictionary is known."""
