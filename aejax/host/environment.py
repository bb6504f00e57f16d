"""What JAX reads from its environment when it is imported: to be set before. Imports no JAX, so `--help` is quick."""

import hashlib
import os
import platform
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path

_WITH_SLOW_FUSIONS = ("0.10.0", "0.10.1", "0.10.2")  # of jaxlib: others may not know the flag, and would end at once
_FUSIONS_FLAG = "--xla_cpu_experimental_ynn_fusion_type"
_NO_WARNING = "Error (reading|writing) persistent compilation cache entry"


def avoid_slow_fusions() -> None:
    """Keep XLA on CPU from fusing matrix products with what surrounds them, where that is known to be slower.

    A step of the 784-400-20 variational autoencoder took 8.4 ms with these fusions and 3.9 ms without, on two cores
    with jaxlib 0.10.2, convolutional and contractive ones 10 % less. Nothing is done where XLA_FLAGS names the flag.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if _FUSIONS_FLAG not in flags and version("jaxlib") in _WITH_SLOW_FUSIONS:
        os.environ["XLA_FLAGS"] = f"{flags} {_FUSIONS_FLAG}=".strip()


def make_deterministic() -> None:
    """Ask XLA for the same bits in every run on a GPU: no atomic sums, and no choice of algorithms by their speed.

    It costs time. On CPU and TPU results are the same bits anyway.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_deterministic_ops=true".strip()


def use_compilation_cache() -> Path | None:
    """Keep what is compiled in the user's cache folder, where the next process finds it: the same code, the same bits.

    The folder is $XDG_CACHE_HOME/aejax, ~/.cache/aejax by default, with one inside for each kind of processor and
    version of XLA, since a home may be shared by machines of several kinds. It may be deleted at any time.

    Returns:
      The folder; None where the user has decided already, by JAX_COMPILATION_CACHE_DIR or
      JAX_ENABLE_COMPILATION_CACHE, or where it cannot be written: then everything is compiled anew.
    """
    # a cache that cannot be read or written is no fault of the run's
    warnings.filterwarnings("ignore", message=_NO_WARNING)
    if "JAX_COMPILATION_CACHE_DIR" in os.environ or "JAX_ENABLE_COMPILATION_CACHE" in os.environ:
        return None
    folder = (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aejax" / f"compiled-{_kind_of_machine()}"
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:
        return None
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    return folder


def _kind_of_machine() -> str:
    """A few letters that differ where compiled code may not run: processor, its instructions, version of XLA."""
    described = [platform.system(), platform.machine(), platform.processor(), version("jaxlib")]
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # no Linux
        lines = []
    described += sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    return hashlib.sha256("\n".join(described).encode()).hexdigest()[:12]
