# SPDX-License-Identifier: LGPL-2.1-or-later
"""TSIG against real servers: our requests are taken, their answers verify, and each failure is told for what it is."""

import os
import subprocess

import pytest

from lab import TSIG_ALGORITHMS, TsigKey, Zone
from lab.servers import knot_version

TOOL = os.path.join(os.environ["NSREG_BUILD"], "tests", "tools", "tsig-tool")
HOUR = 3600
SERVERS = ["named", "knot", "pdns"]


# An unknown key: RFC 8945 section 5.2.1 asks for NOTAUTH with an unsigned TSIG that says BADKEY.
UNKNOWN = ["unsigned", "NOTAUTH", "17"]


def unknown_key(kind):
    """How this server answers a key that it does not know. Knot leaves the TSIG out from 3.4 on."""
    if kind != "knot":
        return UNKNOWN
    return UNKNOWN if knot_version() < (3, 4) else ["missing", "NOTAUTH", "0"]


def update(lab, server, key, *records, shift=0):
    """(verdict, RCODE, TSIG error, ...) of one signed UPDATE."""
    path = key.write(os.path.join(lab.directory, f"{key.name}.key"))
    command = [TOOL, path, server.address, str(server.port), str(shift), "d.example", *records]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("algorithm", TSIG_ALGORITHMS)
def test_every_algorithm(lab, kind, algorithm):
    key = TsigKey("upstream-key.example", algorithm)
    server = getattr(lab, kind)(Zone("d.example", keys=[key])).start()
    assert update(lab, server, key, "host.d.example", "192.0.2.1", "host.d.example", "2001:db8::1") == [
        "good", "NOERROR", "0"]
    assert server.addresses("host.d.example") == {"192.0.2.1", "2001:db8::1"}
    # well within the fudge
    assert update(lab, server, key, "host.d.example", "192.0.2.2", shift=-200) == ["good", "NOERROR", "0"]
    assert "192.0.2.2" in server.addresses("host.d.example")


@pytest.mark.parametrize("kind", SERVERS)
def test_a_key_for_another_zone(lab, kind):
    """An answer that verifies may still say no. Knot takes a key that the zone's ACL does not name for unknown."""
    allowed, other = TsigKey("allowed-key"), TsigKey("other-key")
    server = getattr(lab, kind)(Zone("d.example", keys=[allowed]), Zone("e.example", keys=[other])).start()
    answer = unknown_key(kind) if kind == "knot" else ["good", "REFUSED", "0"]
    assert update(lab, server, other, "host.d.example", "192.0.2.1") == answer
    assert server.addresses("host.d.example") == set()


# BIND and Knot answer an unknown key and a bad MAC unsigned, as RFC 8945 section 5.3.2 says.
@pytest.mark.parametrize("kind", ["named", "knot"])
@pytest.mark.parametrize("algorithm", ["hmac-sha256", "hmac-sha512"])
def test_unknown_key(lab, kind, algorithm):
    server = getattr(lab, kind)("d.example").start()
    assert update(lab, server, TsigKey("unknown-key", algorithm), "host.d.example", "192.0.2.1") == unknown_key(kind)
    assert server.addresses("host.d.example") == set()


@pytest.mark.parametrize("kind", ["named", "knot"])
def test_wrong_secret(lab, kind):
    server = getattr(lab, kind)("d.example").start()
    assert update(lab, server, server.key.wrong(), "host.d.example", "192.0.2.1") == ["unsigned", "NOTAUTH", "16"]
    assert server.addresses("host.d.example") == set()


@pytest.mark.parametrize("kind", ["named", "knot"])
def test_wrong_algorithm(lab, kind):
    """The key's name and secret with another digest is another key."""
    server = getattr(lab, kind)("d.example").start()
    other = TsigKey(server.key.name, "hmac-sha512", server.key.secret)
    answer = update(lab, server, other, "host.d.example", "192.0.2.1")
    assert answer in (unknown_key(kind), ["unsigned", "NOTAUTH", "16"])
    assert server.addresses("host.d.example") == set()


@pytest.mark.parametrize("kind", ["named", "knot"])
@pytest.mark.parametrize("shift", [-HOUR, HOUR])
def test_wrong_time(lab, kind, shift):
    """The server says by how much we are wrong, and signs it."""
    server = getattr(lab, kind)("d.example").start()
    verdict, rcode, error, distance = update(lab, server, server.key, "host.d.example", "192.0.2.1", shift=shift)
    assert (verdict, rcode, error) == ("badtime", "NOTAUTH", "18")
    assert abs(int(distance) + shift) <= 10
    assert server.addresses("host.d.example") == set()


@pytest.mark.parametrize("shift", [0, HOUR])
def test_powerdns_says_no_somehow(lab, shift):
    """PowerDNS has its own ways of refusing; none of them may look like success."""
    server = lab.pdns("d.example").start()
    key = server.key if shift else server.key.wrong()
    verdict, rcode = update(lab, server, key, "host.d.example", "192.0.2.1", shift=shift)[:2]
    assert not (verdict == "good" and rcode == "NOERROR")
    assert rcode in ("NOTAUTH", "REFUSED")
    assert server.addresses("host.d.example") == set()
