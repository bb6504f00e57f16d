"""Figures show the numbers that they are given."""

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.text import Text

from aejax import plots
from aejax.autoencoders import Term
from aejax.datasets.dataset import Dataset
from aejax.experiment.configuration import Data, Experiment, Model
from aejax.experiment.facts import facts_of
from aejax.experiment.figures import as_drawn
from aejax.experiment.trained import TrainedRun
from aejax.plots.animation import frames_of_images

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
    assert len([axes for axes in figure.axes if axes.get_label() != "legend"]) == terms
    grid = figure.axes[0].get_subplotspec().get_gridspec()
    assert (grid.nrows, grid.ncols) == expected


def test_each_panel_of_training_curves_has_its_title_and_unit() -> None:
    watched = [{"epoch": 1, "validation/loss": 3.0, "validation/code/frobenius_norm": 2.0, "validation/mmd": 1.0}]
    described = [("loss", "nats"), ("mmd", "no unit"), ("code/frobenius_norm", "1 / V")]
    terms = {name: Term(name, f"the {name}", unit) for name, unit in described}
    *panels, legend = plots.training_curves(watched, best_epoch=1, term_of=terms.__getitem__).axes
    titles = [axes.get_title(loc="left").replace("\n", " ") for axes in panels]  # of several lines where it is long
    assert titles == [f"the {name}" for name, _ in described]
    assert [axes.get_ylabel() for axes in panels] == ["nats", "no unit", "1 / V"]
    assert legend.get_label() == "legend"  # in the place that three panels leave empty


def test_lines_of_training_curves_stay_in_the_panel() -> None:
    """Values far from the others, as those of the first epochs, are left out, and the panel says how many."""
    many = [{"epoch": e, "train/loss": 1.0, "validation/loss": 1000.0 if e < 3 else 2.0 + 1 / e} for e in range(1, 60)]
    (axes,) = plots.training_curves(many, best_epoch=30, term_of=as_named).axes
    low, high = axes.get_ylim()
    for line in axes.lines:
        values = np.asarray(line.get_ydata())[np.isfinite(line.get_ydata())]
        assert len(values)
        assert low < values.min() <= values.max() < high < 1000
    assert [text.get_text() for text in axes.texts] == ["not shown: 2 above"]
    assert all(float(tick).is_integer() for tick in axes.get_xticks())


def texts_of(figure: Figure) -> list[str]:
    """The texts of a figure and of its axes, without ticks."""
    texts = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    return [text.get_text() for text in texts if text.get_text()]


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (8, 8, 3)])
def test_reconstructions_of_images_are_drawn_in_rows(shape: tuple[int, ...]) -> None:
    rows = {"original": RNG.uniform(size=(3, *shape)), "reconstruction": RNG.uniform(size=(3, *shape))}
    figure = plots.reconstructions(rows)
    figure.canvas.draw()
    assert len(figure.axes) == 1
    assert texts_of(figure) == ["original", "reconstruction"]


@pytest.mark.parametrize("is_series", [False, True])
@pytest.mark.parametrize("shape", [(140,), (4, 4, 7)])
def test_reconstructions_of_vectors_lie_over_the_originals_in_a_panel_each(
    shape: tuple[int, ...], is_series: bool
) -> None:
    rows = {"original": RNG.uniform(size=(3, *shape)), "reconstruction": RNG.uniform(size=(3, *shape))}
    figure = plots.reconstructions(rows, names=("a", "b", "c"), axis=plots.Axis(is_series, "time", "volts"))
    figure.canvas.draw()
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["a", "b", "c"]
    for place, axes in enumerate(figure.axes):
        for line, versions in zip(axes.lines, rows.values(), strict=True):
            np.testing.assert_array_equal(line.get_ydata(), versions[place].ravel())
            assert (line.get_linestyle() != "None") == is_series  # columns of a table are points
    assert (figure.get_supxlabel(), figure.get_supylabel()) == ("time", "volts")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(rows)


def test_a_gallery_of_images_has_names_and_the_scale_of_the_data() -> None:
    names = {"rows": ("straight", "arc"), "columns": ("1%", "50%", "99%")}
    figure = plots.gallery(np.full((2, 3, 4, 4), 0.125), limits=(0.0, 0.5), title="paths", **names)
    (axes,) = figure.axes
    image = axes.images[0].get_array()
    assert set(np.unique(image)) == {0.25, 1.0}
    assert texts_of(figure) == ["paths", "straight", "arc", "1%", "50%", "99%"]


def test_images_are_close_to_each_other_and_never_touch() -> None:
    image = plots.gallery(np.zeros((3, 4, 8, 8)), limits=(0.0, 1.0)).axes[0].images[0].get_array()
    gaps = (image == 1).all(axis=0)
    assert 0 < gaps.mean() < 0.1
    assert np.diff(np.flatnonzero(np.diff(gaps.astype(int)) == 1)).tolist() == [np.flatnonzero(gaps)[0] + 3] * 2


def test_light_images_have_a_frame() -> None:
    """Pages, whose white tiles would run together; the pixels of other images are unchanged."""
    pages = plots.mosaic(np.ones((1, 2, 50, 50)), limits=(0, 1)).axes[0].images[0].get_array()
    assert pages.min() < 0.8
    assert plots.mosaic(np.zeros((1, 2, 50, 50)), limits=(0, 1)).axes[0].images[0].get_array()[0, 0] == 0


def test_originals_stand_apart_at_either_side_of_a_path() -> None:
    examples, ends = np.full((2, 3, 8, 8), 0.5), np.stack([np.zeros((8, 8)), np.full((8, 8), 0.25)])
    figure = plots.gallery(
        examples, limits=(0, 1), columns=("start", "", "end"), before=ends, after=1 - ends, family="path"
    )
    image = figure.axes[0].images[0].get_array()
    assert [image[0, 0], image[-1, 0], image[-1, -1]] == [0, 0.25, 0.75]
    white = np.flatnonzero((image == 1).all(axis=0))
    widths = [len(run) for run in np.split(white, np.flatnonzero(np.diff(white) > 1) + 1)]
    assert widths[0] == widths[-1] > 3 * widths[1]
    assert texts_of(figure) == ["original", "original"]


@pytest.mark.parametrize("family", ["path", "around"])
def test_a_family_of_vectors_has_a_panel_per_row_with_its_originals(family: plots.Family) -> None:
    vectors, originals = RNG.uniform(size=(2, 4, 9)), RNG.uniform(size=(2, 9))
    figure = plots.gallery(
        vectors, limits=(0, 1), rows=("one", "two"), columns=("a", "", "", "b"), before=originals, family=family
    )
    figure.canvas.draw()
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["one", "two"]
    for axes, row, original in zip(figure.axes, vectors, originals, strict=True):
        np.testing.assert_array_equal([line.get_ydata() for line in axes.lines], [*row, original])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b", "original"]


def test_a_grid_of_vectors_has_one_scale() -> None:
    figure = plots.gallery(RNG.uniform(size=(2, 3, 20)), limits=(0, 1), rows=("a", "b"), columns=("c", "d", "e"))
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert [axes.get_title() for axes in figure.axes] == ["c", "d", "e", "", "", ""]
    assert texts_of(figure) == ["a", "b"]


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(28, 28), (20,)])
def test_row_labels_are_not_truncated(shape: tuple[int, ...]) -> None:
    names = [f"unit {unit}" for unit in range(10070, 10086)]
    figure = plots.gallery(
        np.zeros((16, 4, *shape)),
        limits=(0, 1),
        title="a much longer title than the columns, with so many words that they do not fit into one line",
        rows=names,
    )
    figure.savefig(io.BytesIO())  # with which the layout is made
    texts = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    assert {text.get_text() for text in texts} >= {*names}
    for text in filter(Text.get_text, texts):
        box = text.get_window_extent()
        assert box.x0 >= -1
        assert box.x1 <= figure.bbox.x1 + 1


ALL_SIZES = {
    "training_curves": lambda: plots.training_curves(records(), best_epoch=10, term_of=as_named),
    "images": lambda: plots.gallery(
        np.zeros((4, 10, 8, 8)), limits=(0, 1), title="t", rows="abcd", columns="0123456789"
    ),
    "vectors": lambda: plots.gallery(RNG.uniform(size=(2, 5, 9)), limits=(0, 1), title="t", rows="ab"),
    "reconstructions": lambda: plots.reconstructions({"original": RNG.uniform(size=(6, 9))}),
    "latent_space": lambda: plots.latent_space(RNG.normal(size=(40, 3)), np.arange(40) % 10),
    "embeddings": lambda: plots.embeddings(
        {"a": RNG.normal(size=(9, 2)), "b": RNG.normal(size=(9, 2))}, None, title=""
    ),
    "kl_per_unit": lambda: plots.kl_per_unit(RNG.uniform(size=30)),
    "piano_rolls": lambda: plots.piano_rolls({"composed": RNG.uniform(size=(8, 16, 88)) > 0.9}, lowest_note=21),
    "rate_distortion": lambda: plots.rate_distortion({"one": ([1.0, 2.0], [3.0, 4.0])}, title="one"),
    "scores": lambda: plots.anomaly_scores(np.ones(9), np.arange(9.0), np.arange(9) > 4, threshold=2.0, unit="nats"),
}


@pytest.mark.parametrize("kind", ALL_SIZES)
def test_figures_are_legible_in_a_column_of_a_paper(kind: str) -> None:
    """No figure is wider than a column of 3.3 inches, and no letter is smaller than 7 points."""
    figure = ALL_SIZES[kind]()
    figure.canvas.draw()
    assert figure.get_figwidth() <= 3.3 + 1e-9
    sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert min(sizes) >= 7


def test_a_figure_is_saved_in_each_format(tmp_path: Path) -> None:
    starts = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}
    for file_format, start in starts.items():
        paths = [
            plots.save_figure(plots.kl_per_unit(np.arange(3.0)), tmp_path, name, file_format=file_format)
            for name in ("units", "units")
        ]
        assert paths[0].name == f"units.{file_format}"
        assert paths[0].read_bytes().startswith(start)


def test_the_house_style_leaves_settings_unchanged() -> None:
    before = dict(rcParams)
    plots.kl_per_unit(np.arange(3.0))
    assert dict(rcParams) == before


def test_a_series_is_drawn_with_time_to_the_right_and_its_first_channel_at_the_bottom() -> None:
    series = np.zeros((2, 4, 9))
    series[1, 3, 0] = 1  # the last step of the lowest key
    images = plots.series_as_images(series)
    assert images.shape == (2, 9, 8)
    assert np.argwhere(images).tolist() == [[1, 8, 6], [1, 8, 7]]
    assert plots.series_as_images(np.zeros((2, 30, 3))).shape == (2, 30, 30)
    np.testing.assert_array_equal(plots.series_as_images(series[..., :1]), series[..., 0])


def drawn_run(experiment: Experiment) -> TrainedRun:
    """What `as_drawn` reads of a run."""
    facts = facts_of(Dataset(np.zeros((2, 16, 88), np.float32)))
    return TrainedRun(*[None] * 8)._replace(experiment=experiment, facts=facts)  # type: ignore[arg-type]


def test_series_are_those_of_sequence_networks_and_chorales() -> None:
    examples = np.zeros((5, 16, 88))
    for of_series in (Experiment(model=Model(network="sequence")), Experiment(data=Data(dataset="jsb_chorales"))):
        assert as_drawn(drawn_run(of_series), examples).shape == (5, 88, 80)
        assert as_drawn(drawn_run(of_series), examples[..., 0]).shape == (5, 16)
    assert as_drawn(drawn_run(Experiment()), examples).shape == (5, 16, 88)


def test_piano_rolls_show_every_key_that_sounds() -> None:
    """Also the lowest one, above which there is a margin only."""
    rolls = np.zeros((1, 16, 88))
    rolls[0, 3, [0, 40]] = 1
    (axes,) = plots.piano_rolls({"composed": rolls}, lowest_note=21).axes
    np.testing.assert_array_equal(axes.images[0].get_array(), rolls[0, :, :42].T)
    assert list(axes.images[0].get_extent()) == [0, 16, 20.5, 62.5]


def test_frames_of_vectors_are_drawn_in_the_same_axes() -> None:
    curves = np.array([np.zeros(5), np.ones(5), np.zeros(5)])
    frames = plots.frames_of_vectors(curves, originals=curves[:1])
    assert frames.dtype == np.uint8
    assert frames.shape[0] == 3
    assert frames.shape[3] == 3
    assert np.array_equal(frames[0], frames[2])
    blue = np.array([0, 114, 178])
    low, high = (np.argwhere((frame == blue).all(axis=-1)).mean(axis=0)[0] for frame in frames[:2])
    assert low - high > 0.5 * frames.shape[1]


def test_frames_of_images_stand_between_the_ends() -> None:
    images = np.linspace(0, 1, 5)[:, None, None] * np.ones((5, 8, 8))
    frames = frames_of_images(
        images, start=np.zeros((8, 8)), end=np.ones((8, 8)), limits=(0, 1), captions=("a", "straight", "b")
    )
    assert len(frames) == 5
    pixels = np.stack([np.asarray(frame) for frame in frames])
    middle = pixels[:, 100, :, 0]
    width = middle.shape[1]
    assert middle[:, width // 2].tolist() == [0, 64, 128, 191, 255]
    assert (middle[:, width // 6] == 0).all()
    assert (middle[:, 5 * width // 6] == 255).all()


@pytest.mark.parametrize("code_shape", [(1,), (2,), (5,), (2, 2, 3)])
@pytest.mark.parametrize("classes", [0, 3, 15, 40])
def test_latent_space_shows_every_code(code_shape: tuple[int, ...], classes: int) -> None:
    codes = RNG.normal(size=(60, *code_shape))
    labels = np.arange(60) % classes if classes else None
    figure = plots.latent_space(codes, labels)
    figure.canvas.draw()
    points = np.concatenate([drawn.get_offsets() for drawn in figure.axes[0].collections])
    assert len(points) == 60
    if code_shape == (2,):
        np.testing.assert_allclose(points[np.lexsort(points.T)], codes[np.lexsort(codes.T)])


def test_latent_space_gives_each_class_its_color_name_and_number() -> None:
    labels, codes = np.array([7, 3, 7, 5]), RNG.normal(size=(4, 2))
    figure = plots.latent_space(codes, labels, names={7: "seven"}, what="test examples")
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "2-dimensional code of 4 test examples"
    drawn = {tuple(each.get_offsets()[0]): each for each in axes.collections if len(each.get_offsets())}
    colors = [tuple(drawn[tuple(code)].get_facecolor()[0][:3]) for code in codes]
    legend = axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["3 (n = 1)", "5 (n = 1)", "seven (n = 2)"]
    entries = [tuple(handle.get_facecolor()[0][:3]) for handle in legend.legend_handles]
    assert colors == [entries[k] for k in (2, 0, 2, 1)]


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
        points = np.concatenate([drawn.get_offsets() for drawn in axes.collections])
        np.testing.assert_array_equal(points[np.lexsort(points.T)], places[np.lexsort(places.T)])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [f"{label} (n = 10)" for label in range(3)]
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
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "validation, normal (n = 40)",
        "normal (n = 40)",
        "anomalies (n = 20)",
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
