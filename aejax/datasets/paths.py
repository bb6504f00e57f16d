"""Error messages about paths without readable data: what is at the path, and how to convert it to an array."""

import os
from collections.abc import Iterable
from pathlib import Path

from aejax.datasets.images import FORMATS
from aejax.datasets.sources import names
from aejax.datasets.tables.files import SUFFIXES as TABLES
from aejax.errors import UserError
from aejax.host.suggestions import did_you_mean, no_such_file

SUFFIXES = (".npy", ".npz")
_SAVE = "save its numbers as a .npy file, by numpy.save"
_IMAGES = "name the folder of images that contains it"
_UNPACK = "unpack it, and save the examples as a .npy file"
_KINDS = {  # by suffix: the kind of a file, and how to convert it to an array
    (".txt", ".dat", ".data"): ("a text file", "name it .csv if it is a table whose first line has the columns' names"),
    TABLES: ("a table", ""),
    (".xls", ".xlsx", ".ods"): ("a spreadsheet", "save it as .csv"),
    (".feather", ".arrow"): ("an Arrow file", f"{_SAVE}(..., pandas.read_feather(...).to_numpy())"),
    (".json", ".jsonl"): ("a JSON file", _SAVE),
    (".h5", ".hdf5", ".hdf"): ("an HDF5 file", f"{_SAVE}(..., h5py.File(...)[NAME][:])"),
    (".nc",): ("a NetCDF file", _SAVE),
    (".mat",): ("a MATLAB file", f"{_SAVE}(..., scipy.io.loadmat(...)[NAME])"),
    (".pt", ".pth"): ("a PyTorch file", f"{_SAVE}(..., tensor.numpy())"),
    (".safetensors",): ("a safetensors file", _SAVE),
    (".pkl", ".pickle", ".joblib"): ("a pickle, which may run code and is never opened", _SAVE),
    (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z"): ("an archive", _UNPACK),
    (".tfrecord", ".array_record"): ("a file of records", _SAVE),
    (".wav", ".mp3", ".flac", ".ogg"): ("an audio file", _SAVE),
    (".mp4", ".avi", ".mov", ".mkv"): ("a video file", _SAVE),
    tuple(FORMATS): ("an image", _IMAGES),
    (".bmp", ".gif", ".heic", ".pgm", ".ppm"): ("an image of a format that is not read", f"save it as PNG; {_IMAGES}"),
}
_ARRAYS = f"arrays are read from {' and '.join(SUFFIXES)} files"


def is_array_file(path: str | Path) -> bool:
    """Whether a path has the suffix of an array file, in lower or upper case.

    >>> is_array_file("X.NPY"), is_array_file("x.csv")
    (True, False)
    """
    return Path(path).suffix.lower() in SUFFIXES


def refuse_path(path: Path) -> UserError:
    """Returns the error about a path that is not an array file: what is there, and how to convert it to an array.

    >>> print(refuse_path(Path("nowhere/x.csv")))
    nowhere/x.csv: no such file; arrays are read from .npy and .npz files
    """
    if not os.path.lexists(path):
        return UserError(_joined(no_such_file(path), _ARRAYS))
    what, advice = _describe(path)
    return UserError(f"{path}: is {what}; {_ARRAYS}" + (f": {advice}" if advice else ""))


def refuse_dataset(name: str, known: Iterable[str]) -> UserError:
    """Returns the error about an unknown data set.

    It says what is at the path of that name, or that there is nothing if the name looks like a path, or which known
    names are similar.

    >>> print(refuse_dataset("digts", ["race"]))
    there is no data set 'digts'; did you mean digits?
    """
    path = Path(name).expanduser()
    if name and os.path.lexists(path):
        what, advice = _describe(path)
        return UserError(f"{path}: is {what}; {_describe_data()}" + (f": {advice}" if advice else ""))
    if _looks_like_path(name):
        return UserError(_joined(no_such_file(path, "there is no such file or folder"), _describe_data()))
    near = did_you_mean(name, names()) or did_you_mean(name.partition("/")[0], known)
    return UserError(
        f"there is no data set {name!r}" + (near or f", and no file or folder of that name; {_describe_data()}")
    )


def _describe_data() -> str:
    return (
        f"data are {' and '.join(SUFFIXES)} files, tables in {', '.join(TABLES)} files, a folder of images, of "
        f"sequences, of activations, or of the images noisy/NAME and clean/NAME, {', '.join(names())}, or a TFDS image "
        "set by its name"
    )


def _looks_like_path(name: str) -> bool:
    endings = {suffix for suffixes in _KINDS for suffix in suffixes} | set(SUFFIXES)
    return name.startswith((".", "/", "~")) or name.count("/") > 1 or Path(name).suffix.lower() in endings


def _describe(path: Path) -> tuple[str, str]:
    """Returns what is at a path, and how to convert it to an array, if that is known."""
    if path.is_dir():
        return _describe_folder(path)
    if not path.is_file():
        return "a broken link" if path.is_symlink() else "not a regular file", ""
    for suffixes, (what, advice) in _KINDS.items():
        if path.suffix.lower() in suffixes:
            return what, advice
    return "a file of an unknown kind", ""


def _describe_folder(folder: Path) -> tuple[str, str]:
    names = sorted(os.listdir(folder))
    if {"config.json", "checkpoints"} <= set(names):
        return "the folder of a run", ""
    if images := [name for name in names if Path(name).suffix.lower() in FORMATS]:
        return f"a folder with {len(images):,} image{'s' * (len(images) > 1)}", ""
    if arrays := [name for name in names if is_array_file(name)]:
        return "a folder", f"name a file in it, such as {folder / arrays[0]}"
    return ("a folder" if names else "an empty folder"), ""


def _joined(message: str, more: str) -> str:
    return f"{message} {more[0].upper()}{more[1:]}" if message.endswith("?") else f"{message}; {more}"
