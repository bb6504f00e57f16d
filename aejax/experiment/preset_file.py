"""Reads an experiment from a JSON file of knobs, which a user wrote or a sweep or a run left."""

import json
from pathlib import Path
from typing import Any

from aejax.errors import UserError
from aejax.experiment.configuration import Experiment, from_json
from aejax.experiment.knobs import GROUP_OF, GROUPS
from aejax.host.files import read_bytes
from aejax.host.schema import parse_json
from aejax.host.suggestions import no_such_file, unknown

_MAX_BYTES = 2**20


def read_preset(path: Path) -> Experiment:
    """Returns the experiment in a JSON file of knobs; knobs that are left out have their defaults.

    Args:
      path: a JSON object of knobs, such as {"family": "tied", "learning_rate": 0.003}, or of groups of knobs, as in a
        run's config.json.

    Raises:
      UserError: the file cannot be read, or is no valid configuration; the message names the file and the field.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "mine.json"
    ...     _ = file.write_text('{"code_size": 3, "training": {"seed": 1}}')
    ...     experiment = read_preset(file)
    >>> experiment.model.code_size, experiment.training.seed
    (3, 1)
    """
    if not path.exists() and not path.is_symlink():
        raise UserError(no_such_file(path))
    content = parse_json(read_bytes(path, limit=_MAX_BYTES), name=str(path))
    if not isinstance(content, dict):
        raise UserError(f"{path}: must be an object of knobs, such as {{'learning_rate': 0.003}}")
    grouped: dict[str, Any] = {name: value for name, value in content.items() if name in (*GROUPS, "schema")}
    for name, value in content.items():
        if name in grouped:
            continue
        if name not in GROUP_OF:
            raise UserError(f"{path}: {unknown('knob', name, GROUP_OF, kinds='knobs')}")
        group = grouped.setdefault(GROUP_OF[name], {})
        if not isinstance(group, dict) or name in group:
            raise UserError(f"{path}: {name}: is given twice, also in {GROUP_OF[name]}")
        grouped[GROUP_OF[name]] = {**group, name: value}
    return from_json(json.dumps(grouped), name=str(path))
