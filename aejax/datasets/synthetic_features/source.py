"""Sparse mixtures of known features as a data set: `--dataset synthetic_features`."""

from aejax.datasets.dataset import AsStored, Dataset, Splits, split
from aejax.datasets.source import Request, Source
from aejax.datasets.synthetic_features.setting import SETTINGS


def _load_splits(request: Request, *, features: str, examples: int, feature_seed: int) -> Splits:
    # these import JAX, which --help and the reading of other data do without
    from aejax.datasets.synthetic_features.drawn import draw_examples, known_features
    from aejax.datasets.synthetic_features.rates import expected_rates

    setting = SETTINGS[features]
    x = draw_examples(known_features(features, feature_seed), setting, examples, seed=feature_seed)
    note = (
        f"synthetic_features: {examples:,} mixtures of {setting.features:,} known features in {setting.dimensions} "
        f"dimensions, of which {expected_rates(setting).sum():.3g} are active on average"
    )
    dataset = Dataset(x, stored=AsStored("float32"), notes=(note,))
    return Splits(*split(dataset, fractions=request.fractions, seed=request.seed))


SOURCE = Source(
    _load_splits,
    layout="vector",
    name="synthetic_features",
    is_embedded=True,
    knobs=("features", "examples", "feature_seed"),
)
