# SPDX-License-Identifier: LGPL-2.1-or-later
"""nsregc against the original daemon, which its users still run. It cannot be had any more: tests/lab/original.py
behaves as it did."""

import json
import os
import sys
import time

import pytest

from lab import eventually, free_port, never

ZONE = "d.example"
NAME = "box.d.example."


class Original:
    address = "127.0.0.1"

    def __init__(self, lab, netns, max_ttl=3600, more=()):
        self.port = free_port()
        directory = lab.subdirectory("original")
        self.state = os.path.join(directory, "state.json")
        program = os.path.join(os.path.dirname(sys.modules["lab"].__file__), "original.py")
        self.process = lab.process("original", ["/usr/bin/python3", program, self.address, self.port, ZONE, self.state,
                                                max_ttl, *more], netns=netns)
        self.process.spawn()
        eventually(lambda: os.path.exists(self.state))

    def _read(self):
        with open(self.state, encoding="ascii") as state:
            return json.load(state)

    def records(self, name=NAME):
        return set(self._read()["records"].get(name, []))

    def log(self):
        return self._read()["log"]

    def kill(self):
        self.process.kill()

    def start(self):
        self.process.spawn()


@pytest.fixture
def netns(lab):
    netns = lab.netns()
    netns.dummy("eth0", "10.1.2.3/24", "fd00:1::3/64")
    return netns


def nsregc(lab, netns, original, name="box", **settings):
    return lab.nsregc(name, zones=[ZONE], server=original, netns=netns, **settings)


def test_register_change_withdraw(lab, netns):
    original = Original(lab, netns)
    client = nsregc(lab, netns, original).start()
    eventually(lambda: original.records() == {"10.1.2.3", "fd00:1::3"})
    netns.add_address("eth0", "10.1.2.4/24")
    eventually(lambda: original.records() == {"10.1.2.3", "10.1.2.4", "fd00:1::3"})
    netns.delete_address("eth0", "10.1.2.3/24")
    eventually(lambda: "10.1.2.3" not in original.records())
    assert client.term() == 0
    assert original.records() == set()
    # Nothing was said that it does not understand.
    assert all(entry["rcode"] == 0 and entry["classes"] for entry in original.log()), original.log()


def test_refresh_at_half_of_the_echoed_ttl(lab, netns):
    original = Original(lab, netns, max_ttl=2)
    nsregc(lab, netns, original).start()
    eventually(lambda: len(original.log()) >= 4, 10)
    assert all(entry["rcode"] == 0 for entry in original.log())


def test_a_crashed_predecessor(lab, netns):
    original = Original(lab, netns)
    client = nsregc(lab, netns, original).start()
    eventually(lambda: original.records() == {"10.1.2.3", "fd00:1::3"})
    client.kill()
    netns.delete_address("eth0", "10.1.2.3/24")
    client.start()
    eventually(lambda: original.records() == {"fd00:1::3"})
    assert all(entry["rcode"] == 0 for entry in original.log())


def test_a_target_that_it_does_not_resolve_itself(lab, netns):
    """Asked for itself it names its listen-addr, localhost unless configured, and answers no other question."""
    original = Original(lab, netns, more=["localhost"])
    client = nsregc(lab, netns, original).start()
    eventually(lambda: original.records() == {"10.1.2.3", "fd00:1::3"})
    assert client.term() == 0
    assert original.records() == set()


def test_an_address_that_is_not_taken(lab, netns):
    """It is left out of the echo, when it comes and when it goes: no reason to give up, or to ask again and again."""
    original = Original(lab, netns, max_ttl=4)
    client = nsregc(lab, netns, original).start()
    eventually(lambda: original.records() == {"10.1.2.3", "fd00:1::3"})
    netns.add_address("eth0", "203.0.113.7/24")
    netns.add_address("eth0", "2001:db8::7/64")
    client.wait_log("203.0.113.7")
    eventually(lambda: len(original.log()) >= 4)
    netns.delete_address("eth0", "203.0.113.7/24")
    netns.add_address("eth0", "10.1.2.4/24")
    eventually(lambda: original.records() == {"10.1.2.3", "10.1.2.4", "fd00:1::3"})
    assert client.term() == 0
    assert original.records() == set()
    assert all(entry["rcode"] == 0 for entry in original.log()), original.log()
    assert len(original.log()) < 20, original.log()


def test_the_daemon_is_killed(lab, netns):
    """It comes back with its keys and without its records, and those it had are still in the DNS: what changed
    meanwhile, additions and removals, is told to the new one."""
    original = Original(lab, netns, max_ttl=8)
    client = nsregc(lab, netns, original).start()
    netns.add_address("eth0", "10.1.2.4/24")
    eventually(lambda: original.records() == {"10.1.2.3", "10.1.2.4", "fd00:1::3"})
    original.kill()
    netns.delete_address("eth0", "10.1.2.4/24")
    netns.add_address("eth0", "10.1.2.5/24")
    client.wait_log("cannot be registered now")
    original.start()
    eventually(lambda: original.records() == {"10.1.2.3", "10.1.2.5", "fd00:1::3"}, 60)
    assert client.running


def test_refused_with_its_text(lab, netns):
    original = Original(lab, netns)
    assert nsregc(lab, netns, original).run("--once")[0] == 0
    client = nsregc(lab, netns, original).start()
    client.wait_log("was refused: name is owned by another key")
    never(lambda: not client.running, 0.5)


def test_a_server_that_became_an_original(lab, netns):
    """What was noted of the server is no longer true: found out by FORMERR, and put right at once."""
    original = Original(lab, netns)
    client = nsregc(lab, netns, original)
    with open(os.path.join(client.state_dir, "registered"), "w", encoding="ascii") as ledger:
        ledger.write(f"{ZONE}. {NAME} modern 10.9.9.9\n")
    client.start()
    eventually(lambda: original.records() == {"10.1.2.3", "fd00:1::3"})
    assert original.log()[0]["rcode"] == 1


def test_release_is_a_withdrawal_there(lab, netns):
    original = Original(lab, netns)
    client = nsregc(lab, netns, original)
    assert client.run("--once")[0] == 0
    status, _, errors = client.run("--release")
    assert status == 0, errors
    assert original.records() == set()


def test_leases_without_the_deletion_of_rrsets(lab, netns):
    """A server of neither kind: it grants with Update Lease, and does not understand what that usually means."""
    original = Original(lab, netns, more=["lease"])
    client = nsregc(lab, netns, original).start()
    eventually(lambda: original.records() == {"10.1.2.3", "fd00:1::3"})
    client.wait_log("Registered box")
    time.sleep(2)  # of what follows from it
    assert len(original.log()) < 6, original.log()
    netns.add_address("eth0", "10.1.2.4/24")
    eventually(lambda: original.records() == {"10.1.2.3", "10.1.2.4", "fd00:1::3"})
    assert client.term() == 0
    assert original.records() == set()


def test_refreshes_are_no_circle(lab, netns):
    """However often it says the same: each time it rests before the next."""
    original = Original(lab, netns, max_ttl=1)
    client = nsregc(lab, netns, original).start()
    eventually(lambda: len(original.log()) >= 45, 60)
    assert "no end" not in client.log()
