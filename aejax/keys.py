"""Random keys by name: one stream for each use of a key, distinct from all others and from the keys of `split`."""

import zlib

import jax
import numpy as np
from jaxtyping import Array, Key


def named_key(key: Key[Array, ""], name: str) -> Key[Array, ""]:
    """Returns the key of the stream called `name`; the same key and name always give the same stream.

    In JAX `split(key, n)[i]` equals `fold_in(key, i)`, so a key that is both split and folded with a counter gives two
    streams the same noise. This function folds in a checksum of the name that is at least 2³¹, which no counter
    reaches. A stream does not depend on which other streams exist.

    Args:
      key: a PRNG key that is used for named streams only.
      name: the name of the stream, such as `order` or `noise`.

    Returns:
      A PRNG key, to be split or folded freely.

    >>> key = jax.random.key(0)
    >>> bool(named_key(key, "order") == named_key(key, "noise"))
    False
    """
    return jax.random.fold_in(key, np.uint32(zlib.crc32(name.encode()) | 2**31))
