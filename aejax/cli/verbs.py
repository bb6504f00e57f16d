"""The verbs of the console program; a verb's module is imported only when the verb is used."""

from typing import NamedTuple


class Verb(NamedTuple):
    """A command: its module, with DESCRIPTION, Options and `main(arguments)`, and its line in the help."""

    module: str
    summary: str


VERBS = {
    "train": Verb("aejax.cli.train", "train an autoencoder into a run folder, or continue a run"),
    "sweep": Verb("aejax.cli.sweep", "train many values of knobs and several seeds at once; the best by validation"),
    "reproduce": Verb("aejax.cli.reproduce", "reproduce a table of a paper, beside the published numbers"),
    "report": Verb("aejax.cli.report", "write a page about a run: metrics, curves, reconstructions, codes, samples"),
    "compare": Verb("aejax.cli.compare", "write a page with runs side by side: settings that differ, losses, curves"),
    "explore": Verb("aejax.cli.explore", "write a page that decodes the code at the pointer, in a browser"),
    "likelihood": Verb("aejax.cli.likelihood", "estimate log p(x) of test examples, with errors: bounds, annealing"),
    "encode": Verb("aejax.cli.encode", "encode examples, decode codes, or compare a run's codes with PCA"),
    "detect": Verb("aejax.cli.detect", "score examples, and detect anomalies"),
    "denoise": Verb("aejax.cli.denoise", "denoise images or arrays, or compare a run with filters"),
    "impute": Verb("aejax.cli.impute", "fill the missing cells of a table"),
    "generate": Verb("aejax.cli.generate", "draw samples, neighborhoods, interpolations, traversals, the code plane"),
    "compress": Verb("aejax.cli.compress", "measure rate and error of quantized codes; baselines: PCA, JPEG, WebP"),
    "compose": Verb("aejax.cli.compose", "compose with a run on chorales: MIDI files and piano rolls"),
    "export": Verb("aejax.cli.export", "export a run's functions as StableHLO, for programs without aejax"),
    "prepare": Verb("aejax.cli.prepare", "download a data set of TensorFlow Datasets, once"),
}
STUDIES = {
    "jacobian": Verb("aejax.cli.study_jacobian", "compare regularizers of the Jacobian over strengths and seeds"),
    "tables": Verb("aejax.cli.study_tables", "compare the codes of a table's rows with PCA and FAMD, over seeds"),
    "one-class": Verb("aejax.cli.study_one_class", "detect anomalies after training on one class; baselines"),
    "dictionary-synthetic": Verb(
        "aejax.cli.study_dictionary_synthetic", "train dictionaries on mixtures of known features; which they find"
    ),
    "dictionary-activations": Verb(
        "aejax.cli.study_dictionary_activations", "compare what dictionaries explain of activations, by active units"
    ),
    "dictionary-patches": Verb(
        "aejax.cli.study_dictionary_patches", "draw what a dictionary learns on patches of whitened photographs"
    ),
    "gradient-noise": Verb(
        "aejax.cli.study_gradient_noise", "measure the noise of gradients of importance weighted bounds, by samples"
    ),
    "adbench": Verb("aejax.cli.study_adbench", "detect anomalous rows of tables, with and without labels; baselines"),
}
