# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every refusal, over a real connection: RCODE, Extended DNS Error and text; and after each the daemon serves on and
holds nothing of what was refused."""

import itertools
import re
import socket
import struct
import time

import pytest

from lab import Connection, Key, Update, eventually
from lab.dns import address_rdata, name_wire, rr

ZONE = "d.example"

OTHER, EXPIRED, NOT_YET, NOT_READY, BLOCKED, PROHIBITED, UNSUPPORTED, UNREACHABLE, NETWORK = (
    0, 7, 8, 14, 15, 18, 21, 22, 23)

_labels = (f"host{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def registrar(lab_of_module):
    return lab_of_module.nsregd({
        ZONE: {"allowed-nets": ["127.0.0.1", "10.0.0.0/8", "fd00::/8", "::1"], "query-nets": ["127.0.0.0/8"],
               "reserved-names": ["router", "ns*"], "max-records-per-name": 4},
        "any.example": {"allow-any-addr": True, "allowed-nets": ["127.0.0.0/8"]},
        "near.example": {"allowed-nets": ["127.0.0.0/8", "10.0.0.0/8"], "updates-from": ["127.0.0.1"]},
        "small.example": {"allowed-nets": ["127.0.0.0/8"], "max-names": 2},
        "fair.example": {"allowed-nets": ["127.0.0.0/8"], "max-names-per-source": 1},
        "old.example": {"algorithms": ["rsasha256", "ed448"]},
    }, server_name="nsreg.d.example", limits={"rrs-per-message": 40}).start()


@pytest.fixture
def client(registrar):
    return registrar.client(ZONE)


@pytest.fixture
def label():
    return next(_labels)


def expect(registrar, reply, rcode, ede, text):
    """The request had an OPT, so both ways of telling the reason are there, and they agree."""
    assert reply is not None, "the connection was closed instead"
    assert reply.rcode == rcode, reply
    assert reply.ede_code == ede, reply
    assert re.search(text, reply.text), reply
    assert reply.refusal == reply.text or reply.refusal is None, reply
    assert registrar.alive()


# -- 2: wire form

def raise_count(message):
    message.counts = (1, 0, 1, len(message.additional) + 1)


def lower_count(message):
    message.counts = (1, 0, 1, len(message.additional) - 1)


def add_trailing(message):
    message.trailing = b"\0"


def add_second_opt(message):
    message.opt()


def add_after_signature(message):
    message.extra(rr("x.d.example", "A", "IN", 60, address_rdata("10.0.0.1")))


def add_tsig(message):
    message.extra(rr("key", "TSIG", "ANY", 0, name_wire("hmac-sha256") + bytes(6) + struct.pack("!HH", 300, 32) +
                     bytes(32) + bytes(6)))


def break_address(message):
    message.updates[0] = rr("host.d.example", "A", "IN", 60, bytes(6))


def hide_octets(message):
    message.updates[0] = rr("host.d.example", "A", "IN", 60, bytes(6), rdlength=4)


def break_aaaa(message):
    message.updates[0] = rr("host.d.example", "AAAA", "IN", 60, bytes(15))


def point_forward(message):
    message.updates[0] = b"\xc0\xff" + struct.pack("!HHIH", 1, 1, 60, 4) + bytes(4)


def point_at_itself(message):
    position = 12 + len(message.zones[0])
    message.updates[0] = struct.pack("!H", 0xC000 | position) + struct.pack("!HHIH", 1, 1, 60, 4) + bytes(4)


def use_reserved_label_type(message):
    message.updates[0] = b"\x80foo\0" + struct.pack("!HHIH", 1, 1, 60, 4) + bytes(4)


def break_option(message):
    message.additional = [b"\0" + struct.pack("!HHIH", 41, 1232, 0, 5) + struct.pack("!HHB", 2, 4, 0)]


def opt_in_update_section(message):
    message.updates.append(b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0))


def overlong_name(message):
    message.updates[0] = rr((b"\x3f" + b"a" * 63) * 4 + b"\0", "A", "IN", 60, bytes(4))


BEFORE_SIGNING = (break_address, hide_octets, break_aaaa, point_forward, point_at_itself, use_reserved_label_type,
                  break_option, opt_in_update_section, overlong_name)
AFTER_SIGNING = (raise_count, lower_count, add_trailing, add_second_opt, add_after_signature, add_tsig)


@pytest.mark.parametrize("change", BEFORE_SIGNING + AFTER_SIGNING, ids=lambda change: change.__name__)
def test_wire_form(registrar, client, change):
    message = client.update().add("host.d.example", 60, "10.0.0.1").opt().key("host.d.example", client.key)
    if change in BEFORE_SIGNING:
        change(message)
    message.sign(client.key, "host.d.example")
    if change in AFTER_SIGNING:
        change(message)
    reply = client.send(message)
    assert reply.rcode == "FORMERR", reply
    assert reply.text, reply
    assert registrar.alive() and registrar.addresses("host.d.example") == set()


@pytest.mark.parametrize("octets", (b"", b"\0", bytes(11)), ids=("0", "1", "11"))
def test_less_than_a_header(registrar, octets):
    with Connection(registrar.address, registrar.port) as connection:
        connection.send(octets)
        assert connection.receive() is None
    assert registrar.alive()


def test_answers_are_not_answered(registrar, client, label):
    message = client.original(label, ["10.0.0.1"])
    message.flags |= 0x8000
    with client.connect() as connection:
        assert connection.exchange(message) is None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.connect((registrar.address, registrar.port))
        peer.send(message.wire)
        peer.send(b"\0\1\x01\0\0\1\0\0\0\0\0\0" + name_wire(ZONE) + struct.pack("!HH", 6, 1))
        peer.settimeout(10)
        # The question that came later has the first answer.
        assert peer.recv(4096)[:2] == b"\0\1"
    assert registrar.alive()


def test_a_message_longer_than_the_limit(registrar, client, label):
    message = client.update().add(client.full(label), 60, "10.0.0.1").opt(options=[(65001, bytes(9000))])
    message.key(client.full(label), client.key).sign(client.key, client.full(label))
    with client.connect() as connection:
        try:
            reply = connection.exchange(message)
        except BrokenPipeError:
            reply = None
        assert reply is None or reply.rcode == "FORMERR", reply
    assert registrar.alive() and registrar.addresses(client.full(label)) == set()


def test_too_many_records(registrar, client, label):
    message = client.update().add(client.full(label), 60, *[f"10.0.1.{n}" for n in range(60)]).opt()
    message.key(client.full(label), client.key).sign(client.key, client.full(label))
    reply = client.send(message)
    assert reply.rcode == "FORMERR" and reply.text, reply
    assert registrar.alive() and registrar.addresses(client.full(label)) == set()


# -- 3: opcode and zone section

@pytest.mark.parametrize("opcode", (1, 2, 3, 4, 6, 15))
def test_opcodes(registrar, client, label, opcode):
    message = client.original(label, ["10.0.0.1"], signed=False).opt()
    message.opcode = opcode
    message.sign(client.key, client.full(label))
    expect(registrar, client.send(message), "NOTIMP", UNSUPPORTED, "QUERY and UPDATE")


@pytest.mark.parametrize("zones", ([], [(ZONE, "SOA", "IN")] * 2, [(ZONE, "A", "IN")], [(ZONE, "SOA", "CH")],
                                   [(ZONE, "ANY", "IN")], [(ZONE, "SOA", "ANY")]),
                         ids=("none", "two", "type A", "class CH", "type ANY", "class ANY"))
def test_zone_section(registrar, client, label, zones):
    message = Update()
    for zone in zones:
        message.zone(*zone)
    message.add(client.full(label), 60, "10.0.0.1").opt().key(client.full(label), client.key)
    reply = client.send(message.sign(client.key, client.full(label)))
    assert reply.rcode == "FORMERR" and reply.text, reply
    assert registrar.alive() and registrar.addresses(client.full(label)) == set()


@pytest.mark.parametrize("zone", ("example", "e.example", "sub.d.example", "."))
def test_zone_that_is_not_served(registrar, client, label, zone):
    message = Update(zone).add(client.full(label), 60, "10.0.0.1").opt().key(client.full(label), client.key)
    expect(registrar, client.send(message.sign(client.key, client.full(label))), "NOTAUTH", OTHER, "not served")


# -- 4: signature and key

def claim_with(client, label, key_rrs=1, **signature):
    name = client.full(label)
    message = client.update().add(name, 60, "10.0.0.1").opt()
    for _ in range(key_rrs):
        message.key(name, client.key)
    return message.sign(client.key, name, **signature)


def test_unsigned(registrar, client, label):
    message = client.original(label, ["10.0.0.1"], signed=False).opt()
    expect(registrar, client.send(message), "FORMERR", OTHER, "not signed")


def test_two_signatures(registrar, client, label):
    message = claim_with(client, label).sign(client.key, client.full(label))
    reply = client.send(message)
    assert reply.rcode == "FORMERR" and reply.text, reply
    assert registrar.alive() and registrar.addresses(client.full(label)) == set()


def test_signature_with_an_owner(registrar, client, label):
    message = claim_with(client, label, owner=name_wire(client.full(label)))
    expect(registrar, client.send(message), "FORMERR", OTHER, "SIG\\(0\\)")


def test_two_keys(registrar, client, label):
    expect(registrar, client.send(claim_with(client, label, key_rrs=2)), "FORMERR", OTHER, "more than one KEY")


@pytest.mark.parametrize("protocol", (0, 2, 255))
def test_key_protocol(registrar, client, label, protocol):
    client.key.protocol = protocol
    expect(registrar, client.send(claim_with(client, label)), "FORMERR", OTHER, "protocol")


def test_key_lease_zero(registrar, client, label):
    message = client.original(label, ["10.0.0.1"], key_ttl=0, signed=False).opt().sign(client.key, client.full(label))
    expect(registrar, client.send(message), "FORMERR", OTHER, "key lease")


def test_key_is_not_the_signers(registrar, client, label):
    name = client.full(label)
    message = client.update().add(name, 60, "10.0.0.1").opt().key(name, Key.generate(13)).sign(client.key, name)
    expect(registrar, client.send(message), "FORMERR", OTHER, "not the key of the signature")


class WeakKey:
    """Public octets that no honest key has."""

    def __init__(self, algorithm, octets):
        self.algorithm = algorithm
        self.flags = 0
        self.rdata = struct.pack("!HBB", 0, 3, algorithm) + octets

    tag = Key.tag

    def sign(self, _data):
        return bytes({13: 64, 14: 96, 15: 64}.get(self.algorithm, 128))


WEAK = {"empty": WeakKey(13, b""), "short": WeakKey(13, bytes(63)), "long": WeakKey(13, bytes(65)),
        "off the curve": WeakKey(13, b"\1" * 64), "P-384 off the curve": WeakKey(14, b"\1" * 96),
        "small order": WeakKey(15, b"\1" + bytes(31)), "zero point": WeakKey(15, bytes(32))}


@pytest.mark.parametrize("kind", WEAK)
def test_weak_keys(registrar, client, label, kind):
    client.key = WEAK[kind]
    reply = client.send(claim_with(client, label))
    assert reply.rcode in ("FORMERR", "REFUSED") and reply.text, reply
    assert reply.rcode == "FORMERR" or reply.ede_code == UNSUPPORTED, reply
    assert registrar.alive() and registrar.addresses(client.full(label)) == set()


@pytest.mark.parametrize("options", ({"bits": 1024}, {"bits": 2048, "exponent": 3}), ids=("1024 bits", "good"))
def test_rsa(registrar, label, options):
    client = registrar.client("old.example", Key.generate(8, **options))
    reply = client.send(claim_with(client, label))
    if options["bits"] == 1024:
        assert reply.rcode in ("FORMERR", "REFUSED") and reply.ede_code == UNSUPPORTED, reply
    else:
        assert reply.rcode == "NOERROR", reply
    assert registrar.alive("old.example")


@pytest.mark.parametrize("algorithm", (5, 8, 10, 16, 3, 12, 253, 0, 255))
def test_algorithm_that_is_not_allowed(registrar, client, label, algorithm):
    if algorithm in (5, 8, 10, 16):
        client.key = Key.generate(algorithm)
    else:
        client.key.algorithm, signer = algorithm, Key.generate(13)
        client.key = WeakKey(algorithm, signer.public_octets)
    expect(registrar, client.send(claim_with(client, label)), "REFUSED", UNSUPPORTED, "algorithm")


def test_default_algorithm_that_this_zone_does_not_allow(registrar, label):
    client = registrar.client("old.example")
    expect(registrar, client.send(claim_with(client, label)), "REFUSED", UNSUPPORTED, "algorithm")


# -- 5: prescan

def updates_with(client, label, *octets):
    """A signed claim of one good address, with more update RRs behind it."""
    name = client.full(label)
    message = client.update().add(name, 60, "10.0.0.1").opt().key(name, client.key)
    message.updates += octets
    return message.sign(client.key, name)


FORM = {
    "class CH": lambda name: rr(name, "A", "CH", 60, bytes([10, 0, 0, 2])),
    "class 0": lambda name: rr(name, "A", 0, 60, bytes([10, 0, 0, 2])),
    "TTL 0": lambda name: rr(name, "A", "IN", 0, bytes([10, 0, 0, 2])),
    "TTL of 2^31": lambda name: rr(name, "A", "IN", 1 << 31, bytes([10, 0, 0, 2])),
    "class NONE with a TTL": lambda name: rr(name, "A", "NONE", 60, bytes([10, 0, 0, 2])),
    "class ANY with a TTL": lambda name: rr(name, "A", "ANY", 60),
    "class ANY with data": lambda name: rr(name, "A", "ANY", 0, bytes([10, 0, 0, 2])),
    "type ANY of class IN": lambda name: rr(name, "ANY", "IN", 60),
    "type ANY of class NONE": lambda name: rr(name, "ANY", "NONE", 0),
    "type AXFR": lambda name: rr(name, 252, "ANY", 0),
    "type MAILB": lambda name: rr(name, 253, "IN", 60),
    "address without data": lambda name: rr(name, "A", "IN", 60),
    "KEY cut short": lambda name: rr(name, "KEY", "NONE", 0, b"\0"),
}


@pytest.mark.parametrize("kind", FORM)
def test_update_form(registrar, client, label, kind):
    reply = client.send(updates_with(client, label, FORM[kind](client.full(label))))
    assert reply.rcode == "FORMERR" and reply.refusal, reply
    assert registrar.alive()
    assert registrar.addresses(client.full(label)) == set()


PREREQUISITE_FORM = {
    "with a TTL": lambda name: rr(name, "A", "ANY", 60),
    "class ANY with data": lambda name: rr(name, "A", "ANY", 0, bytes(4)),
    "class NONE with data": lambda name: rr(name, "A", "NONE", 0, bytes(4)),
    "class CH": lambda name: rr(name, "A", "CH", 0, bytes(4)),
    "type AXFR": lambda name: rr(name, 252, "ANY", 0),
    "type ANY of class IN": lambda name: rr(name, "ANY", "IN", 0),
    "address of 5 octets": lambda name: rr(name, "A", "IN", 0, bytes(5)),
}


@pytest.mark.parametrize("kind", PREREQUISITE_FORM)
def test_prerequisite_form(registrar, client, label, kind):
    name = client.full(label)
    message = client.update().add(name, 60, "10.0.0.1").opt().key(name, client.key)
    message.prerequisites.append(PREREQUISITE_FORM[kind](name))
    reply = client.send(message.sign(client.key, name))
    assert reply.rcode == "FORMERR" and reply.refusal, reply
    assert registrar.alive()


@pytest.mark.parametrize("kind,rdata", (("TXT", b"\2hi"), ("MX", b"\0\1\0"), ("CNAME", b"\0"), ("NS", b"\0"),
                                        ("PTR", b"\0"), ("TLSA", b"\3\1\1" + bytes(32)), (65280, b"x")))
def test_types_that_are_not_taken(registrar, client, label, kind, rdata):
    reply = client.send(updates_with(client, label, rr(client.full(label), kind, "IN", 60, rdata)))
    expect(registrar, reply, "REFUSED", UNSUPPORTED, "type")
    assert registrar.addresses(client.full(label)) == set()


def test_record_of_another_name(registrar, client, label):
    reply = client.send(updates_with(client, label, rr("other.d.example", "A", "IN", 60, bytes([10, 0, 0, 2]))))
    expect(registrar, reply, "REFUSED", PROHIBITED, "own name")


def test_record_outside_the_zone(registrar, client, label):
    reply = client.send(updates_with(client, label, rr("foo.example", "A", "IN", 60, bytes([10, 0, 0, 2]))))
    expect(registrar, reply, "NOTZONE", OTHER, "outside the zone")


def test_prerequisite_of_another_name(registrar, client, label):
    name = client.full(label)
    message = client.update().require_name("other.d.example").add(name, 60, "10.0.0.1").opt().key(name, client.key)
    expect(registrar, client.send(message.sign(client.key, name)), "REFUSED", PROHIBITED, "own name")


def test_key_of_another_name(registrar, client, label):
    name = client.full(label)
    message = client.update().add(name, 60, "10.0.0.1").opt().key("other.d.example", client.key)
    expect(registrar, client.send(message.sign(client.key, name)), "REFUSED", PROHIBITED, "KEY")


@pytest.mark.parametrize("name", ("localhost", "wpad", "ISATAP", "router", "RouTer", "ns", "ns1", "NSREG"))
def test_reserved_names(registrar, client, name):
    expect(registrar, client.send(claim_with(client, name)), "REFUSED", BLOCKED, "reserved")


@pytest.mark.parametrize("name", ("*", "foo_bar", "-foo", "foo-", r"foo\.bar", r"foo\000", r"foo\032bar", r"f\252",
                                  "foo.bar", "a.b.c", r"foo\@"))
def test_names_that_cannot_be_claimed(registrar, client, name):
    expect(registrar, client.send(claim_with(client, name)), "REFUSED", PROHIBITED, "name|label")


def test_the_text_has_no_foreign_octets(registrar, client):
    reply = client.send(claim_with(client, r"a\027[31m\010b"))
    assert reply.rcode == "REFUSED" and all(" " <= character <= "~" for character in reply.text), reply


def test_the_zone_itself(registrar, client):
    message = client.update().add("d.example", 60, "10.0.0.1").opt().key("d.example", client.key)
    expect(registrar, client.send(message.sign(client.key, "d.example")), "REFUSED", PROHIBITED, "zone itself")


def test_signer_outside_the_zone(registrar, client):
    name = "foo.e.example"
    message = client.update().add(name, 60, "10.0.0.1").opt().key(name, client.key).sign(client.key, name)
    expect(registrar, client.send(message), "NOTZONE", OTHER, "zone")


NEVER = ("0.0.0.0", "224.0.0.1", "239.255.255.255", "255.255.255.255", "::", "ff02::1", "::ffff:10.0.0.1",
         "127.0.0.2", "169.254.1.1", "fe80::1")


@pytest.mark.parametrize("address", NEVER + ("192.168.1.1", "8.8.8.8", "2001:db8::1"))
def test_addresses(registrar, client, label, address):
    name = client.full(label)
    message = client.update().add(name, 60, address).opt().key(name, client.key).sign(client.key, name)
    expect(registrar, client.send(message), "REFUSED", PROHIBITED, re.escape(address))
    plain = client.plain(label, [address, "10.0.0.1"], claim_ttl=3600)
    expect(registrar, client.send(plain), "REFUSED", PROHIBITED, re.escape(address))
    assert registrar.addresses(name) == set()


@pytest.mark.parametrize("address", tuple(set(NEVER) - {"127.0.0.2"}))
def test_addresses_that_are_never_taken(registrar, label, address):
    """allow-any-addr is no licence for these."""
    client = registrar.client("any.example")
    name = client.full(label)
    assert client.claim(label, "8.8.8.8").rcode == "NOERROR"
    message = client.update().add(name, 60, address).opt().key(name, client.key).sign(client.key, name)
    expect(registrar, client.send(message), "REFUSED", PROHIBITED, re.escape(address))
    assert registrar.addresses(name) == {"8.8.8.8"}


def test_filtered_addresses_are_told(registrar, client, label):
    name = client.full(label)
    message = client.update().add(name, 60, "8.8.8.8", "10.0.0.1").opt().key(name, client.key).sign(client.key, name)
    reply = client.send(message)
    assert reply.rcode == "NOERROR" and reply.granted() == {"10.0.0.1": 60}, reply
    assert reply.ede is not None and reply.refusal is None, reply
    assert registrar.addresses(name) == {"10.0.0.1"}


# -- 6: time

@pytest.mark.parametrize("inception,expiration,ede", ((-600, -10, EXPIRED), (300, 600, NOT_YET),
                                                      (-10 * 365 * 86400, -9 * 365 * 86400, None),
                                                      (-300, 3400, None), (-300, 10 * 365 * 86400, None),
                                                      (300, -300, None)))
def test_times(registrar, client, label, inception, expiration, ede):
    now = int(time.time())
    reply = client.send(claim_with(client, label, inception=now + inception, expiration=now + expiration))
    assert reply.rcode == "NOTAUTH" and reply.ede_code in ((ede,) if ede else (EXPIRED, NOT_YET)), reply
    assert "signature" in reply.text, reply
    assert registrar.alive() and registrar.addresses(client.full(label)) == set()


def test_longest_validity(registrar, client, label):
    now = int(time.time())
    assert client.send(claim_with(client, label, inception=now - 300, expiration=now + 3300)).rcode == "NOERROR"


# -- 7: whose name

def test_other_owner(registrar, client, label):
    assert client.claim(label, "10.0.0.1").rcode == "NOERROR"
    thief = registrar.client(ZONE)
    for name in (label, label.upper(), label.capitalize()):
        expect(registrar, thief.send(claim_with(thief, name)), "REFUSED", PROHIBITED, "owned by another key")
        expect(registrar, thief.send(thief.plain(name, ["10.0.0.9"], claim_ttl=3600)), "REFUSED", PROHIBITED, "owned")
        expect(registrar, thief.send(thief.plain(name, delete=["10.0.0.1"])), "REFUSED", PROHIBITED, "owned")
    assert registrar.addresses(client.full(label)) == {"10.0.0.1"}


def test_other_key_with_the_same_tag(registrar, client, label):
    assert client.claim(label, "10.0.0.1").rcode == "NOERROR"
    thief = registrar.client(ZONE, client.key.with_tag(client.key.tag))
    assert thief.key.tag == client.key.tag
    expect(registrar, thief.send(claim_with(thief, label)), "REFUSED", PROHIBITED, "owned by another key")
    # Without a KEY only the signature can tell.
    expect(registrar, thief.send(thief.plain(label, delete=["10.0.0.1"])), "NOTAUTH", OTHER, "signature")
    assert registrar.addresses(client.full(label)) == {"10.0.0.1"}


def test_unknown_name_without_key(registrar, client, label):
    reply = client.send(client.plain(label, ["10.0.0.1"]))
    expect(registrar, reply, "REFUSED", PROHIBITED, "not claimed")


def test_claim_from_elsewhere(registrar, label):
    stranger = registrar.client(ZONE, source="127.0.0.2")
    expect(registrar, stranger.send(claim_with(stranger, label)), "REFUSED", PROHIBITED, "allowed-nets")
    owner = registrar.client(ZONE)
    assert owner.claim(label, "10.0.0.1").rcode == "NOERROR"
    # The owner may be anywhere.
    away = registrar.client(ZONE, owner.key, source="127.0.0.2")
    assert away.claim(label, "10.0.0.2").rcode == "NOERROR"


def test_update_from_elsewhere(registrar, label):
    owner = registrar.client("near.example")
    assert owner.claim(label, "127.0.0.1").rcode == "NOERROR"
    away = registrar.client("near.example", owner.key, source="127.0.0.2")
    expect(registrar, away.send(claim_with(away, label)), "REFUSED", PROHIBITED, "updates-from")


def test_full_zone(registrar):
    for number in range(2):
        assert registrar.client("small.example").claim(f"n{number}", "127.0.0.1").rcode == "NOERROR"
    late = registrar.client("small.example")
    name = late.full("n2")
    message = late.update().add(name, 60, "127.0.0.1").opt().key(name, late.key).sign(late.key, name)
    expect(registrar, late.send(message), "REFUSED", PROHIBITED, "max-names")


def test_names_per_source(registrar):
    def claim(source, label):
        client = registrar.client("fair.example", source=source)
        name = client.full(label)
        return client.send(client.update().add(name, 60, "127.0.0.1").opt().key(name, client.key)
                           .sign(client.key, name))
    assert claim("127.0.9.3", "a").rcode == "NOERROR"
    expect(registrar, claim("127.0.9.3", "b"), "REFUSED", PROHIBITED, "max-names-per-source")
    assert claim("127.0.9.4", "b").rcode == "NOERROR"
    # Four times as many for the network that they are of.
    assert claim("127.0.9.5", "c").rcode == "NOERROR"
    assert claim("127.0.9.6", "d").rcode == "NOERROR"
    expect(registrar, claim("127.0.9.7", "e"), "REFUSED", PROHIBITED, "network has claimed 4 names")
    assert claim("127.0.8.7", "e").rcode == "NOERROR"


def test_reserved_names_in_whatever_case(lab):
    """As they are written in the configuration, and as they are asked for."""
    registrar = lab.nsregd({"d.example": {"reserved-names": ["Printer", "NS*", "gate?"]}}).start()
    for label in ("printer", "PRINTER", "Printer", "ns", "ns1", "Ns-2", "GATE1", "wpad", "WPAD", "LocalHost"):
        reply = registrar.client("d.example").claim(label, "10.0.0.1")
        assert reply.rcode == "REFUSED" and "reserved" in reply.text, (label, reply)
    for label in ("printer2", "n", "gate", "xns1"):
        assert registrar.client("d.example").claim(label, "10.0.0.1").rcode == "NOERROR", label


def test_a_refused_claim_holds_nothing(registrar, client, label):
    assert client.send(claim_with(client, label, tag=1)).rcode == "FORMERR"
    assert client.claim(label, "8.8.8.8").rcode == "REFUSED"
    broken = claim_with(client, label)
    broken.additional[-1] = broken.additional[-1][:-1] + bytes([broken.additional[-1][-1] ^ 1])
    assert client.send(broken).rcode == "NOTAUTH"
    assert registrar.client(ZONE).claim(label, "10.0.0.2").rcode == "NOERROR"


def test_an_empty_claim_holds_nothing(registrar, client, label):
    name = client.full(label)
    reply = client.send(client.update().key_in_update(name, client.key).opt().sign(client.key, name))
    expect(registrar, reply, "REFUSED", PROHIBITED, "at least one")
    client.remove(label, "10.0.0.1")
    assert registrar.client(ZONE).claim(label, "10.0.0.2").rcode == "NOERROR"


# -- 8: order and replay

def test_replays(registrar, client, label):
    now = int(time.time())
    name = client.full(label)
    first = client.original(label, ["10.0.0.1"], inception=now - 300, signed=False).opt().sign(
        client.key, name, inception=now - 300)
    second = client.original(label, ["10.0.0.2"], delete=["10.0.0.1"], signed=False).opt().sign(
        client.key, name, inception=now - 300)
    third = client.original(label, ["10.0.0.3"], delete=["10.0.0.2"], signed=False).opt().sign(
        client.key, name, inception=now - 299)
    assert client.send(first).rcode == "NOERROR"
    assert client.send(second).rcode == "NOERROR"
    # The latest one, again and on another connection: the same answer.
    again = client.send(second)
    assert again.rcode == "NOERROR" and again.granted() == {"10.0.0.2": 60}
    expect(registrar, client.send(first), "REFUSED", PROHIBITED, "accepted before")
    assert registrar.addresses(name) == {"10.0.0.2"}
    assert client.send(third).rcode == "NOERROR"
    for old in (first, second):
        expect(registrar, client.send(old), "SERVFAIL", NOT_READY, "older than the last accepted")
    assert registrar.addresses(name) == {"10.0.0.3"}


def test_replay_with_another_signature(registrar, client, label):
    """ECDSA signatures are malleable: (r, n - s) verifies too. It is the same request nevertheless."""
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    now = int(time.time())
    first = client.original(label, ["10.0.0.1"], inception=now - 200)
    assert client.send(first).rcode == "NOERROR"
    assert client.send(client.original(label, ["10.0.0.2"], delete=["10.0.0.1"], inception=now - 200)).rcode == "NOERROR"
    signature = first.additional[-1]
    s = order - int.from_bytes(signature[-32:], "big")
    first.additional[-1] = signature[:-32] + s.to_bytes(32, "big")
    assert client.send(first).rcode == "REFUSED"
    assert registrar.addresses(client.full(label)) == {"10.0.0.2"}


def test_replay_after_release(registrar, client, label):
    now = int(time.time())
    claim = client.original(label, ["10.0.0.1"], inception=now - 100)
    assert client.send(claim).rcode == "NOERROR"
    assert client.release(label, inception=now - 99).rcode == "NOERROR"
    reply = client.send(claim)
    assert reply.rcode in ("SERVFAIL", "REFUSED"), reply
    assert registrar.addresses(client.full(label)) == set()


# -- 10: the signature

def test_every_octet_is_covered(registrar, client, label):
    """One bit anywhere: refused, or another request that nobody signed."""
    wire = claim_with(client, label).wire
    with client.connect() as connection:
        for position in range(len(wire)):
            if position == 2:
                continue  # QR and opcode: other tests
            changed = bytearray(wire)
            changed[position] ^= 0x10
            reply = connection.exchange(bytes(changed))
            if reply is None:
                connection.close()
                connection = client.connect()
                continue
            assert reply.rcode != "NOERROR", (position, reply)
        connection.close()
    assert registrar.alive() and registrar.addresses(client.full(label)) == set()
    assert client.send(wire).rcode == "NOERROR"


def test_signature_by_another_key(registrar, client, label):
    name, forger = client.full(label), Key.generate(13)
    message = client.update().add(name, 60, "10.0.0.1").opt().key(name, client.key)
    message.sign(forger, name, tag=client.key.tag)
    expect(registrar, client.send(message), "NOTAUTH", OTHER, "signature is wrong")


# -- 11: prerequisites and bounds

def with_prerequisite(client, label, prepare, *arguments):
    name = client.full(label)
    message = client.update()
    getattr(message, prepare)(name, *arguments)
    return client.send(message.add(name, 60, "10.0.0.5").opt().key(name, client.key).sign(client.key, name))


def test_prerequisites(registrar, client, label):
    expect(registrar, with_prerequisite(client, label, "require_name"), "NXDOMAIN", OTHER, "not in use")
    expect(registrar, with_prerequisite(client, label, "require_rrset", "A"), "NXRRSET", OTHER, "record set")
    expect(registrar, with_prerequisite(client, label, "require_rrset", "KEY"), "NXRRSET", OTHER, "record set")
    expect(registrar, with_prerequisite(client, label, "require_record", "10.0.0.5"), "NXRRSET", OTHER, "record set")
    assert registrar.addresses(client.full(label)) == set()

    assert with_prerequisite(client, label, "require_no_name").rcode == "NOERROR"
    assert registrar.addresses(client.full(label)) == {"10.0.0.5"}
    expect(registrar, with_prerequisite(client, label, "require_no_name"), "YXDOMAIN", OTHER, "in use")
    expect(registrar, with_prerequisite(client, label, "require_no_rrset", "A"), "YXRRSET", OTHER, "record set")
    expect(registrar, with_prerequisite(client, label, "require_no_rrset", "KEY"), "YXRRSET", OTHER, "record set")
    expect(registrar, with_prerequisite(client, label, "require_rrset", "AAAA"), "NXRRSET", OTHER, "record set")
    expect(registrar, with_prerequisite(client, label, "require_record", "10.0.0.6"), "NXRRSET", OTHER, "record set")
    for good in (("require_name",), ("require_rrset", "A"), ("require_rrset", "KEY"), ("require_no_rrset", "AAAA"),
                 ("require_record", "10.0.0.5")):
        assert with_prerequisite(client, label, *good).rcode == "NOERROR", good


def test_records_per_name(registrar, client, label):
    name = client.full(label)
    addresses = [f"10.0.2.{n}" for n in range(5)]
    message = client.update().add(name, 60, *addresses).opt().key(name, client.key).sign(client.key, name)
    expect(registrar, client.send(message), "REFUSED", PROHIBITED, "max-records-per-name")
    assert client.claim(label, *addresses[:4]).rcode == "NOERROR"
    message = client.update().add(name, 60, addresses[4]).opt().key(name, client.key).sign(client.key, name)
    expect(registrar, client.send(message), "REFUSED", PROHIBITED, "max-records-per-name")
    assert registrar.addresses(name) == set(addresses[:4])


# -- the form of refusals, and transport

def test_without_opt_there_is_no_opt(registrar, client):
    reply = client.claim("router", "10.0.0.1")
    assert reply.rcode == "REFUSED" and reply.opt is None, reply
    assert "reserved" in reply.refusal
    assert reply.additional[0].name.lower() == "router.d.example.", reply


def test_update_over_udp(registrar, client, label):
    """Without a text: whoever sent it may be somebody else than it says."""
    message = claim_with(client, label)
    reply = client.send_udp(message)
    assert reply.rcode == "REFUSED" and reply.opt is None and len(reply.octets) <= len(message.wire), reply
    assert registrar.addresses(client.full(label)) == set()


def test_foreign_queries(registrar):
    for name in ("foo.example", "example", "com", "."):
        reply = registrar.query(name, "A")
        assert reply.rcode() == 5, reply
    assert registrar.alive()


# -- 12 and 13: what is not the request's fault

def test_foreign_data_upstream(lab):
    named = lab.named("d.example").start()
    assert named.nsupdate("update add taken.d.example. 300 A 192.0.2.7", zone=ZONE)[0] == 0
    before = named.records()
    registrar = lab.nsregd({ZONE: {"upstreams": [named.upstream(ZONE)]}}).start()
    client = registrar.client(ZONE)
    for _ in range(2):
        name = client.full("taken")
        message = client.update().add(name, 60, "10.0.0.1").opt().key(name, client.key).sign(client.key, name)
        expect(registrar, client.send(message), "REFUSED", BLOCKED, ".")
    assert named.records() == before
    # The name is nobody's, and others are not touched by it.
    assert client.claim("free", "10.0.0.1").rcode == "NOERROR"
    assert named.addresses("free.d.example") == {"10.0.0.1"}


@pytest.mark.parametrize("failure", ("down", "wrong key", "wrong zone"))
def test_upstream_that_does_not_take_it(lab, failure):
    named = lab.named("d.example", "e.example").start()
    upstream = named.upstream(ZONE, key=named.key.wrong() if failure == "wrong key" else None, timeout="2s")
    if failure == "wrong zone":
        upstream["zone"] = "example"
    if failure == "down":
        named.stop()
    registrar = lab.nsregd({ZONE: {"upstreams": [upstream]}}).start()
    client = registrar.client(ZONE)
    name = client.full("foo")
    for _ in range(2):
        message = client.update().add(name, 60, "10.0.0.1").opt().key(name, client.key).sign(client.key, name)
        reply = client.send(message)
        assert reply.rcode == "SERVFAIL" and reply.ede_code in (UNREACHABLE, NETWORK), reply
        assert reply.text, reply
        assert registrar.alive()
    # It stands: the name has its owner.
    thief = registrar.client(ZONE)
    assert thief.claim("foo", "10.0.0.2").rcode == "REFUSED"
    if failure == "down":
        named.start()
        eventually(lambda: named.addresses(name) == {"10.0.0.1"}, 60)
