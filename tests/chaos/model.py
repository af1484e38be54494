# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the registrar has promised: who owns which name, and until when. Written from the promises alone.

Of a name the model keeps *worlds*: every state that it may be in. A definite answer leaves the worlds in which that
answer is possible; none left is a broken promise. A request without an answer, and one that was answered SERVFAIL, is
either applied or it is not. What is true in every world must be seen, what is true in none must not.

Points in time are seconds of any one clock that nobody steps. A lease has the earliest and the latest time at which it
may end: the one is counted from when the request was sent, the other from when the answer was there."""

import dataclasses
import math

# How late an end may be: what the registrar promises while it runs.
LATE = 3.0
# After a power cut: the heartbeat's reach, beside what was granted.
HEARTBEAT = 60.0
# How long a name whose key lease ended while nobody could refresh passes to no other key.
HELD = 86400.0
# How long a request that nobody waits for any more may take.
UNHEARD = 12.0
# Of so many worlds those that differ only in time are taken together.
MANY = 8
# With more of them a name is judged no more.
TOO_MANY = 2000


class Broken(Exception):
    """A promise was broken: `sentence` is its short name, `text` what was seen."""

    def __init__(self, sentence, text):
        super().__init__(f"{sentence}: {text}")
        self.sentence = sentence
        self.text = text


@dataclasses.dataclass(frozen=True)
class Lease:
    lo: float
    hi: float
    length: float
    granted: float = None  # the earliest end that the answer granted, whatever was added to it since

    def __post_init__(self):
        if self.granted is None:
            object.__setattr__(self, "granted", self.lo)

    def surely_runs(self, until):
        return self.lo > until

    def surely_over(self, since):
        return self.hi + LATE < since

    def or_other(self, other):
        return Lease(min(self.lo, other.lo), max(self.hi, other.hi), max(self.length, other.length),
                     min(self.granted, other.granted))


@dataclasses.dataclass(frozen=True)
class World:
    owner: str = None
    key: Lease = None
    records: tuple = ()  # (address, Lease), ordered

    @property
    def leases(self):
        return dict(self.records)

    @staticmethod
    def of(owner, key, leases):
        return World(owner, key, tuple(sorted(leases.items())))

    @property
    def shape(self):
        return self.owner, tuple(address for address, _ in self.records)


FREE = World()


@dataclasses.dataclass(frozen=True)
class Change:
    """One accepted request is one of these. `absolute`: all addresses go first. `key`: it carries the KEY, so that it
    can claim."""

    client: str
    adds: tuple = ()
    deletes: tuple = ()
    absolute: bool = False
    release: bool = False
    lease: float = 0.0
    key_lease: float = 0.0
    key: bool = True

    def claims(self):
        # An update that takes back what it adds leaves nothing.
        return self.key and bool(self.adds) and not self.release and self.lease > 0


def possible(world, change, sent, answered):
    """(may be accepted, may be refused)."""
    if world.owner is not None and world.owner == change.client and not world.key.surely_over(sent):
        if world.key.surely_runs(answered):
            return True, False
        return True, not change.claims()
    # To take away what is not there may be done, or refused: nothing comes of it.
    free = change.claims() or change.release or not change.adds or change.lease <= 0, not change.claims()
    if world.owner is None or world.owner == change.client or world.key.surely_over(sent):
        return free
    if world.key.surely_runs(answered):
        return False, True
    return free[0], True


def apply(world, change, sent, answered):
    """The world after an accepted change."""
    own = world.owner == change.client and not world.key.surely_over(sent)
    leases = {address: lease for address, lease in world.records if own and not lease.surely_over(sent)}
    if change.release or not (own or change.claims()):
        return FREE
    if change.absolute:
        leases = {}
    for address in change.deletes:
        leases.pop(address, None)
    for address in change.adds:
        if change.lease > 0:
            leases[address] = Lease(sent + change.lease, answered + change.lease, change.lease)
    if change.lease <= 0:
        leases = {}
    # Never shorter than the longest lease of a record.
    longest = max([change.key_lease, *(lease.length for lease in leases.values())])
    key = Lease(max([sent + change.key_lease, *(lease.lo for lease in leases.values())]), answered + longest, longest)
    return World.of(change.client, key, leases)


def merged(worlds):
    """Without repetition; many that differ in time alone become one that allows what each of them allows."""
    worlds = list(dict.fromkeys(worlds))
    if len(worlds) <= MANY:
        return worlds
    shapes = {}
    for world in worlds:
        known = shapes.get(world.shape)
        if known is None or world.owner is None:
            shapes[world.shape] = world
            continue
        leases = {address: lease.or_other(known.leases[address]) for address, lease in world.records}
        shapes[world.shape] = World.of(world.owner, world.key.or_other(known.key), leases)
    return list(shapes.values())


class Name:
    """The worlds of one name. `busy` counts requests on their way, `version` moves with every change."""

    def __init__(self, name):
        self.name = name
        self.worlds = [FREE]
        self.version = 0
        self.busy = 0
        self.published = True  # the last change was answered NOERROR: every upstream has it
        self.foreign = False  # the name is somebody else's on a DNS server
        self.unclear = False  # so much is possible that nothing is judged any more
        self.trace = []

    def note(self, when, text):
        self.trace.append((when, text))
        del self.trace[:-60]

    def answer(self, change, rcode, sent, answered, events=(), grace_until=-math.inf):
        """The worlds after an answer; None is none. `events` are the model's, to be applied to what is new; until
        `grace_until` nothing has to end."""
        self.version += 1
        if self.unclear:
            return
        stay, moved = [], []
        # To take away what nobody has says nothing of what waits to be taken away.
        nothing = not change.claims() and any(world.owner is None for world in self.worlds)
        for world in self.worlds:
            accepted, refused = possible(world, change, sent, answered)
            if rcode in ("SERVFAIL", None) or (refused and rcode == "REFUSED"):
                stay.append(world)
            if accepted and rcode in ("NOERROR", "SERVFAIL", None):
                # Without an answer nobody knows when it was taken up.
                until = answered if rcode is not None else answered + UNHEARD
                after = Model.lengthened(apply(world, change, sent, until), -math.inf, lambda lease: grace_until)
                moved.append(self._since(after, sent, events))
        if rcode in ("NOTAUTH", "NOTZONE"):
            stay = list(self.worlds)
        if self.foreign and rcode != "NOERROR":
            # Refused now or when the server is asked: nothing of it stays. A name that was published before stays its
            # owner's.
            stay.append(FREE)
            stay.extend(world for world in self.worlds if world.owner == change.client)
        self.published = rcode == "NOERROR" and (self.published or not nothing)
        if not stay and not moved:
            text = f"{change} answered {rcode}; known were {self.worlds}"
            self.published = False
            # Whatever it says, it is so now; else everything after this would be wrong too.
            self.worlds = merged([self._since(apply(world, change, sent, answered), sent, events)
                                  for world in self.worlds] if rcode == "NOERROR" else [FREE, *self.worlds])
            raise Broken("owner-change" if rcode == "NOERROR" else "owner-refused", text)
        self.worlds = merged(stay + moved)
        # Where somebody's data are in the way no NOERROR ends what may be: each answer leaves twice as much.
        if len(self.worlds) > TOO_MANY:
            self.unclear, self.worlds = True, [FREE]

    @staticmethod
    def _since(world, sent, events):
        for when, event in events:
            if when > sent:
                world = event(world)
        return world

    def became_foreign(self):
        """Somebody's data are at the name now. A claim that was never published is undone over them, at any time."""
        self.foreign = True
        self.version += 1
        if not self.published:
            self.worlds = merged([*self.worlds, FREE])

    def change_all(self, event):
        self.version += 1
        self.worlds = merged([event(world) for world in self.worlds])

    # -- what must be seen, and what must not

    def must_show(self, until):
        """Addresses that are there in every world, at least until then."""
        sets = [{address for address, lease in world.records if lease.surely_runs(until)} for world in self.worlds]
        return set.intersection(*sets)

    def may_show(self, since, slack=0.0):
        """Addresses that may be there, then or later."""
        return {address for world in self.worlds for address, lease in world.records
                if not lease.surely_over(since - slack)}

    def mentioned(self):
        """Addresses of any world, ended or not: what is not among them was taken away by a change."""
        return {address for world in self.worlds for address, _ in world.records}

    def owners(self, since, until):
        """(all who may own it, whether it may be free)."""
        owners, free = set(), False
        for world in self.worlds:
            if world.owner is None:
                free = True
                continue
            if not world.key.surely_over(since):
                owners.add(world.owner)
            if not world.key.surely_runs(until):
                free = True
        return owners, free

    def certain_owner(self, until):
        owners = {world.owner for world in self.worlds if world.owner and world.key.surely_runs(until)}
        if len(owners) == 1 and all(world.owner and world.key.surely_runs(until) for world in self.worlds):
            return owners.pop()
        return None


class Model:
    """All names, and what happens to all of them."""

    def __init__(self, grace):
        self.grace = grace
        self.grace_until = -math.inf
        self.names = {}
        self.events = []  # (when, world -> world)
        self.generation = 0

    def name(self, name):
        return self.names.setdefault(name, Name(name))

    def _happened(self, when, event):
        self.events.append((when, event))
        self.generation += 1
        for name in self.names.values():
            name.change_all(event)

    def cut(self, when):
        """The registrar was killed: refreshes may not have reached the disk; what is kept counts once more."""
        self._happened(when, lambda world: self.lengthened(world, when, lambda lease: when + HEARTBEAT + lease.length))

    def late_until(self, when, since=-math.inf):
        """Ends may be late, until then: a full disk, a lost clock."""
        self._happened(when, lambda world: self.lengthened(world, since, lambda lease: when))

    def started(self, down, spawned, ready):
        """It was down since `down`, started at `spawned`, and was ready at `ready`."""
        self.grace_until = max(self.grace_until, ready + self.grace)
        self._happened(ready, lambda world: self._started(world, down, spawned, ready))

    def early_from(self, when):
        """The wall clock was lost and nothing else is left: ends may come from then on."""
        def event(world):
            if world.owner is None:
                return world
            leases = {address: dataclasses.replace(lease, lo=min(lease.lo, when), granted=-math.inf)
                      for address, lease in world.records}
            return World.of(world.owner, dataclasses.replace(world.key, lo=min(world.key.lo, when)), leases)
        self._happened(when, event)

    @staticmethod
    def lengthened(world, since, end):
        if world.owner is None:
            return world

        def longer(lease):
            if lease.surely_over(since - 2):
                return lease
            return dataclasses.replace(lease, hi=max(lease.hi, end(lease)))
        return World.of(world.owner, longer(world.key), {address: longer(lease) for address, lease in world.records})

    def _started(self, world, down, spawned, ready):
        if world.owner is None:
            return world
        end = ready + self.grace
        leases = {}
        for address, lease in world.records:
            if lease.surely_over(down):
                leases[address] = lease
                continue
            lo = max(lease.lo, end) if lease.lo > down else lease.lo
            leases[address] = dataclasses.replace(lease, lo=lo, hi=max(lease.hi, end))
        key = world.key
        if key.surely_over(down):
            return World.of(world.owner, key, leases)
        lo, hi = key.lo, max(key.hi, end)
        if key.lo > down:
            lo = max(lo, end)
            # It ended while nobody could refresh.
            if key.hi < spawned and self.grace > 0:
                lo = max(lo, ready + HELD - LATE)
        if key.lo < end and self.grace > 0:
            hi = max(hi, ready + HELD)
        return World.of(world.owner, dataclasses.replace(key, lo=lo, hi=hi), leases)
