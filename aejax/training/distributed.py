"""Several processes that train as one: how they meet, agree, and stop when one of them does.

Every process runs the same program with the same arguments, and has the same number of devices. Each reads all data,
since any example may fall into any process's share of a batch: so the order of an epoch is that of one process, and the
result does not depend on how many there are. Process 0 alone writes.
"""

import contextlib
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax._src.distributed import global_state  # its store of keys and values has no public name
from jax.experimental import multihost_utils

from aejax.errors import UserError
from aejax.host.exits import PREEMPTED, print_error
from aejax.host.preemption import PreemptedError
from aejax.training.coordinator import outliving_process_0

SILENCE = 30.0  # seconds without a sign of life after which a process is taken for dead
_HEARTBEAT = 45  # the same, of JAX's own watch, which names nobody: it must come after ours
_SECONDS_BETWEEN_SIGNS = 1.0
_OF_OTHERS = ("gloo", "nccl", "connection", "coordination")  # words of errors that the end of another process causes
_SILENT = f"has not answered for {SILENCE:.0f} s: it has died, or its machine has"
_FAILED, _SIGN_OF_FIRST, _SIGNS_OF_OTHERS = "aejax/failed", "aejax/first/", "aejax/others/"
_LONGEST_WAIT = 24 * 3600 * 1000  # milliseconds


@contextlib.contextmanager
def together(
    coordinator: str | None = None, num_processes: int | None = None, process_id: int | None = None
) -> Iterator[None]:
    """Run the body as one of several processes; enter it before JAX computes anything.

    Where one of them raises or dies, all others end within a minute, with exit code 2 for a UserError, 75 for a
    preemption and 1 for anything else, and one line on stderr that names the process, process 0 as any other. An error
    in this process is told to the others and then ends it at once: nobody waits for a collective operation that will
    not come.

    Args:
      coordinator: HOST:PORT of process 0.
      num_processes: how many there are.
      process_id: which of them this is, from 0 on. Where all three are None, the scheduler's environment tells them
        (SLURM, Open MPI, Kubernetes, TPU pods: what `jax.distributed.initialize` detects).

    Raises:
      UserError: arguments that do not fit each other, or an environment that tells nothing.
    """
    _join(coordinator, num_processes, process_id)
    over = threading.Event()
    watch = _Watch(over)
    watch.start()
    try:
        yield
    except PreemptedError as error:
        over.set()
        _fail(error)
    except SystemExit:  # agreed on by all
        _leave(over, watch)
        raise
    except BaseException as error:
        if not isinstance(error, UserError) and any(sign in str(error).lower() for sign in _OF_OTHERS):
            over.wait(SILENCE + 10)  # for the watch, which finds out whose end this error comes from, and ends this too
        over.set()
        _fail(error)
    else:
        _leave(over, watch)


def is_writer() -> bool:
    """Whether this process writes files and shows progress: the first one, or the only one."""
    return jax.process_index() == 0


def any_process(flag: bool) -> bool:
    """Whether the flag is set in any process; every process must ask."""
    return flag if jax.process_count() == 1 else bool(multihost_utils.process_allgather(np.array(flag)).any())


def check_same(number: int, name: str) -> None:
    """Raise UserError unless a number is the same in every process; every process must ask."""
    if jax.process_count() > 1:
        numbers = multihost_utils.process_allgather(np.array(number)).tolist()
        if len(set(numbers)) > 1:
            raise UserError(f"{name} differs between the processes: {', '.join(map(str, numbers))}")


def _join(coordinator: str | None, num_processes: int | None, process_id: int | None) -> None:
    given = [value is not None for value in (coordinator, num_processes, process_id)]
    if any(given) and not all(given):
        raise UserError("coordinator, num_processes and process_id go together: give all of them or none")
    if coordinator is not None and num_processes is not None and process_id is not None:
        if not coordinator.rpartition(":")[0] or not coordinator.rpartition(":")[2].isdigit():
            raise UserError(f"coordinator: wants HOST:PORT, got {coordinator}")
        if not 0 <= process_id < num_processes:
            raise UserError(f"process_id must be between 0 and num_processes - 1, got {process_id} of {num_processes}")
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.config.update("jax_enable_preemption_service", False)  # SIGTERM is the caller's
    try:
        with outliving_process_0():
            jax.distributed.initialize(coordinator, num_processes, process_id, heartbeat_timeout_seconds=_HEARTBEAT)
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"the processes cannot meet, see --coordinator: {reason}") from error


def _client() -> Any:  # of no public type
    return global_state.client


class _Watch:
    """Gives signs of life, and ends this process where another has failed.

    Process 0 looks after the signs of all, and the others after those of process 0 and of the coordinator.
    """

    def __init__(self, over: threading.Event) -> None:
        self._over = over
        self._here = jax.process_index()
        self._gives, self._watches = _SIGNS_OF_OTHERS, _SIGN_OF_FIRST
        watched = [0]
        if self._here == 0:
            self._gives, self._watches = self._watches, self._gives
            watched = list(range(1, jax.process_count()))
        self._signs: dict[int, str] = {}
        self._changed = dict.fromkeys(watched, time.monotonic())
        self._thread = threading.Thread(target=self._repeat, args=(self._look,), daemon=True)

    def start(self) -> None:
        self._thread.start()
        if self._here != 0:
            # a coordinator whose machine is gone gives no error: the look at it never returns
            threading.Thread(target=self._repeat, args=(self._check_process_0,), daemon=True).start()

    def join(self) -> None:
        self._thread.join()

    def _repeat(self, action: Callable[[], None]) -> None:
        while not self._over.wait(_SECONDS_BETWEEN_SIGNS):
            action()

    def _look(self) -> None:
        client = _client()
        try:
            client.key_value_increment(f"{self._gives}{self._here}", 1)
            failures = dict(client.key_value_dir_get(_FAILED))
            now = time.monotonic()
            for name, sign in client.key_value_dir_get(self._watches):
                process = int(name.rpartition("/")[2])
                if self._signs.get(process) != sign:
                    self._signs[process], self._changed[process] = sign, now
            if self._here == 0 and not failures and (silent := self._silent()):
                _tell(min(silent), 1, _SILENT)
                return
        except jax.errors.JaxRuntimeError:
            failures = {"": "1 process 0 has died: the coordinator no longer answers"}
        if failures:
            self._stop(min(failures.values()))

    def _check_process_0(self) -> None:
        if self._silent():
            self._stop(f"1 process 0 {_SILENT}")

    def _silent(self) -> list[int]:
        now = time.monotonic()
        return [process for process, changed in self._changed.items() if now - changed > SILENCE]

    def _stop(self, failure: str) -> None:
        code, _, message = failure.partition(" ")
        if not self._over.is_set():
            _end(int(code), f"{message}; process {self._here} stops")


def _tell(process: int, code: int, message: str) -> None:
    # one key each: of several processes that fail at the same time none overwrites another
    with contextlib.suppress(jax.errors.JaxRuntimeError):
        _client().key_value_set(f"{_FAILED}/{process}", f"{code} process {process} {message}", True)


def _fail(error: BaseException) -> None:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    code, deed = (2 if isinstance(error, UserError) else 1), f"has failed: {reason}"
    if isinstance(error, PreemptedError):
        code, deed = PREEMPTED, "was asked to stop by SIGTERM"
    _tell(jax.process_index(), code, deed)
    if code == 1:
        traceback.print_exception(error)
    _end(code, str(error) if code != PREEMPTED else "stopped by SIGTERM")


def _end(code: int, message: str) -> None:
    # not sys.exit: the main thread may wait in a collective operation for ever, and JAX's own exit for all processes
    print_error(message)
    sys.stdout.flush()
    if is_writer():  # whose end is that of the coordinator, by which the others learn of what has happened
        time.sleep(3 * _SECONDS_BETWEEN_SIGNS)
    os._exit(code)


def _leave(over: threading.Event, watch: _Watch) -> None:
    _client().wait_at_barrier("aejax/done", _LONGEST_WAIT)  # still watched: process 0 has more to write
    over.set()
    watch.join()
    jax.distributed.shutdown()
