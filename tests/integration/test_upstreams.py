# SPDX-License-Identifier: LGPL-2.1-or-later
"""DNS servers that misbehave, clocks and keys that do not fit, and configurations that change."""

import os
import time

import pytest

from lab import TsigKey, Zone, eventually, never

ZONE = "d.example"
NETS = ["127.0.0.0/8", "::1", "10.0.0.0/8", "fd00::/8"]
REVERSE = ("10.in-addr.arpa", "0.0.d.f.ip6.arpa")
PLENTY = {"new-names-per-minute-per-source": 100000, "updates-per-second-per-source": 100000}


def zone(*upstreams, **options):
    return {"allowed-nets": NETS, "min-addr-ttl": "1s", "upstreams": list(upstreams),
            **{key.replace("_", "-"): value for key, value in options.items()}}


def forward(server, name, origin=ZONE):
    return {(kind, data) for owner, kind, data in server.records(origin)
            if owner == f"{name}.{origin}." and kind in ("A", "AAAA")}


def pointers(server, reverse=REVERSE[0]):
    return {(owner, data) for owner, kind, data in server.records(reverse) if kind == "PTR"}


def settled(client, label, *addresses, ttl=300, rcode="NOERROR", timeout=60):
    return eventually(lambda: client.claim(label, *addresses, ttl=ttl).rcode == rcode, timeout, interval=0.3)


# -- answers that never come, or are not to be believed


@pytest.mark.parametrize("mode", ["silent", "swallow", "half", "garbage", "unsigned", "forged", "servfail", "notzone",
                                  "refused", "close"])
@pytest.mark.parametrize("tcp", [True, False])
def test_no_answer_to_be_believed(lab, mode, tcp):
    """Never NOERROR while it is so; afterwards the owner gets its own name, whatever was applied meanwhile."""
    if not tcp and mode not in ("silent", "swallow", "unsigned"):
        pytest.skip("the stream shows it as well")
    server = lab.named(ZONE, *REVERSE).start()
    before = server.records(ZONE)
    relay = lab.relay(server, mode)
    nsregd = lab.nsregd(zones={ZONE: zone(relay.upstream(ZONE, REVERSE, timeout="400ms", tcp=tcp))}).start()
    client = nsregd.client(ZONE)
    reply = client.claim("foo", "10.0.0.1", ttl=300)
    assert reply.rcode == "SERVFAIL", reply
    assert "not published" in reply.text
    eventually(lambda: relay.n_messages > 0)
    assert nsregd.alive()
    relay.mode = "pass"
    settled(client, "foo", "10.0.0.1")
    assert forward(server, "foo") == {("A", "10.0.0.1")}
    # The same with a change and a removal.
    relay.mode = mode
    message = client.update().delete(client.full("foo"), "10.0.0.1").add(client.full("foo"), 300, "10.0.0.2")
    message.key(client.full("foo"), client.key).sign(client.key, client.full("foo"))
    assert client.send(message).rcode == "SERVFAIL"
    assert client.remove("foo", "10.0.0.2").rcode == "SERVFAIL"
    relay.mode = "pass"
    eventually(lambda: server.records(ZONE) == before, 60)
    eventually(lambda: not pointers(server), 60)


@pytest.mark.parametrize("upstream", ["named", "knot", "pdns"])
def test_acknowledgement_lost_and_killed(lab, upstream):
    """Sent and applied, the acknowledgement lost, the daemon killed: the owner is never refused its own record."""
    server = getattr(lab, upstream)(Zone(ZONE, records="taken A 192.0.2.7"), *REVERSE).start()
    relay = lab.relay(server, "deaf")
    nsregd = lab.nsregd(zones={ZONE: zone(relay.upstream(ZONE, REVERSE, timeout="5s"))}).start()
    client = nsregd.client(ZONE)
    with client.connect() as connection:
        connection.send(client.original("foo", ["10.0.0.1"], ttl=300))
        connection.send(client.original("taken", ["10.0.0.2"], ttl=300))
        connection.send(client.original("gone", ["10.0.0.3"], ttl=300))
        eventually(lambda: forward(server, "foo") or relay.n_updates >= 2)
        nsregd.kill()
    relay.mode = "pass"
    nsregd.start()
    settled(client, "foo", "10.0.0.1")
    settled(client, "taken", "10.0.0.2", rcode="REFUSED")
    assert client.release("gone").rcode in ("NOERROR", "REFUSED")
    assert forward(server, "foo") == {("A", "10.0.0.1")}
    assert forward(server, "taken") == {("A", "192.0.2.7")}
    eventually(lambda: not forward(server, "gone"))


def test_slow_server_is_waited_for(lab):
    server = lab.named(ZONE).start()
    relay = lab.relay(server, "slow")
    nsregd = lab.nsregd(zones={ZONE: zone(relay.upstream(ZONE, timeout="5s"))}).start()
    assert nsregd.client(ZONE).claim("foo", "10.0.0.1").rcode == "NOERROR"
    assert forward(server, "foo") == {("A", "10.0.0.1")}


def test_connection_is_kept(lab):
    server = lab.named(ZONE, *REVERSE).start()
    relay = lab.relay(server)
    nsregd = lab.nsregd(zones={ZONE: zone(relay.upstream(ZONE, REVERSE))}).start()
    client = nsregd.client(ZONE)
    for i in range(20):
        assert client.claim(f"n{i}", f"10.0.0.{i + 1}").rcode == "NOERROR"
    assert relay.n_connections == 1


# -- keys, clocks, rights


@pytest.mark.parametrize("upstream", ["named", "knot", "pdns"])
@pytest.mark.parametrize("shift", [-3600, 3600])
def test_clock_of_the_server_is_wrong(lab, upstream, shift):
    library = os.path.join(os.environ["NSREG_BUILD"], "tests", "tools", "libshift-clock.so")
    server = getattr(lab, upstream)(ZONE, environment={"LD_PRELOAD": library, "SHIFT_CLOCK_SEC": str(shift)}).start()
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE))}).start()
    reply = nsregd.client(ZONE).claim("foo", "10.0.0.1")
    # Who signs what his clock says, gets messages of that time.
    if upstream != "pdns":
        assert reply.rcode == "NOERROR", reply
        assert forward(server, "foo") == {("A", "10.0.0.1")}
    else:
        assert reply.rcode == "SERVFAIL" and "synchronize" in reply.text, reply
        assert forward(server, "foo") == set()
    assert nsregd.alive()


@pytest.mark.parametrize("upstream", ["named", "knot", "pdns"])
def test_zone_is_not_ours_to_write(lab, upstream):
    theirs, ours = TsigKey("their-key"), TsigKey("our-key")
    server = getattr(lab, upstream)(Zone(ZONE, keys=[theirs]), Zone("other.example", keys=[ours])).start()
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE, key=ours))}).start()
    client = nsregd.client(ZONE)
    reply = client.claim("foo", "10.0.0.1")
    assert reply.rcode == "SERVFAIL" and "not published" in reply.text, reply
    assert forward(server, "foo") == set()
    assert client.release("foo").rcode in ("NOERROR", "SERVFAIL")


@pytest.mark.parametrize("upstream", ["named", "knot", "pdns"])
def test_zone_is_not_there(lab, upstream):
    server = getattr(lab, upstream)(ZONE).start()
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream("example"))}).start()
    reply = nsregd.client(ZONE).claim("foo", "10.0.0.1")
    assert reply.rcode == "SERVFAIL" and "not published" in reply.text, reply
    assert forward(server, "foo") == set()


def test_one_name_that_is_denied_delays_nobody(lab):
    policy = f"deny nsreg-key name bad.{ZONE}. ANY; grant nsreg-key zonesub ANY"
    server = lab.named(Zone(ZONE, update_policy=policy + ";")).start()
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE))}, limits=PLENTY).start()
    client = nsregd.client(ZONE)
    with client.connect() as connection:
        names = [f"n{i}" for i in range(30)]
        names.insert(17, "bad")
        for i, name in enumerate(names):
            connection.send(client.original(name, [f"10.0.1.{i + 1}"], ttl=300))
        rcodes = [connection.receive().rcode for _ in names]
    assert sorted(rcodes) == ["NOERROR"] * 30 + ["SERVFAIL"]
    assert all(forward(server, name) for name in names if name != "bad")
    # It is tried again and again, and nobody notices.
    for i in range(12):
        assert client.claim(f"late{i}", "10.0.2.1").rcode == "NOERROR"
        time.sleep(0.25)
    assert client.claim("bad", "10.0.2.2").rcode == "SERVFAIL"


# -- what is not ours


@pytest.mark.parametrize("upstream", ["named", "knot", "pdns"])
def test_other_types_are_never_touched(lab, upstream):
    records = 'foo TXT "mine"\nfoo SSHFP 1 1 1234567890abcdef1234567890abcdef12345678\nfoo MX 10 mail.d.example.'
    server = getattr(lab, upstream)(Zone(ZONE, records=records)).start()
    before = server.records(ZONE)
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE))}).start()
    client = nsregd.client(ZONE)
    assert client.claim("foo", ("10.0.0.1", 2)).rcode == "NOERROR"
    assert server.records(ZONE) - before == {(f"foo.{ZONE}.", "A", "10.0.0.1")}
    assert before <= server.records(ZONE)
    eventually(lambda: server.records(ZONE) == before, 15)
    assert client.claim("foo", "fd00::1").rcode == "NOERROR"
    assert client.release("foo").rcode == "NOERROR"
    assert server.records(ZONE) == before


def test_unprotected_names_are_taken_over(lab):
    server = lab.named(Zone(ZONE, records="taken A 192.0.2.7")).start()
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE, protect_foreign_names=False))}).start()
    assert nsregd.client(ZONE).claim("taken", "10.0.0.1").rcode == "NOERROR"
    assert forward(server, "taken") == {("A", "10.0.0.1")}


@pytest.mark.parametrize("upstream", ["named", "knot", "pdns"])
def test_address_goes_to_another_name(lab, upstream):
    server = getattr(lab, upstream)(ZONE, *REVERSE).start()
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE, REVERSE))}).start()
    one, two = nsregd.client(ZONE), nsregd.client(ZONE)
    assert one.claim("one", "10.0.0.1", "10.0.0.2").rcode == "NOERROR"
    assert one.remove("one", "10.0.0.1").rcode == "NOERROR"
    assert two.claim("two", "10.0.0.1").rcode == "NOERROR"
    assert pointers(server) == {("1.0.0.10.in-addr.arpa.", f"two.{ZONE}."), ("2.0.0.10.in-addr.arpa.", f"one.{ZONE}.")}
    # A lease that is not given back in time: whoever comes next gets the pointer when it ends.
    assert two.release("two").rcode == "NOERROR"
    assert one.claim("one", ("10.0.0.3", 2)).rcode == "NOERROR"
    assert two.claim("two", "10.0.0.3").rcode == "NOERROR"
    eventually(lambda: ("3.0.0.10.in-addr.arpa.", f"two.{ZONE}.") in pointers(server), 10)


def test_pointers_for_sources_only(lab):
    reverse = ("127.in-addr.arpa", REVERSE[0])
    server = lab.named(ZONE, *reverse).start()
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE, reverse), ptr_policy="source")}).start()
    client = nsregd.client(ZONE, source="127.0.0.5")
    assert client.claim("foo", "10.0.0.1", "127.0.0.5").rcode == "NOERROR"
    assert pointers(server) == set()
    assert pointers(server, reverse[0]) == {("5.0.0.127.in-addr.arpa.", f"foo.{ZONE}.")}


def test_reverse_zones_elsewhere(lab):
    """The reverse zones in another server, which has no forward zone at all."""
    names, numbers = lab.named(ZONE).start(), lab.knot(*REVERSE).start()
    nsregd = lab.nsregd(zones={ZONE: zone(names.upstream(ZONE), numbers.upstream(None, REVERSE))}).start()
    client = nsregd.client(ZONE)
    assert client.claim("foo", "10.0.0.1", "fd00::1").rcode == "NOERROR"
    assert pointers(numbers) == {("1.0.0.10.in-addr.arpa.", f"foo.{ZONE}.")}
    assert len(pointers(numbers, REVERSE[1])) == 1
    assert client.release("foo").rcode == "NOERROR"
    assert not pointers(numbers) and not pointers(numbers, REVERSE[1])


# -- configurations that change


def reload(nsregd, *upstreams, zones=None, **options):
    at = len(nsregd.log())
    nsregd.config["zones"] = zones if zones is not None else {ZONE: zone(*upstreams, **options)}
    nsregd.reload()
    nsregd.wait_log("Configuration reloaded", after=at)


@pytest.fixture
def pair(lab):
    return lab.named(ZONE, *REVERSE).start(), lab.knot(ZONE, *REVERSE).start()


def test_order_does_not_matter(lab, pair):
    one, two = (server.upstream(ZONE, REVERSE) for server in pair)
    nsregd = lab.nsregd(zones={ZONE: zone(one, two)}).start()
    client = nsregd.client(ZONE)
    assert client.claim("foo", "10.0.0.1").rcode == "NOERROR"
    serials = [server.serial(name) for server in pair for name in (ZONE, *REVERSE)]
    reload(nsregd, two, one)
    assert client.claim("foo", "10.0.0.1").rcode == "NOERROR"
    assert [server.serial(name) for server in pair for name in (ZONE, *REVERSE)] == serials


def test_upstream_comes_and_goes(lab, pair):
    first, second = pair
    nsregd = lab.nsregd(zones={ZONE: zone(first.upstream(ZONE, REVERSE))}).start()
    client = nsregd.client(ZONE)
    for i in range(1, 30):
        assert client.claim(f"n{i}", f"10.0.0.{i}").rcode == "NOERROR"
    before = second.records(ZONE)
    # A new one is filled.
    reload(nsregd, first.upstream(ZONE, REVERSE), second.upstream(ZONE, REVERSE))
    eventually(lambda: len(second.records(ZONE) - before) == 29, 30)
    eventually(lambda: len(pointers(second)) == 29, 30)
    assert client.claim("n1", "10.0.0.1").rcode == "NOERROR"
    # One that is removed is drained.
    reload(nsregd, second.upstream(ZONE, REVERSE))
    eventually(lambda: not any(kind == "A" for _, kind, _ in first.records(ZONE)), 30)
    eventually(lambda: not pointers(first), 30)
    nsregd.wait_log("configured no more, and has nothing of ours")
    assert len(second.records(ZONE) - before) == 29
    assert client.claim("n1", "10.0.0.1").rcode == "NOERROR"


def test_removed_while_it_is_away(lab, pair):
    first, second = pair
    nsregd = lab.nsregd(zones={ZONE: zone(first.upstream(ZONE, REVERSE), second.upstream(ZONE))}).start()
    client = nsregd.client(ZONE)
    assert client.claim("foo", "10.0.0.1", ttl=600).rcode == "NOERROR"
    assert client.claim("bar", "10.0.0.2", ttl=600).rcode == "NOERROR"
    first.stop()
    reload(nsregd, second.upstream(ZONE))
    # Nobody waits for it any more, though it is being drained.
    assert client.claim("foo", "10.0.0.3", ttl=600).rcode == "NOERROR"
    # Reloaded once more, draining goes on.
    reload(nsregd, second.upstream(ZONE))
    first.start()
    eventually(lambda: not forward(first, "foo") and not forward(first, "bar"), 40)
    eventually(lambda: not pointers(first), 40)


def test_what_could_not_be_drained_is_resumed(lab, pair):
    first, second = pair
    nsregd = lab.nsregd(zones={ZONE: zone(first.upstream(ZONE), second.upstream(ZONE))}).start()
    client = nsregd.client(ZONE)
    assert client.claim("foo", "10.0.0.1", ttl=600).rcode == "NOERROR"
    assert client.claim("bar", "10.0.0.2", ttl=600).rcode == "NOERROR"
    first.stop()
    reload(nsregd, second.upstream(ZONE))
    assert client.release("bar").rcode == "NOERROR"
    # The old configuration is forgotten by a restart; the rows are not.
    nsregd.term()
    nsregd.start()
    nsregd.wait_log("and 2 names and addresses were left there")
    first.start()
    assert forward(first, "bar") == {("A", "10.0.0.2")}
    reload(nsregd, first.upstream(ZONE), second.upstream(ZONE))
    eventually(lambda: not forward(first, "bar"), 30)
    assert forward(first, "foo") == {("A", "10.0.0.1")}


def test_zone_comes_and_goes(lab, pair):
    server = lab.named(ZONE, "e.example", *REVERSE).start()
    both = {ZONE: zone(server.upstream(ZONE, REVERSE)), "e.example": zone(server.upstream("e.example", REVERSE))}
    nsregd = lab.nsregd(zones=dict(both)).start()
    one, two = nsregd.client(ZONE), nsregd.client("e.example")
    assert one.claim("one", "10.0.0.1", ttl=600).rcode == "NOERROR"
    assert two.claim("two", "10.0.0.2", ttl=600).rcode == "NOERROR"
    reload(nsregd, zones={ZONE: both[ZONE]})
    eventually(lambda: not forward(server, "two", "e.example"), 30)
    eventually(lambda: pointers(server) == {("1.0.0.10.in-addr.arpa.", f"one.{ZONE}.")}, 30)
    assert two.claim("two", "10.0.0.2").rcode == "NOTAUTH"
    # Its names were kept for its return.
    reload(nsregd, zones=both)
    eventually(lambda: forward(server, "two", "e.example") == {("A", "10.0.0.2")}, 30)
    assert nsregd.client("e.example").claim("two", "10.0.0.9").rcode == "REFUSED"


def test_filters_apply_to_what_is_published(lab, pair):
    server, _ = pair
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE, REVERSE))}).start()
    client = nsregd.client(ZONE)
    assert client.claim("foo", "10.0.0.1", "10.1.0.1", "fd00::1", ttl=600).rcode == "NOERROR"
    reload(nsregd, server.upstream(ZONE, REVERSE, exclude_nets=["10.1.0.0/16"]))
    eventually(lambda: forward(server, "foo") == {("A", "10.0.0.1"), ("AAAA", "fd00::1")}, 20)
    eventually(lambda: pointers(server) == {("1.0.0.10.in-addr.arpa.", f"foo.{ZONE}.")}, 20)
    # A reverse zone less, and one more.
    reload(nsregd, server.upstream(ZONE, REVERSE[:1]))
    eventually(lambda: not pointers(server, REVERSE[1]), 20)
    eventually(lambda: len(pointers(server)) == 2, 20)
    reload(nsregd, server.upstream(ZONE, REVERSE[1:]))
    eventually(lambda: len(pointers(server, REVERSE[1])) == 1 and not pointers(server), 20)
    # Another TTL.
    assert server.ttl(f"foo.{ZONE}", "A") == 60
    reload(nsregd, server.upstream(ZONE, REVERSE, record_ttl="123s"))
    eventually(lambda: server.ttl(f"foo.{ZONE}", "A") == 123, 20)
    eventually(lambda: server.ttl("1.0.0.10.in-addr.arpa", "PTR") == 123, 20)
    assert forward(server, "foo") == {("A", "10.0.0.1"), ("A", "10.1.0.1"), ("AAAA", "fd00::1")}


def test_reload_beside_a_silent_server(lab, pair):
    good, bad = pair
    upstreams = good.upstream(ZONE, tsig_fudge="1s"), bad.upstream(ZONE, timeout="10s")
    nsregd = lab.nsregd(zones={ZONE: zone(*upstreams)}).start()
    client, other = nsregd.client(ZONE), nsregd.client(ZONE)
    assert client.claim("foo", "10.0.0.1", ttl=600).rcode == "NOERROR"
    bad.pause()
    with client.connect() as waiting:
        waiting.send(client.original("bar", ["10.0.0.2"], ttl=600))
        eventually(lambda: forward(good, "bar"))
        reload(nsregd, upstreams[0])
        # Who waited for it does not any more.
        assert waiting.receive().rcode == "NOERROR"
    assert other.claim("baz", "10.0.0.3", ttl=600).rcode == "NOERROR"
    assert client.claim("foo", "10.0.0.1", ttl=600).rcode == "NOERROR"
    bad.resume()
    eventually(lambda: not forward(bad, "foo") and not forward(bad, "bar"), 40)


def test_records_that_are_not_kept(lab, pair):
    first, second = pair
    before = first.records(ZONE)
    nsregd = lab.nsregd(zones={ZONE: zone(first.upstream(ZONE, REVERSE, keep_records=False),
                                          second.upstream(ZONE, REVERSE))}).start()
    client = nsregd.client(ZONE)
    for i in range(1, 10):
        assert client.claim(f"n{i}", f"10.0.0.{i}", ttl=600).rcode == "NOERROR"
    kept = second.records(ZONE)
    assert nsregd.term() == 0
    assert first.records(ZONE) == before and not pointers(first)
    assert second.records(ZONE) == kept
    # The leases stand: all is back with the daemon.
    nsregd.start()
    eventually(lambda: len(first.records(ZONE) - before) == 9, 20)
    assert client.claim("n1", "10.0.0.1", ttl=600).rcode == "NOERROR"
    # A crash is no stop, and a reload is none.
    reload(nsregd, first.upstream(ZONE, REVERSE, keep_records=False), second.upstream(ZONE, REVERSE))
    never(lambda: len(first.records(ZONE) - before) != 9, 0.5)
    nsregd.kill()
    assert len(first.records(ZONE) - before) == 9


# -- reconciliation


@pytest.mark.parametrize("upstream", ["named", "knot", "pdns"])
def test_drift_is_repaired(lab, upstream):
    server = getattr(lab, upstream)(Zone(ZONE, records="static A 192.0.2.1"), *REVERSE).start()
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE, REVERSE))}, limits=PLENTY).start()
    client = nsregd.client(ZONE)
    for i in range(1, 40):
        assert client.claim(f"n{i}", f"10.0.0.{i}", ttl=900).rcode == "NOERROR"
    everything, numbers = server.records(ZONE), pointers(server)
    status, output = server.nsupdate(f"update delete n3.{ZONE}. A", f"update delete n7.{ZONE}. A",
                                     f"update add n7.{ZONE}. 60 A 192.0.2.77",
                                     f"update add n9.{ZONE}. 60 TXT \"a note\"",
                                     f"update add mine.{ZONE}. 60 A 192.0.2.78", zone=ZONE)
    assert status == 0, output
    status, output = server.nsupdate("update delete 5.0.0.10.in-addr.arpa. PTR",
                                     "update add 6.0.0.10.in-addr.arpa. 60 PTR printer.example.", zone=REVERSE[0])
    assert status == 0, output
    nsregd.reload()
    mine = {(f"mine.{ZONE}.", "A", "192.0.2.78"), (f"n9.{ZONE}.", "TXT", '"a note"')}
    eventually(lambda: server.records(ZONE) == everything | mine, 20)
    eventually(lambda: pointers(server) == numbers | {("6.0.0.10.in-addr.arpa.", "printer.example.")}, 20)
    for name in (f"n3.{ZONE}.", f"n7.{ZONE}.", "5.0.0.10.in-addr.arpa."):
        nsregd.wait_log(f"did not have what it should at {name}")
    assert nsregd.log().count("did not have what it should") == 3


def test_looking_moves_nothing(lab):
    server = lab.named(ZONE, *REVERSE).start()
    relay = lab.relay(server)
    nsregd = lab.nsregd(zones={ZONE: zone(relay.upstream(ZONE, REVERSE))}, limits=PLENTY).start()
    client = nsregd.client(ZONE)
    for i in range(1, 41):
        assert client.claim(f"n{i}", f"10.0.0.{i}", ttl=900).rcode == "NOERROR"
    serials = [server.serial(name) for name in (ZONE, *REVERSE)]
    updates = relay.n_updates
    nsregd.reload()
    eventually(lambda: relay.n_updates > updates)
    never(lambda: relay.n_updates > updates + 4, 0.5)
    assert [server.serial(name) for name in (ZONE, *REVERSE)] == serials


def test_alias_in_the_place_of_a_name(lab):
    """The administrator has replaced a registered name by an alias: it stays, and the owner is told."""
    server = lab.named(ZONE).start()
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE))}).start()
    client = nsregd.client(ZONE)
    assert client.claim("foo", "10.0.0.1", ttl=900).rcode == "NOERROR"
    status, output = server.nsupdate(f"update delete foo.{ZONE}. A", f"update add foo.{ZONE}. 60 CNAME bar.{ZONE}.")
    assert status == 0, output
    nsregd.reload()
    nsregd.wait_log("will not have foo")
    assert (f"foo.{ZONE}.", "CNAME", f"bar.{ZONE}.") in server.records(ZONE)
    assert client.claim("foo", "10.0.0.1", ttl=900).rcode == "SERVFAIL"
