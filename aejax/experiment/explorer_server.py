"""Serves the latent explorer on this machine alone: aejax computes what the page shows, for decoders of any size."""

import math
import secrets
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import jax
import jax.numpy as jnp
import numpy as np

from aejax.experiment.explore import explorer_page, has_spectrum, with_jacobian
from aejax.experiment.explored import explored
from aejax.experiment.trained import TrainedRun
from aejax.jacobian import pullback_metric, singular_values

_LOOPBACK = "127.0.0.1"
_IDLE_SECONDS = 60  # until a connection that sends nothing is closed
_NUMBER = np.dtype("<f4")  # as which numbers travel, one after another


class ServedFunction(NamedTuple):
    """A compiled function of a run, from one vector of float32 to another."""

    call: Callable[[np.ndarray], Any]
    inputs: int  # entries of the argument, among them the condition as the last one if the run is conditional
    outputs: list[int]  # entries of each result; the results are concatenated


def served_functions(run: TrainedRun) -> dict[str, ServedFunction]:
    """Returns what a page asks a server for, by name: decode, encode, and if there are few singular values the rest.

    decode returns the example and, of a table, also its row in the user's units.
    linearize returns the example and the Jacobian (K, D), spectrum the singular values and the metric JᵀJ (K, K) if
    K <= D, and encoderSpectrum the singular values of the encoder's Jacobian at an example.
    """
    space = explored(run)
    units, features = math.prod(run.code_shape), math.prod(space.shape)
    smaller, is_conditional = min(units, features), run.experiment.model.conditional

    def served(function: Callable[..., tuple[Any, ...]], shape: tuple[int, ...], *outputs: int) -> ServedFunction:
        def of_vector(vector: Any) -> Any:
            size = math.prod(shape)
            condition = (vector[size].astype(jnp.int32),) if is_conditional else ()
            results = function(vector[:size].reshape(shape), *condition)
            return jnp.concatenate([jnp.ravel(result).astype(jnp.float32) for result in results])

        return ServedFunction(jax.jit(of_vector), math.prod(shape) + is_conditional, list(outputs))

    def spectrum(code: Any, *condition: Any) -> tuple[Any, ...]:
        def decoder(code: Any) -> Any:
            return space.decode(code, *condition)

        metric = (pullback_metric(decoder, code),) if units <= features else ()
        return singular_values(decoder, code), *metric

    def encoder_spectrum(example: Any, *condition: Any) -> tuple[Any]:
        return (singular_values(lambda x: space.encode(x, *condition), example, method="jacrev"),)

    row_size = [] if space.row is None else [math.prod(run.example_shape)]
    functions = {
        "decode": served(space.decode_row, run.code_shape, features, *row_size),
        "encode": served(lambda *inputs: (space.encode(*inputs),), space.shape, units),
    }
    if has_spectrum(run, space):
        sizes = [smaller, units * units] if units <= features else [smaller]
        functions["spectrum"] = served(spectrum, run.code_shape, *sizes)
        functions["encoderSpectrum"] = served(encoder_spectrum, space.shape, smaller)
        both = with_jacobian(space.decode, units, features)
        functions["linearize"] = served(both, run.code_shape, features, units * features)
    return functions


class ExplorerServer(ThreadingHTTPServer):
    """A server of one run's page and functions.

    It listens on the loopback interface only, and answers only those who know the token in its address: other users of
    the machine do not.
    """

    daemon_threads = True

    def __init__(self, run: TrainedRun, *, port: int = 0) -> None:
        """Listens on the port, or on any free one if it is 0.

        Raises:
          UserError: as `aejax.experiment.explore.explorer_page`.
          OSError: the port is in use.
        """
        self.functions = served_functions(run)
        sizes = {name: function.outputs for name, function in self.functions.items()}
        self.page = explorer_page(run, served=sizes).encode()
        super().__init__((_LOOPBACK, port), _Handler)
        self.hosts = {f"{name}:{self.server_port}" for name in (_LOOPBACK, "localhost")}
        self.token = secrets.token_urlsafe()

    @property
    def address(self) -> str:
        """The address of the page, with the token."""
        return f"http://{_LOOPBACK}:{self.server_port}/?token={self.token}"

    def compile_functions(self) -> None:
        """Compiles all functions, so that the page waits for none of them."""
        for function in self.functions.values():
            jax.block_until_ready(function.call(np.zeros(function.inputs, np.float32)))


class _Handler(BaseHTTPRequestHandler):
    """Answers the page's own requests: the Host and Origin that a browser sends show whether they are."""

    server: ExplorerServer
    protocol_version = "HTTP/1.1"  # keeps connections open
    disable_nagle_algorithm = True
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        if not self._is_own():
            self._refuse()
        elif urlsplit(self.path).path != "/":
            self.send_error(404)
        else:
            self._answer(self.server.page, "text/html; charset=utf-8")

    def do_POST(self) -> None:
        function = self.server.functions.get(urlsplit(self.path).path.removeprefix("/"))
        if not self._is_own():
            self._refuse()
        elif function is None:
            self.send_error(404)
        elif self.headers.get("Content-Length") != str(size := function.inputs * _NUMBER.itemsize):
            self.send_error(400, explain=f"expected {size} bytes: {function.inputs} numbers as float32")
        else:
            vector = np.frombuffer(self.rfile.read(size), _NUMBER).astype(np.float32)
            self._answer(np.asarray(function.call(vector), _NUMBER).tobytes(), "application/octet-stream")

    def _is_own(self) -> bool:
        """Returns whether the sender knows the token, and is no other site, nor one that has this machine's name."""
        host, origin = self.headers.get("Host"), self.headers.get("Origin")
        token = parse_qs(urlsplit(self.path).query).get("token", [""])[-1]
        knows = secrets.compare_digest(token.encode(), self.server.token.encode())
        return knows and host in self.server.hosts and origin in (None, f"http://{host}")

    def _refuse(self) -> None:
        self.send_error(403, explain="open the address that the terminal shows, with its token")

    def _answer(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        headers = {"Content-Type": kind, "Content-Length": str(len(content)), "Cache-Control": "no-store"}
        protection = {"Cross-Origin-Resource-Policy": "same-origin", "X-Content-Type-Options": "nosniff"}
        protection |= {"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"}
        for name, value in {**headers, **protection}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *values: object) -> None:
        """Nothing is written for a request."""

    def handle(self) -> None:
        """Answers until the connection ends; a browser may leave while it waits."""
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True
