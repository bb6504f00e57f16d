"""What all tests share: 8 simulated devices, strict shapes and dtypes, few but fixed random examples."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # in the background of a shell; programs under test inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
os.environ["MPLBACKEND"] = "Agg"

from aejax.host.environment import avoid_slow_fusions, use_compilation_cache

avoid_slow_fusions()  # as commands do, of which some run in this process: compiled programs are found by these flags
use_compilation_cache()  # what one test, one worker or one script has compiled, the next one loads

import jax
import jaxtyping
import pytest
from hypothesis import settings

jax.config.update("jax_numpy_rank_promotion", "raise")
# the modules whose signatures state shapes; imported after this line, by tests and doctests alike
CHECKED = (
    "losses",
    "divergences",
    "sampling",
    "augmentation",
    "corruption",
    "likelihoods",
    "priors",
    "jacobian",
    "generation",
    "networks.conv",
    "networks.convolution",
    "networks.sequence",
    "networks.unet",
    "autoencoders.record",
    "autoencoders.contractive",
    "autoencoders.denoising",
)
jaxtyping.install_import_hook([f"aejax.{module}" for module in CHECKED], "beartype.beartype")

settings.register_profile("fixed", max_examples=20, deadline=None, derandomize=True, database=None)
settings.load_profile("fixed")


MAPPINGS = Path("/proc/self/maps")
MINUTES = float(os.environ.get("AEJAX_TEST_MINUTES", "inf"))  # tests that begin later are skipped, and say so
ORDER = os.environ.get("AEJAX_TEST_ORDER")  # a seed: the files of tests run in another order
STARTED = time.monotonic()
SLOW_EXAMPLES = {  # of docstrings and README, which no decorator reaches
    "README.md",
    "aejax.experiment.job.fit",
    "aejax.experiment.run.train_run",
    "aejax.sklearn.AutoencoderTransformer",
    "aejax.studies.adbench.run_trials",
    "aejax.studies.sweeps.study.sweep",
    "aejax.training.population.start_population",
}


@pytest.hookimpl(tryfirst=True)  # before those that `-m` leaves out are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first case of a test marked `slow_after_first` always runs, the others are slow."""
    if ORDER is not None:
        places = sorted({item.path for item in items})
        random.Random(ORDER).shuffle(places)
        order = {path: place for place, path in enumerate(places)}
        items.sort(key=lambda item: order[item.path])
    begun: set[str] = set()
    for item in items:
        if item.name in SLOW_EXAMPLES:
            item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("slow_after_first") is not None:
            function = item.nodeid.partition("[")[0]
            if function in begun:
                item.add_marker(pytest.mark.slow)
            begun.add(function)


@pytest.hookimpl(tryfirst=True)  # before fixtures are made
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Where the time for tests is limited, those that would begin too late are not begun."""
    if time.monotonic() - STARTED > 60 * MINUTES:
        pytest.skip(f"the {MINUTES:g} minutes for tests are over")


@pytest.fixture(scope="module", autouse=True)
def few_programs() -> Iterator[None]:
    """Compiled programs are unloaded before they reach Linux's limit of 65,530 mappings, where a process crashes."""
    yield
    if MAPPINGS.exists() and len(MAPPINGS.read_bytes().splitlines()) > 15_000:
        jax.clear_caches()


@pytest.fixture(autouse=True)
def dtype_promotion() -> Iterator[None]:
    """No silent mixture of dtypes in our own code."""
    with jax.numpy_dtype_promotion("strict"):
        yield


@pytest.fixture
def float64() -> Iterator[None]:
    """Arrays are of double precision, as an oracle of many digits wants it."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def without_type_checks() -> Iterator[None]:
    """Signatures are not checked, as in a user's program: what is refused is refused by the function itself."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`make_run(experiment)`: the folder of a run of that experiment, trained to its end; one for equal experiments."""
    from aejax.experiment.run import train_run

    folders: dict[object, Path] = {}

    def make(experiment) -> Path:
        if experiment in folders:
            return folders[experiment]
        with jax.numpy_dtype_promotion("standard"):
            folder = tmp_path_factory.mktemp("runs") / "run"
            run = train_run(experiment, folder, devices=jax.devices()[:1], figures=False)
        folders[experiment] = run.path
        return run.path

    return make


@pytest.fixture(scope="session")
def make_initial_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`make_initial_run(experiment)`: the folder of a run whose initial parameters are its best; one for equal ones.

    For tests of what is read, written and refused, which hold for parameters of any value: nothing is trained.
    """
    from aejax.datasets.dataset import fingerprint
    from aejax.experiment.job import make_job
    from aejax.experiment.loading import example_of
    from aejax.experiment.run_folder import RunFolder
    from aejax.training import start
    from aejax.training.early_stopping import EarlyStopping

    folders: dict[object, Path] = {}

    def make(experiment) -> Path:
        if experiment in folders:
            return folders[experiment]
        with jax.numpy_dtype_promotion("standard"):
            job = make_job(experiment)
            key = jax.random.key(experiment.training.seed)
            snapshot = start(job.autoencoder, job.optimizer, key, *example_of(experiment.model, job.facts))
            folder = tmp_path_factory.mktemp("runs") / "run"
            run = RunFolder.create(folder, job.experiment, fingerprint(job.splits), job.facts)
            run.save(snapshot._replace(stopping=EarlyStopping(best_loss=1.0, best_epoch=1)))
            run.close()
        folders[experiment] = run.path
        return run.path

    return make
