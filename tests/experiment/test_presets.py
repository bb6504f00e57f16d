"""Presets: the nearest one of an experiment, and what the default run reaches."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from PIL import Image

from aejax.experiment.configuration import Experiment, Model, check
from aejax.experiment.presets import DEFAULT, OWN, OWN_IMAGES, PRESETS, default_for, nearest_preset
from aejax.experiment.reconstruction_error import pca_error, squared_errors
from aejax.experiment.run_folder import read_records
from aejax.experiment.trained import open_run


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_its_own_nearest(name):
    assert nearest_preset(PRESETS[name][1]) == (name, {})


def test_a_run_without_a_preset_has_none_where_that_is_nearer():
    own = replace(OWN, model=Model(autoencoder="mine.py"))
    assert nearest_preset(own) == (None, {"autoencoder": "mine.py"})
    other = replace(PRESETS["digits-wae"][1], training=replace(PRESETS["digits-wae"][1].training, seed=7))
    assert nearest_preset(other) == ("digits-wae", {"seed": 7})
    assert nearest_preset(Experiment(data=replace(OWN.data, dataset="mine.npy"), training=OWN.training))[0] is None


@pytest.mark.slow
def test_the_default_run_is_better_than_pca_and_uses_its_code(make_run):
    with jax.numpy_dtype_promotion("standard"):
        folder = make_run(PRESETS[DEFAULT][1])
        run = open_run(folder)
        error, baseline = float(np.mean(squared_errors(run))), pca_error(run)
    assert run.autoencoder.variational is not None
    assert baseline is not None
    assert error < 0.6 * baseline
    final = read_records(folder)[-1]
    assert final["test/code/active_units"] >= final["test/code/units"] - 2


@pytest.mark.parametrize("family", ["undercomplete", "k_sparse"])
def test_a_folder_of_images_has_an_experiment_of_its_own(family, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "0.png")
    assert default_for(str(tmp_path)) is OWN_IMAGES
    of_family = default_for(str(tmp_path), family=family)
    assert (of_family.model.family, of_family.model.network) == (family, "conv")
    check(of_family)
