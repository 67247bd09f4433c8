"""Message timing in closed form: single messages, in-tile paths, hot spots, pipelines, buffers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nmhw.sim.kernels import noc as k
from nmhw.sim.noc import choose_rows, time_rows
from nmhw.sim.noc_reference import time_step
from nmhw.sim.noc_tables import NocTables, link_ends
from nmhw.values.noc import NocTimes

MESH = (4, 3)
#: Tiles of the cores; core 0 and 1 share one.
TILES = [(0, 0), (0, 0), (1, 0), (3, 2), (2, 1)]
UNITS = {
    k.VISIT: 6000, k.ACTIVE: 3700, k.IDLE: 100, k.SPIKE: 30000, k.OUT: 5100, k.HOP_X: 4100,
    k.HOP_Y: 6500, k.LOCAL: 2100, k.LINK: 291, k.BUFFER: 16, k.QUEUE: 16, k.WIDTH: MESH[0],
}  # fmt: skip


def make_tables(fans: dict[int, list[tuple[int, int]]], **changes: int) -> NocTables:
    """Return two neurons per core and two inputs at the port; ``fans``: source -> (core, work).

    Inputs are sources 0 and 1; neuron j of core c is source 2 + 2 c + j.
    """
    n_cores = len(TILES)
    rows = [sorted(fans.get(source, [])) for source in range(2 + 2 * n_cores)]
    flat = [message for row in rows for message in row]
    units = np.zeros(k.N_UNITS, np.int64)
    for place, value in {**UNITS, **{getattr(k, name): v for name, v in changes.items()}}.items():
        units[place] = value
    places = np.array([*TILES, (0, 0)], np.int64)
    return NocTables(
        costs="t",
        sources={"in": 0, "pop": 2},
        home=np.array([n_cores] * 2 + [c for c in range(n_cores) for _ in range(2)], np.int32),
        last=np.array([0, 0] + [1, 2] * n_cores, np.int64),
        fan_row=np.arange(len(rows), dtype=np.int32),
        fan_ptr=np.cumsum([0, *(len(row) for row in rows)]).astype(np.int64),
        fan_core=np.array([core for core, _ in flat], np.int32),
        fan_ps=np.array([work for _, work in flat], np.int64),
        cores=np.arange(n_cores, dtype=np.int64),
        visits=np.full(n_cores, 2, np.int64),
        place=np.concatenate([link_ends(*MESH), places]),
        units=units,
        mesh=MESH,
    )


def time_both(tables: NocTables, spikes: list[int], active: int = 0) -> NocTimes:
    """Time a step in both forms, which agree."""
    busy = [active] * tables.visits.size
    plain = time_step(tables, spikes, busy)
    sources, ends = [], []
    for first, end in ((0, 2), (2, tables.home.size)):
        sources += sorted(s for s in spikes if first <= s < end)
        ends.append(len(sources))
    starts = np.array([[0], [ends[0]]], np.int64)
    times = time_rows(
        tables, np.array(sources, np.int32), starts, np.array(ends, np.int64)[:, None],
        np.array([busy], np.int32), np.arange(1), 1, 1, None,
    )  # fmt: skip
    assert (times.step_ps[0], times.floor_ps[0]) == (plain.step_ps, plain.floor_ps)
    assert (times.blocked_ps[0], times.messages[0]) == (plain.blocked_ps, plain.messages)
    assert {k: n for k, n in enumerate(times.link_messages.tolist()) if n} == plain.link_messages
    return times


#: Until the first neuron of a core has spiked and sent one message, without active updates.
FIRST = UNITS[k.VISIT] + UNITS[k.IDLE] + UNITS[k.SPIKE] + UNITS[k.OUT]
REST = UNITS[k.VISIT] + UNITS[k.IDLE]


def test_a_step_without_spikes_is_its_visits_and_updates() -> None:
    times = time_both(make_tables({}), [], active=1)
    assert times.step_ps[0] == 2 * UNITS[k.VISIT] + UNITS[k.ACTIVE] + UNITS[k.IDLE]


def test_a_single_message_takes_its_path_and_its_work() -> None:
    times = time_both(make_tables({2: [(3, 50_000)]}), [2])
    assert times.step_ps[0] == FIRST + 3 * UNITS[k.HOP_X] + 2 * UNITS[k.HOP_Y] + 50_000
    assert times.floor_ps[0] == 50_000
    assert np.flatnonzero(times.link_messages).tolist() == [0, 4, 8, 4 * 3 + 3, 4 * 7 + 3]


def test_work_behind_the_last_message_counts() -> None:
    times = time_both(make_tables({2: [(1, 100)]}), [2])
    assert times.step_ps[0] == times.floor_ps[0] == FIRST + REST


@pytest.mark.parametrize("goal", [0, 1])
def test_a_message_in_its_tile_takes_no_link(goal: int) -> None:
    times = time_both(make_tables({2: [(goal, 50_000)]}), [2])
    assert times.step_ps[0] == FIRST + UNITS[k.LOCAL] + 50_000
    assert not times.link_messages.any()


def test_input_events_enter_at_the_port_at_once_and_one_after_the_other() -> None:
    times = time_both(make_tables({0: [(0, 90), (2, 40_000)], 1: [(2, 40_000)]}), [0, 1])
    assert times.step_ps[0] == UNITS[k.LINK] + UNITS[k.HOP_X] + 2 * 40_000
    assert times.blocked_ps[0] == 0


def test_a_hot_spot_is_its_receivers_work_behind_the_first_arrival() -> None:
    fans = {2 + 2 * core + j: [(2, 40_000)] for core in (0, 1, 3, 4) for j in range(2)}
    times = time_both(make_tables(fans), list(fans))
    assert times.step_ps[0] == FIRST + UNITS[k.HOP_X] + 8 * 40_000
    assert times.floor_ps[0] == 8 * 40_000


def test_a_pipeline_over_one_link_goes_at_its_pace() -> None:
    """Four messages in turn to two idle cores behind a slow link."""
    fans = {2: [(2, 10), (4, 10)], 3: [(2, 10), (4, 10)]}
    link = 500_000
    times = time_both(make_tables(fans, LINK=link), [2, 3])
    # core 0 puts one on the link per service; the last one goes on to the second link
    last = FIRST + 3 * link
    assert times.step_ps[0] == last + 2 * UNITS[k.HOP_X] + UNITS[k.HOP_Y] + 10


def test_full_buffers_hold_the_sender_up() -> None:
    """One place everywhere: message n is sent when n - 3 is done, and the queue never runs dry."""
    fans = {2: [(2, 10**6)] * 3, 3: [(2, 10**6)] * 3}
    times = time_both(make_tables(fans, BUFFER=1, QUEUE=1), [2, 3])
    done = FIRST + UNITS[k.HOP_X] + 6 * 10**6
    assert times.step_ps[0] == done
    # the fifth message leaves the core when the second is done, which the sixth has to wait for
    sent = FIRST + UNITS[k.HOP_X] + 3 * 10**6
    unblocked = FIRST + REST + UNITS[k.SPIKE] + 5 * UNITS[k.OUT]
    assert times.blocked_ps[0] == sent - unblocked
    wide = time_both(make_tables(fans, BUFFER=8, QUEUE=8), [2, 3])
    assert (wide.step_ps[0], wide.blocked_ps[0]) == (done, 0)


def test_a_message_waits_behind_one_that_cannot_move() -> None:
    """To an idle core behind a busy one: the buffer between lets no message overtake."""
    busy, long = 10**7, 10**8
    fans = {2: [(2, busy), (2, busy), (2, busy), (3, long)]}
    path = UNITS[k.HOP_X] + 2 * UNITS[k.HOP_X] + 2 * UNITS[k.HOP_Y]
    free = time_both(make_tables(fans, QUEUE=2), [2])
    assert free.step_ps[0] == FIRST + UNITS[k.HOP_X] + busy + path - UNITS[k.HOP_X] + long
    wide = time_both(make_tables(fans, QUEUE=3), [2])
    assert wide.step_ps[0] == FIRST + 3 * UNITS[k.OUT] + path + long
    queued = time_both(make_tables(fans, QUEUE=1), [2])
    assert queued.step_ps[0] == free.step_ps[0] + busy


def test_several_spikes_of_a_neuron_send_several_times() -> None:
    times = time_both(make_tables({2: [(2, 40_000)]}), [2, 2, 2])
    assert times.messages[0] == 3
    assert times.step_ps[0] == FIRST + UNITS[k.HOP_X] + 3 * 40_000


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_steps_know_nothing_of_each_other(monkeypatch: pytest.MonkeyPatch, n_threads: int) -> None:
    """Any division of the steps among calls and threads gives the times of single steps."""
    monkeypatch.setattr("nmhw.sim.noc._MESSAGES_AT_ONCE", 20)
    r = np.random.default_rng(4)
    fans = {s: [(int(c), int(r.integers(10**5))) for c in r.permutation(5)[:3]] for s in range(12)}
    tables = make_tables(fans, BUFFER=1, QUEUE=2)
    raster = r.random((40, 12)) < 0.6
    events = [np.flatnonzero(row) for row in raster[:, :2]]
    events += [np.flatnonzero(row) + 2 for row in raster[:, 2:]]
    bounds = np.cumsum([0, *(e.size for e in events)])
    starts, ends = bounds[:-1].reshape(2, 40), bounds[1:].reshape(2, 40)
    active = r.integers(0, 3, (40, 5)).astype(np.int32)
    flat = np.concatenate(events).astype(np.int32)
    seen: list[tuple[int, int]] = []
    times = time_rows(
        tables, flat, starts, ends, active, np.arange(40), 40, n_threads,
        lambda *progress: seen.append(progress),
    )  # fmt: skip
    plain = [
        time_step(tables, np.flatnonzero(raster[j]).tolist(), active[j].tolist()) for j in range(40)
    ]
    assert times.step_ps.tolist() == [step.step_ps for step in plain]
    assert times.receiver_ps.sum() == sum(sum(step.receiver_ps.values()) for step in plain)
    assert len(seen) > 5
    assert seen[-1] == (40, 40)


def test_sampled_rows_hit_every_step_of_a_sample_alike() -> None:
    """A stride would always hit the same step."""
    rows = choose_rows(100 * 10, 100)
    assert np.diff(rows).min() > 0
    assert np.bincount(rows % 10, minlength=10).min() >= 9


def make_times(steps: Any, n_rows: int) -> NocTimes:
    values = np.array(steps, np.int64)
    none = np.zeros(0, np.int64)
    return NocTimes("t", (1, 1), n_rows, np.arange(values.size), values, values, values, values,
                    none, none, none, none)  # fmt: skip


def test_standard_error_of_some_of_the_steps() -> None:
    assert make_times([1, 2, 3], 3).standard_error_s() == 0
    assert make_times([1], 3).standard_error_s() is None
    found = make_times([10**12, 3 * 10**12], 4).standard_error_s()
    assert found == pytest.approx(np.sqrt(2) / np.sqrt(2) * np.sqrt(1 / 2))
