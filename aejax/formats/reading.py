"""One entrance to all formats: what a folder or a file holds is recognized by its names."""

from collections.abc import Callable
from pathlib import Path

from aejax.errors import UserError
from aejax.formats import gemma_scope, sae_lens, sparsify
from aejax.formats.weights import DictionaryWeights

_READERS: dict[str, Callable[[Path], DictionaryWeights]] = {
    sae_lens.WEIGHTS: sae_lens.read_sae_lens,
    sparsify.WEIGHTS: sparsify.read_sparsify,
    gemma_scope.WEIGHTS: gemma_scope.read_gemma_scope,
}


def read_dictionary(path: str | Path) -> DictionaryWeights:
    """Returns the dictionary in a folder of SAELens or sparsify, or in a params.npz of Gemma Scope.

    Args:
      path: the folder, or the file.

    Raises:
      UserError: the path holds none of these, or the reader of the format refuses it.
    """
    path = Path(path)
    if path.is_file() and path.suffix == ".npz":
        return gemma_scope.read_gemma_scope(path)
    for name, read in _READERS.items():
        if (path / name).exists():
            return read(path)
    if (path / "ae.pt").exists() or path.suffix in (".pt", ".pth"):
        raise UserError(f"{path}: is a pickle, which may run code and is never opened; save it as SAELens does")
    raise UserError(f"{path}: holds no dictionary: expected a folder with {', '.join(_READERS)}")
