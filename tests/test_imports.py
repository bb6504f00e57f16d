"""The rooms of the package import only from those above them, and `import aejax` is light."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import aejax

ROOT = Path(aejax.__file__).parent
ROOMS = (  # from the ground up; those of one line do not import each other
    ("errors", "checks", "keys", "precision"),
    ("host",),
    (
        "losses",
        "divergences",
        "sampling",
        "augmentation",
        "corruption",
        "schedules",
        "standardization",
        "geometric_median",
    ),
    ("likelihoods",),
    ("priors", "jacobian", "generation"),
    ("networks",),
    ("autoencoders",),
    ("datasets", "formats"),
    ("training", "evaluation", "plots"),
    ("export",),
    ("experiment",),
    ("studies", "sklearn"),
    ("cli",),
    ("__main__",),
)


def module_name(path):
    """The name of the module in a file."""
    parts = ("aejax", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PATHS = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def imports_of(path):
    """The names that a file imports, anywhere in it; `from a import b` gives a.b where that is a module, else a."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in PATHS else node.module


IMPORTS = {name: sorted(set(imports_of(path))) for name, path in PATHS.items()}


def test_every_module_has_its_room():
    rooms = {name.split(".")[1] for name in PATHS if name != "aejax"}
    assert rooms == {room for level in ROOMS for room in level}


@pytest.mark.parametrize("name", [name for name in PATHS if name != "aejax"])
def test_a_module_imports_from_rooms_above_its_own_only(name):
    level_of = {room: number for number, level in enumerate(ROOMS) for room in level}
    room = name.split(".")[1]
    for imported in IMPORTS[name]:
        if imported.split(".")[0] == "aejax":
            if imported == "aejax":
                assert room == "cli"  # whose program prints the version
                continue
            other = imported.split(".")[1]
            assert other == room or level_of[other] < level_of[room], f"{name} imports {imported}"


def test_there_is_no_cycle():
    ours = {name: [other for other in imported if other in PATHS] for name, imported in IMPORTS.items()}
    order = list(graphlib.TopologicalSorter(ours).static_order())
    assert set(order) == set(PATHS)


@pytest.mark.parametrize("package", ["tensorflow", "torch", "pytest", "hypothesis"])
def test_no_module_needs_what_is_not_a_dependency(package):
    users = {name for name, imported in IMPORTS.items() if package in {other.split(".")[0] for other in imported}}
    assert not users


def loaded_by(statement):
    """The packages in memory after a statement in a fresh interpreter."""
    program = f"{statement}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    return set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout.split()
    )


def test_import_of_the_package_is_light():
    heavy = {
        "jax",
        "jaxlib",
        "flax",
        "optax",
        "orbax",
        "numpy",
        "matplotlib",
        "sklearn",
        "tensorflow_datasets",
        "pydantic",
        "polars",
    }
    assert not heavy & loaded_by("import aejax; aejax.__version__; dir(aejax)")


def test_configuration_and_presets_need_no_jax():
    heavy = {"jax", "jaxlib", "flax", "optax", "orbax", "numpy", "matplotlib", "sklearn", "tensorflow_datasets"}
    heavy |= {"polars"}
    assert not heavy & loaded_by("import aejax.experiment.configuration, aejax.experiment.presets")


@pytest.mark.slow
def test_pure_functions_need_no_networks():
    heavy = {"flax", "optax", "orbax", "matplotlib", "sklearn", "tensorflow_datasets"}
    pure = "augmentation, corruption, divergences, jacobian, likelihoods, losses, priors, sampling"
    assert not heavy & loaded_by(f"from aejax import {pure}")


@pytest.mark.parametrize("name", [name for name in aejax.__all__ if name != "__version__"])
def test_every_name_of_the_package_is_a_module(name):
    assert getattr(aejax, name).__name__ == f"aejax.{name}"
    assert name in dir(aejax)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'aejax' has no attribute 'autoencoder'"):
        aejax.autoencoder  # noqa: B018


@pytest.mark.parametrize("name", [name for name, path in PATHS.items() if path.name == "__init__.py"])
def test_every_public_name_of_a_package_exists(name):
    module = __import__(name, fromlist=["__all__"])
    for public in getattr(module, "__all__", ()):
        assert hasattr(module, public)
