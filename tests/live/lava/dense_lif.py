"""Run input -> Dense -> LIF -> Dense -> LIF in lava-nc 0.10.0's ``fixed_pt`` model.

Executed by the interpreter of the Lava environment, not by that of nmhw: JSON on stdin, JSON on
stdout. Weights are (n_target, n_source) as Lava wants them.
"""

import dataclasses
import functools
import json
import sys


def import_encoders() -> None:
    """Import the one module Python 3.11 refuses (unhashable dataclass defaults), made hashable."""
    plain = dataclasses.dataclass
    dataclasses.dataclass = functools.partial(plain, unsafe_hash=True)
    try:
        import lava.magma.compiler.var_model  # noqa: F401
    finally:
        dataclasses.dataclass = plain


def main() -> None:
    """Answer one question."""
    question = json.load(sys.stdin)
    import_encoders()
    import numpy as np
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.dense.process import Dense
    from lava.proc.io.source import RingBuffer
    from lava.proc.lif.process import LIF
    from lava.proc.monitor.process import Monitor

    events = np.array(question["input"], dtype=int)  # (n_steps, n_inputs)
    source = RingBuffer(data=events.T)
    before, cells, monitors = source.s_out, [], []
    for layer in question["layers"]:
        dense = Dense(
            weights=np.array(layer["weights"], dtype=int),
            weight_exp=layer["weight_exp"],
            num_weight_bits=layer["weight_bits"],
        )
        cell = LIF(
            shape=(len(layer["weights"]),),
            du=layer["du"],
            dv=layer["dv"],
            vth=layer["vth"],
            bias_mant=np.array(layer["bias_mant"], dtype=int),
            bias_exp=np.array(layer["bias_exp"], dtype=int),
        )
        before.connect(dense.s_in)
        dense.a_out.connect(cell.a_in)
        before = cell.s_out
        cells.append(cell)
        for port in (cell.u, cell.v, cell.s_out):
            monitor = Monitor()
            monitor.probe(port, len(events))
            monitors.append(monitor)

    cells[-1].run(
        condition=RunSteps(num_steps=len(events)), run_cfg=Loihi2SimCfg(select_tag="fixed_pt")
    )
    traces = []
    for monitor in monitors:
        (recorded,) = monitor.get_data().values()
        (values,) = recorded.values()
        traces.append(np.asarray(values).astype(np.int64).tolist())
    cells[-1].stop()
    layers = [dict(zip("uvs", traces[i : i + 3], strict=True)) for i in range(0, len(traces), 3)]
    print(json.dumps({"layers": layers}))


if __name__ == "__main__":
    main()
