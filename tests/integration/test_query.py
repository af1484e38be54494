# SPDX-License-Identifier: LGPL-2.1-or-later
"""What nsregd answers itself: about itself, and with the builtin upstream about its zones."""

import os
import socket
import time

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.reversename
import pytest

from lab import eventually

ZONE = "d.example"
NETS = ["127.0.0.0/8", "::1", "10.0.0.0/8", "fd00::/8"]
BUILTIN = {"type": "builtin", "reverse-zones": ["10.in-addr.arpa", "0.0.d.f.ip6.arpa"], "record-ttl": "60s"}


def ask(nsregd, name, kind="A", tcp=False, edns=0, payload=1232, rdclass="IN", options=None):
    message = dns.message.make_query(name, kind, rdclass)
    message.use_edns(edns, 0, payload, options=options)
    message.flags &= ~dns.flags.RD
    send = dns.query.tcp if tcp else dns.query.udp
    return send(message, nsregd.address, 10, nsregd.port)


def data(section, kind):
    return {rdata.to_text() for rrset in section if rrset.rdtype == dns.rdatatype.from_text(kind) for rdata in rrset}


@pytest.fixture(scope="module")
def nsregd(lab_of_module):
    daemon = lab_of_module.nsregd(zones={ZONE: {"allowed-nets": NETS, "min-addr-ttl": "1s", "upstreams": [BUILTIN]}},
                                  server_name="ns.example.net").start()
    assert daemon.client(ZONE).claim("foo", ("10.1.2.3", 600), ("fd00::5", 600)).rcode == "NOERROR"
    assert daemon.client(ZONE).claim("six", ("fd00::6", 600)).rcode == "NOERROR"
    return daemon


@pytest.mark.parametrize("tcp", [False, True])
class TestBuiltin:
    def test_addresses(self, nsregd, tcp):
        for name in (f"foo.{ZONE}", f"FOO.{ZONE.upper()}"):
            reply = ask(nsregd, name, "A", tcp)
            assert reply.rcode() == dns.rcode.NOERROR and reply.flags & dns.flags.AA
            assert not reply.flags & dns.flags.RA
            assert data(reply.answer, "A") == {"10.1.2.3"}
            assert reply.answer[0].ttl == 60
        assert data(ask(nsregd, f"foo.{ZONE}", "AAAA", tcp).answer, "AAAA") == {"fd00::5"}

    def test_no_data_and_no_name(self, nsregd, tcp):
        for name, kind, rcode in ((f"six.{ZONE}", "A", dns.rcode.NOERROR), (f"foo.{ZONE}", "TXT", dns.rcode.NOERROR),
                                  (f"bar.{ZONE}", "A", dns.rcode.NXDOMAIN),
                                  (f"x.foo.{ZONE}", "A", dns.rcode.NXDOMAIN),
                                  (f"_tcp.{ZONE}", "A", dns.rcode.NOERROR),
                                  (f"_dns-sd._udp.{ZONE}", "PTR", dns.rcode.NOERROR)):
            reply = ask(nsregd, name, kind, tcp)
            assert reply.rcode() == rcode, (name, kind, reply)
            assert not reply.answer and len(data(reply.authority, "SOA")) == 1, (name, kind, reply)

    def test_apex(self, nsregd, tcp):
        assert len(data(ask(nsregd, ZONE, "SOA", tcp).answer, "SOA")) == 1
        assert data(ask(nsregd, ZONE, "NS", tcp).answer, "NS") == {"ns.example.net."}
        reply = ask(nsregd, ZONE, "A", tcp)
        assert reply.rcode() == dns.rcode.NOERROR and not reply.answer

    def test_server(self, nsregd, tcp):
        reply = ask(nsregd, f"_nsreg._tcp.{ZONE}", "SRV", tcp)
        assert data(reply.answer, "SRV") == {f"0 0 {nsregd.port} ns.example.net."}
        assert data(reply.additional, "A") == {"127.0.0.1"}

    def test_browsing(self, nsregd, tcp):
        for label in ("r", "b", "dr"):
            assert data(ask(nsregd, f"{label}._dns-sd._udp.{ZONE}", "PTR", tcp).answer, "PTR") == {f"{ZONE}."}

    def test_pointers(self, nsregd, tcp):
        assert data(ask(nsregd, "3.2.1.10.in-addr.arpa", "PTR", tcp).answer, "PTR") == {f"foo.{ZONE}."}
        six = dns.reversename.from_address("fd00::6").to_text()
        assert data(ask(nsregd, six, "PTR", tcp).answer, "PTR") == {f"six.{ZONE}."}
        assert ask(nsregd, "4.2.1.10.in-addr.arpa", "PTR", tcp).rcode() == dns.rcode.NXDOMAIN
        # Above a name there is a name, empty.
        for name in ("2.1.10.in-addr.arpa", "1.10.in-addr.arpa"):
            reply = ask(nsregd, name, "PTR", tcp)
            assert reply.rcode() == dns.rcode.NOERROR and not reply.answer, name
        assert ask(nsregd, "9.10.in-addr.arpa", "PTR", tcp).rcode() == dns.rcode.NXDOMAIN
        assert len(data(ask(nsregd, "10.in-addr.arpa", "SOA", tcp).answer, "SOA")) == 1

    def test_any_is_minimal(self, nsregd, tcp):
        reply = ask(nsregd, f"foo.{ZONE}", "ANY", tcp)
        assert len(reply.answer) == 1 and len(reply.answer[0]) == 1

    def test_what_is_not_served(self, nsregd, tcp):
        for name, kind, rdclass in (("example.org", "A", "IN"), (f"foo.{ZONE}", "A", "CH"), (ZONE, "AXFR", "IN")):
            if kind == "AXFR" and not tcp:
                continue
            reply = ask(nsregd, name, kind, tcp, rdclass=rdclass)
            assert reply.rcode() == dns.rcode.REFUSED, (name, kind, rdclass)

    def test_edns(self, nsregd, tcp):
        reply = ask(nsregd, f"foo.{ZONE}", "A", tcp)
        assert reply.edns == 0 and reply.payload == 1232
        assert ask(nsregd, f"foo.{ZONE}", "A", tcp, edns=1).rcode() == dns.rcode.BADVERS
        assert ask(nsregd, f"foo.{ZONE}", "A", tcp, edns=False).edns == -1
        unknown = [dns.edns.GenericOption(65001, b"whatever")]
        assert data(ask(nsregd, f"foo.{ZONE}", "A", tcp, options=unknown).answer, "A") == {"10.1.2.3"}


def test_a_large_answer_is_truncated_over_udp(lab):
    addresses = [f"fd00::{number:x}" for number in range(1, 41)]
    nsregd = lab.nsregd(zones={ZONE: {"allowed-nets": NETS, "max-records-per-name": 64}},
                        limits={"rrs-per-message": 100}).start()
    assert nsregd.client(ZONE).claim("big", *addresses).rcode == "NOERROR"
    for edns, payload, limit in ((False, 0, 512), (0, 600, 600), (0, 4096, 1232)):
        message = dns.message.make_query(f"big.{ZONE}", "AAAA", use_edns=edns, payload=payload or 1232)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.settimeout(10)
            peer.sendto(message.to_wire(), (nsregd.address, nsregd.port))
            octets = peer.recv(65535)
        reply = dns.message.from_wire(octets, ignore_trailing=False)
        assert len(octets) <= limit
        # Forty addresses are 40 * 28 octets: they fit into 1232 but not into less.
        assert bool(reply.flags & dns.flags.TC) == (limit < 1232)
    assert data(ask(nsregd, f"big.{ZONE}", "AAAA", tcp=True).answer, "AAAA") == set(addresses)


def test_ttl_does_not_outlive_the_lease(lab):
    nsregd = lab.nsregd(zones={ZONE: {"allowed-nets": NETS, "min-addr-ttl": "1s"}}).start()
    assert nsregd.client(ZONE).claim("foo", ("10.0.0.1", 5)).rcode == "NOERROR"
    reply = ask(nsregd, f"foo.{ZONE}")
    assert 1 <= reply.answer[0].ttl <= 5


def test_serial_moves_with_changes_only_and_never_back(lab):
    nsregd = lab.nsregd(zones={ZONE: {"allowed-nets": NETS}}).start()

    def serial():
        return ask(nsregd, ZONE, "SOA").answer[0][0].serial

    client = nsregd.client(ZONE)
    first = serial()
    assert client.claim("foo", "10.0.0.1").rcode == "NOERROR"
    second = serial()
    assert second > first
    assert client.claim("foo", "10.0.0.1").rcode == "NOERROR"
    assert serial() == second
    nsregd.kill()
    nsregd.restart()
    assert serial() > second


def test_zone_that_others_serve(lab):
    """nsregd knows its registrations there, but only says where it is, and what nsupdate asks for."""
    named = lab.named(ZONE).start()
    nsregd = lab.nsregd(zones={ZONE: {"allowed-nets": NETS, "upstreams": [named.upstream(ZONE)]}}).start()
    assert nsregd.client(ZONE).claim("foo", "10.0.0.1").rcode == "NOERROR"
    assert len(data(ask(nsregd, f"_nsreg._tcp.{ZONE}", "SRV").answer, "SRV")) == 1
    assert len(data(ask(nsregd, ZONE, "SOA").answer, "SOA")) == 1
    for name, rcode in ((f"foo.{ZONE}", dns.rcode.NOERROR), (f"bar.{ZONE}", dns.rcode.NXDOMAIN)):
        reply = ask(nsregd, name, "SOA")
        assert reply.rcode() == rcode and len(data(reply.authority, "SOA")) == 1
    assert ask(nsregd, f"foo.{ZONE}", "A").rcode() == dns.rcode.REFUSED


def test_strangers_get_little(lab):
    nsregd = lab.nsregd(zones={ZONE: {"allowed-nets": NETS, "query-nets": ["10.0.0.0/8"]}}).start()
    refused = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.connect((nsregd.address, nsregd.port))
        peer.settimeout(0.3)
        for _ in range(200):
            peer.send(dns.message.make_query(f"foo.{ZONE}", "A").to_wire())
        try:
            while True:
                assert dns.message.from_wire(peer.recv(4096)).rcode() == dns.rcode.REFUSED
                refused += 1
        except socket.timeout:
            pass
    assert 1 <= refused <= 40


def test_update_over_udp_is_refused(nsregd):
    """Without further work and without a text: whoever sent it may be somebody else than it says."""
    client = nsregd.client(ZONE)
    message = client.original("bar", ["10.0.0.1"])
    reply = eventually(lambda: client.send_udp(message, timeout=0.3), 20, "an answer within the strangers' rate")
    assert reply.rcode == "REFUSED" and reply.text == "" and len(reply.octets) <= len(message.wire)
    assert not nsregd.addresses(f"bar.{ZONE}")


@pytest.mark.parametrize("opcode", (1, 2, 3, 4, 5, 6, 15))
def test_no_opcode_is_a_reflector(lab, opcode):
    """A datagram of any opcode gets at most an answer of its own size, and all strangers together a few a second:
    what comes back is worth no forged address."""
    nsregd = lab.nsregd(zones={ZONE: {"allowed-nets": NETS}}).start()
    question = dns.message.make_query(ZONE, "SOA").to_wire()
    message = question[:2] + bytes([opcode << 3, 0]) + question[4:]
    count = octets = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.connect((nsregd.address, nsregd.port))
        for _ in range(300):
            peer.send(message)
            peer.send(message[:12].ljust(12, b"\0")[:4] + b"\0" * 8)
        # A friend's question, asked until it got through, is answered behind all of them.
        deadline = time.monotonic() + 30
        peer.settimeout(0.5)
        while True:
            assert time.monotonic() < deadline
            try:
                reply = peer.recv(4096)
            except socket.timeout:
                peer.send(dns.message.make_query(f"foo.{ZONE}", "A").to_wire())
                continue
            if reply[2] >> 3 & 15 == 0:
                break
            assert reply[3] & 15 == (5 if opcode == 5 else 4)
            assert len(reply) <= len(message)
            count, octets = count + 1, octets + len(reply)
    assert 1 <= count <= 40 and octets <= 40 * len(message)


HOSTNAME = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"']


def own_name(lab, hostname, **settings):
    """A registrar on a machine with this host name."""
    nsregd = lab.nsregd(zones={ZONE: {"allowed-nets": NETS, "min-addr-ttl": "1s"}}, **settings)
    command = nsregd.command
    nsregd.command = lambda: [*HOSTNAME, hostname, *command()]
    return nsregd


@pytest.mark.skipif(os.geteuid() != 0, reason="host names of its own need root")
@pytest.mark.parametrize("hostname, settings, server", (
    ("box", {}, f"nsreg.{ZONE}"),
    (f"box.{ZONE}", {}, f"box.{ZONE}"),
    ("box", {"server_name": f"registrar.{ZONE}"}, f"registrar.{ZONE}"),
))
def test_nobody_claims_where_the_registrar_is(lab, hostname, settings, server):
    """Whatever SRV, NS and SOA say: who owned that name would have all clients."""
    nsregd = own_name(lab, hostname, **settings).start()
    srv = nsregd.query(f"_nsreg._tcp.{ZONE}", "SRV")
    assert data(srv.answer, "SRV") == {f"0 0 {nsregd.port} {server}."}
    assert data(nsregd.query(ZONE, "NS").answer, "NS") == {f"{server}."}
    assert data(nsregd.query(ZONE, "SOA").answer, "SOA").pop().startswith(f"{server}. ")
    reply = nsregd.client(ZONE).claim(server.split(".", 1)[0], ("10.6.6.6", 600))
    assert reply.rcode == "REFUSED" and "reserved" in reply.text
    assert nsregd.addresses(server) == {nsregd.address}


@pytest.mark.skipif(os.geteuid() != 0, reason="host names of its own need root")
def test_a_claimed_server_name_is_told_and_not_served(lab):
    """A name that was claimed while the registrar had another one, and becomes its own."""
    nsregd = own_name(lab, "box")
    nsregd.config["server-name"] = f"old.{ZONE}"
    nsregd.start()
    thief = nsregd.client(ZONE)
    assert thief.claim("nsreg", ("10.6.6.6", 600)).rcode == "NOERROR"
    assert nsregd.addresses(f"nsreg.{ZONE}") == {"10.6.6.6"}
    nsregd.term()
    del nsregd.config["server-name"]
    nsregd.start()
    nsregd.wait_log(f"nsreg.{ZONE}. is this registrar's own name")
    assert nsregd.addresses(f"nsreg.{ZONE}") == {nsregd.address}
    eventually(lambda: not data(nsregd.query("6.6.6.10.in-addr.arpa", "PTR").answer, "PTR"))
    reply = thief.claim("nsreg", ("10.6.6.7", 600))
    assert reply.rcode == "REFUSED" and "reserved" in reply.text


def test_empty_networks_mean_nobody(lab):
    """An explicit empty list is none, not the default."""
    nsregd = lab.nsregd(zones={ZONE: {"allowed-nets": []}, "e.example": {"allowed-nets": NETS, "query-nets": []},
                               "f.example": {"allowed-nets": NETS, "updates-from": []}}).start()
    client = nsregd.client(ZONE)
    reply = client.claim("foo", ("127.0.0.1", 600))
    assert reply.rcode == "REFUSED" and "allow" in reply.text
    assert ask(nsregd, ZONE, "SOA", tcp=True).rcode() == dns.rcode.REFUSED  # query-nets is allowed-nets
    assert nsregd.client("e.example").claim("foo", ("10.0.0.1", 600)).rcode == "NOERROR"
    assert ask(nsregd, "foo.e.example", "A", tcp=True).rcode() == dns.rcode.REFUSED
    owner = nsregd.client("f.example")
    assert owner.claim("foo", ("10.0.0.1", 600)).rcode == "NOERROR"
    reply = owner.claim("foo", ("10.0.0.2", 600))
    assert reply.rcode == "REFUSED" and "updates-from" in reply.text
    status, printed, _ = nsregd.run("--print")
    assert status == 0 and printed.count(": []") >= 3


def test_answer_leaves_from_the_address_that_was_asked(lab):
    """With a wildcard socket and several addresses of the machine."""
    nsregd = lab.nsregd(zones={ZONE: {"allowed-nets": NETS}}, address="0.0.0.0")
    nsregd.address = "127.0.0.1"
    nsregd.start()
    for address in ("127.0.0.1", "127.0.0.77"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.settimeout(10)
            peer.sendto(dns.message.make_query(f"_nsreg._tcp.{ZONE}", "SRV").to_wire(), (address, nsregd.port))
            octets, sender = peer.recvfrom(4096)
        assert sender[0] == address
        assert data(dns.message.from_wire(octets).additional, "A") == {address}


def test_malformed_queries_change_nothing(nsregd):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.connect((nsregd.address, nsregd.port))
        good = dns.message.make_query(f"foo.{ZONE}", "A").to_wire()
        for octets in (b"", b"\0", good[:11], good[:20], good + b"x", b"\xff" * 512, good[:2] + b"\x80" + good[3:]):
            peer.send(octets)
    eventually(lambda: data(ask(nsregd, f"foo.{ZONE}", "A").answer, "A") == {"10.1.2.3"}, 10)
