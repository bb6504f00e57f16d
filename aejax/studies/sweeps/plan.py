"""The plan of a sweep: an experiment, the values of some of its knobs, and seeds. Imports no JAX: `--help` is quick."""

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from aejax.errors import ArgumentError, UserError
from aejax.experiment.configuration import Experiment, check, from_json
from aejax.experiment.knobs import GROUP_OF, with_knobs
from aejax.host.schema import parse_json
from aejax.host.suggestions import unknown

MAX_MEMBERS = 100_000
_SCHEMA = 1


@dataclass(frozen=True)
class Plan:
    """Everything that determines the results of a sweep, up to rounding error; `make_plan` returns it checked."""

    experiment: Experiment  # the knobs that are not swept, and the first seed
    values: dict[str, tuple[Any, ...]]  # of the knobs that are swept
    seeds: int  # of every setting
    choose_by: str | None  # the term that decides which setting is the best; None for the default


class Setting(NamedTuple):
    """One experiment of a sweep, and what distinguishes it from the others."""

    knobs: dict[str, Any]  # one value of every knob that is swept, or of what a study names instead
    experiment: Experiment

    @property
    def described(self) -> str:
        """The values as text, such as "beta 0.5, code_size 10"."""
        return ", ".join(f"{knob} {shown(value)}" for knob, value in self.knobs.items())


def make_plan(
    experiment: Experiment, values: Mapping[str, Sequence[Any]], *, seeds: int = 3, choose_by: str | None = None
) -> Plan:
    """Returns the plan of a sweep over all combinations of the values of some knobs.

    Args:
      experiment: the other knobs, and the first seed.
      values: the values of every knob that is swept; one with a single value is not.
      seeds: the number of seeds of every setting, consecutive from the experiment's.
      choose_by: the term of the validation loss that decides which setting is the best; None for the default.

    Raises:
      UserError: an unknown knob, a value that it cannot have, values that cannot be combined, or too many members.

    >>> plan = make_plan(Experiment(), {"beta": [0.5, 1.0], "code_size": [2, 4]}, seeds=2)
    >>> [setting.described for setting in settings_of(plan)][:2]
    ['beta 0.5, code_size 2', 'beta 0.5, code_size 4']
    """
    for knob, given in values.items():
        if knob not in GROUP_OF:
            raise UserError(unknown("knob", knob, GROUP_OF, kinds="knobs"))
        if knob == "seed":
            raise ArgumentError("seed", "is not swept: it is the first seed; give the number of seeds by seeds")
        if not given or any(given.count(value) > 1 for value in given):
            got = " ".join(map(str, given)) or "none"
            raise ArgumentError(knob, f"expected at least one value and no value twice, got {got}")
    first = experiment.training.seed
    if not 1 <= seeds <= MAX_MEMBERS or first + seeds > 2**32:
        raise ArgumentError("seeds", f"must be between 1 and {min(MAX_MEMBERS, 2**32 - first):,}, got {seeds:,}")
    frozen = {knob: tuple(tuple(v) if isinstance(v, list) else v for v in given) for knob, given in values.items()}
    fixed = {knob: given[0] for knob, given in frozen.items() if len(given) == 1}
    swept = {knob: given for knob, given in frozen.items() if len(given) > 1}
    plan = Plan(with_knobs(experiment, fixed), swept, seeds, choose_by)
    settings = settings_of(plan)
    if len(settings) * seeds > MAX_MEMBERS:
        raise UserError(f"{len(settings):,} settings with {seeds:,} seeds are more than {MAX_MEMBERS:,} autoencoders")
    for setting in settings:
        try:
            check(setting.experiment)
        except UserError as error:
            raise UserError(f"{error} (with {setting.described})" if setting.knobs else str(error)) from error
    return plan


def settings_of(plan: Plan) -> list[Setting]:
    """Returns all combinations of the values, the last knob's changing fastest; one without knobs if none is swept."""
    combinations = (dict(zip(plan.values, chosen, strict=True)) for chosen in itertools.product(*plan.values.values()))
    return [Setting(knobs, with_knobs(plan.experiment, knobs)) for knobs in combinations]


def shown(value: Any) -> str:
    """Returns a knob's value as text.

    >>> shown(0.001), shown((256, 128)), shown(None)
    ('0.001', '256,128', 'None')
    """
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def to_json(plan: Plan) -> str:
    """Returns the plan as a JSON document.

    >>> plan = make_plan(Experiment(), {"hidden": [(8,), (8, 4)]})
    >>> plan_from_json(to_json(plan), name="sweep.json") == plan
    True
    """
    return json.dumps({"schema": _SCHEMA, **dataclasses.asdict(plan)}, indent=2) + "\n"


def plan_from_json(text: str | bytes, *, name: str) -> Plan:
    """Returns the plan in a JSON document, checked.

    Args:
      text: the document.
      name: what error messages call the document.

    Raises:
      UserError: the document is no plan of a sweep.
    """
    content = parse_json(text, name=name)
    fields = {field.name for field in dataclasses.fields(Plan)} | {"schema"}
    if not isinstance(content, dict) or set(content) != fields or not isinstance(content["values"], dict):
        raise UserError(f"{name}: is no plan of a sweep: expected an object of {', '.join(sorted(fields))}")
    if content["schema"] != _SCHEMA:
        raise UserError(f"{name}: schema: this version of aejax reads {_SCHEMA}, got {content['schema']!r}")
    if not isinstance(content["seeds"], int) or not all(
        isinstance(given, list) for given in content["values"].values()
    ):
        raise UserError(f"{name}: expected a whole number of seeds and a list of values of every knob")
    experiment = from_json(json.dumps(content["experiment"]), name=name)
    try:
        return make_plan(experiment, content["values"], seeds=content["seeds"], choose_by=content["choose_by"])
    except UserError as error:
        raise UserError(f"{name}: {error}") from error
