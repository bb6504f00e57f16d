"""The claims of the paper of 2011: all hold for its own numbers, none for opposite ones."""

import numpy as np

from aejax.studies.jacobian.measure import Curves, Measurement
from aejax.studies.jacobian.methods import plain_experiment
from aejax.studies.jacobian.published import TABLE, claims, comparison_table
from aejax.studies.jacobian.settings import Study
from aejax.studies.sweeps.plan import Setting
from aejax.studies.sweeps.table import Summary

ZERO = dict.fromkeys(Measurement._fields, 0.0)


def as_published(**ranks: float) -> dict[str, Summary]:
    """Settings with the numbers of the paper's own table, and these effective ranks."""
    chosen = {}
    for method, row in TABLE.items():
        mean = ZERO | {
            "jacobian_norm": row.jacobian_norm,
            "saturated_percent": row.saturated_percent,
            "probe_error_percent": row.test_error_percent,
            "effective_rank": ranks.get(method, 5.0),
        }
        setting = Setting({"method": method, "strength": 0.0}, plain_experiment(Study()))
        chosen[method] = Summary(setting, 2, 0, mean, ZERO)
    return chosen


RISING = Curves(np.ones(4), np.interp(np.arange(25), [0, 12, 24], [1.0, 1.4, 0.5]))
FALLING = Curves(np.ones(4), np.linspace(1.0, 0.5, 25))


def test_every_claim_holds_for_the_papers_numbers() -> None:
    found = claims(as_published(cae=2.0), {"cae": RISING, "dae-gaussian": FALLING, "ae": FALLING})
    assert len(found) == 10
    assert all(claim.held for claim in found), found


def test_no_claim_holds_for_opposite_numbers() -> None:
    """CAE and AE are exchanged, as are weight decay and masking."""
    chosen = as_published(cae=2.0)
    chosen |= {
        "cae": chosen["ae"],
        "ae": chosen["cae"],
        "weight-decay": chosen["dae-masking"],
        "dae-masking": chosen["weight-decay"],
    }
    found = claims(chosen, {"cae": FALLING, "dae-gaussian": RISING})
    assert len(found) == 10
    assert not any(claim.held for claim in found), found


def test_claims_state_differences_within_the_deviation_over_seeds() -> None:
    chosen = as_published()
    spread = ZERO | {"probe_error_percent": 0.5}
    chosen = {method: setting._replace(deviation=spread) for method, setting in chosen.items()}
    measured = {claim.text: claim.measured for claim in claims(chosen, {})}
    expected = "CAE 1.14, DAE, Gaussian 1.18: the difference is within the deviation over seeds"
    assert measured["the CAE's features classify best"] == expected
    assert measured["the CAE has the smallest ‖J‖_F"] == "CAE 7.3e-05, DAE, Gaussian 8.6e-05"


def test_claims_about_absent_methods_are_omitted() -> None:
    chosen = as_published()
    assert claims({"ae": chosen["ae"]}, {"ae": FALLING}) == []
    assert len(claims({name: chosen[name] for name in ("ae", "cae")}, {})) == 6


def test_the_comparison_with_the_paper() -> None:
    chosen = as_published()
    del chosen["dae-masking"]
    chosen["cae"] = chosen["cae"]._replace(mean=ZERO | {"jacobian_norm": 8.75e-4, "probe_error_percent": 2.0})
    columns = [list(column.cells) for column in comparison_table(chosen, title="both").columns]
    assert columns[0] == ["CAE", "DAE, Gaussian", "AE + weight decay", "DAE, masking", "AE"]
    assert columns[3] == ["0.042", "0.049", "0.286", "0.450", "1.000"]
    assert columns[4] == ["0.500", "0.049", "0.286", "-", "1.000"]
    assert columns[8] == ["2.00", "1.18", "1.68", "-", "1.78"]
