import numpy as np

from aejax.evaluation.disentanglement import TITLES, disentanglement_scores


def test_all_scores_are_computed_and_have_a_title(grid: np.ndarray, independent: np.ndarray) -> None:
    best, chance = (disentanglement_scores(codes, grid, categorical=[2]) for codes in (grid, independent))
    assert list(best) == list(chance) == list(TITLES)
    assert all(type(value) is float for value in best.values())
    for name in ("mig", "dci_disentanglement", "factor_vae_score", "beta_vae_score", "irs"):
        assert best[name] > 0.99, name
        assert chance[name] < 0.5, name
    assert best["modularity"] > 0.99
