"""The curves of the study's figure."""

from collections.abc import Sequence

from aejax.plots.power_laws import Measured
from aejax.studies.gradient_noise.measure import NETWORKS, Point, Setting, along, expected_exponent

Panels = dict[tuple[str, str], dict[str, Measured]]


def panels_of(points: Sequence[Point], setting: Setting) -> Panels:
    """Returns the ratios over samples and over groups, a panel each: (title, name of x) -> gradient -> its values.

    The gradient with respect to the prior does not depend on the estimator: it is shown once.
    """
    shown = [(gradient, "encoder", f"encoder, {gradient}") for gradient in setting.gradients]
    shown.append((setting.gradients[0], "prior", NETWORKS["prior"]))
    panels: Panels = {}
    for of, title, label in (
        ("samples", "one group, M = 1", "samples K"),
        ("groups", f"K = {setting.samples_of_groups} samples per group", "groups M"),
    ):
        panels[title, label] = {}
        for gradient, network, name in shown:
            own = along(points, setting, gradient, network, of)
            x, y, errors = ([getattr(point, each) for point in own] for each in (of, "ratio", "error"))
            panels[title, label][name] = Measured(x, y, errors, expected_exponent(gradient, network, of))
    return panels
