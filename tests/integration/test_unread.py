# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is refused before it is read as an update, or because of a number in it: each gets a text that is true, in a
form that whoever sent it can read, and the connection serves on."""

import time

import dns.message
import dns.rcode
import dns.tsigkeyring
import dns.update
import pytest

from lab import TsigKey

ZONE = "d.example"
FOREVER = 2 ** 32 - 1


@pytest.fixture(scope="module")
def registrar(lab_of_module):
    return lab_of_module.nsregd({ZONE: {"allowed-nets": ["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"],
                                        "max-records-per-name": 1000}}).start()


@pytest.fixture
def client(registrar):
    return registrar.client(ZONE)


def padded(client, label, size, key_in_additional):
    """A signed update of about this many octets. It would be a good one but for its length."""
    name = client.full(label)
    message = client.update()
    if not key_in_additional:
        message.key_in_update(name, client.key)
    message.add(name, 60, "10.0.0.1").opt(options=[(65001, bytes(size))])
    if key_in_additional:
        message.key(name, client.key)
    return message.sign(client.key, name)


def serves_on(client, connection, label):
    reply = client.claim(label, "10.0.0.1", connection=connection)
    return reply is not None and reply.rcode == "NOERROR"


def is_told(reply, rcode, *words):
    """By us and by dnspython, which takes no reply apart that has a record of class ANY with data."""
    assert reply is not None, "the connection was closed instead"
    assert reply.rcode == rcode, reply
    assert all(word in reply.text for word in words), reply
    return True


def is_readable(reply):
    return dns.rcode.to_text(dns.message.from_wire(reply.octets).rcode()) == reply.rcode


@pytest.mark.parametrize("original", (True, False), ids=("original", "plain"))
@pytest.mark.parametrize("size", (8192, 9000, 65000))
def test_a_message_longer_than_the_limit(registrar, client, size, original):
    message = padded(client, "long", size, original)
    with client.connect() as connection:
        reply = connection.exchange(message)
        assert is_told(reply, "FORMERR", f"{len(message.wire)} octets", "8192")
        assert is_readable(reply)
        assert reply.question == [(f"{ZONE}.", 6, 1)], reply.question
        assert serves_on(client, connection, f"after{size}{original}".lower())
    assert registrar.addresses(f"long.{ZONE}") == set()


def test_messages_behind_a_long_one(registrar, client):
    long_one, good = padded(client, "pipelined", 20000, True), client.original("pipelined", ["10.0.0.1"])
    first, second = long_one.wire[:2], good.wire[:2]
    assert first != second
    with client.connect() as connection:
        for message in (long_one, good, long_one):
            connection.send(message)
        replies = [connection.receive() for _ in range(3)]
        assert sorted((reply.octets[:2], reply.rcode) for reply in replies) == sorted(
            [(first, "FORMERR"), (first, "FORMERR"), (second, "NOERROR")])


def test_a_long_answer_is_not_answered(registrar, client):
    message = padded(client, "long", 9000, True)
    message.flags |= 0x8000
    with client.connect() as connection:
        assert connection.exchange(message) is None
    assert registrar.alive()


def many(client, label, n, original):
    name = client.full(label)
    message = client.update()
    if not original:
        message.key_in_update(name, client.key)
    message.add(name, 60, *[f"10.0.{i // 250}.{i % 250 + 1}" for i in range(n)]).opt()
    if original:
        message.key(name, client.key)
    return message.sign(client.key, name)


@pytest.mark.parametrize("n", (65, 200))
def test_more_records_than_the_limit(registrar, client, n):
    """In the sender's dialect."""
    for original in (True, False):
        message = many(client, "many", n, original)
        with client.connect() as connection:
            reply = connection.exchange(message)
            # The KEY, the OPT and the SIG are records as well.
            assert is_told(reply, "FORMERR", f"{n + 3} records", "64")
            assert (reply.refusal is not None) == original, reply
            assert original or is_readable(reply)
            assert serves_on(client, connection, f"behind{n}{original}".lower())


def test_more_records_than_are_looked_at(registrar, client):
    """So many that nothing of the message is known but its zone."""
    name = client.full("many")
    message = client.update()
    message.updates += [b"\xc0\x0c" + b"\0\x01\0\xff" + bytes(6)] * 600
    message.opt().key(name, client.key)
    reply = client.send(message.sign(client.key, name))
    assert is_told(reply, "FORMERR", "603 records", "64") and is_readable(reply)


@pytest.mark.parametrize("edns", (True, False))
def test_tsig(registrar, client, edns):
    """As nsupdate -y and dnspython sign."""
    update = dns.update.UpdateMessage(ZONE)
    update.add("tsig", 60, "A", "10.0.0.1")
    update.use_edns(0 if edns else None)
    update.use_tsig(dns.tsigkeyring.from_text({"key": TsigKey().secret}), keyname="key",
                    algorithm="hmac-sha256")
    with client.connect() as connection:
        reply = connection.exchange(update.to_wire())
        assert is_told(reply, "FORMERR", "TSIG", "SIG(0)") and is_readable(reply)
        assert serves_on(client, connection, f"tsig{edns}".lower())


def test_a_zone_that_is_not_served(registrar):
    """Without EDNS there is but the record, in the form of whoever asks."""
    client = registrar.client("e.example")
    reply = client.claim("foo", "10.0.0.1")
    assert is_told(reply, "NOTAUTH", "not served") and reply.refusal, reply
    reply = client.send(client.plain("foo", ["10.0.0.1"], claim_ttl=3600, opt=False))
    assert is_told(reply, "NOTAUTH", "not served") and is_readable(reply)


@pytest.mark.parametrize("ttl", (FOREVER, 2 ** 31))
@pytest.mark.parametrize("original", (True, False), ids=("original", "plain"))
def test_ttls_that_are_none(registrar, client, original, ttl):
    """RFC 2181 section 8. They are as far from "more than 0" as can be."""
    name = client.full("forever")
    for address_ttl, key_ttl in ((ttl, 3600), (60, ttl)):
        message = client.update()
        if not original:
            message.key_in_update(name, client.key, key_ttl)
        message.add(name, address_ttl, "10.0.0.1").opt()
        if original:
            message.key(name, client.key, key_ttl)
        reply = client.send(message.sign(client.key, name))
        assert is_told(reply, "FORMERR", str(ttl), "2147483647") and "more than 0" not in reply.text, reply
    assert registrar.addresses(name) == set()


def test_the_longest_ttl_is_granted_what_is_allowed(client):
    reply = client.claim("long-lived", ("10.0.0.1", 2 ** 31 - 1), key_ttl=2 ** 31 - 1)
    assert reply.rcode == "NOERROR" and reply.granted() == {"10.0.0.1": 3600}, reply


ADDRESSES = (("0.0.0.0", "unspecified"), ("::", "unspecified"), ("224.0.0.251", "multicast"),
             ("ff02::fb", "multicast"), ("239.255.255.250", "multicast"), ("255.255.255.255", "broadcast"),
             ("::ffff:10.0.0.1", "IPv4"), ("0.1.2.3", "0.0.0.0/8"))


@pytest.mark.parametrize("address,what", ADDRESSES)
def test_addresses_that_nobody_has(registrar, client, address, what):
    name = client.full("nobody")
    for original in (True, False):
        message = client.update()
        if not original:
            message.key_in_update(name, client.key)
        message.add(name, 60, address).opt()
        if original:
            message.key(name, client.key)
        reply = client.send(message.sign(client.key, name))
        assert is_told(reply, "REFUSED", address, what), reply
        assert "outside the networks" not in reply.text
    assert registrar.addresses(name) == set()


def test_an_address_that_nobody_has_beside_a_good_one(registrar, client):
    """The original's client keeps the good one, and is told of the other."""
    name = client.full("half")
    message = client.update().add(name, 60, "10.0.0.1", "224.0.0.1").opt().key(name, client.key)
    reply = client.send(message.sign(client.key, name))
    assert is_told(reply, "NOERROR", "224.0.0.1", "multicast") and reply.granted() == {"10.0.0.1": 60}
    # A known name does not lose what it has, and the old client does not give up.
    message = client.update().add(name, 60, "224.0.0.1").opt().key(name, client.key)
    reply = client.send(message.sign(client.key, name, inception=int(time.time()) - 10))
    assert reply.rcode in ("NOERROR", "REFUSED") and "multicast" in reply.text, reply
    assert registrar.addresses(name) == {"10.0.0.1"}
