"""One step's messages in plain Python, the twin of ``kernels/noc.py``: objects and a heap.

A message passes the way out of its core, the links of its XY path (each with a buffer behind it)
and the queue of the receiving core. Only the first message of a way out or of a buffer can move:
when it is there, its next link is free and a place behind that link is. Whoever asks first goes
first; of those that ask at the same time, links in the order of their numbers, then cores.
docs/cost.md states the model.
"""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from dataclasses import dataclass, field

from nmhw.sim.kernels import noc as k
from nmhw.sim.noc_tables import NocTables


@dataclass
class _Message:
    """``before``: its core's own work until it is sent."""

    before: int
    goal: int
    work: int
    at: int = 0  # when it is first in line, then when it arrived in a buffer


class _Ring:
    """The last departures from a buffer or queue of so many places."""

    def __init__(self, places: int) -> None:
        self.departures = deque([0] * places, places)

    def free_from(self, n_inside: int) -> int:
        """Return when the next message's place was left, with so many messages in the others."""
        return self.departures[n_inside]


@dataclass
class _Line:
    """A link with its buffer, or the way out of a core with the messages still to be sent."""

    number: int
    ring: _Ring
    messages: deque[_Message] = field(default_factory=deque)
    waiting: deque[tuple[_Line, int]] = field(default_factory=deque)
    entries: list[tuple[int, int]] = field(default_factory=list)
    exits: list[tuple[int, int]] = field(default_factory=list)
    free: int = 0
    delay: int = 0


@dataclass
class StepTimes:
    """What one step took and used.

    Attributes
    ----------
    link_messages, link_wait_ps, receiver_ps : by link or core; what is missing is 0
    entries : link -> (when a message asked for it, when it entered), in order
    exits : link -> (when a message was first in its buffer, when it left), in order
    """

    step_ps: int
    floor_ps: int
    blocked_ps: int
    messages: int
    link_messages: dict[int, int]
    link_wait_ps: dict[int, int]
    receiver_ps: dict[int, int]
    entries: dict[int, list[tuple[int, int]]]
    exits: dict[int, list[tuple[int, int]]]


def time_step(tables: NocTables, spikes: list[int], active: list[int]) -> StepTimes:
    """Time one step.

    Parameters
    ----------
    spikes : sources that spike in it; one entry per spike
    active : active updates of every core
    """
    return _Step(tables, spikes, active).run()


class _Step:
    def __init__(self, tables: NocTables, spikes: list[int], active: list[int]) -> None:
        self.tables = tables
        self.units = [int(unit) for unit in tables.units]
        self.n_links = 4 * tables.mesh[0] * tables.mesh[1]
        self.n_cores = tables.visits.size
        self.lines = [
            _Line(number, _Ring(self.units[k.BUFFER]))
            for number in range(self.n_links + self.n_cores + 1)
        ]
        self.queues = [_Ring(self.units[k.QUEUE]) for _ in range(self.n_cores)]
        self.done = [0] * self.n_cores
        self.heap: list[tuple[int, int]] = []
        self.used: defaultdict[int, int] = defaultdict(int)
        self.waits: defaultdict[int, int] = defaultdict(int)
        self.work: defaultdict[int, int] = defaultdict(int)
        self.ends = self.write_messages(spikes, active)
        self.n_messages = sum(len(line.messages) for line in self.lines)

    def run(self) -> StepTimes:
        for line in self.lines[self.n_links :]:
            self.line_up(line)
        while self.heap:
            now, number = heapq.heappop(self.heap)
            self.move(self.lines[number], now)
        delays = [line.delay for line in self.lines[self.n_links : self.n_links + self.n_cores]]
        ended = [end + delay for end, delay in zip(self.ends, delays, strict=True)]
        return StepTimes(
            step_ps=max(*self.done, *ended, 0),
            floor_ps=max(*self.ends, *self.work.values(), 0),
            blocked_ps=sum(delays),
            messages=self.n_messages,
            link_messages=dict(self.used),
            link_wait_ps=dict(self.waits),
            receiver_ps=dict(self.work),
            entries={line.number: line.entries for line in self.lines[: self.n_links]},
            exits={line.number: line.exits for line in self.lines[: self.n_links]},
        )

    def line_up(self, line: _Line) -> None:
        """Bring a core to its next message: it goes on when that has a place in the way out."""
        if line.messages:
            message = line.messages[0]
            ready = message.before + line.delay
            place = line.ring.free_from(0)
            line.delay += max(0, place - ready)
            message.at = max(ready, place, line.free)
            heapq.heappush(self.heap, (message.at, line.number))

    def move(self, line: _Line, since: int) -> None:
        """Move the first message of a line if it has a place, then those that wait for its own."""
        now = since
        while True:
            message = line.messages[0]
            x, y = self.tile(line.number)
            link = self.next_link(x, y, message.goal)
            if link is None:
                now = self.receive(message, now, line.number >= self.n_links)
            else:
                ahead = self.lines[link]
                if len(ahead.messages) == self.units[k.BUFFER]:
                    ahead.waiting.append((line, since))
                    return
                now = self.enter(ahead, message, now, since)
            line.messages.popleft()
            line.ring.departures.append(now)
            line.exits.append((since, now))
            if line.number >= self.n_links:
                line.free = now + self.units[k.LINK]
                self.line_up(line)
                return
            if line.messages:
                heapq.heappush(self.heap, (max(now, line.messages[0].at), line.number))
            if not line.waiting:
                return
            line, since = line.waiting.popleft()

    def enter(self, ahead: _Line, message: _Message, now: int, since: int) -> int:
        """Send a message over a link; return when it leaves the place before."""
        now = max(now, ahead.free, ahead.ring.free_from(len(ahead.messages)))
        ahead.free = now + self.units[k.LINK]
        hop = self.units[k.HOP_X if ahead.number % 4 < 2 else k.HOP_Y]
        message.at = now + hop
        ahead.messages.append(message)
        ahead.entries.append((since, now))
        if len(ahead.messages) == 1:
            # the one before may have been promised its next place and still be here
            ready = max(message.at, ahead.ring.departures[-1])
            heapq.heappush(self.heap, (ready, ahead.number))
        self.used[ahead.number] += 1
        self.waits[ahead.number] += now - since
        return now

    def receive(self, message: _Message, now: int, is_in_tile: bool) -> int:
        """Hand a message to its core; return when it leaves the place before."""
        travel = self.units[k.LOCAL] if is_in_tile else 0
        queue = self.queues[message.goal]
        entered = max(now + travel, queue.free_from(0))
        self.done[message.goal] = max(entered, self.done[message.goal]) + message.work
        queue.departures.append(self.done[message.goal])
        self.work[message.goal] += message.work
        return entered - travel

    def tile(self, line: int) -> tuple[int, int]:
        """Return where a line ends."""
        x, y = self.tables.place[line]
        return int(x), int(y)

    def next_link(self, x: int, y: int, goal: int) -> int | None:
        """Return the link that leads on to a core, east-west first; None in its tile."""
        goal_x, goal_y = self.tile(self.n_links + goal)
        if (x, y) == (goal_x, goal_y):
            return None
        link = 4 * (y * self.tables.mesh[0] + x)
        if x != goal_x:
            return link + (0 if x < goal_x else 1)
        return link + (2 if y > goal_y else 3)

    def write_messages(self, spikes: list[int], active: list[int]) -> list[int]:
        """Queue the messages of every core and of the port; return when each core is done."""
        tables, n_spikes = self.tables, [0] * self.n_cores
        for source in sorted(spikes):
            core = int(tables.home[source])
            messages, before = self.lines[self.n_links + core].messages, 0
            if core < self.n_cores:
                n_spikes[core] += 1
                visits = int(tables.last[source])
                before = self.scan(visits, visits * active[core] // int(tables.visits[core]))
                before += n_spikes[core] * self.units[k.SPIKE]
            row = int(tables.fan_row[source])
            for m in range(int(tables.fan_ptr[row]), int(tables.fan_ptr[row + 1])):
                out = (len(messages) + 1) * self.units[k.OUT] if core < self.n_cores else 0
                goal, work = int(tables.fan_core[m]), int(tables.fan_ps[m])
                messages.append(_Message(before + out, goal, work))
        return [
            self.scan(int(tables.visits[core]), active[core])
            + n_spikes[core] * self.units[k.SPIKE]
            + len(self.lines[self.n_links + core].messages) * self.units[k.OUT]
            for core in range(self.n_cores)
        ]

    def scan(self, visits: int, active: int) -> int:
        """Return the time of so many visits, so many of them active."""
        updates = active * self.units[k.ACTIVE] + (visits - active) * self.units[k.IDLE]
        return visits * self.units[k.VISIT] + updates
