"""Rows of sources: one reads each name, and a knob belongs to those that name it."""

import dataclasses
from dataclasses import replace

import pytest

from aejax.datasets.sources import names, source_of, sources
from aejax.errors import UserError
from aejax.experiment.configuration import Data
from aejax.experiment.loading import load_splits

OF_SOURCES = {
    **{"labels": "labels.npy", "byte_values": "scaled", "channels": "first"},
    **{"window": 3, "crop": 3, "crops_per_page": 3},
    **{"columns": ("a=count",), "missing_values": ("-",), "unknown_categories": "missing"},
    **{"split_by": "groups.npy", "split_order": "ascending", "validation_data": "v.npy", "test_data": "t.npy"},
    **{"image_size": (3,), "resize": "pad", "background": "white", "color": "gray"},
    **{"shards": "a*", "skip_positions": 1, "max_norm": 9.0},
    **{"features": "synth_sae_bench_16k", "examples": 3, "feature_seed": 1},
    **{"factor_values": ("scale=3",)},
}


def test_every_name_is_read_by_its_own_source(tmp_path):
    (tmp_path / "noisy").mkdir()
    for name in names():
        assert source_of(name).name == name
    assert source_of(str(tmp_path)).name == "documents"
    assert source_of("x.NPZ").title == "a file of your own"
    assert source_of("emnist/letters").matches is not None


def test_knobs_of_sources_are_knobs_of_the_configuration():
    fields = {field.name for field in dataclasses.fields(Data)}
    used = {knob for source in sources() for knob in source.knobs}
    assert used == set(OF_SOURCES)
    assert used | {knob for source in sources() for knob in source.fixed} <= fields


@pytest.mark.parametrize("dataset", [*names(), "mine.npy", "mine.csv", "mnist"])
@pytest.mark.parametrize("knob", OF_SOURCES)
def test_a_knob_of_another_source_is_refused(dataset, knob):
    data = replace(Data(dataset=dataset), **{knob: OF_SOURCES[knob]})
    if knob not in source_of(dataset).knobs:
        with pytest.raises(UserError, match=f"^{knob}: requires .*, but the dataset is {dataset}"):
            load_splits(data)


@pytest.mark.parametrize("dataset", names())
def test_a_knob_of_the_division_of_data_that_come_divided_is_refused(dataset):
    others = {"validation_fraction": 0.3, "test_fraction": 0.3, "split_seed": 3}
    for knob in source_of(dataset).fixed:
        with pytest.raises(UserError, match=f"^{knob}: has no effect on {dataset}"):
            load_splits(replace(Data(dataset=dataset), **{knob: others[knob]}))
