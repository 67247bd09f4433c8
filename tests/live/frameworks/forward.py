"""A framework's own forward beside nmhw's float run, bin by bin. Imported by the other scripts."""

import logging
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
logging.disable(logging.WARNING)

import numpy as np  # noqa: E402
import torch  # noqa: E402

import nmhw  # noqa: E402

#: A spike may differ where the membrane is this close to its threshold, relative to it.
CLOSE = 1e-5


def arrange(x, layout):
    """Turn (samples, steps, ...) into what the module takes."""
    if layout == "N":  # the module holds the frame itself
        return x[:, 0].contiguous()
    return {"TN": x.transpose(0, 1), "NT": x, "flat": x.flatten(0, 1)}[layout].contiguous()


def restore(made, layout, n_samples, n_steps):
    """Turn what one layer returned, once or once per step, into (samples, steps, neurons)."""
    if len(made) > 1:
        return torch.stack(made, 1).flatten(2)
    if layout == "flat":
        return made[0].reshape(n_samples, n_steps, -1)
    return (made[0].transpose(0, 1) if layout in ("TN", "N") else made[0]).flatten(2)


def reset(net):
    """Forget the last sample, whatever the framework calls it."""
    for part in (net, *net.modules()):
        for name in ("reset_states", "reset_mem", "reset"):
            method = getattr(part, name, None)
            if callable(method):
                method()
                break


def own_spikes(net, x, layout, names):
    """Run the module and return the spikes of its layers, (samples, steps, neurons) by name."""
    made, hooks = {}, []
    for name, part in net.named_modules():
        if name in names:
            hooks.append(part.register_forward_hook(
                lambda _, __, out, name=name: made.setdefault(name, []).append(
                    (out[0] if isinstance(out, tuple) else out).detach().clone()
                )
            ))  # fmt: skip
    with torch.no_grad():
        reset(net)
        net(arrange(x, layout))
    for hook in hooks:
        hook.remove()
    return {k: restore(v, layout, *x.shape[:2]).numpy() for k, v in made.items()}


def compare(network, own, x):
    """Return bins, spikes and differing bins per population, and whether rounding explains them.

    ``close`` says of the first differing bin that a threshold moved by 1e-5 of itself changes it:
    |v - threshold| <= 1e-5 threshold.
    """
    values = np.asarray(x, np.float64)
    run = nmhw.run_float(network, values)
    rows, first = {}, None
    for name, spikes in own.items():
        differs = run.spikes[name].dense().reshape(spikes.shape) != spikes
        rows[name] = {"bins": spikes.size, "spikes": float(spikes.sum()),
                      "differing": int(differs.sum()), "close": False}  # fmt: skip
        steps = np.flatnonzero(differs.any((0, 2)))
        if steps.size and (first is None or steps[0] < first[1]):
            sample, neuron = (int(k) for k in np.argwhere(differs[:, steps[0]])[0])
            first = (name, int(steps[0]), sample, neuron)
    if first is not None:
        name, step, sample, neuron = first
        part = values[sample : sample + 1, : step + 1]
        bins = [
            nmhw.run_float(moved(network, name, factor), part)
            .spikes[name].dense().reshape(step + 1, -1)[step, neuron]
            for factor in (1 - CLOSE, 1 + CLOSE)
        ]  # fmt: skip
        rows[name] |= {"close": bool(bins[0] != bins[1]), "first": [sample, step, neuron]}
    return rows


def moved(network, name, factor):
    """Return the network with one population's thresholds scaled."""
    return replace(network, populations=tuple(
        replace(p, model=replace(p.model, v_threshold=p.model.v_threshold * factor))
        if p.name == name else p
        for p in network.populations
    ))  # fmt: skip


def patterns(n_samples, n_steps, shape, seed, n_classes=4):
    """Return spikes (samples, steps, ...) of classes that differ in their rates, and labels."""
    rates = torch.rand(n_classes, *shape, generator=torch.Generator().manual_seed(1)) * 0.8 + 0.1
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(n_classes, (n_samples,), generator=generator)
    draws = torch.rand(n_samples, n_steps, *shape, generator=generator)
    return (draws < rates[labels].unsqueeze(1)).float(), labels


def train(net, layout, shape, n_steps, *, batch=8, n_batches=4, n_epochs=3, counts=None):
    """Train for a few epochs on ``patterns``; return the loss of the first and last epoch.

    ``counts`` turns what the module returns into (samples, classes).
    """
    data, labels = patterns(batch * n_batches, n_steps, shape, seed=2)
    optimizer = torch.optim.Adam((p for p in net.parameters() if p.requires_grad), lr=5e-3)
    losses = []
    net.train()
    for _ in range(n_epochs):
        total = 0.0
        for k in range(n_batches):
            rows = slice(k * batch, (k + 1) * batch)
            reset(net)
            out = net(arrange(data[rows], layout))
            scores = counts(out) if counts else class_scores(out, layout, batch, n_steps)
            loss = torch.nn.functional.cross_entropy(scores, labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach())
        losses.append(total / n_batches)
    net.eval()  # the states of the last sample are left for from_torch to forget
    return [losses[0], losses[-1]]


def class_scores(out, layout, n_samples, n_steps):
    """Return the spikes of each class, (samples, classes)."""
    out = out[0] if isinstance(out, tuple) else out
    if layout == "flat":
        return out.reshape(n_samples, n_steps, -1).sum(1)
    return out.flatten(2).sum(0 if layout == "TN" else 1)
