# SPDX-License-Identifier: LGPL-2.1-or-later
"""What was sent and had no answer may still be applied; and what a server says of a name is not always what is there."""

import threading

import pytest

from lab import Zone, eventually

ZONE = "d.example"
NETS = ["127.0.0.0/8", "::1", "10.0.0.0/8", "fd00::/8"]
PLENTY = {"new-names-per-minute-per-source": 100000, "updates-per-second-per-source": 100000}


def zone(*upstreams, **options):
    return {"allowed-nets": NETS, "min-addr-ttl": "1s", "upstreams": list(upstreams),
            **{key.replace("_", "-"): value for key, value in options.items()}}


def forward(server, name, origin=ZONE):
    return {(kind, data) for owner, kind, data in server.records(origin)
            if owner == f"{name}.{origin}." and kind in ("A", "AAAA")}


@pytest.mark.parametrize("upstream", ["named", "knot", "pdns"])
@pytest.mark.parametrize("way", ["release", "kill", "reload"])
def test_applied_long_after_it_was_given_up(lab, upstream, way):
    """A claim is held up, given up by its owner, and arrives behind that: nothing of it stays, nobody is refused."""
    server = getattr(lab, upstream)(ZONE).start()
    relay = lab.relay(server, "late")
    relay.delay = 1.5
    nsregd = lab.nsregd(zones={ZONE: zone(relay.upstream(ZONE, timeout="300ms"))}).start()
    one, two = nsregd.client(ZONE), nsregd.client(ZONE)
    assert one.claim("foo", "10.0.0.1", ttl=300).rcode == "SERVFAIL"
    relay.mode = "pass"
    if way == "kill":
        nsregd.kill()
        nsregd.start()
    elif way == "reload":
        nsregd.reload()
    # Not a NOERROR before it is certain.
    reply = one.release("foo")
    assert reply.rcode == "SERVFAIL" or not forward(server, "foo"), reply
    eventually(lambda: two.claim("foo", "10.0.0.2", ttl=300).rcode == "NOERROR", 40, interval=0.3)
    assert forward(server, "foo") == {("A", "10.0.0.2")}
    eventually(lambda: two.release("foo").rcode in ("NOERROR", "REFUSED"), 40, interval=0.3)
    eventually(lambda: not forward(server, "foo"), 20)


@pytest.mark.parametrize("upstream", ["named", "knot", "pdns"])
@pytest.mark.parametrize("restart", [False, True])
def test_exactly_what_an_administrator_has(lab, upstream, restart):
    """Claimed while no change has an answer, and given up: whose record it was is known nevertheless."""
    server = getattr(lab, upstream)(Zone(ZONE, records="foo A 10.0.0.1")).start()
    before = server.records(ZONE)
    relay = lab.relay(server, "deaf")
    nsregd = lab.nsregd(zones={ZONE: zone(relay.upstream(ZONE, timeout="300ms"))}).start()
    client = nsregd.client(ZONE)
    reply = client.claim("foo", "10.0.0.1", ttl=300)
    assert reply.rcode in ("SERVFAIL", "REFUSED"), reply
    if restart:
        nsregd.kill()
        nsregd.start()
    relay.mode = "pass"
    eventually(lambda: client.release("foo").rcode in ("NOERROR", "REFUSED"), 40, interval=0.3)
    nsregd.term()
    assert server.records(ZONE) == before


@pytest.mark.parametrize("upstream", ["named", "knot", "pdns"])
def test_made_up_of_a_wildcard(lab, upstream):
    server = getattr(lab, upstream)(Zone(ZONE, records="* A 192.0.2.99")).start()
    before = server.records(ZONE)
    relay = lab.relay(server, "late")
    relay.delay = 60
    nsregd = lab.nsregd(zones={ZONE: zone(relay.upstream(ZONE, timeout="300ms"))}).start()
    client = nsregd.client(ZONE)
    assert client.claim("foo", "10.0.0.1", ttl=300).rcode == "SERVFAIL"
    relay.mode = "pass"
    eventually(lambda: client.claim("foo", "10.0.0.1", ttl=300).rcode == "NOERROR", 20, interval=0.3)
    assert forward(server, "foo") == {("A", "10.0.0.1")}
    # Without an answer that was certain, what was given up is nobody's the second time.
    assert client.release("foo").rcode in ("NOERROR", "SERVFAIL")
    eventually(lambda: server.records(ZONE) == before, 20)


@pytest.mark.parametrize("records", ["d NS ns.elsewhere.test.", "d DNAME elsewhere.test."])
def test_something_is_between_the_name_and_the_zone(lab, records):
    server = lab.named(Zone("example", records=records)).start()
    before = server.records("example")
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream("example"))}).start()
    reply = nsregd.client(ZONE).claim("foo", "10.0.0.1")
    assert reply.rcode == "REFUSED" and "d.example." in reply.text, reply
    assert server.records("example") == before


def test_zone_of_its_own_in_the_way(lab):
    server = lab.named("example", ZONE).start()
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream("example"))}).start()
    reply = nsregd.client(ZONE).claim("foo", "10.0.0.1")
    assert reply.rcode == "REFUSED" and "zone of its own" in reply.text, reply
    assert not forward(server, "foo", "example")


def claim_many(client, n):
    """All at once; what was answered."""
    rcodes = []

    def claim(number):
        rcodes.append(client.claim(f"n{number}", f"10.0.1.{number}", f"fd00::{number}").rcode)

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(1, n + 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return rcodes


@pytest.mark.parametrize("fudge", ["2s", None])
@pytest.mark.parametrize("limit", [1, 2, 10])
def test_connection_ends_after_a_few_messages(lab, limit, fudge):
    server = lab.named(ZONE).start()
    relay = lab.relay(server)
    relay.limit = limit
    upstream = relay.upstream(ZONE, tsig_fudge=fudge)
    if not fudge:
        del upstream["tsig-fudge"]
    nsregd = lab.nsregd(zones={ZONE: zone(upstream)}, limits=PLENTY).start()
    assert claim_many(nsregd.client(ZONE), 30) == ["NOERROR"] * 30
    assert relay.n_connections > 1
    assert all(forward(server, f"n{number}") for number in range(1, 31))


@pytest.mark.parametrize("limit", [1, 3])
def test_server_that_limits_its_connections(lab, limit):
    server = lab.pdns(ZONE, settings=[f"max-tcp-transactions-per-conn={limit}"]).start()
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE))}, limits=PLENTY).start()
    assert claim_many(nsregd.client(ZONE), 60) == ["NOERROR"] * 60
    assert all(forward(server, f"n{number}") for number in range(1, 61))


def test_wrong_key_name_leaves_nothing_over(lab):
    server = lab.knot(ZONE).start()
    key = type(server.key)("no-such-key", server.key.algorithm, server.key.secret)
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE, key=key))}).start()
    client = nsregd.client(ZONE)
    reply = client.claim("foo", "10.0.0.1", ttl=300)
    assert reply.rcode == "SERVFAIL" and "tsig-name" in reply.text, reply
    assert client.claim("bar", "10.0.0.2", ttl=300).rcode == "SERVFAIL"
    # Nothing was sent that could be there.
    nsregd.config["zones"] = {ZONE: zone({"type": "builtin"})}
    nsregd.reload()
    nsregd.wait_log("has nothing of ours")


@pytest.mark.parametrize("secondary", ["named", "knot"])
@pytest.mark.parametrize("primary", ["named", "knot"])
def test_through_a_secondary(lab, primary, secondary):
    """Updates go to a server that passes them on: their answers bear another ID in their signature."""
    server = getattr(lab, primary)(ZONE).start()
    before = server.records(ZONE)
    between = lab.secondary(secondary, server).start()
    nsregd = lab.nsregd(zones={ZONE: zone(between.upstream(ZONE, tsig_fudge="2s"))}, limits=PLENTY).start()
    client = nsregd.client(ZONE)
    assert claim_many(client, 20) == ["NOERROR"] * 20
    assert forward(server, "n7") == {("A", "10.0.1.7"), ("AAAA", "fd00::7")}
    assert client.claim("n7", "10.0.0.9").rcode == "NOERROR"
    assert ("A", "10.0.0.9") in forward(server, "n7")
    short = nsregd.client(ZONE)
    assert short.claim("short", "10.0.0.3", ttl=2).rcode == "NOERROR"
    eventually(lambda: not forward(server, "short"), 30)
    # An answered message may come a second time: not certain at once, but in a while.
    eventually(lambda: client.release("n7").rcode in ("NOERROR", "REFUSED"), 40, interval=0.3)
    assert not forward(server, "n7")
    eventually(lambda: nsregd.client(ZONE).claim("n7", "10.0.0.10").rcode == "NOERROR", 40, interval=0.3)
    assert forward(server, "n7") == {("A", "10.0.0.10")}
    # Across a crash.
    nsregd.kill()
    nsregd.start()
    for number in range(1, 21):
        if number != 7:
            eventually(lambda: client.release(f"n{number}").rcode in ("NOERROR", "REFUSED"), 40, interval=0.3)
    eventually(lambda: {row for row in server.records(ZONE) if not row[0].startswith("n7.")} == before, 30)


@pytest.mark.parametrize("largest", [1232, 700])
def test_large_datagrams_are_lost(lab, largest):
    """None is larger than goes everywhere; a batch that is lost all the same is split; one name that is larger
    alone goes by TCP."""
    server = lab.named(ZONE).start()
    relay = lab.relay(server)
    relay.datagram_max = largest
    upstream = relay.upstream(ZONE, tcp=False, timeout="500ms")
    nsregd = lab.nsregd(zones={ZONE: zone(upstream, max_records_per_name=100)}, limits=PLENTY).start()
    client = nsregd.client(ZONE)
    # Some are told SERVFAIL while it is found out: what counts is what is there in the end.
    claim_many(client, 60)
    eventually(lambda: all(forward(server, f"n{number}") == {("A", f"10.0.1.{number}"), ("AAAA", f"fd00::{number}")}
                           for number in range(1, 61)), 60, interval=0.5)
    # As many as just fit, with and without the signature, and more.
    for number in (*range(34, 45), 56):
        addresses = [f"fd00:1:2:3:4:5:6:{last}" for last in range(number)]
        eventually(lambda: client.claim(f"many{number}", *addresses).rcode == "NOERROR", 40, interval=0.3)
        assert len(forward(server, f"many{number}")) == number
    assert relay.datagram_sizes and max(relay.datagram_sizes) <= 1232, max(relay.datagram_sizes)


@pytest.mark.parametrize("upstream", ["named", "knot", "pdns"])
def test_a_refused_claim_leaves_nothing_though_one_type_was_free(lab, upstream):
    """The name went from one owner to the next while the server was away; one type there is an administrator's now."""
    server = getattr(lab, upstream)(ZONE).start()
    relay = lab.relay(server)
    nsregd = lab.nsregd(zones={ZONE: zone(relay.upstream(ZONE, timeout="300ms"))}).start()
    one, two = nsregd.client(ZONE), nsregd.client(ZONE)
    assert one.claim("foo", "fd00::1", ttl=300).rcode == "NOERROR"
    server.nsupdate(f"update add foo.{ZONE} 300 A 192.0.2.9")
    relay.mode = "silent"
    assert one.release("foo").rcode == "SERVFAIL"

    def refused():
        reply = two.claim("foo", "10.0.0.2", "fd00::2", ttl=300)
        assert reply.rcode in ("SERVFAIL", "REFUSED"), reply
        relay.mode = "pass"
        return reply.rcode == "REFUSED"
    eventually(refused, 40, interval=0.3)
    eventually(lambda: forward(server, "foo") == {("A", "192.0.2.9")}, 20)
    # Nobody owns it: it is the server that is in the way.
    reply = nsregd.client(ZONE).claim("foo", "10.0.0.3", ttl=300)
    assert reply.rcode == "REFUSED" and "of its own" in str(reply), reply
