"""JAX's coordination service in a process of its own, so that it survives the end of process 0.

JAX starts its coordination service inside process 0. If that process is killed, the service ends too, and JAX ends all
other processes at once with a message that does not name process 0. As a separate process, the service detects the end
of process 0 and reports it to the others, which have time to print what has happened.
"""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

_READY = "ready"


class Coordinator:
    """A replacement of JAX's coordination service, with the same arguments and a `shutdown` method."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Starts the service; raises RuntimeError if it does not start."""
        command = [sys.executable, "-P", __file__, json.dumps([arguments, options])]
        # in a session of its own, so that Ctrl-C in a terminal reaches only the training processes
        self._service = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._service.stdout is not None
        if (answer := self._service.stdout.readline().strip()) != _READY:
            raise RuntimeError(answer or "the coordination service did not start")

    def shutdown(self) -> None:
        """Ends the service, after all processes have disconnected."""
        self._service.communicate()


@contextlib.contextmanager
def separate_coordinator() -> Iterator[None]:
    """Context manager in which `jax.distributed.initialize` starts the service as a process of its own."""
    from jax._src.lib import _jax  # JAX has no public option for where the service runs

    original = _jax.get_distributed_runtime_service
    _jax.get_distributed_runtime_service = Coordinator
    try:
        yield
    finally:
        _jax.get_distributed_runtime_service = original


def _serve(arguments: list[Any], options: dict[str, Any]) -> None:
    """Serves until process 0 has ended for any reason, which closes its end of the pipe."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the training processes handle them
        signal.signal(number, signal.SIG_IGN)
    from jax._src.lib import _jax

    try:
        service = _jax.get_distributed_runtime_service(*arguments, **options)
    except RuntimeError as error:
        print(str(error).splitlines()[0], flush=True)
        return
    print(_READY, flush=True)
    sys.stdin.read()
    service.shutdown()


if __name__ == "__main__":
    _serve(*json.loads(sys.argv[1]))
