"""Rules by name: verified defaults, values that do not go together, what the machine must offer."""

import pytest

from nmhw.errors import UsageError
from nmhw.sim.learning.gradient_rule import NAMES, named


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_states_its_needs_and_its_source(name: str) -> None:
    spec = named(name).spec
    assert spec.name == name
    assert spec.source
    assert spec.needs_reverse_pass
    assert spec.needs_log is (name != "stbp")
    assert spec.is_reconstruction is (name != "stbp")


def test_names_are_read_without_case_and_with_underscores() -> None:
    assert named("MPD_ED") == named("mpd-ed")


def test_thresholds_of_spike_times_bring_their_slope() -> None:
    assert named("std-ed").slope == 1.0
    assert named("std-ed", threshold="fixed").slope == 0.0
    ramp = named("std-ed", threshold="ramp", slope=0.25)
    assert (ramp.slope, ramp.t_end) == (0.25, 2.0)


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("stdp", {}),
        ("std-ed", {"mask": "band"}),
        ("std-ed", {"time": "steps"}),
        ("std-ed", {"threshold": "homeostatic"}),
        ("std-ed", {"threshold": "ramp", "slope": 0.0}),
        ("std-ed", {"threshold": "ramp", "t_end": 3.0}),
        ("std-ed", {"threshold": "fixed", "slope": 0.5}),
        ("mpd-ed", {"threshold": "window"}),
        ("mpd-ed", {"mask": "none"}),
        ("mpd-ed", {"time": "exact"}),
        ("mpd-ed", {"decay": 1.5}),
        ("mpd-ed", {"decay": float("nan")}),
        ("mpd-ed", {"n_steps": 0}),
        ("mpd-ed", {"surrogate": "box"}),
        ("mpd-ed", {"tau": 3.0}),
        ("stbp", {"mask": "spike"}),
        ("srm", {"tau_s": 10.0}),
        ("srm", {"head": "spiking"}),
        ("srm", {"tau_grad": 0.5}),
    ],
)
def test_values_that_make_no_sense_are_refused(name: str, overrides: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        named(name, **overrides)
