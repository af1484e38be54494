# SPDX-License-Identifier: LGPL-2.1-or-later
"""From a claim to the records in real DNS servers, and out of them again, whatever happens in between."""

import time

import pytest

from lab import Zone, eventually, never

ZONE = "d.example"
NETS = ["127.0.0.0/8", "::1", "10.0.0.0/8", "fd00::/8"]
REVERSE = ("10.in-addr.arpa", "0.0.d.f.ip6.arpa")
SERVERS = ("named", "knot", "pdns")


def zone(*upstreams, **options):
    return {"allowed-nets": NETS, "min-addr-ttl": "1s", "upstreams": list(upstreams),
            **{key.replace("_", "-"): value for key, value in options.items()}}


def forward(server, name):
    return {(kind, data) for owner, kind, data in server.records(ZONE)
            if owner == f"{name}.{ZONE}." and kind in ("A", "AAAA")}


def pointers(server, reverse):
    return {(owner, data) for owner, kind, data in server.records(reverse) if kind == "PTR"}


@pytest.fixture(params=SERVERS)
def server(lab, request):
    static = "static A 192.0.2.1\nowned TXT \"mine\"\ntaken A 192.0.2.7\nalias CNAME static\nsub NS static"
    return getattr(lab, request.param)(Zone(ZONE, records=static), *REVERSE).start()


def test_claim_change_remove(lab, server):
    before = server.records(ZONE)
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE, REVERSE))}).start()
    client = nsregd.client(ZONE)

    assert client.claim("foo", "10.0.0.1", "fd00::1").rcode == "NOERROR"
    # Acknowledged is published: nothing to wait for.
    assert forward(server, "foo") == {("A", "10.0.0.1"), ("AAAA", "fd00::1")}
    assert pointers(server, REVERSE[0]) == {("1.0.0.10.in-addr.arpa.", f"foo.{ZONE}.")}
    assert len(pointers(server, REVERSE[1])) == 1

    message = client.update().delete(client.full("foo"), "10.0.0.1").add(client.full("foo"), 60, "10.0.0.2")
    message.key(client.full("foo"), client.key).sign(client.key, client.full("foo"))
    assert client.send(message).rcode == "NOERROR"
    assert forward(server, "foo") == {("A", "10.0.0.2"), ("AAAA", "fd00::1")}
    assert pointers(server, REVERSE[0]) == {("2.0.0.10.in-addr.arpa.", f"foo.{ZONE}.")}

    assert client.remove("foo", "10.0.0.2", "fd00::1").rcode == "NOERROR"
    assert server.records(ZONE) == before
    assert pointers(server, REVERSE[0]) == set() and pointers(server, REVERSE[1]) == set()


def test_lease_ends_upstream(lab, server):
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE, REVERSE))}).start()
    client = nsregd.client(ZONE)

    assert client.claim("foo", ("10.0.0.1", 3)).rcode == "NOERROR"
    time.sleep(1.5)
    begin = time.monotonic()
    assert client.claim("foo", ("10.0.0.1", 3)).rcode == "NOERROR"
    eventually(lambda: not forward(server, "foo"), 10)
    assert time.monotonic() - begin >= 2.9, "gone before its lease ended"
    eventually(lambda: not pointers(server, REVERSE[0]), 5)


def test_refresh_costs_the_server_nothing(lab, server):
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE, REVERSE))}).start()
    client = nsregd.client(ZONE)
    assert client.claim("foo", "10.0.0.1").rcode == "NOERROR"
    serials = [server.serial(name) for name in (ZONE, *REVERSE)]
    with client.connect() as connection:
        now = int(time.time())
        for i in range(50):
            # No more than 16 requests may share one inception.
            reply = client.claim("foo", "10.0.0.1", connection=connection, inception=now - 200 + i)
            assert reply.rcode == "NOERROR"
    assert [server.serial(name) for name in (ZONE, *REVERSE)] == serials


def test_foreign_data_is_never_touched(lab, server):
    before = server.records(ZONE)
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE, REVERSE))}).start()
    client = nsregd.client(ZONE)

    for name in ("taken", "alias", "sub", "static"):
        reply = client.claim(name, "10.0.0.1")
        assert reply.rcode == "REFUSED", (name, reply)
        assert "data of its own" in reply.text or "of its own" in reply.text or "CNAME" in reply.text, reply.text
        # Remembered: the second refusal costs the server nothing, and another key hears the same.
        serial = server.serial()
        assert client.claim(name, "10.0.0.1").rcode == "REFUSED"
        assert server.serial() == serial
    assert server.records(ZONE) == before
    assert pointers(server, REVERSE[0]) == set()

    # A TXT is no obstacle, and stays when the name goes.
    assert client.claim("owned", "10.0.0.9").rcode == "NOERROR"
    assert forward(server, "owned") == {("A", "10.0.0.9")}
    assert client.remove("owned", "10.0.0.9").rcode == "NOERROR"
    assert server.records(ZONE) == before


def test_foreign_data_after_a_claim_while_the_server_was_away(lab, server):
    """A claim that could not be checked is provisional: it ends when the server says no."""
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE, REVERSE))}).start()
    client = nsregd.client(ZONE)
    server.stop()
    reply = client.claim("taken", "10.0.0.1")
    assert reply.rcode == "SERVFAIL" and "not published" in reply.text
    server.restart()
    eventually(lambda: client.claim("taken", "10.0.0.1").rcode == "REFUSED", 20, interval=0.2)
    assert forward(server, "taken") == {("A", "192.0.2.7")}


def test_outage_at_claim_and_at_end(lab, server):
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE, REVERSE))}).start()
    client = nsregd.client(ZONE)
    server.stop()
    reply = client.claim("foo", "10.0.0.1", ttl=300)
    assert reply.rcode == "SERVFAIL"
    server.restart()
    eventually(lambda: client.claim("foo", "10.0.0.1", ttl=300).rcode == "NOERROR", 20, interval=0.2)
    assert forward(server, "foo") == {("A", "10.0.0.1")}

    server.stop()
    assert client.remove("foo", "10.0.0.1").rcode == "SERVFAIL"
    server.restart()
    eventually(lambda: not forward(server, "foo"), 20)
    eventually(lambda: not pointers(server, REVERSE[0]), 20)


def test_removal_survives_kill_and_outage(lab, server):
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE, REVERSE))}).start()
    client = nsregd.client(ZONE)
    assert client.claim("foo", "10.0.0.1").rcode == "NOERROR"
    server.stop()
    assert client.remove("foo", "10.0.0.1").rcode == "SERVFAIL"
    nsregd.kill()
    server.restart()
    nsregd.restart()
    eventually(lambda: not forward(server, "foo"), 20)
    eventually(lambda: "1.0.0.10.in-addr.arpa." not in dict(pointers(server, REVERSE[0])), 20)


def test_silent_server_keeps_nobody_else_waiting(lab):
    good, bad = lab.named(ZONE).start(), lab.knot(ZONE).start()
    nsregd = lab.nsregd(zones={ZONE: zone(bad.upstream(ZONE, timeout="2s"), good.upstream(ZONE))}).start()
    client = nsregd.client(ZONE)
    bad.pause()
    reply = client.claim("foo", "10.0.0.1")
    assert reply.rcode == "SERVFAIL"
    assert forward(good, "foo") == {("A", "10.0.0.1")}
    bad.resume()
    eventually(lambda: forward(bad, "foo") == {("A", "10.0.0.1")}, 30)


def test_two_names_on_one_address(lab, server):
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE, REVERSE))}).start()
    one, two = nsregd.client(ZONE), nsregd.client(ZONE)
    assert one.claim("one", "10.0.0.1").rcode == "NOERROR"
    assert two.claim("two", "10.0.0.1").rcode == "NOERROR"
    assert pointers(server, REVERSE[0]) == {("1.0.0.10.in-addr.arpa.", f"one.{ZONE}.")}
    assert one.release("one").rcode == "NOERROR"
    assert pointers(server, REVERSE[0]) == {("1.0.0.10.in-addr.arpa.", f"two.{ZONE}.")}
    assert two.release("two").rcode == "NOERROR"
    assert pointers(server, REVERSE[0]) == set()


def test_pointer_of_an_administrator_stays(lab, server):
    status, output = server.nsupdate("update add 1.0.0.10.in-addr.arpa. 60 PTR printer.example.",
                                     f"update add 2.0.0.10.in-addr.arpa. 60 PTR same.{ZONE}.", zone=REVERSE[0])
    assert status == 0, output
    before = pointers(server, REVERSE[0])
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE, REVERSE))}).start()
    client = nsregd.client(ZONE)
    assert client.claim("foo", "10.0.0.1").rcode == "NOERROR"
    assert ("1.0.0.10.in-addr.arpa.", "printer.example.") in pointers(server, REVERSE[0])
    assert client.claim("same", "10.0.0.2").rcode == "NOERROR"
    assert client.release("foo").rcode == "NOERROR"
    assert client.release("same").rcode == "NOERROR"
    eventually(lambda: pointers(server, REVERSE[0]) == before, 5)


def test_wrong_key_is_said(lab, server):
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE, key=server.key.wrong()))}).start()
    client = nsregd.client(ZONE)
    reply = client.claim("foo", "10.0.0.1")
    assert reply.rcode == "SERVFAIL"
    assert "BADSIG" in reply.text or "BADKEY" in reply.text or "not signed" in reply.text, reply.text
    assert nsregd.accepts()


def test_udp(lab, server):
    # A datagram may come twice: what was answered is certain only when it is too old.
    upstream = server.upstream(ZONE, REVERSE, tcp=False, tsig_fudge="1s")
    nsregd = lab.nsregd(zones={ZONE: zone(upstream)}).start()
    client = nsregd.client(ZONE)
    assert client.claim("foo", "10.0.0.1").rcode == "NOERROR"
    assert forward(server, "foo") == {("A", "10.0.0.1")}
    assert client.release("foo").rcode == "NOERROR"
    assert forward(server, "foo") == set()


def test_exclude_nets(lab, server):
    upstream = server.upstream(ZONE, REVERSE)
    upstream["exclude-nets"] = ["10.1.0.0/16"]
    nsregd = lab.nsregd(zones={ZONE: zone(upstream)}).start()
    client = nsregd.client(ZONE)
    assert client.claim("foo", "10.0.0.1", "10.1.0.1").rcode == "NOERROR"
    assert forward(server, "foo") == {("A", "10.0.0.1")}
    assert pointers(server, REVERSE[0]) == {("1.0.0.10.in-addr.arpa.", f"foo.{ZONE}.")}


def test_many_at_once_are_batched(lab, server):
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE, REVERSE))},
                        limits={"new-names-per-minute-per-source": 100000}).start()
    client = nsregd.client(ZONE)
    before = server.serial()
    with client.connect() as connection:
        for i in range(60):
            connection.send(client.original(f"n{i}", [f"10.0.1.{i + 1}"]))
        rcodes = [connection.receive().rcode for _ in range(60)]
    assert rcodes == ["NOERROR"] * 60
    assert {data for owner, kind, data in server.records(ZONE) if kind == "A" and data.startswith("10.0.1.")} == \
        {f"10.0.1.{i + 1}" for i in range(60)}
    assert never(lambda: server.serial() - before > 40, 0.2) is None
