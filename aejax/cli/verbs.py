"""The verbs of the console program: each one a module, imported when it is named."""

from typing import NamedTuple


class Verb(NamedTuple):
    """A command: the module that holds its DESCRIPTION, its Options and its `main(arguments)`, and what it does."""

    module: str
    summary: str


VERBS = {
    "train": Verb("aejax.cli.train", "train an autoencoder into a run folder, or continue a run"),
    "report": Verb("aejax.cli.report", "write a page about a run: numbers, curves, reconstructions, codes, samples"),
    "encode": Verb("aejax.cli.encode", "encode examples, decode codes, or compare a run's codes with PCA"),
    "detect": Verb("aejax.cli.detect", "score examples, and detect anomalies among them"),
    "denoise": Verb("aejax.cli.denoise", "denoise images and examples, or compare a run with filters"),
    "generate": Verb("aejax.cli.generate", "draw samples, neighborhoods, interpolations, traversals, the code plane"),
    "compress": Verb("aejax.cli.compress", "measure the rate and the error of quantized codes, PCA and image files"),
    "compose": Verb("aejax.cli.compose", "compose with a run on chorales: MIDI files and piano rolls"),
    "export": Verb("aejax.cli.export", "write a run's functions as StableHLO, for programs without aejax"),
    "prepare": Verb("aejax.cli.prepare", "download a data set of TensorFlow Datasets, once"),
}
STUDIES = {
    "jacobian": Verb("aejax.cli.study_jacobian", "compare regularizers of the Jacobian over strengths and seeds"),
    "one-class": Verb("aejax.cli.study_one_class", "detect anomalies after training on one class; baselines"),
}
