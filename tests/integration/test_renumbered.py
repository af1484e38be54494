# SPDX-License-Identifier: LGPL-2.1-or-later
"""A name server has another address, or another spelling of it: what was published there is as much ours as before,
however the registrar comes to know of it."""

import os

import pytest

from lab import eventually

ZONE = "d.example"
NETS = ["127.0.0.0/8", "::1", "10.0.0.0/8"]
REVERSE = "10.in-addr.arpa"


def zone(*upstreams):
    return {"allowed-nets": NETS, "min-addr-ttl": "1s", "upstreams": list(upstreams)}


def published(server):
    return {record for zone in (ZONE, REVERSE) for record in server.records(zone)
            if record[1] in ("A", "PTR") and "localhost" not in record[2]}


def forward(server, name):
    return {data for owner, kind, data in published(server) if owner == f"{name}.{ZONE}."}


def two_addresses(lab, kind):
    """A server, and two entries that lead to it."""
    if kind in ("unbound-tls", "unbound-forward"):
        server = lab.unbound(ZONE, control="tls").start()
        entry = server.upstream(reverse=[REVERSE] if kind == "unbound-tls" else [])
        return server, entry, {**entry, "hostname": "localhost"}
    if kind == "unbound-unix":
        server = lab.unbound(ZONE, control="unix").start()
        entry = server.upstream(reverse=[REVERSE])
        other = entry["control-socket"] + ".other"
        os.symlink(entry["control-socket"], other)
        return server, entry, {**entry, "control-socket": other}
    server = getattr(lab, kind)(ZONE, REVERSE).start()
    return server, *(lab.relay(server).upstream(ZONE, [REVERSE]) for _ in range(2))


@pytest.mark.parametrize("way", ["reload", "restart", "kill", "kill twice"])
@pytest.mark.parametrize("kind", ["named", "knot", "pdns", "unbound-tls", "unbound-unix", "unbound-forward"])
def test_its_records_stay_ours(lab, kind, way):
    server, first, second = two_addresses(lab, kind)
    nsregd = lab.nsregd(zones={ZONE: zone(first)}).start()
    client = nsregd.client(ZONE)
    before = published(server)
    assert client.claim("foo", "10.0.0.1", ttl=600).rcode == "NOERROR"
    assert client.claim("bar", "10.0.0.2", ttl=600).rcode == "NOERROR"
    there = published(server)
    assert len(there - before) == (2 if kind == "unbound-forward" else 4)

    nsregd.config["zones"] = {ZONE: zone(second)}
    if way == "reload":
        at = len(nsregd.log())
        nsregd.reload()
        nsregd.wait_log("Configuration reloaded", after=at)
    else:
        for _ in range(2 if way == "kill twice" else 1):
            if way == "restart":
                nsregd.term()
            else:
                nsregd.kill()
            nsregd.start()
    # Nobody has to hear of it, and nothing has to be taken away.
    assert client.claim("foo", "10.0.0.1", ttl=600).rcode == "NOERROR"
    assert published(server) == there
    assert "configured no more" not in nsregd.log() and "forget" not in nsregd.log()
    assert nsregd.client(ZONE).claim("bar", "10.0.0.9").rcode == "REFUSED"
    # And what is to go, goes.
    assert client.send(client.original("foo", ["10.0.0.3"], ["10.0.0.1"], ttl=600)).rcode == "NOERROR"
    assert forward(server, "foo") == {"10.0.0.3"} and len(published(server)) == len(there)
    for name in ("foo", "bar"):
        assert client.release(name).rcode == "NOERROR"
    eventually(lambda: published(server) == before)


def reloaded(nsregd, zones):
    at = len(nsregd.log())
    nsregd.reload({**nsregd.config, "zones": zones})
    nsregd.wait_log("Configuration reloaded", after=at)


@pytest.mark.parametrize("way", ["reload", "kill before it comes back", "kill and reload"])
@pytest.mark.parametrize("kind", ["named", "knot", "pdns"])
def test_its_zone_was_configured_no_more_meanwhile(lab, kind, way):
    """The server goes, then the zone, and both come back elsewhere: what was published is ours still."""
    server = getattr(lab, kind)(ZONE, REVERSE).start()
    relay = lab.relay(server)
    nsregd = lab.nsregd(zones={ZONE: zone(relay.upstream(ZONE, [REVERSE]))}).start()
    client = nsregd.client(ZONE)
    before = published(server)
    assert client.claim("foo", "10.0.0.1", ttl=600).rcode == "NOERROR"
    relay.teardown()
    reloaded(nsregd, {})
    nsregd.wait_log("fails:")
    now = {ZONE: zone(server.upstream(ZONE, [REVERSE], tsig_fudge="2s"))}
    if way != "reload":
        nsregd.kill()
        nsregd.config["zones"] = {} if way == "kill and reload" else now
        nsregd.start()
    if way != "kill before it comes back":
        reloaded(nsregd, now)

    def accepted():
        reply = client.send(client.original("foo", ["10.0.0.3"], ["10.0.0.1"], ttl=600))
        # What was sent to the old address may be in doubt for a while; but the name is its owner's.
        assert reply.rcode in ("NOERROR", "SERVFAIL"), reply
        return reply.rcode == "NOERROR"
    eventually(accepted, 30)
    assert forward(server, "foo") == {"10.0.0.3"}
    assert client.release("foo").rcode == "NOERROR"
    eventually(lambda: published(server) == before)


def test_a_server_that_was_given_up_is_drained_beside_the_one_that_comes(lab):
    """It is reached: then it is not the one that the zone moved to."""
    old, new = lab.named(ZONE, REVERSE).start(), lab.named(ZONE, REVERSE).start()
    nsregd = lab.nsregd(zones={ZONE: zone(old.upstream(ZONE, [REVERSE]))}).start()
    client = nsregd.client(ZONE)
    for i in range(1, 9):
        assert client.claim(f"n{i}", f"10.0.0.{i}", ttl=600).rcode == "NOERROR"
    reloaded(nsregd, {})
    reloaded(nsregd, {ZONE: zone(new.upstream(ZONE, [REVERSE]))})
    eventually(lambda: not [record for record in published(old) if record[0].startswith("n")])
    eventually(lambda: all(forward(new, f"n{i}") == {f"10.0.0.{i}"} for i in range(1, 9)))


def test_one_of_two_that_go_is_not_guessed(lab):
    """Two servers went and one came: which of them it is, nobody knows."""
    gone = [lab.named(ZONE, REVERSE).start(), lab.knot(ZONE, REVERSE).start()]
    new = lab.named(ZONE, REVERSE).start()
    nsregd = lab.nsregd(zones={ZONE: zone(*(server.upstream(ZONE) for server in gone))}).start()
    client = nsregd.client(ZONE)
    assert client.claim("foo", "10.0.0.1", ttl=600).rcode == "NOERROR"
    nsregd.term()
    nsregd.config["zones"] = {ZONE: zone(new.upstream(ZONE))}
    nsregd.start()
    assert nsregd.log().count("configured no more, and 1 names and addresses were left") == 2
    eventually(lambda: forward(new, "foo") == {"10.0.0.1"})


def test_one_that_was_there_already_does_not_inherit(lab):
    """Of two servers of a zone one is given up; what it had is not the other's."""
    stays, goes = lab.named(ZONE, REVERSE).start(), lab.knot(ZONE, REVERSE).start()
    nsregd = lab.nsregd(zones={ZONE: zone(stays.upstream(ZONE), goes.upstream(ZONE))}).start()
    client = nsregd.client(ZONE)
    assert client.claim("foo", "10.0.0.1", ttl=600).rcode == "NOERROR"
    nsregd.term()
    nsregd.config["zones"] = {ZONE: zone(stays.upstream(ZONE))}
    nsregd.start()
    nsregd.wait_log("configured no more, and 1 names and addresses were left")
    nsregd.term()
    nsregd.config["zones"] = {ZONE: zone(stays.upstream(ZONE), goes.upstream(ZONE))}
    nsregd.start()
    assert client.release("foo").rcode == "NOERROR"
    eventually(lambda: not forward(stays, "foo") and not forward(goes, "foo"))
