"""The documented neuron rules of small crossbar chips, typed as plain Python loops.

Written from the documents alone, apart from nmhw's own arithmetic, one neuron and one event at a
time. Nothing here was compared with an HDL simulation.

ODIN      README and doc of https://github.com/ChFrenkel/ODIN (LIF neuron): 8-bit membrane that is
          never negative, 3-bit weights whose sign is that of their source, 8-bit threshold, 7-bit
          leak subtracted at time reference events, reset to 0; every event is applied by itself.
tinyODIN  README and doc of https://github.com/ChFrenkel/tinyODIN: 12-bit membrane, 4-bit weights.
TrueNorth the neuron equations of Cassidy et al., IJCNN 2013, doi:10.1109/IJCNN.2013.6707077,
          without their stochastic modes: synaptic integration, leak with or without reversal,
          threshold with reset mode gamma (0 to R, 1 by subtraction, 2 none), negative threshold
          that saturates (kappa 1) or resets (kappa 0); 20-bit potential.
RANC      documentation of https://github.com/UA-RCL/RANC: constant leak, two thresholds, absolute
          (R = 0) or linear reset; 9-bit potential, taken to wrap.
ReckOn    README and doc of https://github.com/ChFrenkel/ReckOn: 16-bit membrane times alpha (1.15),
          8-bit weights shifted left by 0 to 7 per matrix, 16-bit threshold, reset to zero or by
          subtraction; leaky outputs. Here the product is floored (no stochastic rounding).
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


def run_odin_queue(
    populations: dict[str, list[OdinNeuron]],
    links: list[tuple[str, str, list[Row]]],
    raster: dict[str, list[Row]],
) -> list[tuple[int, str, int]]:
    """Run event by event; the host waits for rest before each input event.

    A step is one time reference event, then the input events by input and index. An event updates
    the neurons it has a weight for, link by link; those that fire queue their own event. Returns
    (step, population, neuron) of every spike in order.
    """
    spikes = []
    n_steps = len(next(iter(raster.values())))
    for t in range(n_steps):
        for members in populations.values():
            for neuron in members:
                neuron.time_reference()
        for name, rows in raster.items():
            for i, count in enumerate(rows[t]):
                for _ in range(count):
                    queue = [(name, i)]
                    while queue:
                        source, at = queue.pop(0)
                        for start, target, weights in links:
                            if start != source:
                                continue
                            for j, neuron in enumerate(populations[target]):
                                if weights[at][j] and neuron.receive(weights[at][j]):
                                    spikes.append((t, target, j))
                                    queue.append((target, j))
    return spikes


class TrueNorthNeuron:
    """One neuron; the names of the parameters are those of Cassidy 2013."""

    def __init__(
        self, alpha: int, beta: int, leak: int, *, epsilon: int, gamma: int, kappa: int
    ) -> None:
        self.alpha, self.beta, self.leak = alpha, beta, leak
        self.epsilon, self.gamma, self.kappa = epsilon, gamma, kappa
        self.v = 0

    def fit(self, v: int) -> int:
        return clamp(v, -(2**19 - 1), 2**19 - 1)

    def tick(self, total: int) -> int:
        v = self.v + total
        omega = 1 if self.epsilon == 0 else (v > 0) - (v < 0)
        v += omega * self.leak
        if self.kappa and v < -self.beta:
            v = -self.beta
        below = v < -self.beta
        v = self.fit(v)
        if v >= self.alpha:
            self.v = {0: 0, 1: v - self.alpha, 2: v}[self.gamma]
            return 1
        if below:
            v = {0: 0, 1: v + self.beta, 2: v}[self.gamma]
        self.v = v
        return 0


class RancNeuron(TrueNorthNeuron):
    """One neuron of RANC: no leak reversal, a negative threshold that resets."""

    def fit(self, v: int) -> int:
        if v > 256:
            return v - 512
        return v + 512 if v <= -256 else v


def run_recurrent(
    neurons: dict[str, list[TrueNorthNeuron]] | dict[str, list[ReckonNeuron]],
    links: list[tuple[str, str, int, list[Row]]],
    raster: list[Row],
) -> tuple[dict[str, list[Row]], dict[str, list[Row]]]:
    """Run populations linked by (source, target, delay in ticks, weights[source][target]).

    ``raster``: events of the source "in". Returns (spikes, v) by population and tick.
    """
    spikes: dict[str, list[Row]] = {name: [] for name in neurons}
    states: dict[str, list[Row]] = {name: [] for name in neurons}
    history = {"in": raster, **spikes}
    for t in range(len(raster)):
        for name, members in neurons.items():
            totals = [0] * len(members)
            for source, target, delay, weights in links:
                if target == name and t >= delay:
                    for i, count in enumerate(history[source][t - delay]):
                        for j in range(len(members)):
                            totals[j] += count * weights[i][j]
            fired = [n.tick(total) for n, total in zip(members, totals, strict=True)]
            spikes[name].append(fired)
            states[name].append([n.v for n in members])
    return spikes, states


class ReckonNeuron:
    """One LIF neuron, or with ``threshold`` None one leaky output."""

    def __init__(self, alpha: int, threshold: int | None, *, subtracts: bool) -> None:
        self.alpha, self.threshold, self.subtracts = alpha, threshold, subtracts
        self.v = 0

    def tick(self, total: int) -> int:
        self.v = clamp(self.alpha * self.v // 2**15 + total, -(2**15 - 1), 2**15 - 1)
        if self.threshold is None or self.v < self.threshold:
            return 0
        self.v = self.v - self.threshold if self.subtracts else 0
        return 1
