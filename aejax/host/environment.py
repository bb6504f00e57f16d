"""Environment variables that JAX reads on import. This module does not import JAX, so that `--help` stays fast.

Two settings of the machine matter on CPU. jaxlib 0.10.0 to 0.10.2 fuses matrix products in a way that can double the
time of a step: `avoid_slow_fusions`, which commands call. If /sys/kernel/mm/transparent_hugepage/enabled says
`madvise`, the variable GLIBC_TUNABLES=glibc.malloc.hugetlb=1 (glibc 2.35) shortens a step of a convolutional network by
17 to 20 %; small dense networks become slightly slower.
"""

import hashlib
import os
import platform
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path

# versions of jaxlib; others may not know the flag, and would abort on it
_WITH_SLOW_FUSIONS = ("0.10.0", "0.10.1", "0.10.2")
_FUSIONS_FLAG = "--xla_cpu_experimental_ynn_fusion_type"
_NO_WARNING = "Error (reading|writing) persistent compilation cache entry"


def avoid_slow_fusions() -> None:
    """Prevents XLA on CPU from fusing matrix products with neighboring operations, where that is known to be slower.

    With jaxlib 0.10.2 on two cores, a step of the 784-400-20 variational autoencoder took 8.4 ms with these fusions and
    3.9 ms without; steps of convolutional and contractive autoencoders took 10 % less time without. Sets the flag in
    XLA_FLAGS; does nothing if XLA_FLAGS sets it already or if the version of jaxlib is not known to be affected.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if _FUSIONS_FLAG not in flags and version("jaxlib") in _WITH_SLOW_FUSIONS:
        os.environ["XLA_FLAGS"] = f"{flags} {_FUSIONS_FLAG}=".strip()


def make_deterministic() -> None:
    """Makes results on a GPU bitwise reproducible: XLA uses no atomic sums and does not choose algorithms by timing.

    This costs time. On CPU and TPU, results are bitwise reproducible without it.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_deterministic_ops=true".strip()


def use_compilation_cache() -> Path | None:
    """Stores compiled programs in the user's cache folder, where later processes load them with identical results.

    The folder is $XDG_CACHE_HOME/aejax (default ~/.cache/aejax). It has one subfolder for each type of processor and
    version of XLA, since machines of different types may share a home folder. It may be deleted at any time.

    Returns:
      The cache folder of this machine. None if the user has set JAX_COMPILATION_CACHE_DIR or
      JAX_ENABLE_COMPILATION_CACHE, or if the folder cannot be written; in the latter case nothing is cached.
    """
    # a cache that cannot be read or written only costs compile time: JAX's warning would distract
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
    """Returns a hash of the processor, its instruction set and the version of XLA: compiled code needs all equal."""
    described = [platform.system(), platform.machine(), platform.processor(), version("jaxlib")]
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        lines = []
    described += sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    return hashlib.sha256("\n".join(described).encode()).hexdigest()[:12]
