"""Run inside a framework's environment: its tutorial networks through ``from_torch`` to a chip.

Question: {"framework"}. Every network of ``tutorials/<framework>.py`` is made loud enough for its
layers to fire, read, compared with its own forward on fresh inputs and deployed; frames that are
held go through the host's input stage. Answer: a row per network.
"""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
from forward import arrange, compare, nmhw, own_spikes, torch
from torch import nn

N_SAMPLES, N_STEPS, SHAPE = 4, 20, (1, 6, 6)
#: What a chip may approximate, tried in this order where it refuses a field of the profile.
ALLOWED = ((), ("reset_lag",), ("recurrent_bias_from_step",))
CHIPS = ("loihi1-nahuku", "generic")


def draw(layout, seed):
    """Return random spikes, or frames held for all steps where the module holds them."""
    generator = torch.Generator().manual_seed(seed)
    if layout == "N":
        frames = torch.rand(N_SAMPLES, 1, *SHAPE, generator=generator)
        return frames.expand(-1, N_STEPS, *SHAPE)
    return (torch.rand(N_SAMPLES, N_STEPS, *SHAPE, generator=generator) < 0.4).float()


def wake(net, layout):
    """Scale weights up, front to back, until every layer that returns spikes is busy."""
    names = {name for name, part in net.named_modules() if name}
    for part in (p for p in net.modules() if isinstance(p, nn.Linear | nn.Conv2d)):
        for _ in range(7):
            made = own_spikes(net, draw(layout, 5), layout, names).values()
            if all((v != 0).sum() >= 30 for v in made):
                return
            with torch.no_grad():
                part.weight.mul_(1.6)


def examine(make, layout):
    """Return the row of one network."""
    torch.manual_seed(7)
    net = make().eval()
    try:
        wake(net, layout)
    except Exception as error:  # a module that does not run is refused below, by name
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    try:
        network = nmhw.from_torch(net, arrange(draw(layout, 1), layout))
    except nmhw.NmhwError as error:
        return {"outcome": "refused", "rule": error.rule, "where": error.where,
                "what": error.what, "got": str(error.got), "hint": error.hint}  # fmt: skip
    x = draw(layout, 2)
    spiking = [p.name for p in network.populations if p.model.is_spiking]
    rows = compare(network, own_spikes(net, x, layout, spiking), x)
    row = {"outcome": "equal", "populations": len(network.populations)}
    for key in ("bins", "spikes", "differing"):
        row[key] = sum(r[key] for r in rows.values())
    row["close"] = any(r["close"] for r in rows.values())
    row["silent"] = [name for name, r in rows.items() if not r["spikes"]]
    return row | deploy(network, x, layout)


def deploy(network, x, layout):
    """Put the network on the first chip that takes it, and run it there."""
    stage = nmhw.host_stage(network) if layout == "N" else None
    data = x.numpy() if stage is None else stage.spikes(x.numpy())
    target, refusal = network if stage is None else stage.rest, ""
    for chip in CHIPS:
        for allow in ALLOWED:
            try:
                run = nmhw.deploy(target, chip, allow=allow).run(data, compare_float=False)
            except nmhw.NmhwError as error:
                refusal = str(error)
                continue
            facts = run.to_json()
            return {"chip": chip, "allow": list(allow), "cores": facts["n_cores"],
                    "chip_spikes": int(sum(facts["spikes"].values())),
                    "stage": "host" if stage else ""}  # fmt: skip
    return {"chip": None, "allow": [], "stage": "", "refusal": refusal}


def main():
    framework = json.loads(sys.stdin.read())["framework"]
    path = Path(__file__).parent / "tutorials" / f"{framework}.py"
    spec = importlib.util.spec_from_file_location(f"tutorials_{framework}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rows = {name: examine(make, layout) for name, (make, layout) in module.NETWORKS.items()}
    print(json.dumps(rows, default=lambda value: np.asarray(value).tolist()))


main()
