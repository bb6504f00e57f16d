"""Training on several processes: how they connect, agree, and stop when one of them stops.

Every process runs the same program with the same arguments, and has the same number of devices. Each can read all data,
since any example may be in any process's share of a batch: so the order of the examples in an epoch, and the result, do
not depend on the number of processes. Only process 0 writes files.
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
from aejax.training.coordinator import separate_coordinator

TIMEOUT = 30.0  # seconds without a heartbeat after which a process counts as dead
# The same for JAX's own check, whose message names no process, so that it must come after ours. JAX sends a heartbeat
# every half of this time: it may find out only that half after the death of a process.
_JAX_TIMEOUT = 90
_SECONDS_BETWEEN_HEARTBEATS = 1.0
_WORDS_OF_COLLECTIVE_ERRORS = ("gloo", "nccl", "connection", "coordination")  # caused by the end of another process
_TIMED_OUT = f"has not answered for {TIMEOUT:.0f} s: it has died, or its machine has"
_FAILED, _HEARTBEAT_OF_FIRST, _HEARTBEATS_OF_OTHERS = "aejax/failed", "aejax/first/", "aejax/others/"
_MAX_WAIT = 24 * 3600 * 1000  # milliseconds


@contextlib.contextmanager
def join_processes(
    coordinator: str | None = None, num_processes: int | None = None, process_id: int | None = None
) -> Iterator[None]:
    """Context manager that connects several processes, which then train as one; enter it before JAX computes anything.

    If one of them raises or dies, all others end within a minute, with exit code 2 for a UserError, 75 for a preemption
    and 1 for anything else, and one line on stderr that names the process. An error in this process is reported to the
    others and then ends this process at once, so that none waits for a collective operation that will not take place.

    Args:
      coordinator: HOST:PORT of process 0.
      num_processes: the number of processes.
      process_id: the index of this process, from 0. If all three arguments are None, they are read from the scheduler's
        environment (SLURM, Open MPI, Kubernetes, TPU pods: those that `jax.distributed.initialize` detects).

    Raises:
      UserError: the arguments contradict each other, or they are None and the environment does not define them.
    """
    _connect(coordinator, num_processes, process_id)
    over = threading.Event()
    watch = _Watch(over)
    watch.start()
    try:
        yield
    except PreemptedError as error:
        over.set()
        _fail(error)
    except SystemExit:  # all processes have agreed on it
        _disconnect(over, watch)
        raise
    except BaseException as error:
        is_collective = any(word in str(error).lower() for word in _WORDS_OF_COLLECTIVE_ERRORS)
        if is_collective and not isinstance(error, UserError):
            over.wait(TIMEOUT + 10)  # the watch finds out which process has ended, reports it, and ends this process
        over.set()
        _fail(error)
    else:
        _disconnect(over, watch)


def is_writer() -> bool:
    """Whether this process writes files and shows progress: True in process 0, or if there is only one."""
    return jax.process_index() == 0


def any_process(flag: bool) -> bool:
    """Whether the flag is set in any process; all processes must call it."""
    return flag if jax.process_count() == 1 else bool(multihost_utils.process_allgather(np.array(flag)).any())


def check_same(number: int, name: str) -> None:
    """Raise UserError unless a number is the same in every process; all processes must call it."""
    if jax.process_count() > 1:
        numbers = multihost_utils.process_allgather(np.array(number)).tolist()
        if len(set(numbers)) > 1:
            raise UserError(f"{name} differs between the processes: {', '.join(map(str, numbers))}")


def _connect(coordinator: str | None, num_processes: int | None, process_id: int | None) -> None:
    is_set = [value is not None for value in (coordinator, num_processes, process_id)]
    if any(is_set) and not all(is_set):
        raise UserError("coordinator, num_processes and process_id go together: give all of them or none")
    if coordinator is not None and num_processes is not None and process_id is not None:
        if not coordinator.rpartition(":")[0] or not coordinator.rpartition(":")[2].isdigit():
            raise UserError(f"coordinator: expects HOST:PORT, got {coordinator}")
        if not 0 <= process_id < num_processes:
            raise UserError(f"process_id must be between 0 and num_processes - 1, got {process_id} of {num_processes}")
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.config.update("jax_enable_preemption_service", False)  # the caller handles SIGTERM
    try:
        with separate_coordinator():
            jax.distributed.initialize(coordinator, num_processes, process_id, heartbeat_timeout_seconds=_JAX_TIMEOUT)
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"coordinator: the processes cannot connect: {reason}") from error


def _client() -> Any:  # its type is not public
    return global_state.client


class _Watch:
    """Sends heartbeats, and ends this process if another one has failed.

    Process 0 checks the heartbeats of all others, and the others check those of process 0 and the coordinator.
    """

    def __init__(self, over: threading.Event) -> None:
        self._over = over
        self._process = jax.process_index()
        self._sends, self._checks = _HEARTBEATS_OF_OTHERS, _HEARTBEAT_OF_FIRST
        checked = [0]
        if self._process == 0:
            self._sends, self._checks = self._checks, self._sends
            checked = list(range(1, jax.process_count()))
        self._heartbeats: dict[int, str] = {}
        self._changed = dict.fromkeys(checked, time.monotonic())
        self._thread = threading.Thread(target=self._repeat, args=(self._check_all,), daemon=True)

    def start(self) -> None:
        self._thread.start()
        if self._process != 0:
            # a coordinator whose machine has died gives no error: a request to it never returns
            threading.Thread(target=self._repeat, args=(self._check_process_0,), daemon=True).start()

    def join(self) -> None:
        self._thread.join()

    def _repeat(self, action: Callable[[], None]) -> None:
        while not self._over.wait(_SECONDS_BETWEEN_HEARTBEATS):
            action()

    def _check_all(self) -> None:
        client = _client()
        try:
            client.key_value_increment(f"{self._sends}{self._process}", 1)
            failures = dict(client.key_value_dir_get(_FAILED))
            now = time.monotonic()
            for name, heartbeat in client.key_value_dir_get(self._checks):
                process = int(name.rpartition("/")[2])
                if self._heartbeats.get(process) != heartbeat:
                    self._heartbeats[process], self._changed[process] = heartbeat, now
            if self._process == 0 and not failures and (timed_out := self._timed_out()):
                _report(min(timed_out), 1, _TIMED_OUT)
                return
        except jax.errors.JaxRuntimeError:
            failures = {"": "1 process 0 has died: the coordinator no longer answers"}
        if failures:
            self._stop(min(failures.values()))

    def _check_process_0(self) -> None:
        if self._timed_out():
            self._stop(f"1 process 0 {_TIMED_OUT}")

    def _timed_out(self) -> list[int]:
        now = time.monotonic()
        return [process for process, changed in self._changed.items() if now - changed > TIMEOUT]

    def _stop(self, failure: str) -> None:
        code, _, message = failure.partition(" ")
        if not self._over.is_set():
            _end(int(code), f"{message}; process {self._process} stops")


def _report(process: int, code: int, message: str) -> None:
    # one key per process, so that processes that fail at the same time do not overwrite each other's message
    with contextlib.suppress(jax.errors.JaxRuntimeError):
        _client().key_value_set(f"{_FAILED}/{process}", f"{code} process {process} {message}", True)


def _fail(error: BaseException) -> None:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    code, message = (2 if isinstance(error, UserError) else 1), f"has failed: {reason}"
    if isinstance(error, PreemptedError):
        code, message = PREEMPTED, "was asked to stop by SIGTERM"
    _report(jax.process_index(), code, message)
    if code == 1:
        traceback.print_exception(error)
    _end(code, str(error) if code != PREEMPTED else "stopped by SIGTERM")


def _end(code: int, message: str) -> None:
    # not sys.exit: the main thread may wait for a collective operation, and JAX's exit handler for all processes
    print_error(message)
    sys.stdout.flush()
    if is_writer():  # the coordinator ends with process 0, and the others still have to read the message from it
        time.sleep(3 * _SECONDS_BETWEEN_HEARTBEATS)
    os._exit(code)


def _disconnect(over: threading.Event, watch: _Watch) -> None:
    _client().wait_at_barrier("aejax/done", _MAX_WAIT)  # heartbeats go on: process 0 may still be writing
    over.set()
    watch.join()
    jax.distributed.shutdown()
