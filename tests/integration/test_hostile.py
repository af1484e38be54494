# SPDX-License-Identifier: LGPL-2.1-or-later
"""Peers that mean no good: the daemon answers everybody else as ever, and each costs what the limits allow."""

import collections
import contextlib
import os
import random
import re
import socket
import threading
import time

import pytest

from lab import Key, eventually

ZONE = "d.example"
NETS = ["127.0.0.0/8", "10.0.0.0/8"]
MESSAGES = os.path.join(os.path.dirname(__file__), "..", "data", "messages")


def zone(**options):
    return {"allowed-nets": NETS, "min-addr-ttl": "1s", **{key.replace("_", "-"): value
                                                           for key, value in options.items()}}


def corpus():
    found = []
    for root, _, names in os.walk(MESSAGES):
        found += [os.path.join(root, name) for name in sorted(names) if not name.endswith((".key", ".md"))]
    return found


@pytest.fixture(scope="module")
def nsregd(lab_of_module):
    return lab_of_module.nsregd(zones={ZONE: zone()}, limits={"message-bytes": 65535, "rrs-per-message": 512}).start()


@pytest.mark.parametrize("path", corpus(), ids=os.path.basename)
def test_hostile_messages(nsregd, path):
    """Whole, and cut off at places of every kind, over both transports."""
    with open(path, "rb") as file:
        message = file.read()
    client = nsregd.client(ZONE)
    with client.connect() as connection:
        connection.send(message)
        reply = connection.receive(timeout=20)
        assert reply is None or reply.rcode != "NOERROR"
    if len(message) < 1400:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.sendto(message, (nsregd.address, nsregd.port))
    for length in {0, 1, 11, 12, 13, len(message) // 2, len(message) - 1}:
        with client.connect() as connection:
            connection.send(message[:length])
            connection.receive(timeout=20)
    assert nsregd.alive()


def test_flipped_bits(nsregd):
    """No flipped bit makes an accepted message of a good one, and none harms."""
    client = nsregd.client(ZONE)
    message = client.original("flip", ["10.0.0.1"]).wire
    chance = random.Random(1)
    with client.connect() as connection:
        for _ in range(600):
            place, bit = chance.randrange(2, len(message)), 1 << chance.randrange(8)
            flipped = bytearray(message)
            flipped[place] ^= bit
            try:
                connection.send(bytes(flipped))
                reply = connection.receive(timeout=20)
            except OSError:
                reply = None
            if reply is None:
                connection.close()
                connection = client.connect()
                continue
            assert reply.rcode != "NOERROR" or flipped[2] & 0x78 != message[2] & 0x78, (place, bit)
    assert not nsregd.addresses(f"flip.{ZONE}")
    assert nsregd.alive()


def test_noise(nsregd):
    chance = random.Random(2)
    client = nsregd.client(ZONE)
    for _ in range(100):
        with client.connect() as connection:
            connection.send_raw(chance.randbytes(chance.randrange(1, 3000)))
    assert nsregd.alive()


def test_crowd_of_silent_connections(lab):
    """They take the places there are, and lose them to somebody who has something to say."""
    nsregd = lab.nsregd(zones={ZONE: zone()}, limits={"connections": 200, "connections-per-source": 1000,
                                                      "message-timeout": "60s", "idle-timeout": "60s"}).start()
    crowd = []
    try:
        for _ in range(400):
            peer = socket.create_connection((nsregd.address, nsregd.port), timeout=10)
            peer.send(b"\0")
            crowd.append(peer)
        client = nsregd.client(ZONE)
        for i in range(10):
            assert client.claim(f"n{i}", "10.0.0.1").rcode == "NOERROR"
    finally:
        for peer in crowd:
            peer.close()


def test_connections_per_source(lab):
    nsregd = lab.nsregd(zones={ZONE: zone()},
                        limits={"connections-per-source": 10, "exempt-nets": ["10.0.0.0/8"]}).start()
    peers = [socket.create_connection((nsregd.address, nsregd.port), timeout=10, source_address=("127.0.0.5", 0))
             for _ in range(30)]
    try:
        def closed():
            n = 0
            for peer in peers:
                peer.setblocking(False)
                try:
                    n += peer.recv(1) == b""
                except BlockingIOError:
                    pass
                except ConnectionError:
                    n += 1
            return n >= 20

        eventually(closed, 20)
        assert nsregd.client(ZONE, source="127.0.0.6").claim("foo", "10.0.0.1").rcode == "NOERROR"
    finally:
        for peer in peers:
            peer.close()


def flood(client, messages, connections=4):
    """Sends all at once; returns the replies, in whatever order."""
    kept = [client.connect() for _ in range(connections)]
    try:
        for i, connection in enumerate(kept):
            part = messages[i::connections]
            connection.send_raw(b"".join(len(message).to_bytes(2, "big") + message for message in part))
        return [connection.receive() for i, connection in enumerate(kept) for _ in messages[i::connections]]
    finally:
        for connection in kept:
            connection.close()


def test_updates_per_second(lab):
    """While there is more to do than can be done."""
    nsregd = lab.nsregd(zones={ZONE: zone()},
                        limits={"updates-per-second-per-source": 5, "exempt-nets": ["10.0.0.0/8"],
                                "new-names-per-minute-per-source": 100000,
                                "in-flight-per-connection": 10000}).start()
    greedy, other = nsregd.client(ZONE, source="127.0.0.5"), nsregd.client(ZONE, source="127.0.0.6")
    now = int(time.time())
    assert other.claim("mine", "10.0.0.1", inception=now - 280).rcode == "NOERROR"
    replies = flood(greedy, [greedy.original(f"n{i}", ["10.0.0.1"]).wire for i in range(1200)])
    limited = [reply for reply in replies if reply.rcode == "SERVFAIL"]
    assert limited and all("too many" in reply.text for reply in limited)
    assert any("too many updates" in reply.text for reply in limited)
    assert sum(reply.rcode == "NOERROR" for reply in replies) >= 5
    assert other.claim("mine", "10.0.0.1", inception=now - 270).rcode == "NOERROR"


def test_nobody_is_refused_by_an_idle_processor(lab):
    """However small the rates are: they share out what is scarce."""
    nsregd = lab.nsregd(zones={ZONE: zone()},
                        limits={"updates-per-second-per-source": 1, "verifications-per-second": 10,
                                "new-names-per-minute-per-source": 100000, "exempt-nets": ["10.0.0.0/8"]}).start()
    client = nsregd.client(ZONE, source="127.0.0.5")
    bad = client.original("bad", ["10.0.0.1"]).wire
    bad = bad[:-1] + bytes([bad[-1] ^ 1])
    with client.connect() as connection:
        for i in range(60):
            time.sleep(0.02)
            assert client.claim(f"n{i}", "10.0.0.1", connection=connection).rcode == "NOERROR", i
            time.sleep(0.02)
            connection.send(bad)
            assert connection.receive(timeout=20).rcode == "NOTAUTH", i


def test_new_names_per_minute(lab):
    nsregd = lab.nsregd(zones={ZONE: zone()},
                        limits={"new-names-per-minute-per-source": 3, "exempt-nets": ["10.0.0.0/8"]}).start()
    greedy = nsregd.client(ZONE, source="127.0.0.5")
    rcodes = [greedy.claim(f"n{i}", "10.0.0.1").rcode for i in range(8)]
    assert rcodes[:3] == ["NOERROR"] * 3 and set(rcodes[3:]) == {"SERVFAIL"}
    # What it has, it may refresh and change.
    assert greedy.claim("n0", "10.0.0.2").rcode == "NOERROR"
    assert nsregd.client(ZONE, source="127.0.0.6").claim("mine", "10.0.0.1").rcode == "NOERROR"


def spoil(message):
    """A signature that is wrong, and no less work for it."""
    return message[:-1] + bytes([message[-1] ^ 1])


def test_forged_signatures_cost_their_source(lab):
    """Forgers use up their own share; owners are verified as ever, and get their tokens back."""
    nsregd = lab.nsregd(zones={ZONE: zone()},
                        limits={"verifications-per-second": 64, "exempt-nets": ["10.0.0.0/8"],
                                "updates-per-second-per-source": 100000, "in-flight-per-connection": 10000,
                                "new-names-per-minute-per-source": 100000}).start()
    now = int(time.time())
    owner = nsregd.client(ZONE, source="127.0.0.6")
    assert owner.claim("mine", "10.0.0.1", inception=now - 250).rcode == "NOERROR"
    forger = nsregd.client(ZONE, source="127.0.0.5")
    forged = spoil(forger.original("forged", ["10.0.0.1"]).wire)
    rcodes = collections.Counter(reply.rcode for reply in flood(forger, [forged] * 1500))
    assert set(rcodes) == {"NOTAUTH", "SERVFAIL"}, rcodes
    for i in range(40):
        assert owner.claim("mine", "10.0.0.1", inception=now - 200 + i).rcode == "NOERROR", i


class Flooder(threading.Thread):
    """Keeps the daemon busy with what some clients say again and again, each its own message, until it is told to
    end."""

    def __init__(self, sayings):
        super().__init__(daemon=True)
        self.ending = threading.Event()
        self.kept = [(client.connect(), (len(message).to_bytes(2, "big") + message) * 20)
                     for client, message in sayings]
        for connection, _ in self.kept:
            connection.socket.setblocking(False)
        self.start()

    def run(self):
        while not self.ending.is_set():
            for connection, burst in self.kept:
                try:
                    connection.socket.send(burst)
                except OSError:
                    pass
                try:
                    while connection.socket.recv(1 << 16):
                        pass
                except OSError:
                    pass

    def end(self):
        self.ending.set()
        self.join()
        for connection, _ in self.kept:
            connection.close()


@pytest.mark.parametrize("how", ("kept", "anew"))
def test_owners_have_a_reserve(lab, how):
    """Forged updates for the owner's own name, and bad signatures for names of the attackers' own, while there is more
    to do than can be done: whoever verified last, from there, is verified."""
    nsregd = lab.nsregd(zones={ZONE: zone()},
                        limits={"verifications-per-second": 40, "exempt-nets": ["10.0.0.0/8"],
                                "updates-per-second-per-source": 10}).start()
    now = int(time.time())
    owner = nsregd.client(ZONE, source="127.0.0.6")
    assert owner.claim("mine", "10.0.0.1", inception=now - 280).rcode == "NOERROR"
    sayings = []
    for i in range(40):
        forger = nsregd.client(ZONE, source=f"127.0.0.{10 + i}", key=owner.key)
        sayings.append((forger, spoil(forger.original("mine", ["10.0.0.1"]).wire)))
    for i in range(20):
        forger = nsregd.client(ZONE, source=f"127.0.0.{100 + i}")
        assert forger.claim(f"own{i}", "10.0.0.1", inception=now - 280).rcode in ("NOERROR", "SERVFAIL")
        sayings.append((forger, spoil(forger.original(f"own{i}", ["10.0.0.1"]).wire)))
    attack = Flooder(sayings)
    try:
        time.sleep(0.3)
        connection = owner.connect() if how == "kept" else None
        for i in range(40):
            reply = owner.claim("mine", "10.0.0.1", inception=now - 200 + i, connection=connection)
            assert reply is not None and reply.rcode == "NOERROR", (i, reply)
            time.sleep(0.02)
    finally:
        attack.end()
    assert nsregd.alive()


def test_few_descriptors(lab):
    """What there is of them goes to those who say something, and a part is left to the daemon itself."""

    class Limited(contextlib.nullcontext):
        @staticmethod
        def command():
            return ["prlimit", "--nofile=256:256"]

    nsregd = lab.nsregd(zones={ZONE: zone()}, netns=Limited()).start()
    now = int(time.time())
    owner = nsregd.client(ZONE, source="127.0.0.6")
    crowd = []
    try:
        with owner.connect() as connection:
            assert owner.claim("mine", "10.0.0.1", inception=now - 280, connection=connection).rcode == "NOERROR"
            for i in range(600):
                crowd.append(socket.create_connection((nsregd.address, nsregd.port), timeout=10,
                                                      source_address=(f"127.0.{1 + i % 3}.1", 0)))
            for i in range(10):
                assert owner.claim("mine", "10.0.0.1", inception=now - 200 + i).rcode == "NOERROR"
            assert owner.claim("mine", "10.0.0.1", inception=now - 100, connection=connection).rcode == "NOERROR"
            assert nsregd.client(ZONE, source="127.0.1.1").claim("other", "10.0.0.1").rcode == "NOERROR"
        assert len(os.listdir(f"/proc/{nsregd.process.pid}/fd")) <= 230
    finally:
        for peer in crowd:
            peer.close()


def test_many_keys_do_not_fill_the_memory(lab):
    """Claims that are refused leave nothing behind."""
    nsregd = lab.nsregd(zones={ZONE: zone(reserved_names=["x*"])}).start()
    client = nsregd.client(ZONE)

    def resident():
        with open(f"/proc/{nsregd.process.pid}/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def refuse(n):
        with client.connect() as connection:
            for i in range(n):
                assert client.claim(f"x{i}", "10.0.0.1", key=Key.generate(15), connection=connection).rcode == "REFUSED"

    refuse(300)
    before = resident()
    refuse(1500)
    # The address sanitizer keeps freed memory for a while, with a bound of its own.
    assert resident() - before < 60 << 20


@pytest.mark.parametrize("how", ("time", "stop"))
def test_refusals_are_counted_by_network(lab, how):
    """However many addresses of its /64 somebody uses; and the count is told, though nothing follows."""
    netns = lab.netns()
    for i in range(1, 41):
        netns.ip("address", "add", f"fd00:0:0:1::{i:x}/128", "dev", "lo", "nodad")
    netns.ip("address", "add", "fd00:0:0:2::1/128", "dev", "lo", "nodad")
    nsregd = lab.nsregd(zones={ZONE: zone(allowed_nets=["fd00::/16"], reserved_names=["mine"])}, netns=netns,
                        address="fd00:0:0:1::1", limits={"exempt-nets": []}).start()
    with netns:
        for i in range(1, 41):
            client = nsregd.client(ZONE, source=f"fd00:0:0:1::{i:x}")
            assert client.claim("mine", "fd00::1").rcode == "REFUSED"
        assert nsregd.client(ZONE, source="fd00:0:0:2::1").claim("mine", "fd00::1").rcode == "REFUSED"
    assert len(re.findall(r"mine\.d\.example\.? from fd00:0:0:1:", nsregd.log())) == 5
    assert "mine.d.example. from fd00:0:0:2::1" in nsregd.log() or "from fd00:0:0:2::1" in nsregd.log()
    if how == "stop":
        nsregd.term()
    nsregd.wait_log(r"35 more refusals of fd00:0:0:1::/64 were not logged", timeout=120)


@pytest.mark.parametrize("how", ("key-lease", "record-lease", "released", "withdrawn", "revoked", "blocked"))
def test_what_was_accepted_once_is_nothing_later(lab, how):
    """The latest accepted request again is answered as it was while what it made stands: not with another signature,
    and not when it stands no more, wherever it comes from."""
    bus = lab.bus().start()
    nsregd = lab.nsregd(zones={ZONE: zone()}, environment=bus.environment).start()
    bus.wait_for("org.nsreg.Registry1")
    manager = ("org.nsreg.Registry1", "/org/nsreg/Registry1", "org.nsreg.Registry1.Manager")
    client, now = nsregd.client(ZONE), int(time.time())
    ttl, key_ttl = {"key-lease": (4, 4), "record-lease": (4, 3600)}.get(how, (60, 3600))
    claim = client.original("foo", ["10.0.0.1"], ttl=ttl, key_ttl=key_ttl, inception=now - 200).wire
    assert client.send(claim).rcode == "NOERROR"
    assert client.send(claim).rcode == "NOERROR"
    assert nsregd.client(ZONE, source="127.0.0.9").send(claim).rcode == "NOERROR"
    assert client.send(spoil(claim)).rcode == "REFUSED"
    assert client.send(claim[:-64] + bytes(64)).rcode == "REFUSED"

    def gone():
        return not nsregd.addresses(f"foo.{ZONE}")

    if how.endswith("lease"):
        eventually(gone, 30)
    elif how == "released":
        assert client.release("foo", inception=now - 100).rcode == "NOERROR"
    elif how == "withdrawn":
        assert client.remove("foo", "10.0.0.1", inception=now - 100).rcode == "NOERROR"
    else:
        bus.call(*manager, "Revoke", "sb", f"foo.{ZONE}", "true" if how == "blocked" else "false")
    eventually(gone)
    for again in (claim, spoil(claim), claim[:-64] + bytes(64)):
        for source in ("127.0.0.1", "127.0.0.9"):
            assert nsregd.client(ZONE, source=source).send(again).rcode in ("REFUSED", "SERVFAIL"), how
    assert gone()
    nsregd.restart()
    assert client.send(claim).rcode in ("REFUSED", "SERVFAIL"), how
    assert gone()


class Counting:
    """How many signatures were looked at since this was made."""

    def __init__(self, bus):
        self.bus = bus
        self.before = self._now()

    def _now(self):
        return self.bus.get("org.nsreg.Registry1", "/org/nsreg/Registry1", "org.nsreg.Registry1.Manager",
                            "Statistics")["verifications"]

    def __call__(self):
        now = self._now()
        self.before, seen = now, now - self.before
        return seen


def test_nothing_before_its_time(lab):
    """A signature is looked at once a message, and never where something cheaper says no."""
    bus = lab.bus().start()
    nsregd = lab.nsregd(zones={ZONE: zone(reserved_names=["mine"], updates_from=["127.0.0.0/9"]),
                               "near.example": {"allowed-nets": ["127.0.0.1/32", "10.0.0.0/8"]},
                               "full.example": zone(max_names=1)}, environment=bus.environment).start()
    bus.wait_for("org.nsreg.Registry1")
    counted = Counting(bus)
    now = int(time.time())
    client, stranger = nsregd.client(ZONE), nsregd.client(ZONE)
    name = client.full("foo")

    def signed(message, key=client.key, signer=name, **options):
        return message.sign(key, signer, **{"inception": now - 100, "expiration": now + 300, **options})

    def update():
        return client.update().add(name, 60, "10.0.0.1").opt().key(name, client.key)

    good = signed(update(), inception=now - 200)
    assert client.send(good).rcode == "NOERROR" and counted() == 1
    # Again, octet for octet.
    assert client.send(good).rcode == "NOERROR" and counted() == 0
    assert nsregd.client("full.example").claim("one", "10.0.0.1").rcode == "NOERROR" and counted() == 1

    def unsigned():
        return update()

    cheaper = {
        "cut short": good.wire[:-20],
        "longer than it says": good.wire + b"\0",
        "no signature": unsigned(),
        "two signatures": signed(signed(update())),
        "two keys": signed(update().key(name, client.key)),
        "a zone that is not served": signed(nsregd.client("other.example").update().add("foo.other.example.", 60, "10.0.0.1")
                                            .key("foo.other.example.", client.key), signer="foo.other.example."),
        "somebody else's name": signed(client.update().add(client.full("bar"), 60, "10.0.0.1").key(name, client.key)),
        "a reserved name": signed(client.update().add(client.full("mine"), 60, "10.0.0.1")
                                  .key(client.full("mine"), client.key), signer=client.full("mine")),
        "a name two labels down": signed(client.update().add(f"a.b.{ZONE}.", 60, "10.0.0.1")
                                         .key(f"a.b.{ZONE}.", client.key), signer=f"a.b.{ZONE}."),
        "TTLs that are none": signed(client.update().add(name, 2 ** 31, "10.0.0.1").key(name, client.key)),
        "expired": signed(update(), inception=now - 3000, expiration=now - 1000),
        "not yet": signed(update(), inception=now + 1000, expiration=now + 2000),
        "valid for too long": signed(update(), inception=now - 3600, expiration=now + 3600),
        "another key": stranger.original("foo", ["10.0.0.1"]),
        "another key's tag": signed(client.update().add(name, 60, "10.0.0.1"), tag=client.key.tag ^ 1),
        "older": signed(update(), inception=now - 250),
        "with another signature": spoil(good.wire),
    }
    for what, message in cheaper.items():
        for _ in range(2):
            reply = client.send(message)
            assert reply is None or reply.rcode not in ("NOERROR",), what
            assert counted() == 0, what
    assert nsregd.client("near.example", source="127.0.0.9").claim("foo", "10.0.0.1").rcode == "REFUSED"
    assert nsregd.client("full.example").claim("two", "10.0.0.1").rcode == "REFUSED"
    assert nsregd.client(ZONE, source="127.200.0.1", key=client.key).claim("foo", "10.0.0.2").rcode == "REFUSED"
    assert client.send_udp(signed(update())).rcode == "REFUSED"
    assert counted() == 0
    # What is left is looked at, once each.
    for i in range(5):
        assert client.send(spoil(signed(update(), inception=now - 50).wire)).rcode == "NOTAUTH" and counted() == 1
    assert client.send(spoil(stranger.original("new", ["10.0.0.1"]).wire)).rcode == "NOTAUTH" and counted() == 1
    with client.connect() as connection:
        for i in range(20):
            connection.send(signed(update(), inception=now - 40 + i))
        assert [connection.receive().rcode for _ in range(20)] == ["NOERROR"] * 20
    assert counted() == 20
