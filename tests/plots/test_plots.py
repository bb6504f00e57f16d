"""Figures show the numbers that they are given."""

import io
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.text import Text

from aejax import plots
from aejax.autoencoders import Term
from aejax.experiment.configuration import Data, Experiment, Model
from aejax.experiment.figures import as_drawn

RNG = np.random.default_rng(0)


def records(epochs: int = 30) -> list[dict[str, float]]:
    return [
        {"epoch": e, "train/loss": 10 / e, "validation/loss": abs(e - 20.0), "train/kl": 1.0, "validation/kl": 2.0}
        for e in range(1, epochs + 1)
    ]


def as_named(name: str) -> Term:
    return Term(name, name, name)


def test_training_curves_hold_both_splits_and_the_best_epoch() -> None:
    figure = plots.training_curves(records(), best_epoch=10, term_of=as_named)
    loss, kl = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["loss", "kl"]
    train, validation, best = loss.lines
    np.testing.assert_array_equal(train.get_ydata(), [10 / e for e in range(1, 31)])
    np.testing.assert_array_equal(validation.get_ydata(), [abs(e - 20.0) for e in range(1, 31)])
    assert (best.get_xdata()[0], best.get_ydata()[0]) == (10, 10.0)  # the given epoch, not the best
    assert loss.get_ylabel() == "loss"
    low, high = kl.get_ylim()
    assert low < 1.0 < 2.0 < high


@pytest.mark.parametrize("sign", [-1, 1])
def test_training_curves_omit_terms_that_equal_the_loss_or_its_negative(sign: int) -> None:
    mirrored = [
        {**r, "train/elbo": sign * r["train/loss"], "validation/elbo": sign * r["validation/loss"]} for r in records()
    ]
    assert len(plots.training_curves(mirrored, best_epoch=1, term_of=as_named).axes) == 2


def test_training_curves_of_one_evaluation() -> None:
    plots.training_curves(records(1), best_epoch=1, term_of=as_named).canvas.draw()


@pytest.mark.parametrize(
    ("terms", "columns", "expected"), [(1, 3, (1, 1)), (6, 3, (2, 3)), (4, 3, (2, 3)), (4, 1, (4, 1))]
)
def test_training_curves_are_wrapped_into_rows(terms: int, columns: int, expected: tuple[int, int]) -> None:
    many = [{"epoch": e, "validation/loss": 1 / e} | {f"validation/{k}": e for k in range(1, terms)} for e in (1, 2)]
    figure = plots.training_curves(many, best_epoch=1, term_of=as_named, columns=columns)
    assert len(figure.axes) == terms
    grid = figure.axes[0].get_subplotspec().get_gridspec()
    assert (grid.nrows, grid.ncols) == expected


def test_each_panel_of_training_curves_has_its_title_and_unit() -> None:
    watched = [{"epoch": 1, "validation/loss": 3.0, "validation/code/frobenius_norm": 2.0, "validation/mmd": 1.0}]
    described = [("loss", "nats"), ("code/frobenius_norm", "1 / V"), ("mmd", "no unit")]
    terms = {name: Term(name, f"the {name}", unit) for name, unit in described}
    figure = plots.training_curves(watched, best_epoch=1, term_of=terms.__getitem__)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [f"the {name}" for name, _ in described]
    assert [axes.get_ylabel() for axes in figure.axes] == ["nats", "1 / V", "no unit"]


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (8, 8, 3), (140,), (4, 4, 7)])
def test_reconstructions_are_drawn_in_rows(shape: tuple[int, ...]) -> None:
    rows = {"original": RNG.uniform(size=(3, *shape)), "reconstruction": RNG.uniform(size=(3, *shape))}
    figure = plots.reconstructions(rows)
    figure.canvas.draw()
    assert [axes.get_ylabel() for axes in figure.axes] == ["original", "", "", "reconstruction", "", ""]


@pytest.mark.parametrize("shape", [(4, 4), (20,)])
def test_a_gallery_has_names_and_the_scale_of_the_data(shape: tuple[int, ...]) -> None:
    names = {"rows": ("straight", "arc"), "columns": ("1%", "50%", "99%")}
    figure = plots.gallery(np.full((2, 3, *shape), 0.25), limits=(0.0, 0.5), title="ways", **names)
    figure.canvas.draw()
    if len(shape) == 2:
        (axes,) = figure.axes
        assert axes.images[0].get_array()[1, 1] == 0.5
        assert [label.get_text() for label in axes.get_yticklabels()] == ["straight", "arc"]
        assert [label.get_text() for label in axes.get_xticklabels()] == ["1%", "50%", "99%"]
    else:
        assert [axes.get_ylabel() for axes in figure.axes] == ["straight", "", "", "arc", "", ""]
        assert [axes.get_xlabel() for axes in figure.axes] == ["", "", "", "1%", "50%", "99%"]
        np.testing.assert_allclose(figure.axes[0].get_ylim(), (-0.05, 0.55))


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(28, 28), (20,)])
def test_row_labels_are_not_truncated(shape: tuple[int, ...]) -> None:
    names = [f"unit {unit}" for unit in range(10070, 10086)]
    figure = plots.gallery(
        np.zeros((16, 4, *shape)), limits=(0, 1), title="a longer title than the columns", rows=names
    )
    figure.savefig(io.BytesIO())  # with which the layout is made
    texts = [figure._suptitle, *figure.axes[0].get_yticklabels(), *(axes.yaxis.label for axes in figure.axes)]
    for text in filter(Text.get_text, texts):
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1


def test_a_series_is_drawn_with_time_to_the_right_and_its_first_channel_at_the_bottom() -> None:
    series = np.zeros((2, 4, 9))
    series[1, 3, 0] = 1  # the last step of the lowest key
    images = plots.series_as_images(series)
    assert images.shape == (2, 9, 8)
    assert np.argwhere(images).tolist() == [[1, 8, 6], [1, 8, 7]]
    assert plots.series_as_images(np.zeros((2, 30, 3))).shape == (2, 30, 30)
    np.testing.assert_array_equal(plots.series_as_images(series[..., :1]), series[..., 0])


def test_series_are_those_of_sequence_networks_and_chorales() -> None:
    examples = np.zeros((5, 16, 88))
    for of_series in (Experiment(model=Model(network="sequence")), Experiment(data=Data(dataset="jsb_chorales"))):
        assert as_drawn(of_series, examples).shape == (5, 88, 80)
        assert as_drawn(of_series, examples[..., 0]).shape == (5, 16)
    assert as_drawn(Experiment(), examples).shape == (5, 16, 88)


def test_frames_of_curves_are_drawn_in_the_same_axes() -> None:
    curves = np.array([np.zeros(5), np.ones(5), np.zeros(5)])
    frames = plots.frames_of_curves(curves, limits=(0.0, 1.0))
    assert frames.dtype == np.uint8
    assert frames.shape[0] == 3
    assert frames.shape[3] == 3
    assert np.array_equal(frames[0], frames[2])
    blue = np.array([76, 114, 176])
    low, high = (np.argwhere((frame == blue).all(axis=-1)).mean(axis=0)[0] for frame in frames[:2])
    assert low - high > 0.5 * frames.shape[1]


@pytest.mark.parametrize("code_shape", [(1,), (2,), (5,), (2, 2, 3)])
@pytest.mark.parametrize("classes", [0, 3, 15, 40])
def test_latent_space_shows_every_code(code_shape: tuple[int, ...], classes: int) -> None:
    codes = RNG.normal(size=(60, *code_shape))
    labels = np.arange(60) % classes if classes else None
    figure = plots.latent_space(codes, labels)
    figure.canvas.draw()
    points = figure.axes[0].collections[0].get_offsets()
    assert len(points) == 60
    if code_shape == (2,):
        np.testing.assert_allclose(points, codes)


def test_latent_space_gives_each_class_its_color() -> None:
    labels = np.array([7, 3, 7, 5])
    axes = plots.latent_space(RNG.normal(size=(4, 2)), labels).axes[0]
    points, *legend = axes.collections
    colors = {entry.get_label(): tuple(entry.get_facecolor()[0][:3]) for entry in legend}
    assert list(colors) == ["3", "5", "7"]
    assert [to_rgba(color)[:3] for color in points.get_facecolor()] == [colors[str(label)] for label in labels]


@pytest.mark.parametrize("codes", [np.ones((1, 5)), np.ones((4, 5))])
def test_latent_space_of_codes_without_variance(codes: np.ndarray) -> None:
    plots.latent_space(codes).canvas.draw()


def test_embeddings_lie_side_by_side_with_one_legend() -> None:
    panels = {"one": RNG.normal(size=(30, 2)), "other": RNG.normal(size=(30, 2))}
    labels = np.arange(30) % 3
    figure = plots.embeddings(panels, labels, title="codes")
    figure.canvas.draw()
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["one", "other"]
    for axes, places in zip(figure.axes, panels.values(), strict=True):
        np.testing.assert_array_equal(axes.collections[0].get_offsets(), places)
    assert [axes.get_legend() is not None for axes in figure.axes] == [False, True]
    plots.embeddings(panels, None, title="codes").canvas.draw()


@pytest.mark.parametrize("shift", [0.0, 50.0])
def test_anomaly_scores_show_groups_the_threshold_and_the_curve(shift: float) -> None:
    """Each group's bars sum to 100 %; the mark on the curve is the pair of rates at the threshold."""
    validation, scores = RNG.exponential(size=40) + shift, RNG.exponential(size=60) + shift
    truth = np.arange(60) % 3 == 0
    figure = plots.anomaly_scores(validation, scores, truth, threshold=shift + 1.0, unit="nats")
    figure.canvas.draw()
    histogram, curve = figure.axes
    assert histogram.get_xlabel() == "nats"
    assert [text.get_text() for text in histogram.get_legend().get_texts()] == [
        "validation, normal",
        "normal",
        "anomalies",
        "threshold",
    ]
    for group in histogram.patches:
        assert np.sum(group.get_xy()[1:-1:2, 1]) == pytest.approx(100)
    mark = curve.lines[-1]
    expected = [np.mean(scores[~truth] > shift + 1.0), np.mean(scores[truth] > shift + 1.0)]
    np.testing.assert_allclose(np.ravel(mark.get_data()), expected)
    assert len(plots.anomaly_scores(validation, scores, None, threshold=1.0, unit="nats").axes) == 1


def test_units_are_drawn_in_decreasing_order() -> None:
    (axes,) = plots.kl_per_unit(np.array([0.1, 3.0, 0.0])).axes
    assert [bar.get_height() for bar in axes.patches] == [3.0, 0.1, 0.0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2", "1", "3"]
    assert axes.get_xlabel() == "code unit, in decreasing order"


@pytest.mark.parametrize("units", [32, 41, 500, 12000])
def test_labels_of_units_do_not_overlap(units: int) -> None:
    figure = plots.kl_per_unit(np.linspace(1.0, 2.0, units))
    figure.canvas.draw()
    (axes,) = figure.axes
    labels = axes.get_xticklabels()
    places = [int(place) for place in axes.get_xticks()]
    assert [label.get_text() for label in labels] == [str(units - place) for place in places]
    boxes = [label.get_window_extent() for label in labels]
    assert len(boxes) > 5
    assert all(right.x0 - left.x1 > 4 for left, right in pairwise(boxes))
    assert "in decreasing order; 1 in" in axes.get_xlabel()


@pytest.mark.slow
@pytest.mark.parametrize("value", [0.0, 0.5, -3.0])
def test_constant_data_is_drawn_without_a_warning(value, tmp_path):
    """Warnings are errors here."""
    vectors, images = np.full((12, 5), value, np.float32), np.full((12, 8, 8), value, np.float32)
    limits, labels = (value, value), np.zeros(12, int)
    figures = [
        *(plots.reconstructions({"original": x[:3], "reconstruction": x[:3]}) for x in (vectors, images)),
        *(plots.gallery(x.reshape(2, 6, *x.shape[1:]), limits=limits) for x in (vectors, images)),
        *(plots.latent_space(vectors[:, :units], labels) for units in (1, 2, 5)),
        plots.embeddings({"one": vectors[:, :2]}, labels, title="equal"),
        plots.kl_per_unit(np.zeros(4)),
        plots.anomaly_scores(
            vectors[:, 0], vectors[:, 0], labels.astype(bool) | (np.arange(12) > 5), threshold=value, unit=""
        ),
        plots.anomaly_scores(vectors[:, 0], vectors[:, 0], None, threshold=value, unit=""),
        plots.rate_distortion({"one": ([1.0], [120.0])}, title="one"),
    ]
    for number, figure in enumerate(figures):
        figure.savefig(tmp_path / f"{number}.png")
