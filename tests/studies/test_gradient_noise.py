"""The noise of gradients in a Gaussian model: against closed forms, and the verb as a user runs it."""

import json
import math
from pathlib import Path

import jax
import numpy as np
import pytest

from aejax import plots
from aejax.cli.study_gradient_noise import main
from aejax.errors import UserError
from aejax.studies.gradient_noise.figure import panels_of
from aejax.studies.gradient_noise.measure import Point, Setting, exponents, left_out, measure, planned
from aejax.studies.gradient_noise.model import near_optimum

SETTING = Setting(3, 0.3, (1, 4, 16), (1, 2), 4, ("plain", "dreg"), 4000, 0)


def test_one_sample_has_the_ratio_of_its_closed_form():
    """With K = 1 the gradient of μ is z - μ, z ~ N(A x + b, 2/3 I); of M groups it is the mean over M of them."""
    params, x = near_optimum(3, offset=0.3, seed=0)
    params = jax.tree.map(np.float64, params)
    distance = params["encoder"]["kernel"] @ x[0] + params["encoder"]["bias"] - params["prior"]["mean"]
    of_prior = {groups: measure(SETTING, "plain", groups, 1)[1] for groups in (1, 4)}
    for groups, point in of_prior.items():
        expected = math.sqrt(groups * np.sum(distance**2) / (3 * 2 / 3))
        assert point.network == "prior"
        assert abs(point.ratio - expected) < 4 * point.error
        assert point.error < 0.05 * expected


def test_every_setting_is_measured_once():
    pairs = [(1, 1), (1, 4), (1, 16), (2, 4)]
    assert planned(SETTING) == [(gradient, *pair) for gradient in ("plain", "dreg") for pair in pairs]


def test_exponents_are_those_of_the_points():
    slopes = {("plain", "encoder"): -0.5, ("plain", "prior"): 0.5, ("dreg", "encoder"): 0.4, ("dreg", "prior"): 0.5}
    points = [
        Point(gradient, network, groups, samples, 0.3 * groups**0.5 * samples**slope, 0.01)
        for gradient, groups, samples in planned(SETTING)
        for (of, network), slope in slopes.items()
        if of == gradient
    ]
    found = {(each.gradient, each.network, each.of): each for each in exponents(points, SETTING, fit_from=4)}
    assert len(found) == 8
    for (gradient, network), slope in slopes.items():
        assert found[gradient, network, "samples"].slope == pytest.approx(slope, abs=1e-9)
        assert found[gradient, network, "groups"].slope == pytest.approx(0.5, abs=1e-9)
    assert found["plain", "encoder", "samples"].expected == -0.5
    assert {each.expected for key, each in found.items() if key != ("plain", "encoder", "samples")} == {0.5}
    figure = plots.power_laws(panels_of(points, SETTING), y_label="signal-to-noise ratio")
    first, second = figure.axes
    assert first.get_xlabel() == "samples K"
    assert second.get_xlabel() == "groups M"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "encoder, plain",
        "encoder, dreg",
        "prior's mean",
        "expected exponent",
    ]


def test_ratios_below_two_errors_are_named_and_not_fitted():
    of_encoder = [Point("plain", "encoder", 1, samples, samples**-0.5, 0.01) for samples in (1, 4)]
    small, outside = Point("plain", "encoder", 1, 16, 0.9, 0.5), Point("plain", "prior", 1, 1, 0.0, 0.0)
    points, fit_from = [*of_encoder, small, outside], 1
    [found] = [each for each in exponents(points, SETTING, fit_from=fit_from) if each.network == "encoder"]
    assert found.slope == pytest.approx(-0.5, abs=1e-9)
    assert left_out(points, SETTING, fit_from=fit_from) == [small, outside]
    assert left_out(points, SETTING, fit_from=4) == [small]  # what is not fitted anyway is not left out


@pytest.mark.slow
def test_the_verb_names_what_it_leaves_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At the optimum the prior's gradient has no signal, and nothing of it is fitted."""
    options = ["--samples", "2", "4", "--fit-from", "2", "--groups", "1", "--repetitions", "40", "--dimensions", "1"]
    main([*options, "--samples-of-groups", "2", "--offset", "0", "--run-dir", str(tmp_path / "study")])
    content = json.loads((tmp_path / "study" / "ratios.json").read_text())
    named = [each for each in content["left_out"] if each["network"] == "prior"]
    assert named
    lines = [f"  {each['gradient']}, prior's mean, M 1, K {each['samples']}: " for each in named]
    files = [(tmp_path / "study" / name).read_text() for name in ("exponents.md", "report.txt")]
    for text in (*files, capsys.readouterr().out):
        assert "below 2 standard errors" in text
        assert all(line in text for line in lines)


@pytest.mark.slow
def test_the_verb_finds_the_published_exponents(tmp_path: Path) -> None:
    """The encoder's plain gradient becomes noisier with K, the doubly reparameterized one less noisy."""
    options = ["--samples", "32", "128", "--fit-from", "32", "--groups", "1", "4", "--repetitions", "4000"]
    main([*options, "--run-dir", str(tmp_path / "study")])
    content = json.loads((tmp_path / "study" / "ratios.json").read_text())
    for exponent in content["exponents"]:
        assert abs(exponent["slope"] - exponent["expected"]) < max(4 * exponent["error"], 0.06)
    assert (tmp_path / "study" / "ratios.png").exists()
    lines = (tmp_path / "study" / "exponents.md").read_text().splitlines()
    assert lines[2] == "| gradient | of | exponent of | measured | expected |"
    assert len(lines) == 4 + 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--samples", "0"], "--samples: must be at least 1, got 0"),
        (["--repetitions", "39"], "--repetitions: must be at least 40, got 39"),
        (["--offset", "-1"], "--offset: must be at least 0 and finite, got -1"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        main(options)
