"""The knobs of the generator of sparse mixtures, and named settings. Imports no JAX."""

import math
from typing import NamedTuple

from aejax.errors import ArgumentError


class Zipf(NamedTuple):
    """Probabilities that fall as a power of the rank: p_r = low + (high - low) (r⁻ᵉ - G⁻ᵉ)/(1 - G⁻ᵉ), r = 1, ..., G."""

    high: float = 0.4  # of the first feature, at most 1
    low: float = 5e-4  # of the last feature
    exponent: float = 0.5


class Geometric(NamedTuple):
    """Probabilities that fall geometrically: p_r ∝ ratioʳ, scaled so that they sum to `active`, each at most 1."""

    ratio: float = 0.99
    active: float = 5.0  # the expected number of active features


class Hierarchy(NamedTuple):
    """Trees of features: a child is active only if its parent is, and children of one parent exclude one another.

    The first `roots` features are the roots, the next roots·branching their children, and so on, level by level; the
    remaining features belong to no tree. Among several children that would be active, one is drawn at random, each with
    the same probability.
    """

    roots: int = 128
    branching: int = 4  # children of every feature above the last level
    depth: int = 3  # levels below the roots
    compensated: bool = True
    """Whether a child fires, given its parent, with the probability q = (p/P)(1 + Σ other siblings' p/P), at most 1,
    where P is the parent's: to first order its rate is then p. Not compensated: q = p."""
    scaled: bool = True  # whether a child's coefficient is multiplied by (its parent's coefficient)/(parent's mean)

    @property
    def features(self) -> int:
        """The number of features in trees."""
        return self.roots * sum(self.branching**level for level in range(self.depth + 1))


class NormalMagnitudes(NamedTuple):
    """Coefficients of active features: max(0, m_r + s_r ε), ε ~ N(0, 1).

    Means m_r fall linearly over the ranks; standard deviations are s_r = |N(spread_mean, spread_deviation²)|, drawn
    once for every feature.
    """

    first_mean: float = 5.0
    last_mean: float = 4.0
    spread_mean: float = 0.5
    spread_deviation: float = 0.5


class UniformMagnitudes(NamedTuple):
    """Coefficients of active features: uniform in [low, high), the same for all features."""

    low: float = 0.0
    high: float = 1.0


class FeatureSetting(NamedTuple):
    """Everything that a generator depends on besides its key.

    An example is x = Σ_r c_r g_r + b, with unit features g_r, sparse coefficients c_r >= 0 and a constant b.
    """

    features: int  # G, in the order of their firing probabilities
    dimensions: int  # D
    probabilities: Zipf | Geometric = Zipf()
    magnitudes: NormalMagnitudes | UniformMagnitudes = NormalMagnitudes()
    hierarchy: Hierarchy | None = None  # None: every feature fires by itself
    correlation_rank: int = 0
    """Rank k of the Gaussian copula: feature r fires where aᵣ·z + √(1 - ‖aᵣ‖²) ε > Φ⁻¹(1 - p_r), with z ~ N(0, I_k)
    shared by all features; 0: none. The latent correlation of features r and s is aᵣ·aₛ."""
    correlation_scale: float = 0.1  # standard deviation of the entries of aᵣ; all are scaled down if a norm exceeds 1
    orthogonal_steps: int = 100  # steps of Adam that bring the features nearer to orthogonality; 0: random directions
    orthogonal_learning_rate: float = 3e-4
    bias_norm: float = 0.0  # ‖b‖, in a random direction


SETTINGS: dict[str, FeatureSetting] = {
    "small": FeatureSetting(
        512, 256, Geometric(), UniformMagnitudes(), correlation_rank=25, orthogonal_steps=0
    ),  # as in Cunningham et al. (2023), with a copula of low rank
    "synth_sae_bench_2k": FeatureSetting(
        2048, 192, Zipf(), NormalMagnitudes(), Hierarchy(roots=16), correlation_rank=25, bias_norm=0.5
    ),  # an eighth of the following one, in a quarter of its dimensions
    "synth_sae_bench_16k": FeatureSetting(
        16_384, 768, Zipf(), NormalMagnitudes(), Hierarchy(), correlation_rank=25, bias_norm=0.5
    ),  # Chanin and Garriga-Alonso (2026)
}


def check_setting(setting: FeatureSetting) -> None:
    """Raises ArgumentError for a knob that is out of range, and for trees with more features than there are.

    >>> check_setting(SETTINGS["small"]._replace(features=0))
    Traceback (most recent call last):
    ...
    aejax.errors.ArgumentError: features: expected at least 1, got 0
    """
    probabilities, magnitudes, trees = setting.probabilities, setting.magnitudes, setting.hierarchy
    counts = {"features": (setting.features, 1), "dimensions": (setting.dimensions, 1)}
    counts |= {"correlation_rank": (setting.correlation_rank, 0), "orthogonal_steps": (setting.orthogonal_steps, 0)}
    if trees is not None:
        counts |= {"roots": (trees.roots, 1), "branching": (trees.branching, 1), "depth": (trees.depth, 0)}
    for name, (count, least) in counts.items():
        if count < least:
            raise ArgumentError(name, f"expected at least {least}, got {count}")
    for name in ("correlation_scale", "orthogonal_learning_rate", "bias_norm"):
        value = getattr(setting, name)
        if not 0 <= value < math.inf:
            raise ArgumentError(name, f"expected at least 0 and finite, got {value}")
    if isinstance(probabilities, Zipf) and not 0 <= probabilities.low <= probabilities.high <= 1:
        raise ArgumentError("probabilities", f"expected 0 <= low <= high <= 1, got {probabilities}")
    if isinstance(probabilities, Zipf) and not probabilities.exponent > 0:
        raise ArgumentError("probabilities", f"expected an exponent above 0, got {probabilities.exponent}")
    if isinstance(probabilities, Geometric) and not (
        0 < probabilities.ratio <= 1 and 0 <= probabilities.active <= setting.features
    ):
        raise ArgumentError(
            "probabilities", f"expected a ratio in (0, 1] and at most {setting.features} active, got {probabilities}"
        )
    if isinstance(magnitudes, UniformMagnitudes) and not 0 <= magnitudes.low <= magnitudes.high < math.inf:
        raise ArgumentError("magnitudes", f"expected 0 <= low <= high, got {magnitudes}")
    if isinstance(magnitudes, NormalMagnitudes) and min(magnitudes) < 0:
        raise ArgumentError("magnitudes", f"expected means and deviations of at least 0, got {magnitudes}")
    if trees is not None and trees.features > setting.features:
        raise ArgumentError(
            "hierarchy",
            f"{trees.roots} roots with {trees.branching} children each, {trees.depth} levels deep, have "
            f"{trees.features:,} features, but there are only {setting.features:,}",
        )
