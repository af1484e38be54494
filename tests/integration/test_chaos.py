# SPDX-License-Identifier: LGPL-2.1-or-later
"""Everything at once, for a while: a hundred clients that claim, change, refresh, let expire and give up, while the
DNS servers and nsregd are killed, paused, restarted, made to refuse, and the configuration is reloaded. Then it is
quiet, and every server has exactly the living registrations, and beside them what it had before.

NSREG_CHAOS_SECONDS: how long (25). NSREG_CHAOS_SEED: which course (by default the same every time)."""

import os
import random
import threading
import time

import dns.exception
import pytest

from lab import Key, Zone, eventually

ZONE = "d.example"
REVERSE = ("10.in-addr.arpa",)
STATIC = 'static A 192.0.2.1\ntaken7 A 192.0.2.7\ntaken8 CNAME static\nn3 TXT "a note"\nsub NS static'
SECONDS = float(os.environ.get("NSREG_CHAOS_SECONDS", "25"))
ENOUGH = 6
SEED = int(os.environ.get("NSREG_CHAOS_SEED", "20170502"))
PLENTY = {"new-names-per-minute-per-source": 10 ** 6, "updates-per-second-per-source": 10 ** 6, "waiting": 10000}
NAMES, WORKERS = 100, 8
LONG, SHORT = 600, 3


class Machine:
    """One client: what it knows to be true of its name. Between a request without a definite answer and the next
    NOERROR it knows nothing, as a real client."""

    def __init__(self, number):
        self.label = f"taken{number}" if number in (7, 8) else f"n{number}"
        self.number = number
        self.key = Key.generate(13)
        self.known = set()  # addresses that a NOERROR says are there
        self.certain = True
        self.ends = {}  # address: monotonic time before which it may not go, and after which it may
        self.released = True
        self.broken = []

    def address(self, generator):
        # Few for all, so that machines share and inherit them.
        return f"10.0.{self.number % 5}.{generator.randrange(1, 40)}"


class Chaos:
    def __init__(self, lab, seed):
        self.lab = lab
        self.random = random.Random(seed)
        self.stop = threading.Event()
        self.servers = [lab.named(Zone(ZONE, records=STATIC), *REVERSE).start(),
                        lab.knot(Zone(ZONE, records=STATIC), *REVERSE).start()]
        self.before = [server.records(ZONE) for server in self.servers]
        self.relays = [lab.relay(server) for server in self.servers]
        self.upstreams = [relay.upstream(ZONE, REVERSE, timeout="700ms", tsig_fudge="1s") for relay in self.relays]
        self.nsregd = lab.nsregd(zones={ZONE: self.zone(self.upstreams)}, limits=PLENTY).start()
        self.machines = [Machine(number) for number in range(NAMES)]
        self.counts = {}
        self.deck = []  # of troubles: each comes once before any comes again
        self.disturbed = 0  # when messages were last held up, or a server was not configured
        self.broken = []

    @staticmethod
    def zone(upstreams):
        return {"allowed-nets": ["127.0.0.0/8", "10.0.0.0/8"], "min-addr-ttl": "1s", "max-records-per-name": 64,
                "max-names-per-source": 0,
                "upstreams": upstreams}

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    # -- clients

    def step(self, machine, generator, quiet=False):
        """One request; notes what its answer promises."""
        client = self.nsregd.client(ZONE, key=machine.key)
        lease = LONG if quiet or generator.random() < 0.7 else SHORT
        kind = generator.random()
        add, delete = [], []
        if kind < 0.45 or not machine.known:
            add = [machine.address(generator)]
        elif kind < 0.65:
            add, delete = [machine.address(generator)], list(machine.known)[:1]
            delete = [address for address in delete if address not in add]
        elif kind < 0.85:
            add = list(machine.known)
        else:
            delete = list(machine.known)
        release = not add and generator.random() < 0.4
        if release:
            message = client.update().release_key(client.full(machine.label))
            message.sign(machine.key, client.full(machine.label))
        else:
            message = client.original(machine.label, add, delete, ttl=lease)
        begin = time.monotonic()
        try:
            reply = client.send(message, timeout=20)
        except (OSError, EOFError):
            reply = None
        rcode = reply.rcode if reply else "none"
        self.count(rcode)
        if rcode == "NOERROR":
            if release:
                machine.known, machine.ends = set(), {}
            for address in delete:
                machine.known.discard(address)
                machine.ends.pop(address, None)
            for address in add:
                machine.known.add(address)
                machine.ends[address] = begin + lease
            if self.disturbed + 3 < begin:
                self.look(machine, add, delete, begin)
            return
        if rcode == "REFUSED":
            return
        # Perhaps it stands: what was to be added may be there, what was to go may be gone.
        if rcode in ("SERVFAIL", "none"):
            for address in delete if not release else list(machine.known):
                machine.known.discard(address)
                machine.ends.pop(address, None)
            for address in add:
                if address in machine.ends:
                    machine.ends[address] = min(machine.ends[address], begin + lease)

    def look(self, machine, add, delete, begin):
        """What was just answered NOERROR is so at both servers, at once. Only where nothing sent before may still be
        on its way, and while both are configured."""
        for server in self.servers:
            try:
                found = server.addresses(f"{machine.label}.{ZONE}")
            except (OSError, dns.exception.DNSException):
                continue
            if self.disturbed > begin or time.monotonic() > begin + 1:
                return
            self.count("looked at")
            if not set(add) <= found or (not add and set(delete) & found):
                self.broken.append((machine.label, add, delete, found, type(server).__name__))

    def work(self, machines, seed):
        generator = random.Random(seed)
        while not self.stop.is_set():
            machine = generator.choice(machines)
            now = time.monotonic()
            # What may have ended is not known any more.
            for address in [address for address, end in machine.ends.items() if end - now < 1]:
                machine.known.discard(address)
                machine.ends.pop(address)
            self.step(machine, generator)
            self.stop.wait(generator.uniform(0, 0.1))

    # -- trouble

    def trouble(self):
        if not self.deck:
            self.deck = ["stop-server", "pause-server", "restart-server", *["misbehave"] * 4, "kill-nsregd",
                         "restart-nsregd", "reload", "reload-order", "reload-less"]
            self.random.shuffle(self.deck)
        pick = self.deck.pop()
        which = self.random.randrange(2)
        span = self.random.uniform(0.2, 1.5)
        server, relay = self.servers[which], self.relays[which]
        self.count(pick)
        disturbing = pick in ("pause-server", "misbehave", "reload-less")
        if disturbing:
            self.disturbed = time.monotonic() + 3600
        self.make_trouble(pick, server, relay, which, span)
        if disturbing:
            self.disturbed = time.monotonic()

    def make_trouble(self, pick, server, relay, which, span):
        if pick == "stop-server":
            server.stop()
            time.sleep(span)
            server.start()
        elif pick == "pause-server":
            server.pause()
            time.sleep(span)
            server.resume()
        elif pick == "restart-server":
            server.restart()
        elif pick == "misbehave":
            relay.mode = self.random.choice(["silent", "swallow", "half", "garbage", "unsigned", "forged", "servfail",
                                             "close", "slow"])
            time.sleep(span)
            relay.mode = "pass"
        elif pick == "kill-nsregd":
            self.nsregd.kill()
            self.nsregd.start()
        elif pick == "restart-nsregd":
            assert self.nsregd.term() == 0
            self.nsregd.start()
        elif pick == "reload":
            self.nsregd.reload()
        elif pick == "reload-order":
            self.nsregd.reload({**self.nsregd.config, "zones": {ZONE: self.zone(self.upstreams[::-1])}})
        else:
            self.nsregd.reload({**self.nsregd.config, "zones": {ZONE: self.zone(self.upstreams[which:which + 1])}})
            time.sleep(span)
            self.nsregd.reload({**self.nsregd.config, "zones": {ZONE: self.zone(self.upstreams)}})

    def run(self, seconds):
        groups = [self.machines[i::WORKERS] for i in range(WORKERS)]
        threads = [threading.Thread(target=self.work, args=(group, self.random.random())) for group in groups]
        for thread in threads:
            thread.start()
        end = time.monotonic() + seconds
        try:
            # Until enough was looked at: how much fits into the time is the machine's matter.
            while time.monotonic() < end or (self.counts.get("looked at", 0) < ENOUGH and time.monotonic() < end + 120):
                self.trouble()
                # Sometimes long enough that everything is as if nothing had been.
                time.sleep(self.random.choice([0.1, 0.3, 0.8, 0.8, 4.5]))
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()

    # -- the end

    def settle(self):
        """Every machine says once more what it wants, until it is told yes or no for good."""
        wanted = {}
        generator = random.Random(1)
        for machine in self.machines:
            client = self.nsregd.client(ZONE, key=machine.key)
            keep = machine.number % 3 != 0
            address = machine.address(generator)

            def ask(client=client, machine=machine, keep=keep, address=address):
                message = client.update()
                if not keep:
                    message.release_key(client.full(machine.label)).sign(machine.key, client.full(machine.label))
                else:
                    name = client.full(machine.label)
                    message.delete_all(name).add(name, LONG, address).key(name, client.key).sign(client.key, name)
                reply = client.send(message, timeout=20)
                if reply and reply.rcode == "REFUSED" and (machine.number in (7, 8) or not keep):
                    return "refused"
                return reply and reply.rcode == "NOERROR" and "granted"

            result = eventually(ask, 120, f"{machine.label} is settled", interval=0.25)
            if result == "granted" and keep:
                wanted[machine.label] = address
        return wanted


def check_promises(chaos):
    """What a NOERROR said is there, and was not given up since, is there at both servers."""
    broken = []
    now = time.monotonic()
    contents = [server.records(ZONE) for server in chaos.servers]
    for machine in chaos.machines:
        for address in machine.known:
            if machine.ends[address] - now < 5:
                continue
            for index, content in enumerate(contents):
                if (f"{machine.label}.{ZONE}.", "A", address) not in content:
                    broken.append((machine.label, address, "named" if index == 0 else "knot"))
    return broken


def test_chaos(lab):
    chaos = Chaos(lab, SEED)
    chaos.run(SECONDS)
    for server, relay in zip(chaos.servers, chaos.relays):
        relay.mode = "pass"
        assert server.is_up()
    assert not chaos.broken, chaos.broken
    assert chaos.counts.get("looked at", 0) >= ENOUGH, chaos.counts
    # All leases of the short kind end, everything is published; then what was promised is looked at.
    eventually(lambda: not check_promises(chaos), 90, "every NOERROR is kept", interval=0.3)
    wanted = chaos.settle()
    assert wanted and chaos.counts.get("NOERROR", 0) > 20, chaos.counts

    # Exactly the living registrations, a pointer for each of their addresses, and what was there before.
    ours = {(f"{label}.{ZONE}.", "A", address) for label, address in wanted.items()}
    numbers = {".".join(reversed(address.split("."))) + ".in-addr.arpa." for address in wanted.values()}

    def as_wanted():
        for before, server in zip(chaos.before, chaos.servers):
            if server.records(ZONE) != before | ours:
                return False
            pointers = {owner: data for owner, kind, data in server.records(REVERSE[0]) if kind == "PTR"}
            if set(pointers) != numbers:
                return False
            for owner, data in pointers.items():
                address = ".".join(reversed(owner.split(".")[:4]))
                if (data, "A", address) not in ours:
                    return False
        return True

    try:
        eventually(as_wanted, 90, "both servers have what is registered", interval=0.5)
    except AssertionError as error:
        differences = [(server.records(ZONE) - before - ours, (before | ours) - server.records(ZONE))
                       for before, server in zip(chaos.before, chaos.servers)]
        pointers = [{(owner, data) for owner, kind, data in server.records(REVERSE[0]) if kind == "PTR"}
                    for server in chaos.servers]
        wrong = [{pointer for pointer in found if pointer[0] not in numbers} for found in pointers]
        missing = [numbers - {owner for owner, _ in found} for found in pointers]
        twice = [[pointer for pointer in sorted(found) if sum(pointer[0] == other[0] for other in found) > 1]
                 for found in pointers]
        raise AssertionError(f"too much, too little: {differences}; pointers too much: {wrong}, too little: {missing}, "
                             f"beside another: {twice}") from error

    # Release everything: nothing of ours is left anywhere, and what was there before is.
    for machine in chaos.machines:
        if machine.label in wanted:
            # Accepted but not published yet, it is not there to be released again.
            eventually(lambda client=chaos.nsregd.client(ZONE, key=machine.key), label=machine.label:
                       client.release(label).rcode in ("NOERROR", "REFUSED"), 60, f"{machine.label} is released")
    for server, before in zip(chaos.servers, chaos.before):
        eventually(lambda server=server, before=before: server.records(ZONE) == before, 60, "nothing is left")
        eventually(lambda server=server: not any(kind == "PTR" for _, kind, _ in server.records(REVERSE[0])), 60,
                   "no pointer is left")
    print(chaos.counts)


@pytest.fixture(autouse=True)
def tell_the_course(request):
    yield
    print(f"NSREG_CHAOS_SEED={SEED} NSREG_CHAOS_SECONDS={SECONDS}")
