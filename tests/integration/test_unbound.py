# SPDX-License-Identifier: LGPL-2.1-or-later
"""Unbound as upstream: by TLS and by unix socket, its restarts, its own data."""

import os

import pytest

from lab import Zone, eventually, never

ZONE = "d.example"
NETS = ["127.0.0.0/8", "::1", "10.0.0.0/8", "fd00::/8"]
REVERSE = ("10.in-addr.arpa", "0.0.d.f.ip6.arpa")
STATIC = f"static.{ZONE}. 300 IN A 192.0.2.1\ntaken.{ZONE}. 300 IN A 192.0.2.7\ntext.{ZONE}. 300 IN TXT mine"


def zone(*upstreams, **options):
    return {"allowed-nets": NETS, "min-addr-ttl": "1s", "upstreams": list(upstreams),
            **{key.replace("_", "-"): value for key, value in options.items()}}


def forward(server, name):
    return {(kind, data) for owner, kind, data in server.records(ZONE) if owner == f"{name}.{ZONE}."}


def pointers(server, reverse):
    return {(owner, data) for owner, kind, data in server.records(reverse)
            if kind == "PTR" and not data.startswith("localhost")}


@pytest.fixture(params=["tls", "unix"])
def server(lab, request):
    return lab.unbound(Zone(ZONE, records=STATIC), control=request.param).start()


def test_claim_change_remove(lab, server):
    before = server.records(ZONE)
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(reverse=REVERSE, record_ttl="77s"))}).start()
    client = nsregd.client(ZONE)
    assert client.claim("foo", "10.0.0.1", "fd00::1").rcode == "NOERROR"
    assert forward(server, "foo") == {("A", "10.0.0.1"), ("AAAA", "fd00::1")}
    assert server.addresses(f"foo.{ZONE}") == {"10.0.0.1", "fd00::1"}
    assert server.ttl(f"foo.{ZONE}", "A") == 77
    assert pointers(server, REVERSE[0]) == {("1.0.0.10.in-addr.arpa.", f"foo.{ZONE}.")}
    assert len(pointers(server, REVERSE[1])) == 1

    # One address changes, the other survives it; so does one that is only added to.
    message = client.update().delete(client.full("foo"), "10.0.0.1").add(client.full("foo"), 60, "10.0.0.2")
    message.key(client.full("foo"), client.key).sign(client.key, client.full("foo"))
    assert client.send(message).rcode == "NOERROR"
    assert forward(server, "foo") == {("A", "10.0.0.2"), ("AAAA", "fd00::1")}
    assert client.claim("foo", "10.0.0.3").rcode == "NOERROR"
    assert forward(server, "foo") == {("A", "10.0.0.2"), ("A", "10.0.0.3"), ("AAAA", "fd00::1")}
    assert pointers(server, REVERSE[0]) == {(f"{i}.0.0.10.in-addr.arpa.", f"foo.{ZONE}.") for i in (2, 3)}

    assert client.remove("foo", "10.0.0.2", "10.0.0.3", "fd00::1").rcode == "NOERROR"
    assert server.records(ZONE) == before
    assert pointers(server, REVERSE[0]) == set() and pointers(server, REVERSE[1]) == set()


def test_lease_ends(lab, server):
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream())}).start()
    assert nsregd.client(ZONE).claim("foo", ("10.0.0.1", 2)).rcode == "NOERROR"
    eventually(lambda: not forward(server, "foo"), 10)


def test_foreign_data(lab, server):
    before = server.records(ZONE)
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(reverse=REVERSE))}).start()
    client = nsregd.client(ZONE)
    for name in ("static", "taken", "text"):
        reply = client.claim(name, "10.0.0.1")
        assert reply.rcode == "REFUSED", (name, reply)
    assert server.records(ZONE) == before
    # A pointer of the administrator's stays what it is, and refuses nothing.
    server.control_command("local_data", "9.0.0.10.in-addr.arpa. 60 IN PTR printer.example.")
    assert client.claim("foo", "10.0.0.9").rcode == "NOERROR"
    assert client.release("foo").rcode == "NOERROR"
    assert pointers(server, REVERSE[0]) == {("9.0.0.10.in-addr.arpa.", "printer.example.")}


def test_restart_is_noticed(lab, server):
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(reverse=REVERSE))}).start()
    client = nsregd.client(ZONE)
    for i in range(1, 21):
        assert client.claim(f"n{i}", f"10.0.0.{i}").rcode == "NOERROR"
    everything = server.records(ZONE)
    server.kill()
    server.start()
    # Without anything to do there; nobody has to ask.
    eventually(lambda: server.records(ZONE) == everything, 40)
    eventually(lambda: len(pointers(server, REVERSE[0])) == 20, 20)

    # What changes while it is away is right afterwards, too.
    server.kill()
    assert client.remove("n1", "10.0.0.1").rcode == "SERVFAIL"
    assert client.claim("n2", "10.0.1.2").rcode == "SERVFAIL"
    server.start()
    eventually(lambda: not forward(server, "n1") and forward(server, "n2") == {("A", "10.0.0.2"), ("A", "10.0.1.2")},
               40)
    eventually(lambda: forward(server, "n20") == {("A", "10.0.0.20")}, 20)

    # A reload of Unbound forgets as much as a restart.
    server.control_command("reload")
    eventually(lambda: forward(server, "n20") == {("A", "10.0.0.20")}, 40)
    # And a restart of Unbound while nsregd is away.
    nsregd.term()
    server.restart()
    nsregd.start()
    eventually(lambda: forward(server, "n20") == {("A", "10.0.0.20")}, 40)
    assert client.claim("n20", "10.0.0.20").rcode == "NOERROR"


def test_restart_of_nsregd_disturbs_nothing(lab, server):
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream())}).start()
    client = nsregd.client(ZONE)
    assert client.claim("foo", "10.0.0.1").rcode == "NOERROR"
    for way in (nsregd.term, nsregd.kill):
        way()
        assert forward(server, "foo") == {("A", "10.0.0.1")}
        nsregd.start()
        never(lambda: forward(server, "foo") != {("A", "10.0.0.1")}, 0.5)


def test_drift_is_repaired(lab, server):
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream())}).start()
    client = nsregd.client(ZONE)
    assert client.claim("foo", "10.0.0.1").rcode == "NOERROR"
    server.control_command("local_data", f"mine.{ZONE} 60 IN A 192.0.2.9")

    def repaired_and_told():
        server.control_command("local_data_remove", f"foo.{ZONE}")
        nsregd.reload()
        eventually(lambda: forward(server, "foo") == {("A", "10.0.0.1")}, 20)
        return "did not have what it should" in nsregd.log()
    # All names of an Unbound that is new are published once more in any case, which nobody has to be told.
    eventually(repaired_and_told, 30)
    # Nothing is deleted that we never made.
    assert forward(server, "mine") == {("A", "192.0.2.9")}


@pytest.mark.parametrize("kind", ["transparent", "static", "none"])
def test_zone_is_made(lab, kind):
    server = lab.unbound(ZONE, configure_zones=False, control="unix").start()
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(zone_type=kind))}).start()
    assert nsregd.client(ZONE).claim("foo", "10.0.0.1").rcode == "NOERROR"
    assert forward(server, "foo") == {("A", "10.0.0.1")}
    zones = server.control_command("list_local_zones").splitlines()
    if kind == "none":
        assert not any(line.startswith(f"{ZONE}.") for line in zones)
    else:
        assert f"{ZONE}. {kind}" in zones


def test_zone_that_is_there_is_left_as_it_is(lab):
    server = lab.unbound(ZONE, local_zone_type="static", control="unix").start()
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(zone_type="transparent"))}).start()
    assert nsregd.client(ZONE).claim("foo", "10.0.0.1").rcode == "NOERROR"
    assert f"{ZONE}. static" in server.control_command("list_local_zones").splitlines()


def test_two_zones_of_one_unbound(lab):
    server = lab.unbound(ZONE, "e.example", control="unix").start()
    upstream = server.upstream(reverse=REVERSE)
    nsregd = lab.nsregd(zones={ZONE: zone(upstream), "e.example": zone(upstream)}).start()
    one, two = nsregd.client(ZONE), nsregd.client("e.example")
    assert one.claim("one", "10.0.0.1").rcode == "NOERROR"
    assert two.claim("two", "10.0.0.1").rcode == "NOERROR"
    assert forward(server, "one") == {("A", "10.0.0.1")}
    assert server.addresses("two.e.example") == {"10.0.0.1"}
    assert one.release("one").rcode == "NOERROR"
    assert pointers(server, REVERSE[0]) == {("1.0.0.10.in-addr.arpa.", "two.e.example.")}


def test_certificates_that_do_not_fit(lab):
    server, other = lab.unbound(ZONE).start(), lab.unbound(ZONE)
    # A certificate of its own, from another set-up.
    os.makedirs(other.path("x"), exist_ok=True)
    import subprocess
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=unbound", "-days", "2", "-keyout", other.path("other.key"), "-out",
                    other.path("other.pem")], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    upstream = server.upstream(server_cert=other.path("other.pem"))
    nsregd = lab.nsregd(zones={ZONE: zone(upstream)}).start()
    reply = nsregd.client(ZONE).claim("foo", "10.0.0.1")
    assert reply.rcode == "SERVFAIL" and "certificate" in reply.text, reply
    assert forward(server, "foo") == set()
    # Nor does Unbound take ours.
    nsregd.term()
    nsregd.config["zones"][ZONE] = zone(server.upstream(client_cert=other.path("other.pem"),
                                                        client_key=other.path("other.key")))
    nsregd.start()
    reply = nsregd.client(ZONE).claim("bar", "10.0.0.1")
    assert reply.rcode == "SERVFAIL", reply
    assert forward(server, "bar") == set()


def test_away_at_the_claim(lab, server):
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream())}).start()
    client = nsregd.client(ZONE)
    server.stop()
    reply = client.claim("foo", "10.0.0.1", ttl=300)
    assert reply.rcode == "SERVFAIL" and "not published" in reply.text
    assert client.claim("taken", "10.0.0.2", ttl=300).rcode == "SERVFAIL"
    server.start()
    eventually(lambda: client.claim("foo", "10.0.0.1", ttl=300).rcode == "NOERROR", 30)
    eventually(lambda: client.claim("taken", "10.0.0.2", ttl=300).rcode == "REFUSED", 30)
    assert forward(server, "taken") == {("A", "192.0.2.7")}
    # Silent: no longer than its time-out.
    server.pause()
    assert client.claim("bar", "10.0.0.3", ttl=300).rcode == "SERVFAIL"
    server.resume()
    eventually(lambda: forward(server, "bar") == {("A", "10.0.0.3")}, 30)


def test_many_names(lab, server):
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(reverse=REVERSE))},
                        limits={"new-names-per-minute-per-source": 100000}).start()
    client = nsregd.client(ZONE)
    with client.connect() as connection:
        for i in range(60):
            connection.send(client.original(f"n{i}", [f"10.0.1.{i + 1}"]))
        assert [connection.receive().rcode for _ in range(60)] == ["NOERROR"] * 60
    assert len(pointers(server, REVERSE[0])) == 60
    assert all(forward(server, f"n{i}") for i in range(60))


# --- two zones at one Unbound, of which one goes and comes

OTHER = "e.example"


def two_zones(server, second=True):
    return {name: zone(server.upstream(reverse=REVERSE)) for name in (ZONE, OTHER) if second or name == ZONE}


def reloaded(nsregd, zones):
    after = len(nsregd.log())
    nsregd.reload({**nsregd.config, "zones": zones})
    nsregd.wait_log("Configuration reloaded", after=after)


def of_other(server, name):
    return {(kind, data) for owner, kind, data in server.records(OTHER) if owner == f"{name}.{OTHER}."}


def test_a_zone_that_goes_while_its_change_is_under_way(lab, server):
    """What is ours of a zone that is configured no more leaves the server, whatever was on its way there."""
    nsregd = lab.nsregd(zones=two_zones(server)).start()
    client, other = nsregd.client(ZONE), nsregd.client(OTHER)
    assert other.claim("foo", "10.0.0.1").rcode == "NOERROR"
    server.kill()
    assert other.claim("foo", "10.0.0.2").rcode == "SERVFAIL"
    reloaded(nsregd, two_zones(server, second=False))
    server.start()
    assert eventually(lambda: client.claim("bar", "10.0.0.9").rcode == "NOERROR", 30)
    never(lambda: of_other(server, "foo") or len(pointers(server, REVERSE[0])) != 1, 3)
    # It comes back, and what its owner has is there again.
    reloaded(nsregd, two_zones(server))
    assert eventually(lambda: other.claim("foo", "10.0.0.3").rcode == "NOERROR", 20)
    assert of_other(server, "foo") == {("A", f"10.0.0.{i}") for i in (1, 2, 3)}
    assert len(pointers(server, REVERSE[0])) == 4


def test_a_zone_that_was_away_over_a_crash(lab, server):
    """Its owners are not refused over what is their own and was not taken away yet."""
    nsregd = lab.nsregd(zones=two_zones(server)).start()
    other = nsregd.client(OTHER)
    assert other.claim("foo", "10.0.0.1").rcode == "NOERROR"
    server.pause()
    reloaded(nsregd, two_zones(server, second=False))
    nsregd.kill()
    nsregd.start()
    reloaded(nsregd, two_zones(server))
    assert other.claim("foo", "10.0.0.2").rcode == "SERVFAIL"
    server.resume()
    assert eventually(lambda: other.claim("foo", "10.0.0.3").rcode == "NOERROR", 30)
    assert of_other(server, "foo") == {("A", f"10.0.0.{i}") for i in (1, 2, 3)}
