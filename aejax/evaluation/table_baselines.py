"""Linear codes of a table's rows, to compare an autoencoder with: PCA of its inputs, and FAMD, which scales them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from aejax.evaluation.principal import fit_pca
from aejax.likelihoods.columns import Categorical, Column, Ordinal, places_of
from aejax.likelihoods.table_inputs import decode_inputs, encode_inputs


class LinearCode(NamedTuple):
    """A linear code of rows, fitted to training rows."""

    encode: Callable[[np.ndarray], np.ndarray]  # (N, D) rows -> (N, K) codes
    decode: Callable[[np.ndarray], np.ndarray]  # (N, K) codes -> (N, D) rows

    def reconstruct(self, x: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N D"]:
        """Returns the reconstructed rows."""
        return self.decode(self.encode(x))


def fit_linear_code(
    columns: Sequence[Column], train_x: Float[np.ndarray, "N D"], components: int, *, method: Literal["PCA", "FAMD"]
) -> LinearCode:
    """Returns principal components of the rows' inputs, the columns as `encode_inputs` expands them.

    PCA uses standardized numbers, one-hot classes and the bits of ordinal classes as they are. FAMD treats ordinal
    classes as categorical, standardizes every number, and divides each class's 0 or 1 by the root of its frequency, so
    that rare classes count as much as frequent ones. Missing values are at the mean, or no class. The inputs that say
    what is missing are left out, as an autoencoder does not reconstruct them either.

    Args:
      columns: the declarations of the table's columns, with statistics of the training rows.
      train_x: the training rows.
      components: K, the number of components.
      method: PCA or FAMD.

    Source: J. Pagès (2014), Multiple Factor Analysis by Example Using R, chapter 3.
    """
    if method == "FAMD":
        columns = [Categorical(c.name, c.classes, c.may_be_missing) if isinstance(c, Ordinal) else c for c in columns]
    places, kept = places_of(columns), _not_indicators(columns)
    contract = jax.jit(jax.vmap(partial(decode_inputs, columns)))
    features = features_of_rows(columns)
    training = features(train_x)
    scale = np.ones(len(kept))
    if method == "FAMD":
        deviations = training.std(axis=0)
        is_class = np.isin(kept, places.class_inputs)
        scale = np.where(is_class, np.sqrt(np.abs(training.mean(axis=0))), deviations)
        scale = np.where(scale > 0, scale, 1.0)
    pca = fit_pca(training / scale, components, random_state=0)

    def decode(codes: np.ndarray) -> np.ndarray:
        inputs = np.zeros((len(codes), places.input_size), np.float32)
        inputs[:, kept] = pca.inverse_transform(codes) * scale
        return np.asarray(contract(inputs))

    return LinearCode(lambda x: pca.transform(features(x) / scale), decode)


def features_of_rows(columns: Sequence[Column]) -> Callable[[np.ndarray], np.ndarray]:
    """Returns the function of rows (N, D) that makes their inputs, without those that say what is missing, in float64.

    Args:
      columns: the declarations of the table's columns, with statistics of the training rows.

    >>> from aejax.likelihoods.columns import Continuous
    >>> columns = [Continuous("area", mean=80.0, standard_deviation=20.0, may_be_missing=True)]
    >>> features_of_rows(columns)(np.array([[90.0], [np.nan]])).tolist()
    [[0.5], [0.0]]
    """
    kept = _not_indicators(columns)
    expand = jax.jit(jax.vmap(partial(encode_inputs, columns)))
    return lambda x: np.asarray(expand(np.asarray(x, np.float32)), np.float64)[:, kept]


def _not_indicators(columns: Sequence[Column]) -> np.ndarray:
    places = places_of(columns)
    return np.setdiff1d(np.arange(places.input_size), places.indicator_inputs)
