"""The service at which processes meet, run beside process 0 instead of inside it, so that it outlives process 0.

JAX starts its coordination service within process 0. Where that process is killed, the service goes with it, and in the
same moment JAX ends all others by a message that does not name it. From outside, the service sees process 0 end, says
so to the others in an orderly way, and they have time to tell what has happened.
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
    """What JAX takes for its coordination service: the same arguments, and `shutdown`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Start the service; RuntimeError where it cannot be started."""
        command = [sys.executable, "-P", __file__, json.dumps([arguments, options])]
        # a session of its own: Ctrl-C in a terminal is for those that train
        self._service = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._service.stdout is not None
        if (answer := self._service.stdout.readline().strip()) != _READY:
            raise RuntimeError(answer or "the coordination service did not start")

    def shutdown(self) -> None:
        """End the service, when all processes have left it."""
        self._service.communicate()


@contextlib.contextmanager
def outliving_process_0() -> Iterator[None]:
    """Within the body, `jax.distributed.initialize` starts the service as a process of its own."""
    from jax._src.lib import _jax  # there is no public way to tell JAX where the service is to run

    inside = _jax.get_distributed_runtime_service
    _jax.get_distributed_runtime_service = Coordinator
    try:
        yield
    finally:
        _jax.get_distributed_runtime_service = inside


def _serve(arguments: list[Any], options: dict[str, Any]) -> None:
    """Serve until process 0 has ended, in whatever way: then its end of the pipe is closed."""
    for number in (signal.SIGINT, signal.SIGTERM):  # of preemption, which is for those that train
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
