"""Measures of sparse dictionaries: reconstruction, firing, recovery of known features, top activating examples.

Every measure is streamed: `sums = add_...(sums, batch)` for each batch, starting from None, and one function that turns
the sums into numbers. Sums are kept in float64 or as integers, so the result does not depend on the batches.
"""

from aejax.evaluation.dictionaries.detection import DetectionCounts as DetectionCounts
from aejax.evaluation.dictionaries.detection import Detections as Detections
from aejax.evaluation.dictionaries.detection import add_detections as add_detections
from aejax.evaluation.dictionaries.detection import detection_measures as detection_measures
from aejax.evaluation.dictionaries.firing import FiringCounts as FiringCounts
from aejax.evaluation.dictionaries.firing import FiringHistogram as FiringHistogram
from aejax.evaluation.dictionaries.firing import add_firing as add_firing
from aejax.evaluation.dictionaries.firing import dead_share as dead_share
from aejax.evaluation.dictionaries.firing import firing_histogram as firing_histogram
from aejax.evaluation.dictionaries.firing import firing_rates as firing_rates
from aejax.evaluation.dictionaries.firing import mean_l0 as mean_l0
from aejax.evaluation.dictionaries.loss_recovered import loss_recovered as loss_recovered
from aejax.evaluation.dictionaries.matching import FeatureMatch as FeatureMatch
from aejax.evaluation.dictionaries.matching import cosine_similarities as cosine_similarities
from aejax.evaluation.dictionaries.matching import match_features as match_features
from aejax.evaluation.dictionaries.matching import mean_matched_cosine as mean_matched_cosine
from aejax.evaluation.dictionaries.matching import mean_max_cosine_similarity as mean_max_cosine_similarity
from aejax.evaluation.dictionaries.matching import uniqueness as uniqueness
from aejax.evaluation.dictionaries.neighbors import Neighbors as Neighbors
from aejax.evaluation.dictionaries.neighbors import nearest_units as nearest_units
from aejax.evaluation.dictionaries.reconstruction import ReconstructionMeasures as ReconstructionMeasures
from aejax.evaluation.dictionaries.reconstruction import ReconstructionSums as ReconstructionSums
from aejax.evaluation.dictionaries.reconstruction import add_reconstructions as add_reconstructions
from aejax.evaluation.dictionaries.reconstruction import reconstruction_measures as reconstruction_measures
from aejax.evaluation.dictionaries.top_examples import TopExamples as TopExamples
from aejax.evaluation.dictionaries.top_examples import add_top_examples as add_top_examples
