from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nmhw.errors import InputError, ProfileError, UsageError
from nmhw.io.input_arrays import as_inputs, labels_of
from nmhw.io.input_data import EventList, InputFile
from nmhw.io.input_events import input_kind
from nmhw.values.events import SpikeEvents
from nmhw.values.network import Network
from nmhw.values.profile import Profile


def network(*shapes: tuple[int, ...]) -> Network:
    build = Network.build("n")
    for k, shape in enumerate(shapes):
        build.input("abc"[k], shape)
    build.population("p", 1, "if")
    return build.output("y", "p").done()


ONE = network((2, 3))


def spikes(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 2, shape)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((4, 5, 2, 3), (4, 5)),
        ((4, 5, 6), (4, 5)),
        ((5, 2, 3), (1, 5)),
        ((5, 6), (1, 5)),
    ],
)
def test_axes_are_read_from_the_input_shape(
    shape: tuple[int, ...], expected: tuple[int, int]
) -> None:
    x = spikes(*shape)
    events = as_inputs(ONE, x)["a"]
    assert (events.n_samples, events.n_steps, events.shape) == (*expected, (2, 3))
    np.testing.assert_array_equal(events.dense(), x.reshape(*expected, 6))


def test_time_first_arrays_are_turned() -> None:
    x = spikes(4, 5, 6)
    turned = as_inputs(ONE, x.swapaxes(0, 1), "TN")["a"]
    np.testing.assert_array_equal(turned.dense(), x)


def test_labels_tell_samples_from_steps() -> None:
    x = spikes(4, 5, 6)
    for array in (x, x.swapaxes(0, 1)):
        events = as_inputs(ONE, array, labels=np.zeros(4))["a"]
        np.testing.assert_array_equal(events.dense(), x)


def test_labels_that_fit_both_axes_are_asked_about() -> None:
    x = spikes(5, 5, 6)
    with pytest.raises(InputError, match=r'cannot be told apart.*layout="NT".*"TN"') as error:
        as_inputs(ONE, x, labels=np.zeros(5))
    assert error.value.rule == "input.ambiguous"
    assert as_inputs(ONE, x, "NT", labels=np.zeros(5))["a"].n_samples == 5


def test_shape_that_reads_in_two_ways_is_asked_about() -> None:
    with pytest.raises(InputError, match="can be read in two ways"):
        as_inputs(network((1, 4)), spikes(7, 1, 4))
    assert as_inputs(network((1, 4)), spikes(7, 2, 4))["a"].n_samples == 7


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            (4, 5, 7),
            r"a: the input has the wrong shape: got \(4, 5, 7\) \(limit \(2, 3\) or \(6,\)\)",
        ),
        ((4, 5, 3, 2), "wrong shape"),
        ((2, 3), "no time axis.*--encode"),
        ((6,), "no time axis"),
        ((2, 4, 5, 6), "wrong shape"),
        ((0, 5, 6), "no sample or no step"),
        ((4, 0, 6), "no sample or no step"),
    ],
)
def test_wrong_shapes_name_array_and_expectation(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        as_inputs(ONE, np.zeros(shape))
    assert error.value.exit_code == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_located(bad: float) -> None:
    x = spikes(4, 5, 6).astype(float)
    x[1, 2, 3] = bad
    with pytest.raises(InputError, match=r"a: .*not finite: got -?(nan|inf) at \(1, 2, 3\)"):
        as_inputs(ONE, x)


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [(0.5, "current", "0.5 at"), (-1.0, "graded", "-1 at"), (-0.25, "current", "-0.25 at")],
)
def test_other_than_spikes_is_refused_with_an_example(value: float, kind: str, shown: str) -> None:
    x = spikes(1, 2, 6).astype(float)
    x[0, 1, 4] = value
    with pytest.raises(InputError, match=rf"got {kind}, e.g. {shown}.*\(0, 1, 4\).*--encode"):
        as_inputs(ONE, x)
    events = as_inputs(ONE, x, kinds=("spikes", "counts", "graded", "current"))["a"]
    assert input_kind(events) == kind
    np.testing.assert_array_equal(events.dense()[0], x[0].astype(np.float32))


def test_counts_become_repeated_events() -> None:
    x = np.zeros((1, 2, 6), np.uint8)
    x[0, 1, 3] = 3
    events = as_inputs(ONE, x)["a"]
    assert (events.index.tolist(), input_kind(events)) == ([3, 3, 3], "counts")
    with pytest.raises(InputError, match="several spikes per step"):
        as_inputs(ONE, x, kinds=("spikes",))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float32])
def test_zeros_and_ones_of_any_type_are_spikes(dtype: type) -> None:
    x = spikes(3, 4, 6).astype(dtype)
    events = as_inputs(ONE, x)["a"]
    assert input_kind(events) == "spikes"
    np.testing.assert_array_equal(events.dense(), x)


@pytest.mark.parametrize(
    "x", [[["a"]], np.array([object()]), [[1, 2], [3]], np.zeros((1, 2, 6), complex), None]
)
def test_what_is_no_array_of_numbers_is_refused(x: Any) -> None:
    with pytest.raises(InputError, match="not a"):
        as_inputs(ONE, x)


def test_several_inputs_come_by_name() -> None:
    two = network((2, 3), (4,))
    found = as_inputs(two, {"a": spikes(2, 5, 6), "b": spikes(2, 5, 4)})
    assert {name: e.shape for name, e in found.items()} == {"a": (2, 3), "b": (4,)}
    with pytest.raises(InputError, match="several inputs: got a, b; try: a dict by input name"):
        as_inputs(two, spikes(2, 5, 6))
    with pytest.raises(InputError, match=r"wrong input names: got \['a'\] \(limit a, b\)"):
        as_inputs(two, {"a": spikes(2, 5, 6)})
    with pytest.raises(InputError, match=r"differ in steps: got {'a': 5, 'b': 6}"):
        as_inputs(two, {"a": spikes(2, 5, 6), "b": spikes(2, 6, 4)})


def test_spike_events_pass_and_are_checked() -> None:
    events = SpikeEvents.from_dense(spikes(2, 5, 6))
    passed = as_inputs(ONE, events)["a"]
    assert passed.shape == (2, 3)
    np.testing.assert_array_equal(passed.dense(), events.dense())
    with pytest.raises(InputError, match=r"a: the input has the wrong shape: got \(5,\)"):
        as_inputs(ONE, SpikeEvents.from_dense(spikes(2, 5, 5)))
    with pytest.raises(InputError, match=r"index is out of range: got 6 \(limit 0 to 5\)"):
        as_inputs(ONE, replace(events, index=events.index + np.int32(6 - events.index.max())))


def listed(**fields: Any) -> EventList:
    base = {
        "sample": np.array([1, 0, 0]),
        "step": np.array([2, 0, 1]),
        "index": np.array([5, 4, 0]),
    }
    return EventList(**{**base, **fields})


def test_event_lists_are_sorted_and_sized_by_what_occurs() -> None:
    events = as_inputs(ONE, listed())["a"]
    assert (events.n_samples, events.n_steps) == (2, 3)
    assert events.sample.tolist() == [0, 0, 1]
    assert events.index.tolist() == [4, 0, 5]
    assert as_inputs(ONE, listed(n_samples=7, n_steps=9))["a"].dense().shape == (7, 9, 6)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"index": np.array([0, 6, 1])}, r"events: index: .*out of range: got 6 \(limit 0 to 5\)"),
        ({"step": np.array([0, -1, 1])}, "step: .*out of range: got -1"),
        ({"n_samples": 1}, "sample: .*out of range: got 1"),
        ({"n_steps": 2}, r"step: .*out of range: got 2 \(limit 0 to 1\)"),
        ({"index": np.array([0, 1])}, "differ in length"),
        ({"step": np.array([0, 1.5, 2])}, "step: must be whole numbers: got 1.5"),
        ({"value": np.array([1.0, np.nan, 1.0])}, "value is not finite: got nan at event 1"),
        ({"value": np.array([1.0])}, "differ in length"),
        ({"value": np.array([1.0, 0.5, 1.0])}, "analog values"),
        ({"value": np.array([1.0, -2.0, 1.0])}, "graded or negative values"),
    ],
)
def test_bad_event_lists_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_inputs(ONE, listed(**fields))


def test_whole_values_of_events_are_counts() -> None:
    events = as_inputs(ONE, listed(value=np.array([2.0, 0.0, 1.0])))["a"]
    assert events.value is None
    assert events.index.tolist() == [0, 5, 5]


def test_event_times_need_and_use_the_time_step() -> None:
    timed = listed(step=None, time_s=np.array([0.0299999999, 0.0, 0.0101]), duration_s=0.05)
    with pytest.raises(ProfileError, match="event times in seconds need a step length"):
        as_inputs(ONE, timed)
    events = as_inputs(ONE, timed, dt_s=0.01)["a"]
    assert (events.step.tolist(), events.n_steps) == ([0, 1, 3], 5)
    profiled = replace(ONE, profile=Profile("p", dt_s=0.01))
    assert as_inputs(profiled, timed)["a"].step.tolist() == [0, 1, 3]


def test_file_on_another_time_grid_is_refused() -> None:
    file = InputFile("x.h5", {"a": spikes(1, 5, 6)}, dt_s=1e-3)
    assert as_inputs(ONE, file, dt_s=1e-3)["a"].n_steps == 5
    with pytest.raises(InputError, match=r"the file's step is not the network's: got 0\.001 s"):
        as_inputs(ONE, file, dt_s=1e-4)


def test_file_without_an_input_of_the_network_is_refused() -> None:
    two = network((2, 3), (4,))
    with pytest.raises(InputError, match=r"x\.npz: the file has no data for an input.*limit b"):
        as_inputs(two, InputFile("x.npz", {"a": spikes(1, 5, 6), "c": spikes(1, 5, 4)}))


class Tensor:
    """Answers as a torch tensor on a device with a gradient does."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array
        self.is_detached = self.is_on_cpu = False

    def detach(self) -> Tensor:
        self.is_detached = True
        return self

    def cpu(self) -> Tensor:
        self.is_on_cpu = True
        return self

    def numpy(self) -> np.ndarray:
        assert self.is_detached
        assert self.is_on_cpu
        return self._array


class Loader:
    """Answers as a torch DataLoader of (x, y) batches does."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.dataset, self.batch_size = (x, y), 2

    def __iter__(self) -> Any:
        x, y = self.dataset
        for k in range(0, len(x), 2):
            yield [Tensor(x[k : k + 2]), Tensor(y[k : k + 2])]


def test_tensors_and_loaders_are_taken() -> None:
    x, y = spikes(5, 4, 6), np.arange(5)
    np.testing.assert_array_equal(as_inputs(ONE, Tensor(x))["a"].dense(), x)
    np.testing.assert_array_equal(as_inputs(ONE, Loader(x, y))["a"].dense(), x)
    found = labels_of(Loader(x, y))
    assert found is not None
    assert found.tolist() == [0, 1, 2, 3, 4]
    assert labels_of(x) is None


def test_real_torch_tensors_are_taken() -> None:
    torch = pytest.importorskip("torch")
    x = spikes(2, 4, 6)
    for tensor in (
        torch.tensor(x, dtype=torch.float32, requires_grad=True),
        torch.tensor(x, dtype=torch.bfloat16),
        torch.tensor(x, dtype=torch.bool),
    ):
        np.testing.assert_array_equal(as_inputs(ONE, tensor)["a"].dense(), x)


def test_unknown_layout_is_refused() -> None:
    with pytest.raises(UsageError, match="auto, NT or TN"):
        as_inputs(ONE, spikes(4, 5, 6), "BTN")


def test_an_input_without_events_must_say_how_long_it_is() -> None:
    none = np.zeros(0, np.int64)
    with pytest.raises(InputError, match=r"number of samples.*n_samples and n_steps"):
        as_inputs(ONE, EventList(none, none, none))
    with pytest.raises(InputError, match="number of steps"):
        as_inputs(ONE, EventList(none, none, none, n_samples=2))
    silent = as_inputs(ONE, EventList(none, none, none, n_samples=2, n_steps=7))
    assert [(e.n_samples, e.n_steps, len(e)) for e in silent.values()] == [(2, 7, 0)]


def test_an_array_of_huge_counts_is_refused_at_once() -> None:
    with pytest.raises(InputError, match=r"too many spikes.*--encode"):
        as_inputs(ONE, np.full((1, 2, *ONE.inputs[0].shape), 2**62))


def test_a_sample_beyond_32_bits_is_named_as_it_is() -> None:
    column = np.array([0, 10**12])
    with pytest.raises(InputError, match=r"sample is out of range: got 1000000000000"):
        as_inputs(ONE, EventList(sample=column, index=column * 0, step=column * 0))


def test_event_arrays_with_two_axes_are_refused_as_such() -> None:
    column = np.zeros((2, 2), np.int64)
    with pytest.raises(InputError, match="event arrays have one axis"):
        as_inputs(ONE, EventList(sample=column, index=column, step=column))
