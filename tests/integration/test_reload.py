# SPDX-License-Identifier: LGPL-2.1-or-later
"""A reload changes what changed, while everybody is served: no answer is given for it, nobody's change is undone by
it, and what it does not speak of stays as it was. A stop keeps every promise made before it."""

import os
import signal
import socket
import time

import dns.rdatatype
import pytest

from lab import Key, eventually, free_port, never
from test_durability import preload

ZONE = "d.example"
NETS = ["127.0.0.0/8", "::1", "10.0.0.0/8", "11.0.0.0/8", "fd00::/8"]
REVERSE = "10.in-addr.arpa"
PLENTY = {"new-names-per-minute-per-source": 100000, "updates-per-second-per-source": 100000}


def zone(*upstreams, **options):
    return {"allowed-nets": NETS, "min-addr-ttl": "1s", "upstreams": list(upstreams),
            **{key.replace("_", "-"): value for key, value in options.items()}}


def builtin(**options):
    return zone({"type": "builtin", "reverse-zones": [REVERSE]}, **options)


def forward(server, name, origin=ZONE):
    return {data for owner, kind, data in server.records(origin)
            if owner == f"{name}.{origin}." and kind in ("A", "AAAA")}


def reloaded(nsregd, zones=None, **settings):
    at = len(nsregd.log())
    if zones is not None:
        nsregd.config["zones"] = zones
    for key, value in settings.items():
        nsregd.config[key.replace("_", "-")] = value
    nsregd.reload()
    nsregd.wait_log("Configuration reloaded", after=at)


class Pipeline:
    """One connection on which changes of one name are pipelined, good ones and forged ones in turn; answers are told
    apart by their id."""

    def __init__(self, client, forger, label):
        self.client, self.forger, self.label = client, forger, label
        self.connection = client.connect()
        self.sent = []
        self.inception = int(time.time()) - 3000

    def _message(self, good, address):
        if good:
            message = self.client.update().delete_all(self.client.full(self.label))
            message.add(self.client.full(self.label), 600, address)
            return message.sign(self.client.key, self.client.full(self.label), inception=self.inception).wire
        # The owner's KEY and another's signature; and the owner's message with a broken one.
        message = self.client.update().add(self.client.full(self.label), 600, "10.66.66.66")
        wire = message.sign(self.client.key, self.client.full(self.label), inception=self.inception).wire
        return wire[:-1] + bytes([wire[-1] ^ 1])

    def send(self, n):
        used = {number for number, _, _ in self.sent}
        for _ in range(n):
            self.inception += 1
            address = f"10.1.{len(self.sent) // 250}.{len(self.sent) % 250 + 1}"
            good = len(self.sent) % 3 != 2
            wire = self._message(good, address)
            # IDs are made by chance, and two of one connection may be the same.
            while int.from_bytes(wire[:2], "big") in used:
                wire = self._message(good, address)
            used.add(int.from_bytes(wire[:2], "big"))
            self.connection.send(wire)
            self.sent.append((int.from_bytes(wire[:2], "big"), good, address))

    def settle(self):
        """All answers: {id: reply}."""
        replies = {}
        for _ in self.sent:
            reply = self.connection.receive(timeout=30)
            if reply is None:
                break
            replies[reply.id] = reply
        return replies


@pytest.mark.parametrize("delay", (0, 20))
def test_forged_requests_never_pass_beside_a_reload(lab, delay):
    nsregd = lab.nsregd({ZONE: builtin()}, limits=PLENTY,
                        environment=preload(SLOW_SYNC_USEC=delay * 1000) if delay else None).start()
    owner = nsregd.client(ZONE)
    assert owner.claim("foo", "10.1.0.1", key_ttl=86400, inception=int(time.time()) - 3200).rcode == "NOERROR"
    last = None
    for round_ in range(20 if delay else 40):
        pipeline = Pipeline(owner, nsregd.client(ZONE), "foo")
        pipeline.inception += round_ * 20
        pipeline.send(8)
        nsregd.reload()
        pipeline.send(6)
        replies = pipeline.settle()
        assert nsregd.running
        assert len(replies) == len(pipeline.sent), "a request without an answer"
        for number, good, address in pipeline.sent:
            if good:
                assert replies[number].rcode in ("NOERROR", "SERVFAIL"), replies[number]
                last = address if replies[number].rcode == "NOERROR" else last
            else:
                assert replies[number].rcode == "NOTAUTH", replies[number]
        # In order of arrival: what was granted last is what stands.
        assert nsregd.addresses(f"foo.{ZONE}") == {last}
        pipeline.connection.close()
    assert nsregd.restart().addresses(f"foo.{ZONE}") == {last}


@pytest.mark.parametrize("how", ("reload", "stop"))
@pytest.mark.parametrize("what", ("change", "release", "claim"))
def test_what_is_on_its_way_to_the_disk_is_kept(lab, how, what):
    """NOERROR, or no answer: then either; never NOERROR and undone by an older state."""
    nsregd = lab.nsregd({ZONE: builtin()}, limits=PLENTY, environment=preload(SLOW_SYNC_USEC=100000)).start()
    for i in range(4):
        client, label, now = nsregd.client(ZONE), f"n{i}", int(time.time())
        if what != "claim":
            assert client.claim(label, ("10.0.0.1", 600), inception=now - 100).rcode == "NOERROR"
            # Refreshed: there is something in memory that a stop has to write.
            assert client.claim(label, ("10.0.0.1", 600), inception=now - 99).rcode == "NOERROR"
        if what == "release":
            message = client.update().release_key(client.full(label)).sign(client.key, client.full(label),
                                                                          inception=now - 50)
        else:
            message = client.original(label, [("10.0.0.2", 600)], delete=["10.0.0.1"], inception=now - 50)
        with client.connect() as connection:
            connection.send(message)
            time.sleep(0.02)  # it is in its commit, which takes 100 ms
            if how == "reload":
                nsregd.reload()
            else:
                nsregd.process.send_signal(signal.SIGTERM)
            reply = connection.receive(timeout=30)
        if how == "stop":
            assert nsregd.process.wait() == 0
            nsregd.start()
        assert reply is None or reply.rcode in ("NOERROR", "SERVFAIL"), reply
        there = nsregd.addresses(f"{label}.{ZONE}")
        expected = {"change": {"10.0.0.2"}, "claim": {"10.0.0.2"}, "release": set()}[what]
        if reply is not None and reply.rcode == "NOERROR":
            assert there == expected, (label, there)
        stranger = nsregd.client(ZONE).claim(label, ("10.0.0.9", 600), inception=int(time.time()))
        if what == "release" and reply is not None and reply.rcode == "NOERROR":
            assert stranger.rcode == "NOERROR", stranger
        elif what != "release" and (what == "change" or reply is not None and reply.rcode == "NOERROR"):
            assert stranger.rcode == "REFUSED", stranger


def test_reload_under_load_leaves_it_listening(lab):
    """Neither deaf nor deaf to TERM."""
    nsregd = lab.nsregd({ZONE: builtin(), "e.example": builtin()}, limits=PLENTY).start()
    clients = [nsregd.client(ZONE) for _ in range(6)]
    for i in range(15):
        connections = [client.connect() for client in clients]
        for j, (client, connection) in enumerate(zip(clients, connections)):
            for k in range(5):
                connection.send(client.original(f"n{j}-{k}", [(f"10.0.{j}.{i + 1}", 600)],
                                                inception=int(time.time()) - 3000 + i))
        nsregd.config["zones"] = {ZONE: builtin(), **({"e.example": builtin()} if i % 2 else {})}
        nsregd.reload()
        for connection in connections:
            for _ in range(5):
                assert connection.receive(timeout=30) is not None
            connection.close()
    assert nsregd.alive(ZONE)
    assert nsregd.term() == 0


def test_a_reload_that_changes_nothing_changes_nothing(lab):
    server = lab.named(ZONE, REVERSE).start()
    relay = lab.relay(server)
    nsregd = lab.nsregd({ZONE: zone(relay.upstream(ZONE, [REVERSE])), "e.example": builtin()}, limits=PLENTY).start()
    client = nsregd.client(ZONE)
    for i in range(1, 9):
        assert client.claim(f"n{i}", f"10.0.0.{i}", ttl=900).rcode == "NOERROR"
    assert nsregd.client("e.example").claim("foo", ("10.2.0.1", 900)).rcode == "NOERROR"
    serials = server.serial(ZONE), server.serial(REVERSE)
    own = nsregd.query("e.example", "SOA").answer[0][0].serial
    with client.connect() as connection:
        for _ in range(5):
            reloaded(nsregd)
            # Connections, and what is under way on them, are not touched.
            assert client.claim("n1", "10.0.0.1", ttl=900, connection=connection,
                                inception=int(time.time()) - 100 + _).rcode == "NOERROR"
    assert (server.serial(ZONE), server.serial(REVERSE)) == serials
    assert nsregd.query("e.example", "SOA").answer[0][0].serial == own
    assert nsregd.query("4.0.0.10.in-addr.arpa", "PTR").rcode() != 2


def test_name_server_at_another_address(lab):
    """It was given another address, and the configuration follows: its data are what they were, ours."""
    server = lab.named(ZONE, REVERSE).start()
    status, output = server.nsupdate(f"update add static.{ZONE}. 60 A 192.0.2.1", zone=ZONE)
    assert status == 0, output
    old, new = lab.relay(server), lab.relay(server)
    nsregd = lab.nsregd({ZONE: zone(old.upstream(ZONE, [REVERSE]))}, limits=PLENTY).start()
    clients = [nsregd.client(ZONE) for _ in range(6)]
    for i, client in enumerate(clients):
        assert client.claim(f"n{i}", (f"10.0.0.{i + 1}", 900), inception=int(time.time()) - 200).rcode == "NOERROR"
    before = server.records(ZONE) | server.records(REVERSE)
    reloaded(nsregd, {ZONE: zone(new.upstream(ZONE, [REVERSE]))})
    never(lambda: server.records(ZONE) | server.records(REVERSE) != before, 2)
    # Everybody is who they were: the unrefreshed own their names, a change and a release arrive.
    assert nsregd.client(ZONE).claim("n3", "10.0.0.99").rcode == "REFUSED"
    assert clients[0].claim("n0", ("10.0.0.1", 900), inception=int(time.time()) - 100).rcode == "NOERROR"
    assert clients[1].claim("n1", ("10.0.0.77", 900), inception=int(time.time()) - 100).rcode == "NOERROR"
    assert forward(server, "n1") == {"10.0.0.2", "10.0.0.77"}
    assert clients[2].release("n2", inception=int(time.time()) - 100).rcode == "NOERROR"
    assert forward(server, "n2") == set() and forward(server, "static") == {"192.0.2.1"}
    # And after a kill, which the rows outlive.
    nsregd.kill()
    nsregd.start()
    assert clients[4].claim("n4", ("10.0.0.44", 900), inception=int(time.time()) - 90).rcode == "NOERROR"
    assert forward(server, "n4") == {"10.0.0.5", "10.0.0.44"}
    assert forward(server, "static") == {"192.0.2.1"}
    assert nsregd.term() == 0


def test_filter_and_ttl_change_what_they_concern(lab):
    server = lab.named(ZONE, REVERSE).start()
    relay = lab.relay(server)
    nsregd = lab.nsregd({ZONE: zone(relay.upstream(ZONE, [REVERSE]))}, limits=PLENTY).start()
    client = nsregd.client(ZONE)
    for i in range(1, 9):
        assert client.claim(f"n{i}", (f"10.0.0.{i}", 900), ("fd00::%x" % i, 900)).rcode == "NOERROR"
    reloaded(nsregd, {ZONE: zone(relay.upstream(ZONE, [REVERSE], exclude_nets=["fd00::/8"]))})
    eventually(lambda: all(forward(server, f"n{i}") == {f"10.0.0.{i}"} for i in range(1, 9)))
    # A name that comes while another change is moved is published as the new one says.
    assert client.claim("n9", ("10.0.0.9", 900), ("fd00::9", 900)).rcode == "NOERROR"
    assert forward(server, "n9") == {"10.0.0.9"}
    reloaded(nsregd, {ZONE: zone(relay.upstream(ZONE, [REVERSE], record_ttl="17s"))})
    eventually(lambda: all(forward(server, f"n{i}") == {f"10.0.0.{i}", "fd00::%x" % i} for i in range(1, 10)))
    eventually(lambda: server.query(f"n1.{ZONE}", "A").answer[0].ttl == 17)


def test_zone_goes_and_comes_back_with_its_owners(lab):
    nsregd = lab.nsregd({ZONE: builtin(), "e.example": builtin()}, limits=PLENTY).start()
    client = nsregd.client("e.example")
    for i in range(1, 601):
        assert client.claim(f"n{i}", (f"10.3.{i // 250}.{i % 250 + 1}", 3600)).rcode == "NOERROR"
    other = nsregd.client(ZONE)
    assert other.claim("foo", ("10.3.0.2", 3600)).rcode == "NOERROR"  # n1 has the PTR, and is older
    assert "n1.e.example." in str(nsregd.query("2.0.3.10.in-addr.arpa", "PTR").answer)
    reloaded(nsregd, {ZONE: builtin()})
    assert nsregd.query("e.example", "SOA", tcp=True).rcode() == 5
    assert client.claim("n1", ("10.3.0.2", 3600), inception=int(time.time())).rcode == "NOTAUTH"
    eventually(lambda: f"foo.{ZONE}." in str(nsregd.query("2.0.3.10.in-addr.arpa", "PTR").answer), 20)
    reloaded(nsregd, {ZONE: builtin(), "e.example": builtin()})
    for i in (1, 300, 600):
        assert nsregd.addresses(f"n{i}.e.example") == {f"10.3.{i // 250}.{i % 250 + 1}"}
    assert nsregd.client("e.example").claim("n300", ("10.3.9.9", 3600)).rcode == "REFUSED"
    eventually(lambda: "n1.e.example." in str(nsregd.query("2.0.3.10.in-addr.arpa", "PTR").answer), 20)


def test_port_changes(lab):
    nsregd = lab.nsregd({ZONE: builtin()}).start()
    owner = nsregd.client(ZONE)
    assert owner.claim("foo", ("10.0.0.1", 600), inception=int(time.time()) - 100).rcode == "NOERROR"
    kept = owner.connect()
    port = free_port()
    reloaded(nsregd, listen_port=port)
    assert nsregd.port != port
    with pytest.raises(OSError):
        socket.create_connection((nsregd.address, nsregd.port), timeout=2)
    # What was connected stays so.
    assert owner.send(owner.original("foo", [("10.0.0.1", 600)], inception=int(time.time())), kept).rcode == "NOERROR"
    nsregd.port = port
    srv = nsregd.query(f"_nsreg._tcp.{ZONE}", "SRV").answer[0][0]
    assert srv.port == port and nsregd.accepts()
    # One that cannot be had is refused, and nothing is changed.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        at = len(nsregd.log())
        nsregd.config["listen-port"] = taken.getsockname()[1]
        nsregd.reload()
        nsregd.wait_log("Another program has the port", after=at)
    assert nsregd.alive(ZONE)


@pytest.mark.parametrize("text", (None, "", "# nothing\n"))
def test_a_configuration_that_is_gone_withdraws_nothing(lab, text):
    server = lab.named(ZONE, REVERSE).start()
    nsregd = lab.nsregd({ZONE: zone(server.upstream(ZONE, [REVERSE]))}).start()
    client = nsregd.client(ZONE)
    assert client.claim("foo", ("10.0.0.1", 900)).rcode == "NOERROR"
    if text is None:
        os.unlink(nsregd.config_path)
    else:
        with open(nsregd.config_path, "w", encoding="utf-8") as out:
            out.write(text)
    nsregd.process.send_signal(signal.SIGHUP)
    nsregd.wait_log(nsregd.config_path if text is None else "empty")
    never(lambda: forward(server, "foo") != {"10.0.0.1"}, 1)
    assert nsregd.alive(ZONE)


def test_two_zones_answer_one_reverse_zone(lab):
    """Each zone's PTRs, whichever zone the reverse zone was found under, nested ones too."""
    nsregd = lab.nsregd({"e.example": zone({"type": "builtin", "reverse-zones": [REVERSE]}),
                         "f.example": zone({"type": "builtin", "reverse-zones": ["3.10.in-addr.arpa"]}),
                         "g.example": zone({"type": "builtin", "reverse-zones": [REVERSE]}),
                         "h.example": zone({"type": "builtin"})}, limits=PLENTY).start()

    def pointer(address):
        reply = nsregd.query(".".join(reversed(address.split("."))) + ".in-addr.arpa", "PTR")
        return {rdata.to_text() for rrset in reply.answer if rrset.rdtype == dns.rdatatype.PTR for rdata in rrset}

    for name, address in (("e", "10.1.0.1"), ("f", "10.3.0.1"), ("g", "10.1.0.2"), ("g", "10.3.0.2")):
        assert nsregd.client(f"{name}.example").claim("foo", (address, 900)).rcode in ("NOERROR", "REFUSED")
    owner = nsregd.client("g.example")
    assert owner.claim("bar", ("10.1.0.5", 900), ("10.3.0.5", 900)).rcode == "NOERROR"
    assert pointer("10.1.0.1") == {"foo.e.example."} and pointer("10.3.0.1") == {"foo.f.example."}
    assert pointer("10.1.0.2") == {"foo.g.example."}
    assert pointer("10.1.0.5") == {"bar.g.example."} and pointer("10.3.0.5") == {"bar.g.example."}
    # Claimed first where there is no reverse zone for it: the next one has the PTR.
    assert nsregd.client("h.example").claim("first", ("10.1.0.9", 900)).rcode == "NOERROR"
    assert pointer("10.1.0.9") == set()
    assert nsregd.client("e.example").claim("second", ("10.1.0.9", 900)).rcode == "NOERROR"
    assert pointer("10.1.0.9") == {"second.e.example."}


def test_pipelined_claims_are_counted(lab):
    """max-names-per-source and max-names hold for claims that are on their way, too."""
    nsregd = lab.nsregd({ZONE: builtin(max_names_per_source=3), "e.example": builtin(max_names=5)}, limits=PLENTY,
                        environment=preload(SLOW_SYNC_USEC=20000)).start()
    for name, limit in ((ZONE, 3), ("e.example", 5)):
        client = nsregd.client(name, source="127.0.0.9" if name == ZONE else "127.0.0.8")
        with client.connect() as connection:
            for i in range(40):
                connection.send(client.original(f"n{i}", [(f"10.0.0.{i + 1}", 600)], key=Key.generate(13)))
            rcodes = [connection.receive(timeout=30).rcode for _ in range(40)]
        assert rcodes.count("NOERROR") == limit and rcodes.count("REFUSED") == 40 - limit, rcodes


def test_one_connection_is_one(lab):
    nsregd = lab.nsregd({ZONE: builtin()}, limits={"connections": 1})
    nsregd.start()
    assert nsregd.client(ZONE).claim("foo", ("10.0.0.1", 600)).rcode == "NOERROR"


def test_a_repeated_release_is_answered_as_it_was(lab):
    """Its first answer was lost on the way."""
    nsregd = lab.nsregd({ZONE: builtin()}).start()
    client = nsregd.client(ZONE)
    assert client.claim("foo", ("10.0.0.1", 600), inception=int(time.time()) - 100).rcode == "NOERROR"
    message = client.update().release_key(client.full("foo")).sign(client.key, client.full("foo"),
                                                                  inception=int(time.time()) - 50)
    assert client.send(message).rcode == "NOERROR"
    assert client.send(message).rcode == "NOERROR"
    # To somebody else's name it says nothing any more.
    assert nsregd.client(ZONE).claim("foo", ("10.0.0.2", 600), inception=int(time.time())).rcode == "NOERROR"
    assert client.send(message).rcode == "REFUSED"


def test_what_is_pipelined_takes_nobodys_place(lab):
    """A stranger who pipelines forged updates for a name does not keep its owner out."""
    nsregd = lab.nsregd({ZONE: builtin()}, limits=PLENTY, environment=preload(SLOW_SYNC_USEC=50000)).start()
    owner = nsregd.client(ZONE)
    assert owner.claim("foo", ("10.0.0.1", 600), inception=int(time.time()) - 3000).rcode == "NOERROR"
    forged = []
    for i in range(8):
        connection = nsregd.client(ZONE, source=f"127.0.0.{i + 20}").connect()
        for j in range(30):
            message = owner.original("foo", [("10.66.0.1", 600)], inception=int(time.time()) - 2000 + i * 30 + j)
            connection.send(message.wire[:-1] + bytes([message.wire[-1] ^ 1]))
        forged.append(connection)
    for i in range(10):
        reply = owner.claim("foo", (f"10.0.0.{i + 2}", 600), inception=int(time.time()) - 1000 + i)
        assert reply.rcode == "NOERROR", reply
    for connection in forged:
        for _ in range(30):
            assert connection.receive(timeout=60).rcode in ("NOTAUTH", "SERVFAIL")
        connection.close()
    assert "10.66.0.1" not in nsregd.addresses(f"foo.{ZONE}")


def test_zones_share_a_server_and_differ_in_what_is_theirs(lab):
    """The TTL, the filter and the reverse zones are each zone's; the connection is one."""
    server = lab.named("example", REVERSE, "11.in-addr.arpa").start()
    nsregd = lab.nsregd({"a.example": zone(server.upstream("example", [REVERSE], record_ttl="11s")),
                         "b.example": zone(server.upstream("example", ["11.in-addr.arpa"], record_ttl="22s",
                                                           exclude_nets=["fd00::/8"]))}, limits=PLENTY).start()
    for name in ("a.example", "b.example"):
        assert nsregd.client(name).claim("foo", ("10.0.0.1", 900), ("11.0.0.1" if name[0] == "b" else "10.0.0.2", 900),
                                         ("fd00::1", 900)).rcode in ("NOERROR",), name
    assert server.query("foo.a.example", "A").answer[0].ttl == 11
    assert server.query("foo.b.example", "A").answer[0].ttl == 22
    assert server.query("foo.a.example", "AAAA").answer and not server.query("foo.b.example", "AAAA").answer
    pointers = {(owner, data) for name in (REVERSE, "11.in-addr.arpa") for owner, kind, data in server.records(name)
                if kind == "PTR"}
    assert ("1.0.0.11.in-addr.arpa.", "foo.b.example.") in pointers
    assert ("1.0.0.10.in-addr.arpa.", "foo.a.example.") in pointers and len(pointers) == 3
