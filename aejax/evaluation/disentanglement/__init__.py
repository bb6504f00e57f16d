"""Scores of disentanglement: functions of codes (N, K) and the values of known factors (N, F).

All are invariant to the order, sign and scale of units, and units that are constant do nothing. Factors are fixed by
selection among the examples given, so a table of codes is enough; scores that draw at random have a seed.
"""

from aejax.evaluation.disentanglement.beta_vae_score import beta_vae_score as beta_vae_score
from aejax.evaluation.disentanglement.dci import DCI as DCI
from aejax.evaluation.disentanglement.dci import (
    disentanglement_completeness_informativeness as disentanglement_completeness_informativeness,
)
from aejax.evaluation.disentanglement.entrance import dead_share as dead_share
from aejax.evaluation.disentanglement.entrance import is_dead as is_dead
from aejax.evaluation.disentanglement.explicitness import explicitness as explicitness
from aejax.evaluation.disentanglement.factor_vae_score import factor_vae_score as factor_vae_score
from aejax.evaluation.disentanglement.interventional_robustness import (
    interventional_robustness as interventional_robustness,
)
from aejax.evaluation.disentanglement.modularity import modularity as modularity
from aejax.evaluation.disentanglement.mutual_information_gap import mutual_information_gap as mutual_information_gap
from aejax.evaluation.disentanglement.scores import TITLES as TITLES
from aejax.evaluation.disentanglement.scores import disentanglement_scores as disentanglement_scores
from aejax.evaluation.disentanglement.separated_predictability import (
    separated_predictability as separated_predictability,
)
