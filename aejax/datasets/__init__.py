"""Sources of data, one module each: embedded digits, the user's arrays, prepared TFDS image sets and others."""

from aejax.datasets.arrays import load_arrays as load_arrays
from aejax.datasets.dataset import Dataset as Dataset
from aejax.datasets.dataset import Splits as Splits
from aejax.datasets.dataset import split as split
from aejax.datasets.digits import load_digits as load_digits
from aejax.datasets.tables.source import load_table_rows as load_table_rows
from aejax.datasets.tables.source import split_table as split_table
from aejax.datasets.tables.source import table_dataset as table_dataset
from aejax.datasets.tfds import load_tfds as load_tfds

__all__ = [
    "Dataset",
    "Splits",
    "load_arrays",
    "load_digits",
    "load_table_rows",
    "load_tfds",
    "split",
    "split_table",
    "table_dataset",
]
