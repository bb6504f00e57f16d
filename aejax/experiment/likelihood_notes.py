"""Warnings beside the log-likelihood of a run: what its numbers must not be taken for."""

import numpy as np

from aejax.errors import knob_name
from aejax.evaluation.likelihood import MAX_PARETO_K, Annealed, ImportanceSampled
from aejax.experiment.trained import TrainedRun
from aejax.experiment.treatment_notes import treatment_lines

_LEAST_ACCEPTANCE = 0.2  # of moves; the pilot tunes steps for 0.65
_LEAST_CHAINS = 2.0  # effective ones, below which one chain has most of the weight


def sampling_notes(
    run: TrainedRun,
    x: np.ndarray,
    sampled: ImportanceSampled,
    untrusted: int,
    is_likelihood: bool,
    levels: int | None,
) -> list[str]:
    """Returns lines on importance sampling, and on values whose density is no likelihood."""
    number, data = len(sampled.log_likelihood), run.experiment.data
    notes = [] if is_likelihood else treatment_lines(run, x)[1:]
    if untrusted:
        notes.append(
            f"importance sampling is not to be trusted for {untrusted:,} of {number:,} examples, whose weights have a "
            f"Pareto shape above {MAX_PARETO_K:g}: the value is too low by an unknown amount"
        )
    if np.isnan(sampled.pareto_k).all():
        notes.append(f"{sampled.samples:,} samples are too few for a Pareto shape of their weights: use 25 or more")
    is_image = run.facts.targets.dtype == "uint8" and run.facts.targets.divided_by == 255
    if is_likelihood and levels is None and is_image and data.dequantize == "none":
        notes.append(
            "the values are levels, of which a density has no bound and no number of bits: train with "
            f"{knob_name('dequantize uniform')}, or with {knob_name('likelihood discretized_logistic')}"
        )
    return notes


def chain_notes(name: str, estimates: Annealed, chains: int) -> list[str]:
    """Returns lines on examples whose chains hardly move, or of which one chain has most of the weight.

    Args:
      name: of the row of the table.
      estimates: those of N examples.
      chains: C, of each example.

    >>> numbers = np.full(3, -1.0), np.full(3, 0.1), np.array([1.2, 9.0, 9.0]), np.array([0.1, 0.6, 0.7])
    >>> for note in chain_notes("AIS", Annealed(*numbers), chains=16):
    ...     print(note)
    AIS: below 20 % of the moves are accepted for 1 of 3 examples, whose chains hardly move: the bound is far from ...
    AIS: for 1 of 3 examples one of 16 chains has most of the weight (below 2 effective chains): neither the bound ...
    """
    number, notes, more = len(estimates.acceptance), list[str](), f"use more {knob_name('distributions')}"
    if stuck := int(np.sum(estimates.acceptance < _LEAST_ACCEPTANCE)):  # NaN without moves
        notes.append(
            f"{name}: below {100 * _LEAST_ACCEPTANCE:.0f} % of the moves are accepted for {stuck:,} of {number:,} "
            f"examples, whose chains hardly move: the bound is far from log p(x) by an unknown amount: {more}"
        )
    least = min(_LEAST_CHAINS, chains / 2)  # of 2 chains with equal weights 2 are effective
    if alone := int(np.sum(estimates.effective_chains < least)):
        notes.append(
            f"{name}: for {alone:,} of {number:,} examples one of {chains:,} chains has most of the weight (below "
            f"{least:g} effective chains): neither the bound nor its error is to be trusted: {more}"
        )
    return notes
