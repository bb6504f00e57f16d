"""The knobs of dictionaries: sparse autoencoders of two linear maps, with more units than features."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict, PositiveInt

from aejax.errors import UserError
from aejax.experiment.conditions import Requires
from aejax.experiment.part_knobs import AddsPart
from aejax.host.schema import NonNegative, Positive

DICTIONARIES = ("l1_dictionary", "top_k", "batch_top_k", "jump_relu", "gated", "matryoshka")
SELECTING = ("top_k", "batch_top_k", "matryoshka")
_ANY = Requires("family", DICTIONARIES)
_SELECTING = Requires("family", SELECTING)
_WEIGHTED = Requires("family", ("l1_dictionary", "jump_relu", "gated"))
_JUMP_RELU = Requires("family", ("jump_relu",))


@dataclass(frozen=True)
class Dictionary:
    """Dictionaries, the families from l1_dictionary to matryoshka: their sparsity, their dead units."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    sparsity_weight: Annotated[NonNegative, _WEIGHTED] = 5.0
    """l1_dictionary, gated: weight of the L1 penalty; jump_relu: of the number of active units. It is a sum over units,
    beside the squared error summed over features."""
    sparsity_warmup_steps: Annotated[int, _WEIGHTED] = 0
    """l1_dictionary, gated, jump_relu: steps over which that weight rises from 0."""
    first_active_entries: Annotated[PositiveInt | None, _SELECTING] = None
    """top_k, batch_top_k, matryoshka: active entries at the first step, from which they fall to active_entries; None
    for no fall."""
    annealing_steps: Annotated[PositiveInt, Requires("first_active_entries")] = 1000
    """top_k, batch_top_k, matryoshka: steps of this fall."""
    auxiliary_weight: Annotated[NonNegative, _SELECTING] = 0.03125
    """top_k, batch_top_k, matryoshka: weight of the error of the residual as dead units reconstruct it."""
    dead_after: Annotated[PositiveInt, _ANY] = 1_000_000
    """Examples after which a silent unit counts as dead."""
    prefixes: Annotated[tuple[PositiveInt, ...], Requires("family", ("matryoshka",))] = ()
    """matryoshka: numbers of units that reconstruct alone, ascending; by default a sixteenth, an eighth, a quarter and
    half of all."""
    bandwidth: Annotated[Positive, _JUMP_RELU] = 0.05
    """jump_relu: width of the kernel that estimates derivatives of the thresholds."""
    start_threshold: Annotated[NonNegative, _JUMP_RELU] = 0.01
    """jump_relu: the thresholds at the start."""
    sparsity_penalty: Annotated[Literal["l0", "tanh"], _JUMP_RELU] = "l0"
    """jump_relu: the number of active units, or a smooth sum of hyperbolic tangents, whose derivatives reach all
    parameters."""
    unit_norm: Annotated[bool, _ANY] = False
    """Keep the norm of the decoder's rows at 1."""
    start_norm: Annotated[Positive, _ANY] = 1.0
    """The norm of the decoder's rows at the start."""
    resample_every: Annotated[PositiveInt | None, _ANY, AddsPart("resampled")] = None
    """Steps after which units that have been silent for half as long start again from badly reconstructed examples;
    None for never."""


def check_dictionary(dictionary: Dictionary, units: int | None, active_entries: int) -> None:
    """Raise UserError, which names the knob, for values that cannot be combined.

    Args:
      dictionary: the knobs of a family of dictionaries.
      units: the code_size.
      active_entries: the number of active entries.
    """
    if units is None:
        raise UserError("code_size: a dictionary requires the number of its units")
    if dictionary.sparsity_warmup_steps < 0:
        raise UserError(f"sparsity_warmup_steps: must be at least 0, got {dictionary.sparsity_warmup_steps}")
    prefixes, first = dictionary.prefixes, dictionary.first_active_entries
    if prefixes and (list(prefixes) != sorted(set(prefixes)) or prefixes[-1] >= units):
        raise UserError(
            f"prefixes: must be ascending numbers below the code_size, {units}, got {' '.join(map(str, prefixes))}"
        )
    if first is not None and not active_entries <= first <= units:
        raise UserError(
            f"first_active_entries: must be from active_entries, {active_entries}, to the code_size, {units}, "
            f"got {first}"
        )
    if dictionary.unit_norm and dictionary.start_norm != 1:
        raise UserError(f"start_norm: unit_norm keeps norm 1, got {dictionary.start_norm:g}")
