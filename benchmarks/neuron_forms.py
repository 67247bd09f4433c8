"""CPU time of one neuron in one step, for the cells that profiles and chips make.

    python benchmarks/neuron_forms.py [--neurons N] [--steps N] [--runs N] [--json]

Each row is a cell as it is quantized for a chip, repeated over a layer of N neurons and driven by
a bias, so that some percent of them fire per step and no synapse is read: updating, listing the
spikes and handing them out as events. ``general`` is the same cell in the simulator's general
update, which has every rule and no vectors; both must give the same spikes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import nmhw
from nmhw.api.reading import give_meaning
from nmhw.errors import NmhwError
from nmhw.sim import workspace
from nmhw.sim.engine import run_program
from nmhw.sim.engine_output import EngineOutput
from nmhw.sim.kernels import fields as f
from nmhw.sim.program import build_program
from nmhw.values.events import SpikeEvents
from nmhw.values.quantized import QuantizedNetwork, QuantizedPopulation

Row = dict[str, Any]

FORMS = {code: name[7:].lower() for name, code in vars(f).items() if name.startswith("UPDATE_")}
#: Forms that are general updates themselves.
SCALAR = (f.UPDATE_GENERAL, f.UPDATE_FLOAT, f.UPDATE_SATURATING)
#: Neurons of the small network that is quantized.
SEED_NEURONS = 64
#: Share of the neurons that should fire per step: drives are set for about this.
ACTIVITY = 0.03


@dataclass(frozen=True, slots=True)
class Case:
    """A cell: what to quantize, and for which chip."""

    chip: str
    profile: str
    kind: str
    rests: int = 0
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How the table calls it."""
        more = [f"rests {self.rests} steps"] if self.rests else []
        more += [f"{key}={value}" for key, value in self.changes.items()]
        return " ".join((self.chip, self.profile, self.kind, *more))


CASES = (
    Case("generic", "snntorch", "if"),
    Case("generic", "snntorch", "lif"),
    Case("generic", "snntorch", "lif", rests=3),
    Case("generic", "snntorch", "cubalif"),
    Case("generic", "nengo", "lif"),
    Case("generic", "spyx", "lif"),
    Case("generic", "sinabs", "if"),
    Case("generic", "sinabs", "if", changes={"multi_spike": False, "lower_bound": "none"}),
    Case("generic", "sinabs", "lif"),
    Case("generic", "sinabs", "cubalif"),
    Case("speck2f", "sinabs", "if"),
    Case("loihi1-nahuku", "lava", "lif"),
    Case("loihi1-nahuku", "lava", "cubalif"),
    Case("loihi1-nahuku", "lava", "cubalif", rests=3),
    Case("spinnaker2", "spinnaker2", "lif"),
    Case("spinnaker2", "spinnaker2", "cubalif"),
    Case("truenorth", "nengo", "lif"),
    Case("odin", "lava", "if"),
    Case("xylo-audio3", "rockpool", "cubalif"),
)
ALLOWED = ("reset", "reset_delay", "multi_spike", "lower_bound", "recurrent_bias_from_step")


def quantized_cell(case: Case) -> QuantizedNetwork:
    """Return a network of one small layer in the chip's integers."""
    rng = np.random.default_rng(1)
    constants = {"tau_mem_s": 16e-3} if case.kind != "if" else {}
    constants |= {"tau_syn_s": 8e-3} if case.kind == "cubalif" else {}
    weight = rng.normal(0.0, 0.1, (SEED_NEURONS, SEED_NEURONS))
    build = nmhw.Network.build("cell").input("in", SEED_NEURONS)
    build.population("p", SEED_NEURONS, case.kind, v_threshold=1.0, **constants)  # type: ignore[arg-type]
    build.project("in", "p", weight, name="w")
    network = give_meaning(build.output("out", "p").done(), case.profile, dt_s=1e-3, **case.changes)
    return nmhw.quantize(network, case.chip, allow=ALLOWED)


def layer_of(small: QuantizedNetwork, n: int, case: Case) -> QuantizedNetwork:
    """Return n neurons of the small layer's kind, each with a bias of its own, and no synapse."""
    (cell,) = small.populations
    rng = np.random.default_rng(2)
    changes: dict[str, Any] = {
        key: np.resize(getattr(cell, key), n)
        for key in cell.__dataclass_fields__
        if isinstance(getattr(cell, key), np.ndarray)
    }
    drive = rng.uniform(0.5, 1.5, n) * ACTIVITY * (1 if case.kind == "if" else 3)
    if cell.floats is not None:
        floats = {key: np.resize(value, n) for key, value in cell.floats.items()}
        floats["drive"] = (drive * floats["threshold"]).astype(np.float32)
        changes["floats"] = floats
    changes["v_bias"] = np.ceil(drive * changes["threshold"]).astype(np.int64)
    changes["refractory_steps"] = np.full(n, case.rests) if case.rests else None
    layer = replace(cell, shape=(n,), **changes)
    return replace(small, populations=(layer,), projections=())


def simulate(network: QuantizedNetwork, steps: int, *, general: bool) -> tuple[Any, int]:
    """Return a function that runs the layer once, and the code of its update form."""
    chosen = workspace.choose_update
    code: list[int] = []

    def choose(population: QuantizedPopulation, bound: int, n_steps: int) -> int:
        fast = chosen(population, bound, n_steps)
        slow = f.UPDATE_FLOAT if population.floats is not None else f.UPDATE_GENERAL
        code.append(slow if general and fast not in SCALAR else fast)
        return code[-1]

    program = build_program(network)
    (port,) = network.inputs
    nothing = {port.name: SpikeEvents.from_dense(np.zeros((1, steps, *port.shape)), port.shape)}

    def run() -> EngineOutput:
        workspace.choose_update = choose  # type: ignore[assignment]
        try:
            return run_program(program, nothing, n_steps=steps)
        finally:
            workspace.choose_update = chosen

    run()  # compiles
    return run, code[-1]


def measure(case: Case, n: int, steps: int, runs: int) -> Row:
    """Return a row of the table."""
    network = layer_of(quantized_cell(case), n, case)
    both = [simulate(network, steps, general=general) for general in (False, True)]
    best, outputs = [np.inf, np.inf], []
    for _ in range(runs):
        for k, (run, _) in enumerate(both):
            started = time.thread_time()
            output = run()
            best[k] = min(best[k], time.thread_time() - started)
            outputs.append(output)
    ns = [1e9 * seconds / (n * steps) for seconds in best]
    spikes = [output.spikes["p"] for output in outputs[:2]]
    return {
        "cell": case.name,
        "form": FORMS[both[0][1]],
        "ns": ns[0],
        "general_ns": ns[1] if both[0][1] not in SCALAR else None,
        "rate": spikes[0].index.size / (n * steps),
        "equal": all(
            np.array_equal(getattr(spikes[0], key), getattr(spikes[1], key))
            for key in ("step", "index")
        ),
    }


def render(row: Row) -> str:
    """Return one line of the table."""
    general = "" if row["general_ns"] is None else f"{row['general_ns']:.2f}"
    equal = "equal" if row["equal"] else "DIFFER"
    return (
        f"{row['cell']:<62}{row['form']:<14}{row['ns']:>8.2f}{general:>9}"
        f"{100 * row['rate']:>8.1f}%  {equal}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if spikes differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--neurons", type=int, default=16_384)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    out = sys.stderr if options.json else sys.stdout
    print(f"{'cell':<62}{'form':<14}{'ns':>8}{'general':>9}{'firing':>9}  spikes", file=out)
    rows = []
    for case in CASES:
        try:
            rows.append(measure(case, options.neurons, options.steps, options.runs))
        except NmhwError as error:
            print(f"{case.name:<62}{error}", file=out)
            continue
        print(render(rows[-1]), file=out, flush=True)
    if options.json:
        print(json.dumps(rows, indent=1))
    return int(not all(row["equal"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
