# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the registrar listens, when nobody passes it sockets."""

import socket

import dns.message
import dns.query
import pytest

ZONE = "d.example"


def registrar(lab, listen, address, disable_ipv6=False):
    """In a namespace, where all of the machine's addresses are the test's own."""
    netns = lab.netns()
    if disable_ipv6:
        netns.run("sysctl", "-q", "-w", "net.ipv6.conf.all.disable_ipv6=1")
    daemon = lab.nsregd({ZONE: {"query-nets": ["127.0.0.0/8", "::1", "10.0.0.0/8", "fd00::/8"]}}, netns=netns,
                        address=address)
    daemon.config["listen-addr"] = listen
    return daemon, netns


def answers(daemon, address):
    question = dns.message.make_query(ZONE, "SOA")
    with daemon.netns:
        for ask in (dns.query.tcp, dns.query.udp):
            reply = ask(question, address, timeout=5, port=daemon.port)
            assert reply.rcode() == 0 and reply.answer, reply
    return True


def is_refused(daemon, address):
    with daemon.netns, pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, daemon.port), timeout=5).close()
    return True


def test_everywhere_is_both_families(lab):
    daemon, netns = registrar(lab, "::", "127.0.0.1")
    netns.dummy("eth0", "10.0.0.1/24", "fd00::1/64")
    daemon.start()
    for address in ("127.0.0.1", "::1", "10.0.0.1", "fd00::1"):
        assert answers(daemon, address)


def test_everywhere_without_ipv6(lab):
    daemon, _ = registrar(lab, "::", "127.0.0.1", disable_ipv6=True)
    daemon.start()
    assert answers(daemon, "127.0.0.1")


def test_one_address_is_that_address(lab):
    daemon, _ = registrar(lab, "0.0.0.0", "127.0.0.1")
    daemon.start()
    assert answers(daemon, "127.0.0.2") and is_refused(daemon, "::1")
    daemon, _ = registrar(lab, "::1", "::1")
    daemon.start()
    assert answers(daemon, "::1") and is_refused(daemon, "127.0.0.1")


def test_everywhere_is_not_half_of_it(lab):
    """Who has the port of one family keeps the registrar from starting, rather than from half of its clients."""
    daemon, netns = registrar(lab, "::", "127.0.0.1")
    with netns, socket.create_server(("0.0.0.0", daemon.port)):
        status, _, errors = daemon.run()
    assert status == 1 and f"0.0.0.0 port {daemon.port}" in errors, errors
