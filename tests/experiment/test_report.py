"""Pages of HTML: nothing from outside, nothing unescaped; the command that trains the same."""

import dataclasses
import html.parser
import shlex

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.figure import Figure

from aejax.autoencoders import contractive, importance_weighted, total_correlation_penalized, variational
from aejax.cli import train
from aejax.datasets.dataset import Dataset
from aejax.experiment.build import build_autoencoder
from aejax.experiment.configuration import Experiment, Model, Regularization
from aejax.experiment.facts import facts_of
from aejax.experiment.presets import PRESETS, training_command
from aejax.experiment.report import (
    Card,
    Section,
    aligned,
    code_block,
    figure_html,
    folded,
    loss_note,
    loss_sum,
    page,
    paragraph,
    table,
    term_of,
)
from aejax.experiment.run_folder import read_records
from aejax.host.commands import verb_command
from aejax.networks import MLP
from aejax.schedules import linear_warm_up
from aejax.training import AXIS

NASTY = '<script>alert("&")</script>'


class Reader(html.parser.HTMLParser):
    """Collects tags, their addresses and the text."""

    def __init__(self):
        super().__init__()
        self.tags, self.addresses, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        self.text += data


def test_text_is_escaped_and_everything_is_within_the_page():
    content = paragraph(NASTY) + code_block(NASTY) + table([NASTY], [[NASTY]]) + folded(NASTY, paragraph(NASTY))
    content += figure_html(Figure(figsize=(1, 1)), NASTY)
    reader = Reader()
    reader.feed(page(NASTY, NASTY, [Card(NASTY, NASTY)], [Section(NASTY, content)]))
    assert "script" not in reader.tags
    assert reader.text.count(NASTY) == 13
    assert [address[:22] for address in reader.addresses] == ["data:image/png;base64,"]


def test_lines_of_code_are_kept_and_units_are_apart():
    assert code_block("# one\nrun <it>") == "<pre># one\nrun &lt;it&gt;</pre>"
    text = table(["", ("mean", "nats")], [[("loss", NASTY), "1"], [("ratio", ""), "2"]])
    assert '<th>mean<span class="unit">nats</span></th>' in text
    assert "<td>ratio</td>" in text
    assert NASTY not in text


@pytest.mark.parametrize(
    ("rows", "options", "expected"),
    [
        ([[1234.5, None]], {}, [["1,234.500", ""]]),
        ([[0.01955, 0.0221]], {}, [["0.01955", "0.02210"]]),
        ([[23.6, 1.0], [0.0066, 0.0]], {"digits": 3}, [["23.60000", "1.00000"], ["0.00660", "0.00000"]]),
        ([[5.0], [0.00021234], [0.00021236]], {}, [["5.000"], ["2.123e-04"], ["2.124e-04"]]),
        ([[float("nan"), float("inf")]], {}, [["nan", "inf"]]),
        ([[0.0]], {}, [["0.000"]]),
        ([], {}, []),
    ],
)
def test_numbers_have_equally_many_decimals(rows, options, expected):
    assert aligned(rows, **options) == expected


@pytest.mark.parametrize(("cards", "across"), [(1, 1), (4, 4), (5, 5), (6, 3), (7, 4), (8, 4)])
def test_no_card_is_alone_in_its_row(cards, across):
    assert f'style="--across: {across}"' in page("", "", [Card("1", "what")] * cards, [])


def test_a_page_has_a_dark_and_a_printed_form():
    text = page("", "", [], [])
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


@pytest.mark.slow_after_first
@pytest.mark.parametrize("name", PRESETS)
def test_the_command_trains_the_same(name):
    experiment = PRESETS[name][1]
    program, _, arguments = training_command(experiment).partition(" train")
    assert program == verb_command("train").removesuffix(" train")
    assert train._parse(shlex.split(arguments))[0].experiment == experiment


def test_records_are_read_without_opening_the_run(tmp_path):
    assert read_records(tmp_path) == []
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "epoch": 1.0}\n{"step": 2, "ep')
    assert [record["step"] for record in read_records(tmp_path)] == [1]


def test_a_narrow_screen_gets_its_own_figure():
    figure, narrow = Figure(figsize=(8, 1)), Figure(figsize=(1, 3))  # one wider than a phone can show
    for content, tags in (
        (figure_html(figure, ""), []),
        (figure_html(figure, "", narrow=narrow), ["picture", "source"]),
    ):
        reader = Reader()
        reader.feed(content)
        assert reader.tags == ["figure", *tags, "img", "figcaption"]
        assert ("wide" in content) == (not tags)  # which would be scrolled
    assert figure_html(narrow, "").split('"')[1] in figure_html(figure, "", narrow=narrow)


@pytest.mark.slow_after_first
@pytest.mark.parametrize(
    "experiment",
    [
        Experiment(),
        Experiment(regularization=Regularization(beta=4.0, total_correlation_weight=2.5, mmd_weight=3.0)),
        Experiment(regularization=Regularization(importance_samples=3, contractive_weight=0.5)),
        Experiment(
            model=Model(family="undercomplete", activation="tanh", code_activation="sigmoid"),
            regularization=Regularization(
                contractive_weight=0.5, higher_order_weight=0.25, sparse_kl_weight=0.125, mmd_weight=0.0
            ),
        ),
        Experiment(model=Model(family="tied"), regularization=Regularization(sparse_weight=0.75)),
    ],
)
def test_the_loss_is_the_sum_that_is_said(experiment):
    """Every term that the sum names, times its weight, in the metrics of a batch."""
    x = np.random.default_rng(0).uniform(size=(6, 5)).astype(np.float32)
    model = dataclasses.replace(experiment.model, hidden=(4,), code_size=2)
    autoencoder = build_autoencoder(dataclasses.replace(experiment, model=model), facts_of(Dataset(x)))
    params = jax.jit(autoencoder.init)(jax.random.key(0), x[0])
    metrics = jax.jit(
        jax.vmap(lambda batch: autoencoder.loss(params, jax.random.key(1), batch)[1], axis_name=AXIS, axis_size=1)
    )(jnp.asarray(x)[None])
    values = {term_of(name, autoencoder.parts).title: float(value[0]) for name, value in metrics.items()}
    total = 0.0
    for part in loss_sum(autoencoder.parts).removeprefix("loss = ").split(" + "):
        weight, _, term = part.rpartition(" × ")
        name, sign = term.partition(" (")[0], float(weight or 1)
        total += (-sign if name.startswith("-") else sign) * values[name.removeprefix("-")]
    assert total == pytest.approx(values["loss"], rel=1e-5)


def vae(**knobs):
    return variational(MLP((4,)), MLP((5,)), **knobs)


def test_an_estimate_that_may_be_negative_is_named():
    penalized = total_correlation_penalized(vae(), weight=1.0, examples=100)
    assert "total correlation (estimated from batches, so it may be negative)" in loss_note(penalized.parts)
    assert "below 0" not in loss_note(vae().parts)


def test_the_least_that_counts_is_said():
    autoencoder = vae(free_bits=0.25)
    assert (
        loss_sum(autoencoder.parts)
        == "loss = reconstruction + KL divergence from the prior (at least 0.25 nats per unit)"
    )


def test_a_schedule_is_said_at_its_end():
    assert (
        loss_sum(vae(beta=linear_warm_up(10, end=4.0)).parts)
        == "loss = reconstruction + 4 × KL divergence from the prior"
    )


def test_a_bound_takes_the_place_of_the_sum_and_a_weight_of_0_leaves_a_term_out():
    bound = contractive(importance_weighted(vae(), samples=3), weight=0.0, higher_order_weight=0.5)
    expected = "loss = -evidence lower bound (3 importance weighted samples) + 0.5 × higher-order penalty"
    assert loss_sum(bound.parts) == expected


def test_a_term_that_no_part_describes_is_called_by_its_name():
    assert term_of("my_term", vae().parts)[1:3] == ("my term", "no unit")
