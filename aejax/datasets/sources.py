"""The sources of data, one row each. A source's module is imported at its first use."""

import functools
import importlib

from aejax.datasets.source import Source

# modules of this package with a SOURCE; the first one that matches a data set reads it
_MODULES = (
    *("digits", "ecg5000", "jsb_chorales", "documents", "bsd68", "natural_patches"),
    *("frey_faces", "olivetti_faces", "cifar10_first4000"),
    *("synthetic_features.source", "sprites.source"),
    *("image_folder", "activations.source", "sequence_folder", "arrays", "tables.source", "tfds"),
)


@functools.cache
def sources() -> tuple[Source, ...]:
    """Returns all sources, in the order in which they are matched with a data set."""
    return tuple(importlib.import_module(f"aejax.datasets.{module}").SOURCE for module in _MODULES)


def source_of(dataset: str) -> Source:
    """Returns the source that reads a data set.

    Args:
      dataset: a name or a path.

    >>> source_of("digits").layout, source_of("mine.npy").knobs[:2], source_of("mnist") is sources()[-1]
    ('image', ('labels', 'byte_values'), True)
    """
    for source in sources():
        if source.name == dataset:
            return source
    return next(source for source in sources() if source.matches is not None and source.matches(dataset))


def names() -> tuple[str, ...]:
    """Returns the names of data sets that are read without TensorFlow Datasets.

    >>> names()[:4]
    ('digits', 'ecg5000', 'jsb_chorales', 'documents')
    """
    return tuple(source.name for source in sources() if source.name is not None)
