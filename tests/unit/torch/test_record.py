"""What ``record`` stores is what the module did, checked with hooks of the test's own."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nmhw
from nmhw.errors import InputError, NmhwError, TorchError, UsageError
from nmhw.torch import IF, LIF, Sequential
from nmhw.values.topology import projection_delays

ROOT = Path(__file__).resolve().parents[3]
spec = importlib.util.spec_from_file_location(
    "spiking_transformer", ROOT / "examples/spiking_transformer.py"
)
assert spec is not None
assert spec.loader is not None
transformer: Any = importlib.util.module_from_spec(spec)
spec.loader.exec_module(transformer)

N_STEPS = 4


def images(n: int, seed: int = 1) -> Tensor:
    return torch.rand(n, 1, 16, 16, generator=torch.Generator().manual_seed(seed))


def spikes(*shape: int, seed: int = 2, rate: float = 0.3) -> Tensor:
    return (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < rate).float()


def neuron_inputs(module: nn.Module, kind: type[nn.Module], x: Tensor) -> dict[str, list[Tensor]]:
    """Return what arrives at every layer of a class, seen by plain hooks."""
    seen: dict[str, list[Tensor]] = {}
    module.eval()
    for name, part in module.named_modules():
        if isinstance(part, kind):
            part.register_forward_hook(
                lambda m, args, out, n=name: seen.setdefault(n, []).append(args[0])
            )
    with torch.no_grad():
        module(x)
    return seen


def assert_projections_carry(trace: Any, seen: dict[str, Tensor]) -> None:
    """Recorded spikes through the recorded projections are what arrived, (steps, samples, ...)."""
    delays = projection_delays(trace.network, trace.network.profile)
    rasters = {name: e.dense() for name, e in trace.spikes.items()}
    for population in trace.network.populations:
        if population.name not in seen:
            continue
        total = np.zeros((trace.n_samples, trace.n_steps, population.size))
        for projection in trace.network.incoming(population.name):
            shape = trace.network.sizes()[projection.source]
            x = rasters[projection.source].reshape(-1, shape)
            for op in projection.ops:
                x = op.apply(x.reshape(-1, *op.input_shape).astype(np.float64))
            x = x.reshape(trace.n_samples, trace.n_steps, -1)
            delayed = np.zeros_like(x)
            late = delays[projection.name]
            delayed[:, late:] = x[:, : x.shape[1] - late]
            total += delayed
            if projection.bias is not None:
                total += projection.bias
        given = seen[population.name].double().numpy()
        given = given.reshape(trace.n_steps, trace.n_samples, -1).swapaxes(0, 1)
        np.testing.assert_allclose(total, given, atol=2e-4, err_msg=population.name)


def test_a_spiking_transformer_is_recorded_with_the_sums_that_reach_its_neurons() -> None:
    model = transformer.make_model()
    trace = nmhw.record(model, images(5), layout="N", n_steps=N_STEPS)
    seen = {n: v[0] for n, v in neuron_inputs(model, transformer.OwnLIF, images(5)).items()}
    populations = {p.name for p in trace.network.populations}
    assert populations == {
        "patch_lif", "attention.q.lif", "attention.k.lif", "attention.v.lif", "attention.out.lif",
        "wide.lif", "narrow.lif", "head",
    }  # fmt: skip
    assert {p.name for p in trace.network.inputs} == {"stem_lif", "attention.lif"}
    assert_projections_carry(trace, seen)


def test_operations_of_the_host_are_those_counted_by_hand() -> None:
    model = transformer.make_model()
    trace = nmhw.record(model, images(3), layout="N", n_steps=N_STEPS)
    rows = {row.name: row for row in trace.host}
    q, k, v = (
        trace.spikes[f"attention.{n}.lif"].dense().reshape(3, N_STEPS, 16, 4, 8) for n in "qkv"
    )
    scores = np.einsum("stnhc,stmhc->sthnm", q, k)
    first = int(scores.sum())  # both operands are 0 and 1: an addition where both are 1
    second = int(np.einsum("sthnm,stmhc->", scores > 0, v))
    assert rows["attention: matmul"].accumulates == first + second
    assert rows["attention: matmul"].macs == 2 * 3 * N_STEPS * 4 * 16 * 16 * 8
    assert rows["attention: matmul"].effective_macs == 0
    assert rows["stem"].macs == 3 * N_STEPS * 8 * 16 * 16 * 9
    padded = np.pad(images(3).numpy()[:, 0] != 0, ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    assert rows["stem"].effective_macs == N_STEPS * 8 * int(windows.sum())
    assert rows["attention.lif"].elements == 3 * N_STEPS * 16 * 32
    assert "attention.out.linear" not in rows


def test_batches_are_one_record_and_every_batch_starts_at_rest() -> None:
    model = transformer.make_model()
    whole = nmhw.record(model, images(6), layout="N", n_steps=N_STEPS)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(images(6), torch.arange(6)), batch_size=4
    )  # 4 samples and 4 steps: split, so that the axes stay distinct
    parts = nmhw.record(model, loader, layout="N", n_steps=N_STEPS)
    assert whole.n_samples == parts.n_samples == 6
    for name, events in whole.spikes.items():
        np.testing.assert_array_equal(events.dense(), parts.spikes[name].dense())
    assert [r.macs for r in whole.host] == [r.macs for r in parts.host]


class Stepped(nn.Module):
    """A loop over steps in Python, a recurrent layer, batches of (steps, samples, ...)."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.rec, self.out = nn.Linear(6, 5), nn.Linear(5, 5, bias=False), nn.Linear(5, 3)
        self.hidden, self.last = OneStep(), OneStep()

    def forward(self, x: Tensor) -> Tensor:
        v, w = torch.zeros(x.shape[1], 5), torch.zeros(x.shape[1], 3)
        s = torch.zeros(x.shape[1], 5)
        made = []
        for now in x:
            s, v = self.hidden(self.fc(now) + self.rec(s), v)
            o, w = self.last(self.out(s), w)
            made.append(o)
        return torch.stack(made)


class OneStep(nn.Module):
    def forward(self, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        v = 0.5 * v + x
        fired = (v > 0.3).float()
        return fired, v - 0.3 * fired


def test_a_loop_over_steps_and_its_recurrent_layer_are_followed() -> None:
    torch.manual_seed(3)
    model, x = Stepped(), spikes(7, 4, 6)
    trace = nmhw.record(model, x, layout="TN")
    seen = neuron_inputs(model, OneStep, x)
    assert_projections_carry(trace, {n: torch.stack(v) for n, v in seen.items()})
    assert {p.name: len(trace.network.incoming(p.name)) for p in trace.network.populations} == {
        "hidden": 2, "last": 1,
    }  # fmt: skip
    assert len(trace.spikes["last"]) == int(model(x).sum())


class Host(nn.Module):
    """Softmax attention, LayerNorm and GELU between two layers of spikes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.one = nn.Linear(8, 8), LIF(tau_mem_s=2e-3)
        self.norm, self.mix = nn.LayerNorm(8), nn.Linear(8, 8)
        self.two, self.last, self.three = LIF(tau_mem_s=2e-3), nn.Linear(8, 4), LIF(tau_mem_s=2e-3)

    def forward(self, x: Tensor) -> Tensor:
        s = self.one(self.first(x))
        weights = torch.softmax(s @ s.transpose(-1, -2), -1)
        y = torch.nn.functional.gelu(self.mix(self.norm(weights @ s + self.first(x))))
        out: Tensor = self.three(self.last(self.two(y)))
        return out


def test_blocks_that_no_core_computes_are_operations_of_the_host_with_a_reason() -> None:
    torch.manual_seed(0)
    model = Host()
    with torch.no_grad():
        model.first.weight.mul_(6)
        model.mix.weight.mul_(20)
        model.last.weight.mul_(9)
    trace = nmhw.record(model, spikes(5, 6, 8))
    rows = {row.name: row for row in trace.host}
    assert {"Host: matmul", "Host: softmax", "norm", "mix", "Host: gelu", "two"} <= rows.keys()
    assert rows["Host: matmul"].reason == "product of two activations"
    assert rows["norm"].elements == 5 * 6 * 8
    assert rows["mix"].macs == 5 * 6 * 8 * 8
    # LayerNorm takes the sums of `first` as values: the host computes them too
    assert rows["first"].macs == 5 * 6 * 8 * 8
    assert rows["first"].effective_macs == 0
    assert rows["first"].accumulates == int(spikes(5, 6, 8).sum()) * 8
    assert [p.name for p in trace.network.populations] == ["one", "three"]
    assert {p.name for p in trace.network.inputs} == {"input", "two"}


class Moves(nn.Module):
    """Channels joined, tokens averaged, axes changed, a constant added."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = OneShot(), OneShot()
        self.wa, self.wb, self.wc = nn.Linear(6, 6), nn.Conv1d(4, 4, 3, padding=1), nn.Linear(5, 7)
        self.position, self.c = nn.Parameter(torch.rand(8, 5)), OneShot()
        self.gain = nn.Parameter(torch.rand(5))
        self.wd, self.d = nn.Linear(8, 3), OneShot()

    def forward(self, x: Tensor) -> Tensor:
        n, t = x.shape[:2]  # x: (samples, steps, 4, 5)
        one = self.a(self.wb(x.flatten(0, 1)).unflatten(0, (n, t)))
        two = self.b((x + one).flip(-2) * 2 - 0.5 * one)
        both = torch.cat([one, two], 2) * self.gain + self.position
        three: Tensor = self.c(self.wc(both))
        return self.d(self.wd(three.mean(-1)))


class OneShot(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x > 0.1).to(x.dtype)


def test_joins_flips_means_gains_and_constants_are_followed() -> None:
    torch.manual_seed(5)
    model, x = Moves(), spikes(3, 4, 4, 5)
    trace = nmhw.record(model, x)
    seen = neuron_inputs(model, OneShot, x)
    assert {"a", "b", "c", "d"} == {p.name for p in trace.network.populations}
    assert not trace.host
    assert_projections_carry(trace, {n: v[0].transpose(0, 1) for n, v in seen.items()})


def test_max_pools_over_spikes_are_threshold_neurons_and_squeezed_axes_are_found() -> None:
    torch.manual_seed(1)
    model = Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), IF(v_threshold=0.2, r=1000.0),
        nn.MaxPool2d(2), nn.Conv2d(3, 2, 3), IF(v_threshold=0.2, r=1000.0), nn.Flatten(),
        nn.Linear(8, 4), LIF(tau_mem_s=4e-3, v_threshold=0.1),
    )  # fmt: skip
    x = spikes(3, 5, 2, 8, 8)
    recorded, converted = nmhw.record(model, x), nmhw.from_torch(model, x)
    float_run = nmhw.run_float(converted, x.numpy())
    assert not recorded.host
    kinds = [p.model.kind for p in recorded.network.populations]
    assert kinds == [p.model.kind for p in converted.populations]
    for mine, other in zip(recorded.network.populations, converted.populations, strict=True):
        found = recorded.spikes[mine.name].dense()
        np.testing.assert_array_equal(found, float_run.spikes[other.name].dense())


class Changing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif = nn.Linear(4, 4), LIF(tau_mem_s=2e-3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x)
        return self.lif(y * 2 if float(x.sum()) > 30 else y)


class Written(nn.Module):
    """Spikes that are changed behind the record's back."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.one = nn.Linear(4, 4), LIF(tau_mem_s=2e-3, v_threshold=0.1)
        self.fc2, self.two = nn.Linear(4, 4), LIF(tau_mem_s=2e-3, v_threshold=0.1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.one(self.fc1(x)).clone()
        y[..., 0] = 1.0
        out: Tensor = self.two(self.fc2(-y))
        return out


def test_tensors_written_into_by_an_index_are_noticed() -> None:
    torch.manual_seed(0)
    with pytest.raises(TorchError, match="does not add up") as caught:
        nmhw.record(Written(), spikes(3, 5, 4))
    assert caught.value.rule == "record.disagrees"


WRONG: list[tuple[Any, dict[str, Any], type[NmhwError], str]] = [
    ("no tensor", {}, InputError, "without a tensor"),
    ([], {}, InputError, "no batch"),
    (3, {}, InputError, "no data"),
    (spikes(3, 4), {}, InputError, "samples, steps and features"),
    (spikes(3, 5, 0), {}, InputError, "samples, steps and features"),
    (torch.full((3, 5, 4), torch.nan), {}, InputError, "NaN"),
    ([spikes(3, 5, 4), spikes(3, 6, 4)], {}, InputError, "number of steps"),
    ([spikes(3, 5, 4), spikes(3, 5, 4) * 0.5], {}, InputError, "the first batch was spikes"),
    (spikes(3, 5, 7), {}, InputError, "fails on the sample"),
    (spikes(3, 5, 4), {"layout": "XY"}, UsageError, "layout"),
    (spikes(3, 4), {"layout": "N"}, UsageError, "n_steps"),
    (spikes(3, 5, 4), {"n_steps": 7}, InputError, "number of steps"),
    (spikes(3, 5, 4), {"dt_s": -1.0}, UsageError, "dt"),
    (spikes(3, 5, 4), {"neurons": "LIF"}, UsageError, "classes"),
    (spikes(3, 5, 4), {"max_batches": 0}, UsageError, "max_batches"),
]


@pytest.mark.parametrize(("data", "options", "error", "text"), WRONG)
def test_what_makes_no_sense_is_refused(
    data: Any, options: dict[str, Any], error: type[NmhwError], text: str
) -> None:
    model = Sequential(nn.Linear(4, 4), LIF(tau_mem_s=2e-3))
    with pytest.raises(error, match=text):
        nmhw.record(model, data if not isinstance(data, str) else [data], **options)


def test_modules_without_spikes_or_with_branches_on_the_data_are_refused() -> None:
    with pytest.raises(TorchError, match="nothing here is for a chip"):
        nmhw.record(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), spikes(3, 5, 4))
    with pytest.raises(UsageError, match=r"torch\.nn\.Module"):
        nmhw.record("model", spikes(3, 5, 4))  # type: ignore[arg-type]
    torch.manual_seed(0)
    batches = [spikes(3, 5, 4), torch.ones(3, 5, 4)]
    with pytest.raises(TorchError, match="other calls"):
        nmhw.record(Changing(), batches)
