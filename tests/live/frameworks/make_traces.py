"""Drive single layers of other frameworks and print what they did, as JSON on the last line.

Standard input: {"framework": name}. Every case holds the drive ``x`` (steps, neurons), the spikes
``z`` and the membrane ``v`` after each step. Drives are multiples of 1/16, so that membranes meet
the threshold exactly now and then and > differs from >=.
"""

import json
import sys

import numpy as np

STEPS, NEURONS = 60, 6


def drive(seed, low=-4, high=12):
    return np.random.default_rng(seed).integers(low, high, (STEPS, NEURONS)) / 16.0


def weights(seed):
    return np.random.default_rng(seed).integers(-6, 5, (NEURONS, NEURONS)) / 32.0


def case(x, z, v, **more):
    found = {"x": x, "z": z, "v": v, **more}
    return {k: np.asarray(a, np.float64).reshape(-1, NEURONS).tolist() for k, a in found.items()}


def sinabs():
    import sinabs.layers as sl
    import torch

    cases = {}
    for name, layer in {
        "if": sl.IAF(spike_threshold=1.0, min_v_mem=-1.0, record_states=True),
        "lif": sl.LIF(tau_mem=20.0, norm_input=False, record_states=True),
    }.items():
        x = drive(1, -20, 24)
        z = layer(torch.tensor(x)[None])
        cases[name] = case(x, z.detach(), layer.recordings["v_mem"].detach())
    return cases


def rockpool():
    import torch
    from rockpool.nn.modules import LIFTorch

    cases = {}
    for name, recurrent in {"cubalif": False, "recurrent": True}.items():
        more = {"w_rec": torch.tensor(weights(3)).float()} if recurrent else {}
        layer = LIFTorch(
            (NEURONS, NEURONS),
            tau_mem=20e-3,
            tau_syn=10e-3,
            threshold=1.0,
            bias=0.0,
            dt=1e-3,
            has_rec=recurrent,
            **more,
        )
        x = drive(2, -6, 8)
        z, _, record = layer(torch.tensor(x).float()[None], record=True)
        # rows of w_rec are sources
        shown = {"w": weights(3).T} if recurrent else {}
        cases[name] = case(x, z.detach(), record["vmem"].detach(), **shown)
    return cases


def spikingjelly():
    import torch
    from spikingjelly.activation_based import neuron

    cases = {}
    for name, layer in {
        "if": neuron.IFNode(v_threshold=1.0, v_reset=0.0),
        "lif": neuron.LIFNode(tau=4.0, decay_input=False, v_threshold=1.0, v_reset=0.0),
        "lif_decay_input": neuron.LIFNode(tau=4.0, decay_input=True, v_threshold=0.25, v_reset=0.0),
    }.items():
        x, z, v = drive(4), [], []
        for row in torch.tensor(x):
            z.append(layer(row[None]).detach().numpy())
            v.append(layer.v.detach().numpy().copy())
        cases[name] = case(x, z, v)
    return cases


def snntorch():
    import snntorch as snn
    import torch

    torch.set_default_dtype(torch.float64)
    cases = {}
    for name, reset in {"lif_zero": "zero", "lif_subtract": "subtract"}.items():
        layer = snn.Leaky(beta=0.5, threshold=1.0, reset_mechanism=reset, reset_delay=False)
        x, z, v, mem = drive(5, -8, 28), [], [], layer.init_leaky()
        for row in torch.tensor(x):
            spikes, mem = layer(row[None], mem)
            z.append(spikes.detach().numpy())
            v.append(mem.detach().numpy())
        cases[name] = case(x, z, v)
    layer = snn.Synaptic(alpha=0.5, beta=0.75, reset_mechanism="zero", reset_delay=False)
    x, z, v = drive(6), [], []
    syn, mem = layer.init_synaptic()
    for row in torch.tensor(x):
        spikes, syn, mem = layer(row[None], syn, mem)
        z.append(spikes.detach().numpy())
        v.append(mem.detach().numpy())
    cases["cubalif"] = case(x, z, v)
    return cases


def norse():
    import norse.torch.module.lif_box as lif_box
    import torch

    torch.set_default_dtype(torch.float64)
    layer = lif_box.LIFBoxCell(
        lif_box.LIFBoxParameters(
            tau_mem_inv=torch.tensor(1 / 4e-3), v_th=torch.tensor(0.25), v_leak=torch.tensor(0.125)
        ),
        dt=1e-3,
    )
    zero = torch.zeros(1, NEURONS)
    x, z, v, state = drive(7), [], [], lif_box.LIFBoxFeedForwardState(v=zero)
    for row in torch.tensor(x):
        spikes, state = layer(row[None], state)
        z.append(spikes.detach().numpy())
        v.append(state.v.detach().numpy())
    return {"lif": case(x, z, v)}


def spyx():
    import jax
    import jax.numpy as jnp
    import spyx.nn as nn
    from flax import nnx

    jax.config.update("jax_enable_x64", True)
    rngs = nnx.Rngs(0)
    recurrent = nn.RCuBaLIF((NEURONS,), alpha=0.5, beta=0.75, rngs=rngs)
    recurrent.recurrent_w[...] = jnp.asarray(weights(8).T)
    cases = {}
    for name, layer in {
        "if": nn.IF((NEURONS,)),
        "lif": nn.LIF((NEURONS,), beta=0.5, rngs=rngs),
        "cubalif": nn.CuBaLIF((NEURONS,), alpha=0.5, beta=0.75, rngs=rngs),
        "recurrent": recurrent,
    }.items():
        x, z, v, state = drive(9, -4, 18), [], [], layer.initial_state(1)
        for row in x:
            spikes, state = layer(jnp.asarray(row)[None], state)
            z.append(np.asarray(spikes))
            v.append(np.asarray(state)[:, :NEURONS])
        cases[name] = case(x, z, v, **({"w": weights(8)} if name == "recurrent" else {}))
    return cases


if __name__ == "__main__":
    known = {f.__name__: f for f in (sinabs, rockpool, spikingjelly, snntorch, norse, spyx)}
    print(json.dumps(known[json.load(sys.stdin)["framework"]]()))
