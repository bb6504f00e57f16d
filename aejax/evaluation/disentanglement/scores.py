"""All scores of disentanglement of codes at once, by name, with their titles."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Shaped

from aejax.evaluation.disentanglement.beta_vae_score import beta_vae_score
from aejax.evaluation.disentanglement.dci import disentanglement_completeness_informativeness
from aejax.evaluation.disentanglement.entrance import dead_share
from aejax.evaluation.disentanglement.explicitness import explicitness
from aejax.evaluation.disentanglement.factor_vae_score import factor_vae_score
from aejax.evaluation.disentanglement.interventional_robustness import interventional_robustness
from aejax.evaluation.disentanglement.modularity import modularity
from aejax.evaluation.disentanglement.mutual_information_gap import mutual_information_gap
from aejax.evaluation.disentanglement.separated_predictability import separated_predictability

TITLES = {  # score -> its title; 1 at best, of the last two 0
    "mig": "MIG",
    "sap": "SAP",
    "dci_disentanglement": "DCI disentanglement",
    "dci_completeness": "DCI completeness",
    "factor_vae_score": "FactorVAE score",
    "beta_vae_score": "beta-VAE score",
    "modularity": "modularity",
    "explicitness": "explicitness",
    "irs": "IRS",
    "dci_error": "DCI error",
    "dead_share": "fraction of constant units",
}


def disentanglement_scores(
    codes: Shaped[np.ndarray, "N K"],
    factors: Shaped[np.ndarray, "N F"],
    *,
    categorical: Iterable[int] = (),
    seed: int = 0,
) -> dict[str, float]:
    """Returns every score of `TITLES` by name; all are 1 at best but `dci_error` and `dead_share`, which are 0.

    Args:
      codes: codes of N examples, such as posterior means.
      factors: the values of F >= 2 factors of the same examples.
      categorical: positions of the factors whose values have no order, from 0.
      seed: of random groups, halves and trees.

    Raises:
      TypeError: arrays are not numbers.
      ValueError: fewer than 2 factors, a constant one, only dead units, or too few examples.

    >>> binary = np.stack(np.meshgrid(range(2), range(2)), -1).reshape(-1, 2).repeat(20, axis=0)
    >>> {name: round(value, 4) for name, value in disentanglement_scores(binary, binary).items() if value < 0.9}
    {'dci_error': 0.0, 'dead_share': 0.0}
    """
    positions = tuple(categorical)
    dci = disentanglement_completeness_informativeness(codes, factors, categorical=positions, seed=seed)
    return {
        "mig": float(mutual_information_gap(codes, factors).mean()),
        "sap": float(separated_predictability(codes, factors, categorical=positions, seed=seed).mean()),
        "dci_disentanglement": dci.disentanglement,
        "dci_completeness": dci.completeness,
        "factor_vae_score": factor_vae_score(codes, factors, seed=seed),
        "beta_vae_score": beta_vae_score(codes, factors, seed=seed),
        "modularity": float(modularity(codes, factors).mean()),
        "explicitness": float(explicitness(codes, factors, seed=seed).mean()),
        "irs": float(interventional_robustness(codes, factors).mean()),
        "dci_error": dci.informativeness_error,
        "dead_share": dead_share(codes),
    }
