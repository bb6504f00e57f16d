"""The explorer's server: it computes what aejax computes, and answers its own page alone."""

import functools
import http.client
import threading
from contextlib import contextmanager

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.datasets.dataset import Dataset
from aejax.errors import UserError
from aejax.experiment import explore
from aejax.experiment.configuration import Experiment, Model
from aejax.experiment.explorer_server import ExplorerServer
from aejax.experiment.trained import open_run
from aejax.jacobian import jacobian, pullback_metric, singular_values

SMALL = Experiment(model=Model(hidden=(16,), code_size=4, activation="tanh"))
CONDITIONAL = Experiment(model=Model(hidden=(8,), code_size=3, conditional=True))


@pytest.fixture(autouse=True)
def dtype_promotion():
    """In place of the strict one: data are read as in a script."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@contextmanager
def serve(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


@contextmanager
def serving(run):
    with ExplorerServer(run) as server, serve(server):
        yield server


@pytest.fixture(scope="module")
def small(make_initial_run):
    with jax.numpy_dtype_promotion("standard"):
        run = open_run(make_initial_run(SMALL))
        with serving(run) as server:
            yield run, server


def ask(server, method, path, *, body=None, token=None, **headers):
    """Returns the status, the headers and the body of an answer; the token is the server's, if none is given."""
    path = f"{path}?token={server.token if token is None else token}"
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    answer = response.status, response.headers, response.read()
    connection.close()
    return answer


def compute(server, name, *inputs):
    body = np.concatenate([np.ravel(each) for each in inputs]).astype("<f4").tobytes()
    status, _, answer = ask(server, "POST", f"/{name}", body=body)
    assert status == 200
    sizes = server.functions[name].outputs
    return np.split(np.frombuffer(answer, "<f4"), np.cumsum(sizes)[:-1])


CODE = np.float32([1.0, -0.5, 0.3, 2.0])
close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)


def test_decoder_and_encoder_are_those_of_aejax(small):
    run, server = small
    example = run.splits.test.x[:1]
    close(compute(server, "decode", CODE)[0], run.decode(Dataset(CODE[None])).ravel())
    close(compute(server, "encode", example)[0], run.encode(Dataset(example)).ravel())


@pytest.mark.slow
def test_jacobians_are_those_of_aejax(small):
    run, server = small
    code, example = jnp.asarray(CODE), jnp.asarray(run.splits.test.x[0])
    decode = functools.partial(run.autoencoder.decode, run.params)
    encode = functools.partial(run.autoencoder.encode, run.params)
    decoded, columns = compute(server, "linearize", code)
    close(decoded, run.decode(Dataset(CODE[None])).ravel())
    close(columns.reshape(4, -1).T, jacobian(decode, code).reshape(-1, 4))
    values, metric = compute(server, "spectrum", code)
    close(values, singular_values(decode, code))
    close(metric.reshape(4, 4), pullback_metric(decode, code))
    close(compute(server, "encoderSpectrum", example)[0], singular_values(encode, example))


@pytest.mark.slow
def test_a_condition_follows_the_code(make_initial_run):
    run = open_run(make_initial_run(CONDITIONAL))
    code = np.float32([0.5, -1.0, 2.0])
    expected = run.decode(Dataset(code[None], run.classes[7:8]))
    with serving(run) as server:
        np.testing.assert_allclose(compute(server, "decode", code, [7])[0], expected.ravel(), atol=1e-5)


def test_the_page_holds_no_weights_and_may_ask_its_server_alone(small):
    run, server = small
    status, headers, page = ask(server, "GET", "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert page == server.page
    assert b"connect-src 'self'" in page
    assert b'"programs": {}' in page
    assert b"connect-src 'none'" in explore.explorer_page(run).encode()
    assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {"Host": "example.com"}, 403),
        ("GET", "/", {"Host": "127.0.0.1:1"}, 403),
        ("GET", "/", {"Origin": "http://example.com"}, 403),
        ("POST", "/decode", {"Host": "example.com"}, 403),
        ("POST", "/decode", {"Origin": "null"}, 403),
        ("GET", "/", {"token": ""}, 403),
        ("GET", "/", {"token": "guessed"}, 403),
        ("POST", "/decode", {"token": "guessed"}, 403),
        ("GET", "/page.js", {}, 404),
        ("GET", "/../secret", {}, 404),
        ("POST", "/evaluate", {}, 404),
        ("POST", "/decode", {"Content-Length": "1000000000"}, 400),
        ("POST", "/decode", {"Content-Length": "8"}, 400),
        ("PUT", "/decode", {}, 501),
    ],
)
def test_other_requests_are_refused(method, path, headers, status, small):
    _, server = small
    answer = ask(server, method, path, **headers)
    assert answer[0] == status
    assert answer[1]["Connection"] == "close"


def test_the_address_holds_a_token_of_the_server_alone(small, make_initial_run):
    run, server = small
    assert server.address == f"http://127.0.0.1:{server.server_port}/?token={server.token}"
    with ExplorerServer(run) as other:
        assert other.token != server.token
        assert len(other.token) >= 32
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    connection.request("GET", "/")
    assert connection.getresponse().status == 403
    connection.close()


@pytest.mark.slow
def test_functions_are_compiled_before_the_page_is_opened(small, caplog):
    run, _ = small
    with ExplorerServer(run) as server:
        server.compile_functions()
        with jax.log_compiles(), serve(server):
            compute(server, "decode", CODE)
            compute(server, "linearize", CODE)
            compute(server, "spectrum", CODE)
            example = run.splits.test.x[:1]
            compute(server, "encode", example)
            compute(server, "encoderSpectrum", example)
    assert caplog.text == ""


def test_localhost_is_a_name_of_this_machine(small):
    _, server = small
    assert ask(server, "GET", "/", Host=f"localhost:{server.server_port}")[0] == 200


def test_weights_that_are_too_many_for_a_page_are_served(small, monkeypatch):
    run, _ = small
    monkeypatch.setattr(explore, "MAX_BYTES", 1000)
    with pytest.raises(UserError, match=r"at most 0 MB; this run has .*explore .* --serve$"):
        explore.explorer_page(run)
    with ExplorerServer(run) as server:
        assert len(server.page) > 1000
