# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients of all habits. What an honest one is told is judged by the model; what the others send must do nothing."""

import os
import random
import threading
import time

from lab import Connection, Key, Update

from model import Change

WAIT = 16.0

# How often each does what; the first of a name is its habit.
HABITS = {
    "refreshing": {"refresh": 12, "repeat": 1, "hold": 2},
    "changing": {"replace": 6, "add": 4, "delete": 3, "refresh": 2, "odd": 2, "withdraw": 1, "hold": 1},
    "leaving": {"release": 4, "replace": 6, "refresh": 3, "withdraw": 2, "grab": 4},
    "grabbing": {"grab": 6, "release": 2, "replace": 3, "refresh": 3},
    "pipelining": {"pipeline": 8, "replace": 2, "release": 1, "refresh": 1},
    "fading": {"fade": 6, "refresh": 2, "replace": 1},
    "cutting": {"cut": 5, "replace": 4, "release": 1, "refresh": 2, "repeat": 3, "late": 2},
}


class Party:
    """A key that may own a name."""

    def __init__(self, label):
        self.label = label
        self.key = Key.generate(13)
        self.connection = None


class Machine:
    """All who want one name; one request of theirs is on its way at a time, but for what is pipelined."""

    def __init__(self, stage, number, label, zone, seed, foreign=None):
        self.stage = stage
        self.random = random.Random(seed)
        self.number = number
        self.label = label
        self.zone = zone
        self.full = f"{label}.{zone}."
        self.state = stage.model.name(self.full)
        self.state.foreign = foreign is not None
        self.foreign = foreign
        self.parties = [Party(f"{self.full}{letter}") for letter in "ab"]
        self.by_label = {party.label: party for party in self.parties}
        # Most of what a registrar hears are refreshes.
        self.habit = self.random.choice(["refreshing", "refreshing", *sorted(HABITS)])
        self.short = self.random.random() < 0.5
        self.inception = 0
        self.captured = []  # (wire, change, rcode, pure, when it was answered)
        self.latest = None  # the octets of the latest that was accepted
        self.delayed = []
        self.lock = threading.Lock()
        self.due = 0.0
        self.silent = 0.0
        self.wish = None  # what it asks for in the end
        self.stopped = False

    # -- what it could ask for

    def address(self):
        kind = self.random.random()
        if self.foreign and kind < 0.5:
            return self.foreign
        if kind < 0.12:
            return f"10.0.9.{self.random.randrange(1, 6)}"
        if kind < 0.22:
            return f"10.0.7.{self.number * 4 + self.random.randrange(4)}"
        if kind < 0.4:
            return f"fd00:{self.number + 1:x}::{self.random.randrange(1, 5):x}"
        return f"10.1.{self.number}.{self.random.randrange(1, 7)}"

    def leases(self, long=None):
        if long or (long is None and not self.short):
            return 600, 3600
        lease = self.random.randrange(2, 8)
        return lease, lease + self.random.randrange(0, 12)

    def owner(self):
        now = self.stage.now()
        with self.stage.lock:
            label = self.state.certain_owner(now)
            return self.by_label.get(label)

    def addresses(self):
        with self.stage.lock:
            return sorted(self.state.may_show(self.stage.now()))

    def next_inception(self):
        wall = int(self.stage.clock.wall())
        self.inception = max(self.inception + 1, wall - 280)
        return self.inception

    def change(self, party, kind):
        """(Change, whether in the original's dialect)."""
        lease, key_lease = self.leases()
        known = self.addresses()
        common = {"client": party.label, "lease": lease, "key_lease": key_lease}
        fresh = tuple(sorted({self.address() for _ in range(self.random.choice((1, 1, 2, 3)))}))
        if self.foreign and self.random.random() < 0.5:
            fresh = self.foreign,
        if kind == "refresh" and known:
            return Change(adds=tuple(known), **common), self.random.random() < 0.5
        if kind == "add":
            return Change(adds=fresh, **common), self.random.random() < 0.5
        if kind == "delete" and known:
            return Change(deletes=tuple(self.random.sample(known, 1)), **common), self.random.random() < 0.5
        if kind == "withdraw":
            if self.random.random() < 0.5:
                return Change(client=party.label, adds=tuple(known[:1]), lease=0, key_lease=max(key_lease, 1)), False
            return Change(absolute=True, **common), False
        if kind == "release":
            return Change(client=party.label, release=True), False
        if kind == "odd" and known:
            # Takes back what it adds.
            return Change(deletes=(known[0],), **common), None
        return Change(adds=fresh, absolute=True, **common), False

    def message(self, party, change, original):
        update = Update(self.zone)
        if change.release:
            update.release_key(self.full)
        elif original is None:
            update.key_in_update(self.full, party.key, int(change.key_lease))
            for address in change.deletes:
                update.add(self.full, int(change.lease), address).delete(self.full, address)
            update.opt(int(change.lease), int(change.key_lease))
        elif original:
            update.add(self.full, int(change.lease), *change.adds).delete(self.full, *change.deletes)
            update.key(self.full, party.key, max(1, int(change.key_lease)))
        else:
            update.key_in_update(self.full, party.key, max(1, int(change.key_lease)))
            if change.absolute:
                update.delete_rrset(self.full, "A").delete_rrset(self.full, "AAAA")
            update.add(self.full, max(1, int(change.lease)), *change.adds).delete(self.full, *change.deletes)
            update.opt(int(change.lease), int(change.key_lease))
        update.sign(party.key, self.full, inception=self.next_inception(),
                    expiration=int(self.stage.clock.wall()) + 300)
        return update.wire

    # -- asking

    def connect(self, hurry=False):
        return Connection(self.stage.daemon.address, self.stage.daemon.port, timeout=5 if hurry else WAIT)

    def begin(self):
        with self.stage.lock:
            self.state.busy += 1
            self.state.version += 1

    def end(self):
        with self.stage.lock:
            self.state.busy -= 1
            self.state.version += 1

    def judge(self, change, wire, rcode, sent, answered, text=""):
        with self.stage.lock:
            before = {world.shape for world in self.state.worlds}
        self.stage.judge(self, change, rcode, sent, answered, text)
        with self.stage.lock:
            after = {world.shape for world in self.state.worlds}
        if rcode == "NOERROR":
            self.latest = wire
            # What was answered otherwise may still be done, and must when it comes again.
            self.captured.append((wire, change, rcode, before == after, answered))
            del self.captured[:-12]
        self.stage.count(rcode)
        return rcode

    def exchange(self, party, change, wire, connection=None, first_sent=None):
        """One request and its answer; the RCODE, None without one, "" when it was never sent."""
        self.begin()
        try:
            sent = self.stage.now()
            try:
                peer = connection or self.connect()
            except OSError:
                return ""
            rcode, text = None, ""
            try:
                sent = self.stage.now()
                peer.send(wire)
                reply = peer.receive()
                if reply is not None:
                    rcode, text = reply.rcode, reply.text
                    self.check_granted(change, reply)
            except OSError:
                pass
            finally:
                if connection is None:
                    peer.close()
            answered = self.stage.now()
            return self.judge(change, wire, rcode, sent if first_sent is None else first_sent, answered, text)
        finally:
            self.end()

    def check_granted(self, change, reply):
        if reply.rcode == "NOERROR" and reply.lease and change.lease and not change.release:
            if reply.lease[0] != int(change.lease) or (len(reply.lease) > 1 and
                                                       reply.lease[1] < int(change.key_lease)):
                self.stage.violation("told", self.full, f"asked for {change}, granted {reply.lease}")

    def step(self):
        if self.foreign:
            kind = self.random.choice(("replace", "replace", "delete", "release", "withdraw", "add", "cut", "repeat"))
        else:
            habits = HABITS[self.habit]
            kind = self.random.choices(list(habits), list(habits.values()))[0]
        owner = self.owner()
        if self.stage.options.tame and kind in ("odd", "withdraw"):
            kind = "replace"
        party = owner or self.random.choice(self.parties)
        if owner is None and kind not in ("pipeline", "cut", "repeat", "late"):
            kind = "replace"
        getattr(self, f"do_{kind}", self.do_one)(party, kind)

    def do_one(self, party, kind):
        change, original = self.change(party, kind)
        self.exchange(party, change, self.message(party, change, original))

    def do_fade(self, party, kind):
        """Is not heard of until its records are gone, or the name too; then whoever comes first may have it."""
        lease, key_lease = self.random.randrange(2, 6), self.random.randrange(2, 9)
        change = Change(client=party.label, adds=(self.address(),), absolute=True, lease=lease,
                        key_lease=max(lease, key_lease))
        self.exchange(party, change, self.message(party, change, False))
        self.silent = self.random.choice((lease, key_lease)) + self.random.choice((-0.5, 3.5, 4.5))

    def do_grab(self, party, kind):
        other = self.parties[party is self.parties[0]]
        change, original = self.change(other, "replace")
        self.exchange(other, change, self.message(other, change, original))

    def do_hold(self, party, kind):
        """Several requests on a connection that is kept, with pauses."""
        try:
            connection = self.connect()
        except OSError:
            return
        with connection:
            for _ in range(self.random.randrange(2, 5)):
                change, original = self.change(party, self.random.choice(("refresh", "refresh", "replace")))
                if self.exchange(party, change, self.message(party, change, original), connection) is None:
                    return
                if self.stage.stop.wait(self.random.uniform(0.05, 0.4)):
                    return

    def do_repeat(self, party, kind):
        """The same octets again, until there is an answer that says something."""
        lease, key_lease = self.leases(long=True)
        change = Change(client=party.label, adds=(self.address(),), absolute=True, lease=lease, key_lease=key_lease)
        wire = self.message(party, change, False)
        first = self.stage.now()
        for _ in range(3):
            if self.exchange(party, change, wire, first_sent=first) not in ("", None, "SERVFAIL"):
                return
            if self.stage.stop.wait(0.3):
                return

    def do_cut(self, party, kind):
        """The connection goes after the request and before the answer."""
        change, original = self.change(party, self.random.choice(("replace", "add", "delete", "refresh", "release")))
        wire = self.message(party, change, original)
        self.begin()
        try:
            try:
                peer = self.connect(hurry=True)
            except OSError:
                return
            sent = self.stage.now()
            with peer:
                try:
                    peer.send(wire)
                    time.sleep(self.random.choice((0, 0, 0.001, 0.02)))
                except OSError:
                    pass
            self.judge(change, wire, None, sent, self.stage.now())
        finally:
            self.end()

    def do_late(self, party, kind):
        """Signs one request, sends another, and then the first: which must come to nothing."""
        old, original = self.change(party, "replace")
        old_wire = self.message(party, old, original)
        change, original = self.change(party, "replace")
        if self.exchange(party, change, self.message(party, change, original)) != "NOERROR":
            return
        self.harmless(old_wire, old, "replay", "an older request, delivered late", True, self.stage.now())

    def do_pipeline(self, party, kind):
        plan = []
        for _ in range(self.random.randrange(2, 6)):
            what = self.random.choice(("replace", "replace", "add", "refresh", "delete", "release", "odd"))
            if self.stage.options.tame and what == "odd":
                what = "replace"
            change, original = self.change(party, what)
            plan.append((change, self.message(party, change, original)))
        self.begin()
        try:
            try:
                peer = self.connect()
            except OSError:
                return
            answers = {}
            with peer:
                sent = self.stage.now()
                try:
                    peer.send_raw(b"".join(len(wire).to_bytes(2, "big") + wire for _, wire in plan))
                    while len(answers) < len(plan):
                        reply = peer.receive()
                        if reply is None:
                            break
                        answers[reply.id] = reply.rcode, self.stage.now(), reply.text
                except OSError:
                    pass
            ended = self.stage.now()
            for change, wire in plan:
                rcode, answered, text = answers.get(int.from_bytes(wire[:2], "big"), (None, ended, ""))
                self.judge(change, wire, rcode, sent, answered, text)
        finally:
            self.end()

    # -- those who mean no good

    def harmless(self, wire, change, sentence, what, pure=False, answered=0.0):
        """Sends what must have no effect. True when it had none."""
        try:
            with self.connect() as peer:
                sent = self.stage.now()
                peer.send(wire)
                reply = peer.receive()
        except OSError:
            return True
        if reply is None or reply.rcode != "NOERROR":
            return True
        if not change.claims() and self.state.owners(sent, self.stage.now())[1]:
            return True  # nothing comes of taking away what nobody has
        if pure and self.stage.last_cut > answered:
            # What was refreshed since may have been lost with its memory, so it may be new to the registrar.
            self.stage.judge(self, change, None, sent, self.stage.now(), "replayed behind a cut")
            return True
        self.stage.violation(sentence, self.full, f"{what} was answered NOERROR ({change})")
        return False

    def replay(self):
        if not self.captured:
            return
        which = self.random.randrange(len(self.captured))
        wire, change, _, pure, answered = self.captured[which]
        # Refreshes that came after it may have been lost in a cut; then it is the latest that the registrar knows.
        if wire == self.latest or (self.stage.last_cut > answered and
                                   all(later[3] for later in self.captured[which + 1:])):
            return
        self.harmless(wire, change, "replay", "a captured request", pure, answered)

    def forge(self, generator):
        """Requests that look like the owner's, with signatures that are not; several on one connection."""
        party = generator.choice(self.parties)
        wires = []
        for _ in range(generator.choice((1, 3, 6))):
            update = Update(self.zone)
            update.delete_rrset(self.full, "A").add(self.full, 600, f"10.66.{self.number}.{generator.randrange(250)}")
            original = generator.random() < 0.5
            update.key(self.full, party.key, 3600) if original else update.opt(600, 3600)
            wall = int(self.stage.clock.wall())
            # Between those of the owner, so that nothing cheaper refuses it.
            when = min(self.inception + generator.randrange(0, 3), wall)
            if generator.random() < 0.5:
                update.sign(Key.generate(13), self.full, inception=when, expiration=wall + 300, tag=party.key.tag)
            else:
                update.sign(party.key, self.full, inception=when, expiration=wall + 300)
                update.additional[-1] = update.additional[-1][:-64] + os.urandom(64)
            wires.append(update.wire)
        try:
            with self.connect() as peer:
                peer.send_raw(b"".join(len(wire).to_bytes(2, "big") + wire for wire in wires))
                for _ in wires:
                    reply = peer.receive()
                    if reply is None:
                        return
                    self.stage.count("forged")
                    if reply.rcode == "NOERROR":
                        self.stage.violation("forged", self.full, "a request with a wrong signature got NOERROR")
        except OSError:
            pass

    # -- the end

    def settle(self, long=True):
        """Says once more what it wants, until that is answered NOERROR. The last answer."""
        owner = self.owner()
        parties = [owner] if owner else self.parties
        rcode = ""
        for party in parties:
            lease, key_lease = self.leases(long=long)
            if self.wish is None:
                self.wish = tuple(sorted({self.address(), f"10.1.{self.number}.{self.random.randrange(1, 7)}"}))
            change = Change(client=party.label, adds=self.wish, absolute=True, lease=lease, key_lease=key_lease)
            rcode = self.exchange(party, change, self.message(party, change, False))
            # Over somebody else's data a first claim is refused; a change of what was published before is kept.
            if rcode == "NOERROR" or self.state.unclear or (rcode in ("REFUSED", "SERVFAIL") and self.state.foreign):
                return "NOERROR"
        return rcode

    def give_up(self):
        owner = self.owner()
        if owner is None:
            return "NOERROR"
        change = Change(client=owner.label, release=True)
        return self.exchange(owner, change, self.message(owner, change, False))


__all__ = ["HABITS", "Machine"]
