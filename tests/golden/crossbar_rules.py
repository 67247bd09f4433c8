"""The documented neuron rules of small crossbar chips, typed as plain Python loops.

Written from the documents alone, apart from nmhw's own arithmetic, one neuron and one event at a
time. Nothing here was compared with an HDL simulation.

ODIN      README and doc of https://github.com/ChFrenkel/ODIN (LIF neuron): 8-bit membrane that is
          never negative, 3-bit weights whose sign is that of their source, 8-bit threshold, 7-bit
          leak subtracted at time reference events, reset to 0; every event is applied by itself.
tinyODIN  README and doc of https://github.com/ChFrenkel/tinyODIN: 12-bit membrane, 4-bit weights.
"""

from __future__ import annotations

Row = list[int]


def clamp(v: int, low: int, high: int) -> int:
    return max(low, min(high, v))


def leak_toward_zero(v: int, leak: int) -> int:
    if v > 0:
        return max(v - leak, 0)
    return min(v + leak, 0)


class OdinNeuron:
    """One LIF neuron of ODIN (``low`` 0, ``high`` 255) or tinyODIN (-2047, 2047)."""

    def __init__(self, threshold: int, leak: int, low: int, high: int) -> None:
        self.threshold, self.leak, self.low, self.high = threshold, leak, low, high
        self.v = 0

    def time_reference(self) -> None:
        self.v = leak_toward_zero(self.v, self.leak)

    def receive(self, weight: int) -> bool:
        """Apply one event, or the sum of a step's events; return whether the neuron fires."""
        self.v = clamp(self.v + weight, self.low, self.high)
        if self.v >= self.threshold:
            self.v = 0
            return True
        return False


def run_odin(
    layers: list[list[OdinNeuron]],
    weights: list[list[Row]],
    raster: list[Row],
    *,
    event_by_event: bool,
) -> tuple[list[list[Row]], list[list[Row]]]:
    """Run a feed-forward network; return (spikes, v) by layer and step.

    ``weights[k][i][j]``: from source i to neuron j of layer k. A step is one time reference event,
    then its input events, which reach all layers within the step. ``event_by_event``: every event
    is applied by itself, in order of the sources; otherwise a step's events are summed first.
    """
    spikes: list[list[Row]] = [[] for _ in layers]
    states: list[list[Row]] = [[] for _ in layers]
    for active in raster:
        for layer in layers:
            for neuron in layer:
                neuron.time_reference()
        sources = list(active)
        for k, layer in enumerate(layers):
            fired = [0] * len(layer)
            for j, neuron in enumerate(layer):
                arriving = [
                    weights[k][i][j]
                    for i, count in enumerate(sources)
                    for _ in range(count)
                    if weights[k][i][j]
                ]
                if event_by_event:
                    for weight in arriving:
                        fired[j] += neuron.receive(weight)
                else:
                    fired[j] += neuron.receive(sum(arriving))
            spikes[k].append(fired)
            states[k].append([neuron.v for neuron in layer])
            sources = fired
    return spikes, states
