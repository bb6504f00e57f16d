"""Activations of a network, stored as shards: files of rows that together are one data set."""

from aejax.datasets.activations.source import load_activations as load_activations
