"""Olivetti faces: ten gray images of each of 40 people, whose numbers are the labels."""

from pathlib import Path

import numpy as np

from aejax.datasets.data_dir import in_data_dir
from aejax.datasets.dataset import Dataset, Splits, as_dataset, split
from aejax.datasets.source import Request, Source
from aejax.errors import UserError
from aejax.host.files import open_regular

FILE = Path("olivetti_faces") / "olivettifaces.mat"
PEOPLE, IMAGES, SIDE = 40, 10, 64  # images of each person, and their side in pixels


def load_olivetti_faces(data_dir: Path | None = None) -> Dataset:
    """Returns the images (400, 64, 64, 1) in [0, 1], bytes divided by 255, with the number of the person, 1 to 40.

    Args:
      data_dir: the folder that contains olivetti_faces/olivettifaces.mat; None for $AEJAX_DATA_DIR.

    Raises:
      UserError: the file does not exist, or does not hold such images.

    Source: AT&T Laboratories Cambridge (1994), The Database of Faces; as prepared by S. Roweis.
    """
    from scipy.io import loadmat

    path = in_data_dir(FILE, data_dir, origin=f"fetch {FILE.name} from S. Roweis' page of data")
    try:
        with open_regular(path) as file:
            faces = np.asarray(loadmat(file, variable_names=["faces"])["faces"])
    except UserError:
        raise
    except Exception as error:  # a damaged file raises errors of several types
        raise UserError(f"{path}: cannot be read as a MATLAB file with an array faces: it is damaged") from error
    expected = (SIDE**2, PEOPLE * IMAGES)
    if faces.shape != expected or faces.dtype != np.uint8:
        raise UserError(f"{path}: expected faces of bytes {expected}, got {faces.dtype} of shape {faces.shape}")
    x = faces.T.reshape(-1, SIDE, SIDE).swapaxes(1, 2)[..., None]
    labels = np.repeat(np.arange(1, PEOPLE + 1), IMAGES)
    return as_dataset(x, labels, name=str(path), byte_values="scaled")._replace(stored=None)


def _load_splits(request: Request) -> Splits:
    return Splits(*split(load_olivetti_faces(request.data_dir), fractions=request.fractions, seed=request.seed))


SOURCE = Source(
    _load_splits,
    layout="image",
    name="olivetti_faces",
    class_names=lambda request: {person: f"person {person}" for person in range(1, PEOPLE + 1)},
)
