"""The explorer in headless Chromium: it computes what aejax computes, asks for nothing, and interprets no name."""

import dataclasses
import functools
import math
import shutil
import threading
from pathlib import Path
from typing import get_args, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from aejax.datasets.dataset import Dataset
from aejax.errors import UserError
from aejax.experiment.browser_program import PRIMITIVES, Constants, as_program
from aejax.experiment.build import build_autoencoder
from aejax.experiment.configuration import Data, Experiment, Model, Training
from aejax.experiment.explore import explore_command, explorer_page, with_jacobian
from aejax.experiment.explored import explored
from aejax.experiment.explorer_server import ExplorerServer, served_functions
from aejax.experiment.facts import facts_of
from aejax.experiment.loading import example_of
from aejax.experiment.presets import default_for
from aejax.experiment.scaling import completed
from aejax.experiment.trained import open_run
from aejax.jacobian import curve_energy, geodesic, log_volume, singular_values

SCRIPTS = Path(__file__).parents[2] / "aejax" / "experiment" / "explorer"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
NASTY = "</script><img src=x onerror=window.bad=1>"


@pytest.fixture(autouse=True)
def dtype_promotion():
    """In place of the strict one: data are read as in a script."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the extra browser: pip install aejax[browser]")
    if CHROMIUM is None:
        pytest.skip("needs Chromium, such as Debian's package chromium")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def evaluate(browser):
    """`evaluate(program, constants, inputs)`: the outputs of a program in the browser."""
    page = browser.new_page()
    page.set_content("<title>programs</title>")
    page.add_script_tag(content=(SCRIPTS / "program.js").read_text())

    def run(program, constants, inputs):
        outputs = page.evaluate(
            "([program, constants, inputs]) => prepare(program, constants.map(readConstant))(...inputs)"
            ".map((each) => Array.from(each, (value) => Number.isFinite(value) ? value : null))",
            [program, constants.rows, [np.ravel(each).tolist() for each in inputs]],
        )
        return [np.array(each, float) for each in outputs]

    run.page = page
    yield run
    page.close()


@pytest.fixture
def open_page(browser, tmp_path):
    """`open_page(html)`: the page, opened from a file or a server's address; its requests and errors are recorded."""
    pages = []

    def load(html=None, *, address=None, width=1280, scheme="light"):
        if address is None:
            (tmp_path / "explorer.html").write_text(html, encoding="utf-8")
            address = (tmp_path / "explorer.html").as_uri()
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        pages.append(page)
        page.requests, page.errors = [], []
        page.on("request", lambda request: page.requests.append(request.url))
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda line: page.errors.append(line.text) if line.type in ("error", "warning") else None)
        page.goto(address)
        until(page, "window.explorer !== undefined && explorer.state.decoded !== undefined")
        return page

    yield load
    for page in pages:
        page.close()


def until(page, condition):
    """Wait for a condition; the page's security policy forbids the function of Playwright."""
    for _ in range(300):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{condition} does not become true")


def model(**knobs):
    return Experiment(model=Model(**{"hidden": (8,), "code_size": 3, **knobs}))


KINDS = {
    **{
        f"mlp {activation}": (model(activation=activation), (4, 3))
        for activation in ("relu", "tanh", "sigmoid", "elu", "gelu", "silu", "softplus")
    },
    "conv": (model(network="conv", hidden=(6, 4)), (7, 9, 3)),
    "conv gelu": (model(network="conv", activation="gelu"), (8, 8)),
    "sequence": (model(network="sequence", hidden=(6, 4)), (13,)),
    "sequence of channels": (model(network="sequence", hidden=(6, 4), activation="elu"), (12, 3)),
    **{
        likelihood: (model(likelihood=likelihood), (5,))
        for likelihood in get_args(get_type_hints(Model)["likelihood"])
        if likelihood not in (Model.likelihood, "table")  # of a table, see below
    },
    "conditional": (model(conditional=True), (5,)),
    "conditional conv": (model(network="conv", conditional=True), (6, 6)),
    "conditional sequence": (model(network="sequence", conditional=True), (6,)),
    "tied": (model(family="tied", activation="sigmoid"), (5,)),
    "k-sparse": (model(family="k_sparse", code_size=9, active_entries=3), (5,)),
    "linear": (model(family="undercomplete", hidden=()), (5,)),
    "bounded": (model(family="undercomplete", output_activation="sigmoid", code_activation="tanh"), (5,)),
    "standardized": (model(family="undercomplete", standardize="feature"), (5,)),
    "bfloat16": (model(compute_dtype="bfloat16"), (5,)),
    "rematerialized": (dataclasses.replace(model(), training=dataclasses.replace(Experiment().training,
                                                                                 rematerialize=True)), (5,)),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_network_is_computed_as_by_aejax(kind, evaluate):
    experiment, shape = KINDS[kind]
    random = np.random.default_rng(0)
    x = random.uniform(size=(40, *shape)).astype(np.float32)
    dataset = Dataset(np.round(9 * x) if kind == "poisson" else x, np.arange(40) % 4)
    facts = completed(facts_of(dataset), experiment, dataset)
    autoencoder = build_autoencoder(experiment, facts)
    params = jax.jit(autoencoder.init)(jax.random.key(0), *example_of(experiment.model, facts))
    condition = [np.int32(2)] if experiment.model.conditional else []
    units, features = experiment.model.code_size, math.prod(shape)

    def everything(code, example, *condition):
        decode, encode = (functools.partial(f, params) for f in (autoencoder.decode, autoencoder.encode))
        decoded = with_jacobian(decode, units, features)(code, *condition)
        return (*decoded, *with_jacobian(encode, features, units)(example, *condition))

    inputs = [random.normal(size=units).astype(np.float32), dataset.x[0], *condition]
    constants = Constants()
    program = as_program(everything, inputs, constants, name=kind)
    tolerance = 0.05 if kind == "bfloat16" else 1e-3  # the page computes in float32
    for ours, exact in zip(evaluate(program, constants, inputs), jax.jit(everything)(*inputs), strict=True):
        np.testing.assert_allclose(ours, np.ravel(exact), atol=tolerance, rtol=tolerance)


@pytest.mark.slow
def test_both_languages_list_the_same_operations(evaluate):
    assert set(evaluate.page.evaluate("Object.keys(PRIMITIVES)")) == set(PRIMITIVES)


OPERATIONS = {
    "erf": (jax.lax.erf, np.linspace(-5, 5, 41)),
    "rounding": (jax.lax.round, np.linspace(-2, 2, 9)),
    "round to even": (functools.partial(jnp.round), np.linspace(-2, 2, 9)),
    "reductions": (lambda x: jnp.stack([x.sum(), x.max(), x.min(), jnp.prod(x)]), np.linspace(0.5, 1.5, 9)),
    "reversed": (lambda x: x.reshape(2, 3)[::-1, ::-2], np.arange(6.0)),
    "padded": (lambda x: jax.lax.pad(x, 7.0, [(2, -1, 1)]), np.arange(6.0)),
    "clamped": (lambda x: jnp.clip(x, -1, 2), np.arange(-3.0, 4.0)),
    "taken": (lambda x: x.reshape(3, 2)[jnp.argsort(jnp.array([2, 0, 1]))] + x[1], np.arange(6.0)),
    "grouped": (
        lambda x: jax.lax.conv_general_dilated(
            x.reshape(1, 4, 6), jnp.arange(12.0).reshape(4, 1, 3), (2,), [(1, 2)], (1,), (2,), feature_group_count=4
        ),
        np.arange(24.0),
    ),
    "transposed": (
        lambda x: jax.lax.conv_transpose(x.reshape(1, 4, 2), jnp.arange(12.0).reshape(3, 2, 2), (2,), "SAME"),
        np.arange(8.0),
    ),
    "largest": (lambda x: jnp.argmax(x.reshape(3, 4), axis=1), np.array([1, 3, 3, 2, 0, np.nan, 9, np.nan, *[-1] * 4])),
    "cumulative": (
        lambda x: jnp.stack([jnp.cumsum(x.reshape(2, 3), 1), jax.lax.cumsum(x.reshape(2, 3), 0, reverse=True)]),
        np.arange(6.0),
    ),
    "batched": (lambda x: jnp.einsum("bij,bkj->bik", x.reshape(2, 3, 2), x.reshape(2, 3, 2)), np.arange(12.0)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_of_no_built_in_network(name, evaluate):
    function, x = OPERATIONS[name]
    x = x.astype(np.float32)
    program = as_program(function, [x], constants := Constants(), name=name)
    assert program["equations"]
    (result,) = evaluate(program, constants, [x])
    np.testing.assert_allclose(result, np.ravel(function(x)), rtol=1e-5, atol=1e-5)


@pytest.fixture
def houses(tmp_path):
    """A table with columns of every kind, of which three have missing cells."""
    pl = pytest.importorskip("polars")
    rng, rows = np.random.default_rng(0), 150
    areas, gardens = [f"{size:.1f}" for size in rng.normal(80, 20, rows)], rng.choice(["no", "yes"], rows).tolist()
    ratings = rng.choice(["low", "medium", "high"], rows).tolist()
    for number in range(rows):
        for column, step in ((areas, 5), (gardens, 7), (ratings, 6)):
            column[number] = None if number % step == 0 else column[number]
    frame = pl.DataFrame(
        {
            "area": areas,
            "price": [f"{price:.2f}" for price in np.exp(rng.normal(5, 1, rows))],
            "rooms": rng.poisson(3, rows),
            "garden": gardens,
            "heating": rng.choice(["gas", "oil", NASTY], rows),
            "quality": ratings,
            "sold": [f"2024-{month:02}-{day:02}" for month, day in rng.integers(1, 13, (rows, 2))],
        }
    )
    frame.write_csv(tmp_path / "houses.csv")
    return frame


@pytest.fixture
def table_run(houses, tmp_path, make_initial_run):
    """`table_run(**knobs)`: a run on that table with initial parameters."""
    columns = ("price=log_normal", "rooms=count", "quality=ordinal:low,medium,high")
    data = Data(dataset=str(tmp_path / "houses.csv"), columns=columns)

    def make(**knobs):
        table = Model(hidden=(8,), code_size=3, activation="tanh", **knobs)
        return open_run(make_initial_run(Experiment(data=data, model=table, training=Training(batch_size=16))))

    return make


VARIATIONAL = {"likelihood": "table"}


@pytest.mark.slow
@pytest.mark.parametrize("knobs", [VARIATIONAL, {"family": "undercomplete", "loss": "table"}], ids=["vae", "loss"])
def test_a_table_is_computed_as_by_aejax(knobs, table_run, evaluate):
    run = table_run(**knobs)
    kinds = {column.kind for column in run.facts.columns}
    assert kinds >= {"continuous", "log_normal", "count", "binary", "categorical", "ordinal"}
    space, units = explored(run), run.code_shape[0]
    x = run.splits.train.x
    row = x[~np.isnan(x).any(axis=1)][:1]
    code, (example,) = np.float32([2.0, -1.5, 0.7]), space.values(row)

    def everything(code, example):
        decoded = with_jacobian(space.decode, units, len(example))(code)
        return (*space.decode_row(code), *decoded, *with_jacobian(space.encode, len(example), units)(example))

    program = as_program(everything, [code, example], constants := Constants(), name="table")
    found = evaluate(program, constants, [code, example])
    for ours, exact in zip(found, jax.jit(everything)(code, example), strict=True):
        np.testing.assert_allclose(ours, np.ravel(exact), atol=1e-3, rtol=1e-3)
    deviations = np.nanstd(x, axis=0)
    np.testing.assert_allclose(found[1] / deviations, run.decode(Dataset(code[None]))[0] / deviations, atol=1e-3)
    np.testing.assert_allclose(found[4], run.encode(Dataset(row))[0], atol=1e-3)
    served = served_functions(run)["decode"]
    assert served.outputs == [len(example), len(deviations)]
    np.testing.assert_allclose(served.call(code)[len(example) :], run.decode(Dataset(code[None]))[0], rtol=1e-5)


@pytest.mark.slow
def test_a_row_of_a_table_has_the_cells_of_the_users_table(table_run, houses, open_page):
    run = table_run(**VARIATIONAL)
    page = open_page(explorer_page(run), width=390)
    cells = "Array.from(document.querySelectorAll('#row tr'), (row) => Array.from(row.cells, (cell) => cell.innerText))"
    head = page.evaluate(cells)[0]
    assert head == ["column", "decoded", "training", "test"]
    page.focus("#plane")
    missing = 0
    for _ in range(4):
        page.keyboard.press("p")
        caption = "document.getElementById('original-caption').textContent"
        until(page, f"{caption}.startsWith(`test example ${{explorer.state.example + 1}},`)")
        shown = {row[0]: row[3] for row in page.evaluate(cells)[1:]}
        day = f"2024-{int(shown.pop('sold.month')):02}-{int(shown.pop('sold.day')):02}"
        original = {name: text or None for name, text in shown.items()} | {"sold": day, "rooms": int(shown["rooms"])}
        assert list(original.values()) in [list(row) for row in houses.select(list(original)).rows()]
        missing += list(original.values()).count(None)
    assert missing
    assert page.evaluate("window.bad") is None
    decoded = {row[0]: row[1] for row in page.evaluate(cells)[1:]}
    assert decoded["garden"] in ("no", "yes")
    assert decoded["quality"] in ("low", "medium", "high")
    space, code = explored(run), np.float32(page.evaluate("Array.from(explorer.state.code)"))
    example = np.asarray(space.decode(code))
    distances = np.nanmean((space.values(run.splits.train.x) - example) ** 2, axis=1)
    nearest, least = page.evaluate("nearestTo(explorer.state.decoded)")
    assert nearest == distances.argmin()
    assert least == pytest.approx(distances.min(), rel=1e-3)
    assert "standard deviations" in page.inner_text("#nearest-caption")
    use(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.errors == []


SMALL = model(hidden=(16,), code_size=4, activation="tanh")


@pytest.mark.slow
def test_the_geometry_is_that_of_aejax(make_initial_run, open_page):
    run = open_run(make_initial_run(SMALL))
    page = open_page(explorer_page(run))
    start, end = (np.float32([1.0, -0.5, 0.3, 2.0]), np.float32([-1.5, 1.0, 0.0, -1.0]))
    decode = functools.partial(run.autoencoder.decode, run.params)

    pixels = page.evaluate("async (code) => [...await explorer.decode(code)]", start.tolist())
    np.testing.assert_allclose(pixels, np.ravel(decode(start)), atol=1e-3)
    page.evaluate("(code) => explorer.moveTo(Float64Array.from(code))", start.tolist())
    until(page, f"explorer.state.atPointer?.code[0] === {start[0]}")
    found = page.evaluate("({...explorer.state.atPointer, decoder: [...explorer.state.atPointer.decoder]})")
    np.testing.assert_allclose(found["decoder"], singular_values(decode, jnp.asarray(start)), rtol=1e-3)
    exact = float(log_volume(decode, jnp.asarray(start)[None])[0])
    assert found["heats"]["volume"] == pytest.approx(exact, abs=1e-3)
    train = run.splits.train
    shown = np.unique(np.linspace(0, len(train.x) - 1, 1000).astype(int))
    posterior = jax.vmap(functools.partial(run.autoencoder.variational.posterior, run.params))
    means, logs = map(np.asarray, posterior(train.x[shown]))
    exact = -0.5 * np.sum((start - means) ** 2 / np.exp(logs) + logs + np.log(2 * np.pi), axis=1)
    density = logsumexp(exact) - np.log(len(shown))
    assert found["heats"]["density"] == pytest.approx(density, rel=1e-3)
    reconstructed = run.reconstruct(Dataset(np.asarray(decode(start))[None]))[0]
    error = np.sqrt(np.square(reconstructed - decode(start)).mean())
    assert found["heats"]["error"] == pytest.approx(error, rel=1e-3)
    page.evaluate(
        "(ends) => ends.forEach((code) => explorer.addEnd(Float64Array.from(code)))", [start.tolist(), end.tolist()]
    )
    until(page, "explorer.state.path?.isDone")
    path = np.array(page.evaluate("explorer.state.path.geodesic.codes.map((code) => [...code])"), np.float32)
    np.testing.assert_allclose(path[[0, -1]], [start, end])
    reached, straight = (
        float(curve_energy(decode, jnp.asarray(codes))) for codes in (path, np.linspace(start, end, 13))
    )
    best = float(curve_energy(decode, geodesic(decode, jnp.asarray(start), jnp.asarray(end), points=13)))
    assert reached <= 1.01 * best
    assert best < straight


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_asks_for_nothing_and_can_be_used(width, scheme, make_initial_run, open_page):
    page = open_page(explorer_page(open_run(make_initial_run(SMALL))), width=width, scheme=scheme)
    use(page)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("[innerWidth, document.readyState]") == [width, "complete"]
    own = ("file:", "data:", "blob:")  # the page, its icon, the text of its worker
    assert [address for address in page.requests if not address.startswith(own)] == []
    assert len([address for address in page.requests if address.startswith("file:")]) == 1
    assert page.errors == []


def use(page):
    """Try heat maps, pointer, path, coordinates and legend."""
    for kind in page.eval_on_selector_all("#heat option", "options => options.map((each) => each.value)"):
        page.select_option("#heat", kind)
        page.wait_for_timeout(200)
    page.focus("#plane")
    code = page.evaluate("Array.from(explorer.state.code)")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("Array.from(explorer.state.code)") != code
    for key in ("Enter", "n", "Enter"):
        page.keyboard.press(key)
    until(page, "document.getElementById('geodesic-title').textContent.startsWith('Geodesic, from')")
    page.keyboard.press("Escape")
    assert not page.is_visible("#strips")
    page.select_option("#system", "units")
    if page.query_selector("#classes button"):
        page.click("#classes button:first-child")


@pytest.mark.slow
@pytest.mark.parametrize("family", ["top_k", "jump_relu"])
def test_the_units_of_a_dictionary_are_listed_by_firing_rate(family, make_initial_run, open_page):
    settings = dataclasses.replace(default_for("digits", family=family).model, code_size=70)
    run = open_run(make_initial_run(dataclasses.replace(default_for("digits", family=family), model=settings)))
    page, codes = open_page(explorer_page(run)), run.encode(run.splits.test)
    fired = (codes != 0).sum(axis=0)
    first, last = np.argsort(-fired, kind="stable")[[0, np.sum(fired > 0) - 1]]
    assert page.inner_text("#unit-list b >> nth=0") == f"unit {first + 1}"
    page.click(".top button >> nth=1")
    second = np.argsort(-codes[:, first], kind="stable")[1]
    assert page.evaluate("explorer.state.example") == second
    np.testing.assert_allclose(page.evaluate("Array.from(explorer.state.code)"), codes[second], rtol=1e-6)
    page.select_option("#unit-order", "rare")
    assert page.inner_text("#unit-list b >> nth=0") == f"unit {last + 1}"
    assert page.errors == []


@pytest.mark.slow
def test_the_newest_request_wins(make_initial_run, open_page):
    page = open_page(explorer_page(open_run(make_initial_run(SMALL))))
    page.select_option("#heat", "volume")
    page.evaluate(
        "async () => {for (let i = 1; i <= 60; i++) {"
        " explorer.moveTo(Float64Array.from([i, 0, 0, 0]), {slice: true});"
        " explorer.addEnd(Float64Array.from([i, 0, 1, 0]));"
        " await new Promise(requestAnimationFrame);}}"
    )
    until(page, "explorer.state.path?.isDone")
    assert page.evaluate("[...explorer.state.path.straight.codes[0], ...explorer.state.path.straight.codes[12]]") == [
        *(59, 0, 1, 0),
        *(60, 0, 1, 0),
    ]
    until(page, "explorer.state.atPointer.code[0] === 60")
    assert page.evaluate("explorer.decode(explorer.state.code).then((x) => x.every((v, i) => v === state.decoded[i]))")
    assert page.errors == []


@pytest.mark.slow
def test_the_page_of_a_server_asks_it_alone(make_initial_run, open_page):
    run = open_run(make_initial_run(SMALL))
    code = np.float32([1.0, -0.5, 0.3, 2.0])
    with ExplorerServer(run) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        page = open_page(address=server.address)
        use(page)
        pixels = page.evaluate("(code) => explorer.decode(code).then((pixels) => [...pixels])", code.tolist())
        until(page, "document.getElementById('readout').children.length === 12")
        with pytest.raises(Exception, match="Failed to fetch"):
            page.evaluate("fetch('http://localhost:1/').then(() => 0)")
        refused = page.errors.copy()
        page.errors.clear()
        page.reload()
        until(page, "window.explorer !== undefined && explorer.state.decoded !== undefined")
        errors = page.errors.copy()
        server.functions.clear()
        page.evaluate("explorer.moveTo(new Float64Array(4))")
        until(page, "document.getElementById('notes').textContent.includes('start it again')")
        server.shutdown()
        thread.join()
    np.testing.assert_allclose(pixels, run.decode(Dataset(code[None])).ravel(), atol=1e-5)
    assert any("Content Security Policy" in line for line in refused)
    assert errors == []
    assert {
        address.partition("//")[2].partition("/")[0]
        for address in page.requests
        if address[:5] not in ("data:", "blob:")
    } == {f"127.0.0.1:{server.server_port}"}


@pytest.mark.slow
def test_names_are_never_interpreted(tmp_path, make_initial_run, open_page):
    random = np.random.default_rng(0)
    labels = np.array([NASTY, "plain"])[np.arange(60) % 2]
    np.savez(tmp_path / "mine.npz", x=random.uniform(size=(60, 5)).astype(np.float32), labels=labels)
    experiment = Experiment(
        data=Data(dataset=str(tmp_path / "mine.npz")),
        model=Model(hidden=(8,), code_size=3, conditional=True),
        training=Training(batch_size=8),
    )
    name = NASTY.replace("/", "")
    shutil.copytree(make_initial_run(experiment), tmp_path / name)
    page = open_page(explorer_page(open_run(tmp_path / name)))
    assert page.evaluate("window.bad") is None
    assert page.query_selector("img") is None
    assert page.text_content("h1") == name
    assert page.title() == f"{name}: latent explorer"
    assert NASTY in page.eval_on_selector_all("#classes button", "all => all.map((each) => each.textContent)")
    assert NASTY in page.eval_on_selector_all("#condition option", "all => all.map((each) => each.textContent)")
    assert page.errors == []


def test_a_code_that_is_no_vector_is_refused(make_initial_run):
    experiment = model(family="undercomplete", network="conv", hidden=(4,), code_size=None)
    with pytest.raises(UserError, match="the explorer expects a run whose code is a vector, but this run is "):
        explorer_page(open_run(make_initial_run(experiment)))


def test_the_command_trusts_the_code_of_an_own_autoencoder(make_initial_run):
    run = open_run(make_initial_run(SMALL))
    assert explore_command(run).endswith(f"explore {run.path.absolute()}")
    own = dataclasses.replace(run.experiment, model=dataclasses.replace(run.experiment.model, autoencoder="mine.py"))
    command = explore_command(run._replace(experiment=own), "--serve")
    assert command.endswith(f"explore {run.path.absolute()} --serve --trust-code")
