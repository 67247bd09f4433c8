"""The Loihi cell of ``nmhw.values.arithmetic`` equals lava-nc's ``fixed_pt`` model bit for bit."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nmhw.values.arithmetic import initial_state, step_cell
from nmhw.values.quantized import CellSpec, QuantizedPopulation

Ask = Callable[[str, dict[str, Any]], dict[str, Any]]
Ints = NDArray[np.int64]
N_STEPS = 150

LOIHI_CELL = CellSpec(
    has_current=True,
    u_decay="mulshift",
    v_decay="mulshift",
    decay_bits=12,
    rounding="toward-zero",
    input_shift=6,
    u_bits=24,
    v_bits=24,
    u_overflow="wrap",
    v_overflow="saturate",
    compare=">",
    reset="zero",
)


def random_layer(rng: np.random.Generator, n_in: int, n_out: int, *, wild: bool) -> dict[str, Any]:
    """Return one Dense + LIF; a wild one drives u and v into their limits."""
    return {
        # even numbers: the grid of 8-bit weights of mixed sign
        "weights": (2 * rng.integers(-128, 128, (n_out, n_in))).tolist(),
        "weight_exp": int(rng.integers(4, 7) if wild else rng.integers(-2, 2)),
        "weight_bits": 8,
        "du": int(rng.integers(0, 4096)),
        "dv": int(rng.integers(0, 60) if wild else rng.integers(0, 4096)),
        "vth": int(rng.integers(60000, 131072) if wild else rng.integers(1, 600)),
        "bias_mant": rng.integers(-4096, 4096, n_out).tolist(),
        "bias_exp": rng.integers(0, 8 if wild else 2, n_out).tolist(),
    }


def population(layer: dict[str, Any]) -> QuantizedPopulation:
    """Return the layer's neurons in nmhw's form."""
    n = len(layer["weights"])
    zeros = np.zeros(n, np.int64)
    return QuantizedPopulation(
        name="lif",
        shape=(n,),
        spec=LOIHI_CELL,
        u_keep=zeros + 4096 - (layer["du"] + 1),
        v_keep=zeros + 4096 - layer["dv"],
        u_bias=zeros,
        v_bias=np.asarray(layer["bias_mant"]) << np.asarray(layer["bias_exp"]),
        threshold=zeros + (layer["vth"] << 6),
        v_reset=zeros,
        v0=zeros,
        scale=np.ones(n),
        profile_index=zeros,
        depth=0,
    )


def run_layer(layer: dict[str, Any], spikes_in: Ints) -> tuple[dict[str, Ints], int]:
    """Return u, v and s of every step, and how many states met their limits."""
    neurons = population(layer)
    weights, shift = np.asarray(layer["weights"], np.int64), layer["weight_exp"]
    state, sent = initial_state(neurons), np.zeros(neurons.size, np.int64)
    trace: dict[str, list[Ints]] = {"u": [], "v": [], "s": []}
    n_at_limit = 0
    for spikes in spikes_in:
        step = step_cell(neurons, state, sent)  # every projection takes one step
        state = step.state
        summed = weights @ spikes
        sent = summed << shift if shift > 0 else summed >> -shift
        for name, value in (("u", state.u), ("v", state.v), ("s", step.n_spikes)):
            trace[name].append(np.asarray(value, np.int64))
        n_at_limit += int(step.is_saturated.sum())
    return {name: np.stack(values) for name, values in trace.items()}, n_at_limit


@pytest.mark.parametrize("wild", [False, True], ids=["ordinary", "at-the-limits"])
@pytest.mark.parametrize("seed", [4, 6, 9])  # both layers spike, in both kinds
def test_loihi_cell_equals_lava_in_every_state_of_every_step(
    ask_lava: Ask, seed: int, wild: bool
) -> None:
    rng = np.random.default_rng([seed, wild])
    layers = [random_layer(rng, 12, 20, wild=wild), random_layer(rng, 20, 7, wild=wild)]
    spikes = (rng.random((N_STEPS, 12)) < 0.3).astype(np.int64)
    lava = ask_lava("dense_lif.py", {"input": spikes.tolist(), "layers": layers})["layers"]

    n_spikes, n_at_limit = 0, 0
    for layer, theirs in zip(layers, lava, strict=True):
        ours, at_limit = run_layer(layer, spikes)
        for name in "uvs":
            np.testing.assert_array_equal(ours[name], np.asarray(theirs[name]), err_msg=name)
        spikes = ours["s"]
        n_spikes += int(spikes.sum())
        n_at_limit += at_limit
    assert n_spikes > 20
    assert n_at_limit > 20 or not wild
