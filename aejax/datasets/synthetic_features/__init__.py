"""Sparse mixtures of known features: a generator of examples for which the true dictionary is known."""

from aejax.datasets.synthetic_features.generator import Example as Example
from aejax.datasets.synthetic_features.generator import FeatureModel as FeatureModel
from aejax.datasets.synthetic_features.generator import make_feature_model as make_feature_model
from aejax.datasets.synthetic_features.generator import sample as sample
from aejax.datasets.synthetic_features.generator import sample_x as sample_x
from aejax.datasets.synthetic_features.orthogonal import orthogonalized as orthogonalized
from aejax.datasets.synthetic_features.rates import expected_rates as expected_rates
from aejax.datasets.synthetic_features.setting import SETTINGS as SETTINGS
from aejax.datasets.synthetic_features.setting import FeatureSetting as FeatureSetting
from aejax.datasets.synthetic_features.setting import Geometric as Geometric
from aejax.datasets.synthetic_features.setting import Hierarchy as Hierarchy
from aejax.datasets.synthetic_features.setting import NormalMagnitudes as NormalMagnitudes
from aejax.datasets.synthetic_features.setting import UniformMagnitudes as UniformMagnitudes
from aejax.datasets.synthetic_features.setting import Zipf as Zipf
