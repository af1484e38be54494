# SPDX-License-Identifier: LGPL-2.1-or-later
"""The two dialects end to end: the original's, octet by octet as its clients send it and read the answer, and plain
RFC 2136 as the real nsupdate and Net::DNS send it."""

import os
import shutil
import socket
import struct
import subprocess
import time

import dns.message
import pytest

from lab import ALGORITHMS, Key, eventually
from lab.dns import address_rdata, rr

ZONE = "d.example"


@pytest.fixture
def registrar(lab):
    return lab.nsregd({ZONE: {"max-addr-ttl": "1h", "algorithms": list(ALGORITHMS)}}).start()


# -- the original's

def test_original_claim_and_echo(registrar):
    """As its client does: KEY of flags 256 in additional, no OPT, one exchange per connection; the answer echoes
    what was granted, without a KEY, an OPT or a TXT."""
    client = registrar.client(ZONE, Key.generate(14, flags=256))
    reply = client.claim("foo", ("10.0.0.1", 600), ("fd00::1", 7200), key_ttl=86400)
    assert reply.rcode == "NOERROR" and reply.opcode == 5
    assert reply.granted() == {"10.0.0.1": 600, "fd00::1": 3600}
    assert all(record.name == "foo.d.example." and record.rclass == "IN" for record in reply.answer)
    assert reply.opt is None and reply.refusal is None and not reply.additional and not reply.authority
    assert registrar.addresses("foo.d.example") == {"10.0.0.1", "fd00::1"}


def test_original_refresh_echoes_again(registrar):
    client = registrar.client(ZONE, Key.generate(14, flags=256))
    for _ in range(3):
        reply = client.claim("foo", ("10.0.0.1", 600), inception=int(time.time()) - 300 + _)
        assert reply.rcode == "NOERROR" and reply.granted() == {"10.0.0.1": 600}


def test_original_removal(registrar):
    client = registrar.client(ZONE)
    now = int(time.time())
    assert client.claim("foo", "10.0.0.1", "10.0.0.2", inception=now - 300).rcode == "NOERROR"
    reply = client.remove("foo", "10.0.0.1", inception=now - 299)
    assert reply.rcode == "NOERROR" and reply.granted() == {}
    assert registrar.addresses("foo.d.example") == {"10.0.0.2"}
    assert client.remove("foo", "10.0.0.2", inception=now - 298).rcode == "NOERROR"
    assert registrar.addresses("foo.d.example") == set()
    # Without records the name stays its owner's.
    assert registrar.client(ZONE).claim("foo", "10.0.0.9").rcode == "REFUSED"
    assert client.claim("foo", "10.0.0.3", inception=now - 297).rcode == "NOERROR"


def test_original_add_and_remove_in_one(registrar):
    client = registrar.client(ZONE)
    assert client.claim("foo", "10.0.0.1").rcode == "NOERROR"
    reply = client.send(client.original("foo", ["10.0.0.2"], delete=["10.0.0.1"]))
    assert reply.rcode == "NOERROR" and reply.granted() == {"10.0.0.2": 60}
    assert registrar.addresses("foo.d.example") == {"10.0.0.2"}


def test_original_filter(registrar):
    """An address outside allowed-nets is left out and not echoed. A claim of which nothing is left is refused; the
    owner of a name is not, since its client would withdraw everything and give up for good."""
    client = registrar.client(ZONE)
    now = int(time.time())
    reply = client.claim("foo", "8.8.8.8", "10.0.0.1", inception=now - 300)
    assert reply.rcode == "NOERROR" and reply.granted() == {"10.0.0.1": 60} and reply.refusal is None
    reply = client.claim("foo", "8.8.8.8", "2001:db8::1", inception=now - 299)
    assert reply.rcode == "NOERROR" and not reply.answer
    assert registrar.addresses("foo.d.example") == {"10.0.0.1"}
    reply = client.send(client.original("foo", ["8.8.8.8"], delete=["10.0.0.1"], inception=now - 298))
    assert reply.rcode == "NOERROR" and reply.granted() == {} and reply.removed() == {"10.0.0.1"}
    assert registrar.addresses("foo.d.example") == set()
    reply = registrar.client(ZONE).claim("bar", "8.8.8.8", "2001:db8::1")
    assert reply.rcode == "REFUSED" and "8.8.8.8" in reply.refusal
    assert registrar.client(ZONE).claim("bar", "10.0.0.7", inception=now).rcode == "NOERROR"


def test_echo_is_what_stands(registrar):
    """Removals as they were asked; of an addition that the same update takes back, nothing."""
    client = registrar.client(ZONE)
    now = int(time.time())
    name = client.full("foo")
    assert client.claim("foo", "10.0.0.1", inception=now - 300).rcode == "NOERROR"
    message = client.update().add(name, 60, "10.0.0.2", "10.0.0.3").delete(name, "10.0.0.2").key(name, client.key, 3600)
    reply = client.send(message.sign(client.key, name, inception=now - 299))
    assert reply.rcode == "NOERROR" and reply.granted() == {"10.0.0.3": 60} and reply.removed() == {"10.0.0.2"}


def test_only_the_original_gets_a_txt(registrar):
    """A TXT of class ANY in an UPDATE reply is nothing that dnspython can parse: others have the EDE."""
    client = registrar.client(ZONE)
    for opt in (True, False):
        reply = client.send(client.plain("localhost", ["10.0.0.1"], claim_ttl=600, opt=opt))
        assert reply.rcode == "REFUSED" and reply.refusal is None
        assert (reply.ede is not None) == opt
        dns.message.from_wire(reply.octets)


def test_original_without_an_address(registrar):
    """Its client starts before the machine has an address, or tries again what has gone meanwhile: an update that
    says nothing. It claims nothing, and is no reason to give up."""
    client = registrar.client(ZONE, Key.generate(14, flags=256))
    now = int(time.time())
    reply = client.send(client.original("foo", inception=now - 300))
    assert reply.rcode == "NOERROR" and not reply.answer and not reply.additional
    other = registrar.client(ZONE, Key.generate(14, flags=256))
    assert other.claim("foo", "10.0.0.1", inception=now - 299).rcode == "NOERROR"
    reply = other.send(other.original("foo", inception=now - 298))
    assert reply.rcode == "NOERROR" and not reply.answer and not reply.additional
    assert registrar.addresses("foo.d.example") == {"10.0.0.1"}


def test_original_removal_of_what_was_never_taken(registrar):
    """Its client tells of every address that the machine loses: also of one outside allowed-nets, of one whose
    addition got lost, and of one that is gone already."""
    client = registrar.client(ZONE)
    now = int(time.time())
    assert client.claim("foo", "10.0.0.1", "203.0.113.1", inception=now - 300).rcode == "NOERROR"
    for number, address in enumerate(("203.0.113.1", "2001:db8::1", "10.0.0.7", "10.0.0.7")):
        reply = client.remove("foo", address, inception=now - 299 + number)
        assert reply.rcode == "NOERROR" and reply.granted() == {} and reply.removed() == {address}, address
    assert registrar.addresses("foo.d.example") == {"10.0.0.1"}


def test_original_with_more_addresses_than_a_name_may_have(lab):
    """What does not fit is left out and not echoed, as what is outside allowed-nets: refused, its client would
    withdraw everything and give up for good."""
    registrar = lab.nsregd({ZONE: {"max-records-per-name": 3}}).start()
    client = registrar.client(ZONE, Key.generate(14, flags=256))
    now = int(time.time())
    reply = client.claim("foo", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", inception=now - 300)
    assert reply.rcode == "NOERROR" and reply.granted() == {"10.0.0.1": 60, "10.0.0.2": 60, "10.0.0.3": 60}
    assert not reply.additional
    reply = client.claim("foo", "10.0.0.5", inception=now - 299)
    assert reply.rcode == "NOERROR" and not reply.answer
    reply = client.claim("foo", "10.0.0.5", "10.0.0.2", inception=now - 298)
    assert reply.rcode == "NOERROR" and reply.granted() == {"10.0.0.2": 60}
    assert client.remove("foo", "10.0.0.1", inception=now - 297).rcode == "NOERROR"
    assert client.claim("foo", "10.0.0.5", inception=now - 296).granted() == {"10.0.0.5": 60}
    assert registrar.addresses("foo.d.example") == {"10.0.0.2", "10.0.0.3", "10.0.0.5"}


def test_original_sends_one_update_for_each_new_address(lab):
    """More of them within one second than are remembered: it is told to try again, and then it is taken."""
    registrar = lab.nsregd({ZONE: {"max-records-per-name": 64}}).start()
    client = registrar.client(ZONE, Key.generate(14, flags=256))
    now = int(time.time())
    codes = [client.claim("foo", f"10.0.0.{n}", inception=now - 300).rcode for n in range(1, 25)]
    assert set(codes) == {"NOERROR", "SERVFAIL"} and codes[0] == "NOERROR", codes
    left = [f"10.0.0.{n}" for n, code in enumerate(codes, 1) if code != "NOERROR"]
    assert client.claim("foo", *left, inception=now - 299).rcode == "NOERROR"
    assert registrar.addresses("foo.d.example") == {f"10.0.0.{n}" for n in range(1, 25)}


def test_original_through_a_crash_of_the_registrar(lab):
    """Its client refreshes at half the lease and, when that fails, after one second more: kept through kill -9,
    and told the same as before."""
    registrar = lab.nsregd({ZONE: {"max-addr-ttl": "8s"}}).start()
    client = registrar.client(ZONE, Key.generate(14, flags=256))
    now = int(time.time())
    reply = client.claim("foo", ("10.0.0.1", 8), "203.0.113.1", inception=now - 300)
    assert reply.granted() == {"10.0.0.1": 8}
    registrar.kill()
    registrar.start()
    assert registrar.addresses("foo.d.example") == {"10.0.0.1"}
    reply = client.claim("foo", ("10.0.0.1", 8), inception=now - 296)
    assert reply.rcode == "NOERROR" and reply.granted() == {"10.0.0.1": 8} and not reply.additional
    # One that was lost with the crash is nothing that is in the way.
    assert client.remove("foo", "10.0.0.9", inception=now - 295).rcode == "NOERROR"
    assert registrar.addresses("foo.d.example") == {"10.0.0.1"}


def test_original_refusal_form(registrar):
    """Its client reads the first additional RR as a TXT of one string."""
    reply = registrar.client(ZONE).claim("localhost", "10.0.0.1")
    assert reply.rcode == "REFUSED"
    assert len(reply.additional) == 1
    record = reply.additional[0]
    assert (record.name, record.type, record.rclass, record.ttl) == ("localhost.d.example.", "TXT", "ANY", 0)
    assert reply.refusal == 'name "localhost" is reserved by the server\'s configuration; choose another name'


def test_original_finds_the_server_by_asking_it(registrar):
    """`--server ADDR@PORT --tcp`: the SRV query goes straight to the daemon, with an OPT of 4096 octets. Before it
    come questions for zones to register in, to whomever it asks: any answer will do, none is a failure."""
    for domain in ("local.", "home.arpa.", "0.1.10.in-addr.arpa."):
        assert registrar.query(f"r._dns-sd._udp.{domain}", "PTR", tcp=True, rd=True, payload=4096) is not None
    answer = registrar.query("_nsreg._tcp.d.example", "SRV", tcp=True, rd=True, payload=4096)
    assert answer.rcode() == 0 and len(answer.answer) == 1
    service = answer.answer[0][0]
    assert service.port == registrar.port
    target = service.target.to_text()
    assert "." in target.rstrip("."), "the original needs a dot in it"
    glue = {rdata.to_text() for rrset in answer.additional if rrset.name.to_text() == target for rdata in rrset}
    assert glue == {"127.0.0.1"}


@pytest.mark.parametrize("flags", (0, 256, 512, 0x8000))
def test_key_flags(registrar, flags):
    client = registrar.client(ZONE, Key.generate(13, flags=flags))
    now = int(time.time())
    assert client.claim("foo", "10.0.0.1", inception=now - 300).rcode == "NOERROR"
    # The same key with other flags is the same owner; the key tag is another one.
    client.key.flags = flags ^ 256
    assert client.claim("foo", "10.0.0.2", inception=now - 299).rcode == "NOERROR"
    assert client.send(client.plain("foo", delete=["10.0.0.1"], inception=now - 298)).rcode == "NOERROR"
    assert registrar.addresses("foo.d.example") == {"10.0.0.2"}


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS.values()))
def test_every_algorithm(registrar, algorithm):
    client = registrar.client(ZONE, Key.generate(algorithm))
    assert client.claim("foo", "10.0.0.1").rcode == "NOERROR"
    assert registrar.addresses("foo.d.example") == {"10.0.0.1"}


def test_names_are_one_whatever_their_case(registrar):
    client = registrar.client(ZONE)
    now = int(time.time())
    assert client.claim("Foo", "10.0.0.1", inception=now - 300).rcode == "NOERROR"
    assert registrar.client("D.EXAMPLE").claim("fOO", "10.0.0.9").rcode == "REFUSED"
    upper = registrar.client("D.EXAMPLE", client.key)
    assert upper.claim("FOO", "10.0.0.2", inception=now - 299).rcode == "NOERROR"
    assert registrar.addresses("foo.D.example") == {"10.0.0.1", "10.0.0.2"}


def test_pipelined_requests_of_one_name_keep_their_order(registrar):
    client = registrar.client(ZONE)
    now = int(time.time())
    with client.connect() as connection:
        messages = [client.original("foo", [f"10.0.0.{n}"], delete=[f"10.0.0.{n - 1}"], inception=now - 300 + n)
                    for n in range(1, 30)]
        for message in messages:
            connection.send(message)
        replies = {}
        for _ in messages:
            reply = connection.receive()
            replies[reply.id] = reply
    for number, message in enumerate(messages, 1):
        assert replies[message.id].granted() == {f"10.0.0.{number}": 60}, number
    assert registrar.addresses("foo.d.example") == {"10.0.0.29"}


def test_a_message_in_pieces(registrar):
    client = registrar.client(ZONE)
    wire = client.original("foo", ["10.0.0.1"]).wire
    with client.connect() as connection:
        for octet in struct.pack("!H", len(wire)) + wire:
            connection.send_raw(bytes([octet]))
        assert connection.receive().rcode == "NOERROR"
        for octet in struct.pack("!H", len(wire)) + wire + struct.pack("!H", len(wire)) + wire[:7]:
            connection.send_raw(bytes([octet]))
        assert connection.receive().rcode == "NOERROR"
        connection.send_raw(wire[7:])
        assert connection.receive().rcode == "NOERROR"


# -- plain

def test_plain_claim_and_updates(registrar):
    client = registrar.client(ZONE)
    now = int(time.time())
    assert client.send(client.plain("foo", ["10.0.0.1", "fd00::1"], claim_ttl=3600, inception=now - 300)).rcode == "NOERROR"
    assert client.send(client.plain("foo", ["10.0.0.2"], inception=now - 299)).rcode == "NOERROR"
    assert registrar.addresses("foo.d.example") == {"10.0.0.1", "10.0.0.2", "fd00::1"}
    name = client.full("foo")
    step = client.update().delete_rrset(name, "A").sign(client.key, name, inception=now - 298)
    assert client.send(step).rcode == "NOERROR"
    assert registrar.addresses(name) == {"fd00::1"}
    step = client.update().delete_all(name).add(name, 60, "10.0.0.4").sign(client.key, name, inception=now - 297)
    assert client.send(step).rcode == "NOERROR"
    assert registrar.addresses(name) == {"10.0.0.4"}
    step = client.update().delete_all(name).sign(client.key, name, inception=now - 296)
    assert client.send(step).rcode == "NOERROR"
    assert registrar.addresses(name) == set()
    # Withdrawn, not released.
    assert registrar.client(ZONE).claim("foo", "10.0.0.9").rcode == "REFUSED"
    assert client.send(client.plain("foo", ["10.0.0.5"], inception=now - 295)).rcode == "NOERROR"


@pytest.mark.parametrize("form", ("record", "set"))
def test_plain_release(registrar, form):
    client = registrar.client(ZONE)
    now = int(time.time())
    name = client.full("foo")
    assert client.send(client.plain("foo", ["10.0.0.1"], claim_ttl=3600, inception=now - 300)).rcode == "NOERROR"
    release = client.update().release_key(name, client.key if form == "record" else None)
    assert client.send(release.sign(client.key, name, inception=now - 299)).rcode == "NOERROR"
    assert registrar.addresses(name) == set()
    assert registrar.client(ZONE).claim("foo", "10.0.0.9", inception=now - 298).rcode == "NOERROR"


def test_plain_update_with_one_bad_address_changes_nothing(registrar):
    client = registrar.client(ZONE)
    now = int(time.time())
    assert client.send(client.plain("foo", ["10.0.0.1"], claim_ttl=3600, inception=now - 300)).rcode == "NOERROR"
    reply = client.send(client.plain("foo", ["10.0.0.2", "8.8.8.8"], delete=["10.0.0.1"], inception=now - 299))
    assert reply.rcode == "REFUSED" and reply.ede_code == 18
    assert registrar.addresses("foo.d.example") == {"10.0.0.1"}


def test_update_lease(registrar):
    """RFC 9664: honoured whenever sent, answered in the same form; then a TTL is no lease."""
    client = registrar.client(ZONE)
    now = int(time.time())
    reply = client.send(client.plain("foo", ["10.0.0.1"], ttl=5, claim_ttl=7, lease=120, key_lease=7200,
                                     inception=now - 300))
    assert reply.rcode == "NOERROR" and reply.lease == (120, 7200), reply
    assert reply.granted() in ({}, {"10.0.0.1": 120})
    reply = client.send(client.plain("foo", ["10.0.0.1"], ttl=0, lease=100000, inception=now - 299))
    assert reply.rcode == "NOERROR" and reply.lease == (3600,), reply
    # Lease 0 takes the records, and leaves the name.
    reply = client.send(client.plain("foo", ["10.0.0.1"], lease=0, key_lease=600, inception=now - 298))
    assert reply.rcode == "NOERROR" and reply.lease == (0, 600), reply
    assert registrar.addresses("foo.d.example") == set()
    assert registrar.client(ZONE).claim("foo", "10.0.0.9").rcode == "REFUSED"
    # Key lease 0 gives it up.
    reply = client.send(client.plain("foo", delete=["10.0.0.1"], lease=0, key_lease=0, inception=now - 297))
    assert reply.rcode == "NOERROR" and reply.lease == (0, 0), reply
    assert registrar.client(ZONE).claim("foo", "10.0.0.9", inception=now - 296).rcode == "NOERROR"


@pytest.mark.parametrize("restart", (False, True))
def test_an_update_that_takes_back_what_it_adds(lab, restart):
    """RFC 2136 section 3.4: in order. Also behind a restart, and with a lease of 0 twice."""
    registrar = lab.nsregd({ZONE: {}}).start()
    client = registrar.client(ZONE)
    now = int(time.time())
    name = client.full("foo")
    assert client.send(client.plain("foo", ["10.0.0.1"], claim_ttl=3600, inception=now - 300)).rcode == "NOERROR"
    if restart:
        registrar.restart()
    steps = (
        (client.update().add(name, 60, "10.0.0.9").delete(name, "10.0.0.9"), {"10.0.0.1"}),
        (client.update().add(name, 60, "10.0.0.1").delete(name, "10.0.0.1"), set()),
        (client.update().delete_all(name).add(name, 60, "10.0.0.1"), {"10.0.0.1"}),
        (client.update().add(name, 60, "10.0.0.9").delete_rrset(name, "A"), set()),
        (client.update().add(name, 60, "10.0.0.2").opt(0, 3600), set()),
        (client.update().add(name, 60, "10.0.0.2").opt(0, 3600), set()),
        (client.update().add(name, 60, "10.0.0.2", "10.0.0.2").opt(60, 3600), {"10.0.0.2"}),
    )
    for i, (message, left) in enumerate(steps):
        reply = client.send(message.sign(client.key, name, inception=now - 299 + i))
        assert reply is not None and reply.rcode == "NOERROR", (i, reply)
        assert registrar.addresses(name) == left, i
    assert registrar.alive()


def test_leases_end(lab):
    registrar = lab.nsregd({ZONE: {"max-addr-ttl": "1s"}}).start()
    client = registrar.client(ZONE)
    before = time.monotonic()
    reply = client.claim("foo", ("10.0.0.1", 3600))
    assert reply.granted() == {"10.0.0.1": 1}
    eventually(lambda: registrar.addresses("foo.d.example") == set())
    assert time.monotonic() - before >= 1.0


# -- nsupdate

class NsupdateClient:
    """The real one, with a key made by dnssec-keygen."""

    def __init__(self, lab, registrar, label, algorithm="ECDSAP256SHA256"):
        self.registrar = registrar
        self.name = f"{label}.{ZONE}."
        self.directory = lab.subdirectory(f"nsupdate-{label}")
        made = subprocess.run([shutil.which("dnssec-keygen") or "/usr/sbin/dnssec-keygen", "-K", self.directory, "-T",
                               "KEY", "-n", "HOST", "-a", algorithm, self.name], check=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=60)
        self.private = os.path.join(self.directory, made.stdout.strip() + ".private")

    def key_rr(self):
        with open(self.private.replace(".private", ".key"), encoding="ascii") as file:
            return next(line for line in file if not line.startswith(";")).split(None, 3)[3].strip()

    def run(self, *lines, tcp=True):
        script = [f"server {self.registrar.address} {self.registrar.port}", *lines, "send", "answer"]
        run = subprocess.run(["nsupdate", *(["-v"] if tcp else []), "-t", "10", "-k", self.private],
                             input="\n".join(script) + "\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, check=False, timeout=60)
        return run.returncode, run.stdout

    def expect(self, *lines):
        status, output = self.run(*lines)
        assert status == 0 and "status: NOERROR" in output, output

    def expect_refusal(self, code, *lines):
        status, output = self.run(*lines)
        assert status != 0 or f"status: {code}" in output, output
        assert code in output, output


@pytest.mark.parametrize("algorithm", ("ECDSAP256SHA256", "ECDSAP384SHA384", "ED25519"))
def test_nsupdate(lab, registrar, algorithm):
    owner = NsupdateClient(lab, registrar, "foo", algorithm)
    name = owner.name
    # No "zone" line: it asks for the SOA of the name first, and takes the zone from the answer.
    owner.expect(f"update add {name} 86400 KEY {owner.key_rr()}", f"update add {name} 600 A 10.0.0.1",
                 f"update add {name} 600 AAAA fd00::1")
    assert registrar.addresses(name) == {"10.0.0.1", "fd00::1"}

    # Inceptions have seconds, and requests of one second are still told apart.
    owner.expect("zone d.example", f"update delete {name} A 10.0.0.1", f"update add {name} 600 A 10.0.0.2")
    assert registrar.addresses(name) == {"10.0.0.2", "fd00::1"}
    owner.expect(f"update delete {name} AAAA")
    assert registrar.addresses(name) == {"10.0.0.2"}

    owner.expect_refusal("YXDOMAIN", f"prereq nxdomain {name}", f"update add {name} 600 A 10.0.0.3")
    owner.expect_refusal("NXRRSET", f"prereq yxrrset {name} AAAA", f"update add {name} 600 A 10.0.0.3")
    owner.expect(f"prereq yxrrset {name} A 10.0.0.2", f"update add {name} 600 A 10.0.0.3")
    assert registrar.addresses(name) == {"10.0.0.2", "10.0.0.3"}

    thief = NsupdateClient(lab, registrar, "foo", algorithm)
    thief.expect_refusal("REFUSED", f"update add {name} 86400 KEY {thief.key_rr()}", f"update add {name} 600 A 10.6.6.6")
    thief.expect_refusal("REFUSED", f"update delete {name}")
    assert registrar.addresses(name) == {"10.0.0.2", "10.0.0.3"}

    owner.expect(f"update delete {name}")
    assert registrar.addresses(name) == set()
    thief.expect_refusal("REFUSED", f"update add {name} 86400 KEY {thief.key_rr()}", f"update add {name} 600 A 10.6.6.6")
    owner.expect(f"update delete {name} KEY")
    thief.expect(f"update add {name} 86400 KEY {thief.key_rr()}", f"update add {name} 600 A 10.0.0.7")
    assert registrar.addresses(name) == {"10.0.0.7"}


def test_nsupdate_over_udp_is_refused(lab, registrar):
    owner = NsupdateClient(lab, registrar, "foo")
    status, output = owner.run("zone d.example", f"update add {owner.name} 86400 KEY {owner.key_rr()}",
                               f"update add {owner.name} 600 A 10.0.0.1", tcp=False)
    assert status != 0 and "REFUSED" in output, output
    assert registrar.addresses(owner.name) == set()


def test_nsupdate_with_a_real_server_behind(lab):
    """From the claim by a foreign client to the zone of a foreign server, and back out of it."""
    named = lab.named(ZONE, "10.in-addr.arpa").start()
    before = named.records() | named.records("10.in-addr.arpa")
    registrar = lab.nsregd({ZONE: {"upstreams": [named.upstream(ZONE, ["10.in-addr.arpa"])]}}).start()
    owner = NsupdateClient(lab, registrar, "foo")
    owner.expect(f"update add {owner.name} 86400 KEY {owner.key_rr()}", f"update add {owner.name} 600 A 10.0.0.1")
    assert named.records() | named.records("10.in-addr.arpa") == before | {
        ("foo.d.example.", "A", "10.0.0.1"), ("1.0.0.10.in-addr.arpa.", "PTR", "foo.d.example.")}
    owner.expect(f"update delete {owner.name} KEY")
    eventually(lambda: named.records() | named.records("10.in-addr.arpa") == before)


# -- Net::DNS

NET_DNS = r"""
use Net::DNS; use Net::DNS::SEC; use Net::DNS::RR::SIG;
my ($port, $private, $name, $keytext, $section, @records) = @ARGV;
my $update = Net::DNS::Update->new('d.example', 'IN');
$update->push(update => rr_add("$name $_")) for @records;
$update->push($section => Net::DNS::RR->new("$name 3600 IN KEY $keytext")) if $keytext;
$update->sign_sig0($private);
my $resolver = Net::DNS::Resolver->new(nameservers => ['127.0.0.1'], port => $port, usevc => 1, recurse => 0);
my $reply = $resolver->send($update) or die $resolver->errorstring;
print $reply->header->rcode, "\n", $reply->string;
"""


@pytest.mark.parametrize("section", ("additional", "update"))
def test_net_dns(lab, registrar, section):
    key = NsupdateClient(lab, registrar, "bar")

    def send(keytext, *records):
        run = subprocess.run(["perl", "-e", NET_DNS, str(registrar.port), key.private, "bar.d.example.", keytext, section, *records],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=60)
        return run.stdout

    output = send(key.key_rr(), "600 A 10.0.0.1")
    assert output.startswith("NOERROR\n"), output
    assert registrar.addresses("bar.d.example") == {"10.0.0.1"}
    output = send("", "600 AAAA fd00::1")
    assert output.startswith("NOERROR\n"), output
    assert registrar.addresses("bar.d.example") == {"10.0.0.1", "fd00::1"}


# -- connections

def test_one_connection_that_is_always_readable_starves_nobody(registrar):
    client = registrar.client(ZONE)
    question = b"\0\1\0\0\0\1\0\0\0\0\0\0\1d\7example\0\0\6\0\1"
    busy = client.connect()
    busy.socket.setblocking(False)
    flood = (struct.pack("!H", len(question)) + question) * 200
    for number in range(20):
        try:
            while True:
                busy.socket.send(flood)
        except BlockingIOError:
            pass
        try:
            while busy.socket.recv(1 << 16):
                pass
        except BlockingIOError:
            pass
        assert client.claim(f"n{number}", "10.0.0.1").rcode == "NOERROR"
    busy.close()


def test_a_silent_connection_is_closed(lab):
    registrar = lab.nsregd({ZONE: {}}, limits={"message-timeout": "300ms", "idle-timeout": "300ms"}).start()
    client = registrar.client(ZONE)
    for beginning in (b"", b"\0", b"\0\x40abc"):
        with client.connect() as connection:
            connection.send_raw(beginning)
            assert connection.receive(timeout=20) is None
    # Octets that trickle in do not prolong a message's deadline.
    with client.connect() as connection:
        connection.socket.settimeout(0.02)
        connection.send_raw(b"\x01\x00")
        closed = False
        deadline = time.monotonic() + 20
        while not closed and time.monotonic() < deadline:
            try:
                connection.send_raw(b"x")
                closed = connection.socket.recv(1) == b""
            except socket.timeout:
                pass
            except (ConnectionResetError, BrokenPipeError):
                closed = True
        assert closed
    assert registrar.alive()


def test_a_dead_connection_loses_its_answer_only(registrar):
    client = registrar.client(ZONE)
    for number in range(20):
        connection = client.connect()
        connection.send(client.original(f"gone{number}", ["10.0.0.1"]))
        connection.close()
    eventually(lambda: all(registrar.addresses(f"gone{number}.d.example") for number in range(20)))
    assert registrar.alive()


def test_records_are_made_by_hand_too(registrar):
    """A compressed owner name is as good as a long one."""
    client = registrar.client(ZONE)
    message = client.update().add("foo.d.example", 60, "10.0.0.1").key("foo.d.example", client.key)
    position = 12 + len(message.zones[0])
    message.updates.append(struct.pack("!H", 0xC000 | position) + rr(b"", "A", "IN", 60, address_rdata("10.0.0.2")))
    assert client.send(message.sign(client.key, "foo.d.example")).rcode == "NOERROR"
    assert registrar.addresses("foo.d.example") == {"10.0.0.1", "10.0.0.2"}
