"""L0, firing rates, dead units, detections and top examples against loops over examples."""

import numpy as np
import pytest

from aejax.evaluation.dictionaries import (
    add_detections,
    add_firing,
    add_top_examples,
    dead_share,
    detection_measures,
    firing_histogram,
    firing_rates,
    mean_l0,
)

RNG = np.random.default_rng(0)
RATES = np.array([1.0, 0.5, 0.1, 0.01, 0.0])
CODES = RNG.uniform(0.5, 2, (1000, 5)) * (RNG.uniform(size=(1000, 5)) < RATES)


def streamed(add, size, *arrays, **knobs):
    """The result of `add` after batches of `size` examples."""
    result = None
    for start in range(0, len(arrays[0]), size):
        result = add(result, *(array[start : start + size] for array in arrays), **knobs)
    return result


@pytest.mark.parametrize("size", [1, 300, 1000])
def test_counts_are_those_of_all_examples(size) -> None:
    counts = streamed(add_firing, size, CODES)
    assert mean_l0(counts) == (CODES != 0).sum() / 1000
    np.testing.assert_array_equal(firing_rates(counts), (CODES != 0).mean(axis=0))
    assert dead_share(counts) == 0.2


def test_negative_codes_fire_too() -> None:
    assert mean_l0(add_firing(None, np.array([[-1.0, 0.0, 1.0]]))) == 2


def test_every_unit_is_in_the_histogram_once() -> None:
    counts = streamed(add_firing, 300, CODES)
    histogram = firing_histogram(counts)
    assert histogram.units.sum() + histogram.below + histogram.dead == 5
    assert histogram.dead == 1
    assert histogram.units[-1] == 1  # the unit that always fires
    rate = firing_rates(counts)[2]
    place = np.searchsorted(histogram.edges, np.log10(rate)) - 1
    assert histogram.units[place] >= 1
    rare = firing_histogram(counts._replace(examples=10**12, fired=np.array([10])))
    assert (rare.below, rare.dead, rare.units.sum()) == (1, 0, 0)


@pytest.mark.parametrize("exponent", range(1, 7))
def test_powers_of_ten_are_in_the_bin_above_them(exponent) -> None:
    histogram = firing_histogram(add_firing(None, np.ones((1, 1)))._replace(examples=10**exponent), bins_per_decade=3)
    assert np.flatnonzero(histogram.units).tolist() == [3 * (7 - exponent)]


def test_detections_are_those_of_a_loop() -> None:
    truth = RNG.normal(size=(1000, 4)) * (RNG.uniform(size=(1000, 4)) < 0.3)
    truth[:, 3] = 0
    best = np.array([2, 0, 0, 1, 3])
    found = detection_measures(streamed(add_detections, 300, CODES, truth, best_feature=best))
    for unit, feature in enumerate(best):
        fires, active = CODES[:, unit] != 0, truth[:, feature] != 0
        right = int((fires & active).sum())
        precision = right / fires.sum() if fires.any() else 0
        recall = right / active.sum() if active.any() else 0
        f1 = 2 * precision * recall / (precision + recall) if right else 0
        got = (found.precision[unit], found.recall[unit], found.f1[unit])
        np.testing.assert_allclose(got, (precision, recall, f1), rtol=1e-14)
    assert found.f1[4] == 0
    assert found.means[2] == pytest.approx(found.f1.sum() / 5)  # dead units count


def test_a_perfect_detector_has_f1_of_one() -> None:
    counts = add_detections(None, CODES, CODES[:, ::-1], np.arange(5)[::-1])
    assert detection_measures(counts).f1.tolist() == [1, 1, 1, 1, 0]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_top_examples_are_those_of_a_sort_of_all(size) -> None:
    codes = np.round(CODES, 1).astype(np.float32)  # with many equal codes
    top = streamed(add_top_examples, size, codes, count=20)
    for unit in range(5):
        order = np.argsort(-codes[:, unit], kind="stable")[:20]
        values = codes[order, unit]
        np.testing.assert_array_equal(top.values[unit], values)
        np.testing.assert_array_equal(top.examples[unit], np.where(values > 0, order, -1))
    assert top.seen == 1000


def test_earlier_results_are_not_changed() -> None:
    first = add_top_examples(None, np.ones((1, 2)), count=1)
    add_top_examples(first, np.full((1, 2), 2.0))
    assert first.values.tolist() == [[1], [1]]


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match=r"\(examples, units\), got \(3,\)"):
        add_firing(None, np.ones(3))
    with pytest.raises(ValueError, match="must have 3 units as in earlier batches, got 2"):
        add_firing(add_firing(None, np.ones((1, 3))), np.ones((1, 2)))
    with pytest.raises(ValueError, match="must have 3 units as in earlier batches, got 2"):
        add_top_examples(add_top_examples(None, np.ones((1, 3))), np.ones((1, 2)))
    with pytest.raises(ValueError, match=r"got \(1, 3\), \(2, 2\) and \(3,\)"):
        add_detections(None, np.ones((1, 3)), np.ones((2, 2)), np.zeros(3, int))
