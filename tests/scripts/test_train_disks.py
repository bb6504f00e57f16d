"""The main job on disks that are full or read-only: one line, exit code 2, and nothing of what was saved is lost."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "train.py"
ENVIRONMENT = os.environ | {"XLA_FLAGS": ""}  # one device, as on a user's machine
TRAIN = shlex.join([sys.executable, str(SCRIPT)])
NEW = f"{TRAIN} --hidden 16 --code-size 3 --checkpoint-every 1 --patience None --epochs 12 --run-dir disk/run"
pytestmark = pytest.mark.slow


@pytest.fixture
def with_disk(tmp_path: Path):
    """Runs lines of a shell that has a disk of its own, mounted on `disk`; their output, by name of the line."""
    own = ["unshare", "--mount", "--map-root-user"]
    try:
        subprocess.run([*own, "mount", "-t", "tmpfs", "none", str(tmp_path)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this machine lets nobody mount a disk in a namespace of his own")
    (tmp_path / "disk").mkdir()

    def call(size: str, *lines: str) -> list[subprocess.CompletedProcess[str]]:
        told = [f"{{ {line}; }} >{n}.out 2>{n}.err; echo $?" for n, line in enumerate(lines)]
        shell = "\n".join([f"mount -t tmpfs -o size={size} none disk", *told])
        codes = subprocess.run(
            [*own, "bash", "-c", shell], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=True
        ).stdout.split()
        return [
            subprocess.CompletedProcess(
                line, int(code), (tmp_path / f"{n}.out").read_text(), (tmp_path / f"{n}.err").read_text()
            )
            for n, (line, code) in enumerate(zip(lines, codes, strict=True))
        ]

    return call


def assert_refused(result: subprocess.CompletedProcess[str], reason: str) -> None:
    assert result.returncode == 2, result.stderr
    assert re.fullmatch(rf"train\.py: error: .*{reason}.*\n", result.stderr), result.stderr


@pytest.mark.parametrize("size", ["4k", "100k", "250k", "350k"])
def test_a_full_disk_is_one_line_and_with_room_the_run_goes_on(with_disk, size: str) -> None:
    """Full at once, in the first checkpoint, in a later one."""
    full, more, resumed = with_disk(
        size,
        NEW,
        "mount -o remount,size=100m disk",
        f"[ ! -e disk/run ] || {TRAIN} --resume disk/run",
    )
    assert_refused(full, "([Nn]o space left|RESOURCE_EXHAUSTED|ENOSPC)")
    assert more.returncode == 0
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stderr == ""


def test_a_disk_that_is_read_only_is_one_line(with_disk) -> None:
    new, whole, _, resumed = with_disk(
        "100m",
        f"mount -o remount,ro disk; {NEW}",
        f"mount -o remount,rw disk; {NEW}",
        "mount -o remount,ro disk",
        f"{TRAIN} --resume disk/run",
    )
    assert_refused(new, "disk is not writable")
    assert whole.returncode == 0, whole.stderr
    assert_refused(resumed, "Read-only file system")
