"""Messages of a step over links, buffers and receivers: ``sim/noc_reference.py``, compiled.

Every line (the way out of a core, or a link with the buffer behind it) has at most one message
that can move: its first. A tree of minima over the lines says which of them moves next. Times are
integer picoseconds. The clock goes on from step to step and nothing is reset: what an earlier step
left in a line or a queue lies in the past and holds nobody up.
"""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import Any

import numpy as np

from nmhw.sim.kernels.compiled import entry_point, inlined, source_stamp
from nmhw.sim.kernels.intrinsics import borrow

#: Positions in ``units``.
VISIT, ACTIVE, IDLE, SPIKE, OUT, HOP_X, HOP_Y, LOCAL, LINK, BUFFER, QUEUE, WIDTH = range(12)
N_UNITS = 12

#: Columns of the result of a step.
STEP, FLOOR, BLOCKED, MESSAGES = range(4)
N_RESULTS = 4

#: A sort key is a time with the line in its lowest bits: ties go to the lower line.
LINE_BITS = 17
NEVER = np.int64(2**63 - 1)

# State of a sending core: next and end in the order of its spikes, next and end in the fan-out of
# the spike it is at, time before that spike's messages, messages, time held up, spikes, when the
# message before left, and the place in the way out.
_AT, _STOP, _MSG, _END, _BASE, _SENT, _DELAY, _SPIKES, _LEFT, _WAY = range(10)
_STATES = 10

# State of a line: when its link is free, place of its first message, messages, first and last of
# the lines that wait for a place, the next one in the queue this line waits in, since when, when
# its last arrival can move if it is alone, the last departure. Then its places: a message (position
# in the fan-out) and a time, that of its arrival or, once the place is empty, of its departure.
_FREE, _HEAD, _COUNT, _FIRST, _LAST, _NEXT, _SINCE, _READY, _GONE, _PLACES = range(10)

# State of a receiver: when its last message is done, the next place, when each was left.
_DONE, _NEXT_PLACE, _DEPARTURES = range(3)


@inlined
def _sort_events(row, starts, ends, events, home, cores, order):
    """Put the sources that spike in a row into the order in which their cores visit them."""
    for c in range(cores.shape[0]):
        cores[c, _STOP] = 0
    for s in range(starts.shape[0]):
        for k in range(starts[s, row], ends[s, row]):
            cores[home[events[k]], _STOP] += 1
    at = 0
    for c in range(cores.shape[0]):
        n = cores[c, _STOP]
        cores[c, :] = 0
        cores[c, _AT] = at
        cores[c, _STOP] = at
        at += n
    for s in range(starts.shape[0]):
        for k in range(starts[s, row], ends[s, row]):
            source = events[k]
            c = home[source]
            order[cores[c, _STOP]] = source
            cores[c, _STOP] += 1


@inlined
def _next_ready(c, start, state, way, order, last, fan_row, fan_ptr, visits, active, units):
    """Return when the next message of core ``c`` is first in its way out; NEVER behind the last.

    The core cannot go on before the message has a place there.
    """
    while state[_MSG] == state[_END]:
        if state[_AT] == state[_STOP]:
            return NEVER
        source = order[state[_AT]]
        state[_AT] += 1
        state[_SPIKES] += 1
        state[_MSG] = fan_ptr[fan_row[source]]
        state[_END] = fan_ptr[fan_row[source] + 1]
        if c < visits.size:
            seen = last[source]
            busy = seen * active[c] // visits[c]
            state[_BASE] = seen * units[VISIT] + busy * units[ACTIVE]
            state[_BASE] += (seen - busy) * units[IDLE] + state[_SPIKES] * units[SPIKE]
    state[_SENT] += 1
    ready = start + state[_BASE] + state[_DELAY]
    if c < visits.size:
        ready += state[_SENT] * units[OUT]
    place = way[state[_WAY]]
    state[_DELAY] += max(np.int64(0), place - ready)
    return max(ready, place, state[_LEFT])


@inlined
def _set_key(tree, half, line, time, start):
    """Store when the first message of a line can move."""
    node = np.uint64(half + line)
    key = NEVER if time == NEVER else ((time - start) << LINE_BITS) | line
    tree[node] = key
    while node > np.uint64(1):
        key = min(key, tree[node ^ np.uint64(1)])
        node >>= np.uint64(1)
        tree[node] = key


@inlined
def _add_key(tree, half, line, time, start):
    """Store when the first message of a line can move that was empty before."""
    node = np.uint64(half + line)
    key = ((time - start) << LINE_BITS) | line
    while node > np.uint64(0) and key < tree[node]:
        tree[node] = key
        node >>= np.uint64(1)


@inlined
def _receive(queue, arrival, work):
    """Hand a message to its core; return when it is in the queue."""
    at = queue[_NEXT_PLACE]
    entered = max(arrival, queue[_DEPARTURES + at])
    queue[_DONE] = max(entered, queue[_DONE]) + work
    queue[_DEPARTURES + at] = queue[_DONE]
    queue[_NEXT_PLACE] = at + 1 if _DEPARTURES + at + 1 < queue.size else 0
    return entered


@inlined
def _enter(line, message, now, hop, link):
    """Send a message over a link that has a place behind it; return when it enters."""
    places = (line.size - _PLACES) // 2
    at = line[_HEAD] + line[_COUNT]
    at = np.uint64(_PLACES + 2 * (at if at < places else at - places))
    now = max(now, line[_FREE], line[at + np.uint64(1)])
    line[_FREE] = now + link
    line[at] = message
    line[at + np.uint64(1)] = now + hop
    line[_READY] = max(now + hop, line[_GONE])
    line[_COUNT] += 1
    return now


@inlined
def _leave(line, now):
    """Take the first message out of a buffer; return when the next one can move."""
    at = _PLACES + 2 * line[_HEAD]
    line[np.uint64(at + 1)] = now
    line[_GONE] = now
    line[_HEAD] = line[_HEAD] + 1 if at + 2 < line.size else 0
    line[_COUNT] -= 1
    return max(now, line[_PLACES + 2 * line[_HEAD] + 1]) if line[_COUNT] > 0 else NEVER


@inlined
def _send(state, way, now, link):
    """Take the first message out of the way out of a core."""
    state[_MSG] += 1
    state[_LEFT] = now + link
    way[state[_WAY]] = now
    state[_WAY] = state[_WAY] + 1 if state[_WAY] + 1 < way.size else 0


@inlined
def _end_cores(cores, visits, active, work, receivers, units):
    """Return the slowest core unblocked, the time held up, and when the last core has sent all."""
    floor, blocked, ended = np.int64(0), np.int64(0), np.int64(0)
    for c in range(visits.size):
        sent = visits[c] * units[VISIT] + active[c] * units[ACTIVE]
        sent += (visits[c] - active[c]) * units[IDLE]
        sent += cores[c, _SPIKES] * units[SPIKE] + cores[c, _SENT] * units[OUT]
        floor = max(floor, sent, work[c])
        ended = max(ended, sent + cores[c, _DELAY])
        blocked += cores[c, _DELAY]
        receivers[c] += work[c]
        work[c] = 0
    return floor, blocked, ended


@inlined
def _wait(lines, line, goal, since):
    """Put a line behind those that wait for a place in ``goal``."""
    lines[line, _NEXT] = -1
    lines[line, _SINCE] = since
    if lines[goal, _FIRST] < 0:
        lines[goal, _FIRST] = line
    else:
        lines[lines[goal, _LAST], _NEXT] = line
    lines[goal, _LAST] = line


def _close_over(stamp: str) -> Any:
    def time_messages(
        first, end, starts, ends, events, home, last, fan_row, fan_ptr, fan_core, fan_ps,
        visits, active, place, units, out, links, receivers, scratch,
    ):  # fmt: skip
        """Time the steps ``first`` to ``end`` of ``starts``; add up links and receivers.

        Parameters
        ----------
        starts, ends : (n_sources, n_rows) int64
            Events of each input and population, in the order in which a core visits them.
        events : (n_events,) int32 sources
        home : (n_sources_all,) int32
            Core (column) of every source; n_cores for inputs, which enter at the port.
        last : (n_sources_all,) int64
            Visits of the core up to the neuron and with it.
        fan_row, fan_ptr, fan_core, fan_ps : a source's row; CSR rows of (core, picoseconds)
        visits : (n_cores,) int64; active : (n_rows, n_cores) int32
        place : (n_lines, 2) int64
            Tile where a line ends: links (4 x tile + direction), cores, port.
        units : (N_UNITS,) int64 picoseconds, numbers of messages, width of the mesh
        out : (n_rows, N_RESULTS) int64
        links : (n_links, 2) int64 messages and waits; receivers : (n_cores,) int64 work
        scratch : tuple of arrays
            A ``noc_scratch`` of this call alone: it keeps the times of its last step.
        """
        _ = stamp  # part of the cache key
        n_cores, n_links, buffer = visits.size, links.shape[0], units[BUFFER]
        order, cores, ways, lines, queues, work, tree = borrow(scratch)
        starts, ends, events, home, last = borrow((starts, ends, events, home, last))
        fan_row, fan_ptr, fan_core, fan_ps = borrow((fan_row, fan_ptr, fan_core, fan_ps))
        visits, active, place, units = borrow((visits, active, place, units))
        out, links, receivers = borrow((out, links, receivers))
        half = lines.shape[0]
        start = np.int64(0)
        for row in range(first, end):
            _sort_events(row, starts, ends, events, home, cores, order)
            latest, n_messages = start, np.int64(0)
            for c in range(n_cores + 1):
                ready = _next_ready(
                    c, start, cores[c], ways[c], order, last, fan_row, fan_ptr, visits,
                    active[row], units,
                )  # fmt: skip
                if ready != NEVER:
                    _set_key(tree, half, n_links + c, ready, start)
            while tree[1] != NEVER:
                line = tree[1] & ((1 << LINE_BITS) - 1)
                now = start + (tree[1] >> LINE_BITS)
                since = now
                while line >= 0:  # a message moves, and the places it leaves are taken in turn
                    here = lines[np.uint64(line)]
                    is_core = line >= n_links
                    if is_core:
                        message = cores[np.uint64(line - n_links), _MSG]
                    else:
                        message = here[np.uint64(_PLACES + 2 * here[_HEAD])]
                    goal = fan_core[np.uint64(message)]
                    x, y = place[np.uint64(line), 0], place[np.uint64(line), 1]
                    end = np.uint64(n_links + goal)
                    goal_x, goal_y = place[end, 0], place[end, 1]
                    if x == goal_x and y == goal_y:
                        travel = units[LOCAL] if is_core else np.int64(0)
                        now = _receive(queues[goal], now + travel, fan_ps[message]) - travel
                        work[goal] += fan_ps[message]
                        latest = max(latest, queues[goal, _DONE])
                        n_messages += 1
                    else:
                        is_x = x != goal_x
                        way = (x > goal_x) if is_x else 2 + (y < goal_y)
                        ahead = 4 * (y * units[WIDTH] + x) + way
                        there = lines[np.uint64(ahead)]
                        if there[_COUNT] == buffer:
                            _wait(lines, line, ahead, since)
                            _set_key(tree, half, line, NEVER, start)
                            break
                        now = _enter(there, message, now, units[HOP_X if is_x else HOP_Y],
                                     units[LINK])  # fmt: skip
                        if there[_COUNT] == 1:
                            _add_key(tree, half, ahead, there[_READY], start)
                        links[ahead, 0] += 1
                        links[ahead, 1] += now - since
                    if is_core:
                        core = line - n_links
                        _send(cores[core], ways[core], now, units[LINK])
                        ready = _next_ready(
                            core, start, cores[core], ways[core], order, last, fan_row, fan_ptr,
                            visits, active[row], units,
                        )  # fmt: skip
                        _set_key(tree, half, line, ready, start)
                        break
                    _set_key(tree, half, line, _leave(here, now), start)
                    line = here[_FIRST]
                    if line >= 0:
                        here[_FIRST] = lines[line, _NEXT]
                        since = lines[line, _SINCE]
            out[row, FLOOR], out[row, BLOCKED], ended = _end_cores(
                cores, visits, active[row], work, receivers, units
            )
            latest = max(latest, start + ended)
            out[row, STEP] = latest - start
            out[row, MESSAGES] = n_messages
            start = latest + units[LINK]

    return time_messages


def noc_scratch(n_cores: int, n_links: int, most_events: int, buffer: int, queue: int) -> Any:
    """Return the state of everything at rest.

    Parameters
    ----------
    most_events : int
        Of one row.
    buffer, queue : int
        Places behind a link, and in a receiver.
    """
    n_lines = n_links + n_cores + 1
    lines = np.zeros((n_lines, _PLACES + 2 * buffer), np.int64)
    lines[:, _FIRST] = -1
    return (
        np.zeros(most_events, np.int32),
        np.zeros((n_cores + 1, _STATES), np.int64),
        np.zeros((n_cores + 1, buffer), np.int64),
        lines,
        np.zeros((n_cores, _DEPARTURES + queue), np.int64),
        np.zeros(n_cores, np.int64),
        np.full(2 * n_lines, NEVER, np.int64),
    )


time_messages = entry_point(_close_over(source_stamp()))
