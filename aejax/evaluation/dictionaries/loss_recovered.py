"""What a language model loses when its activations are replaced by a dictionary's reconstructions."""

import math


def loss_recovered(replaced: float, *, clean: float, ablated: float) -> float:
    """Returns (L_ablated - L_replaced) / (L_ablated - L_clean): 1 for perfect reconstructions, 0 for the ablation.

    It is negative where reconstructions are worse than the ablation, and NaN where the ablation changes nothing.

    Args:
      replaced: the model's loss with reconstructions in place of its activations, such as the mean cross-entropy of the
        next token, in nats.
      clean: its loss with its own activations.
      ablated: its loss with zeros, or with the activations' mean, at the same positions. With zeros the measure is
        larger; a number means little without the name of its ablation.

    Source: T. Bricken et al. (2023), Towards Monosemanticity; L. Gao et al. (2024), Scaling and Evaluating Sparse
    Autoencoders, section 4.1, on why the loss itself says more.

    >>> loss_recovered(4.5, clean=4.0, ablated=9.0)
    0.9
    """
    return (ablated - replaced) / (ablated - clean) if ablated != clean else math.nan
