"""Networks read for learning: the same spikes as the float run, or a refusal."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import nmhw
from nmhw.errors import ProfileError, UnsupportedError
from nmhw.sim.learning.from_network import from_network
from nmhw.sim.learning.gradient_rule import named
from nmhw.sim.learning.step_form import forward
from nmhw.sim.learning.thresholds import initial_thresholds
from nmhw.values.linear import Conv, Dense, Pool, Reshape
from nmhw.values.network import Network
from nmhw.values.profile import Profile

PROFILE = Profile("snntorch", dt_s=1e-3, compare=">=")


def chain(**changes: Any) -> Network:
    """Return conv - mean pool - recurrent dense - head, with gains that are not 1."""
    rng = np.random.default_rng(2)
    lif = {"tau_mem_s": 5e-3, "r": 3.0, "v_threshold": 0.8, **changes}
    conv = Conv(rng.normal(0.4, 0.5, (3, 1, 3, 3)), (1, 6, 6), padding=(1, 1, 1, 1))
    dense = (Pool("avg", (3, 6, 6), (2, 2), (2, 2)), Reshape((3, 3, 3), (27,)))
    build = Network.build().input("in", (1, 6, 6))
    build.population("conv", (3, 6, 6), "lif", **lif).population("hidden", 7, "lif", **lif)
    build.population("head", 4, "i").project("in", "conv", ops=(conv,))
    build.project("conv", "hidden", ops=(*dense, Dense(rng.normal(0.4, 0.8, (7, 27)))))
    build.project("hidden", "hidden", rng.normal(0.0, 0.5, (7, 7)))
    build.project("hidden", "head", rng.normal(size=(4, 7)))
    return replace(build.output("out", "head").done(), profile=PROFILE)


def learning_run(network: Network, spikes: Any) -> Any:
    start = from_network(network)
    rule = named("mpd-ed", n_steps=spikes.shape[1], decay=start.decay, theta0=start.theta0)
    flat = spikes.reshape(*spikes.shape[:2], -1)
    return forward(start.net, start.weights, rule, flat, initial_thresholds(start.net, rule))


def test_a_chain_makes_the_same_spikes_as_the_float_run() -> None:
    network = chain()
    spikes = (np.random.default_rng(0).random((3, 12, 1, 6, 6)) < 0.4).astype(float)
    run = nmhw.run_float(network, spikes)
    scores, traces = learning_run(network, spikes)
    for name, trace in (("conv", traces[0]), ("hidden", traces[1])):
        expected = run.spikes[name].dense()
        assert expected.any()
        np.testing.assert_array_equal(trace.spikes, expected.reshape(3, 12, -1))
    assert traces[2].layer.is_recurrent
    assert scores.shape == (3, 4)


def test_thresholds_per_neuron_are_scaled_to_one() -> None:
    rng = np.random.default_rng(1)
    build = Network.build().input("in", 9)
    build.population("a", 6, "if", v_threshold=rng.uniform(0.5, 2, 6), r=1.0)
    build.population("b", 3, "if", v_threshold=0.7, r=2.0)
    build.project("in", "a", rng.normal(0.2, 0.5, (6, 9))).project(
        "a", "b", rng.normal(size=(3, 6))
    )
    network = replace(build.output("out", "b").done(), profile=PROFILE)
    start = from_network(network)
    assert (start.theta0, start.decay, start.has_spiking_head) == (1.0, 1.0, True)
    spikes = (rng.random((2, 10, 9)) < 0.4).astype(float)
    _, traces = learning_run(network, spikes)
    run = nmhw.run_float(network, spikes)
    np.testing.assert_array_equal(traces[0].spikes, run.spikes["a"].dense())


def rebuilt(**changes: Any) -> Network:
    return replace(chain(**changes), profile=PROFILE)


@pytest.mark.parametrize(
    "network",
    [
        rebuilt(v_leak=0.1),
        rebuilt(v_reset=0.1),
        rebuilt(v_threshold=-1.0),
        replace(chain(), profile=PROFILE.with_(reset="subtract")),
        replace(chain(), profile=PROFILE.with_(reset_delay=1)),
        replace(chain(), profile=PROFILE.with_(multi_spike=True)),
        replace(chain(), projections=chain().projections[:-1]),
        replace(chain(), projections=(*chain().projections, chain().projections[0])),
    ],
)
def test_what_membrane_rules_cannot_train_is_refused(network: Network) -> None:
    with pytest.raises(UnsupportedError):
        from_network(network)


def test_biases_delays_and_currents_are_refused() -> None:
    def make(kind: str = "lif", bias: Any = None, delay: int = 0, head: str = "i") -> Network:
        more = {"tau_syn_s": 5e-3} if kind == "cubalif" else {}
        build = Network.build().input("in", 4)
        build.population("a", 3, kind, tau_mem_s=1e-2, v_threshold=1.0, **more)
        leak = {"tau_mem_s": 1e-2} if head == "li" else {}
        build.population("b", 2, head, **leak)
        build.project("in", "a", np.ones((3, 4)), bias=bias, delay_steps=delay)
        build.project("a", "b", np.ones((2, 3)))
        return replace(build.output("out", "b").done(), profile=PROFILE)

    assert from_network(make()).theta0 == 1.0
    for wrong in (make("cubalif"), make(bias=1.0), make(delay=2), make(head="li")):
        with pytest.raises(UnsupportedError):
            from_network(wrong)
    with pytest.raises(ProfileError):
        from_network(replace(make(), profile=None))
