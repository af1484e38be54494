# SPDX-License-Identifier: LGPL-2.1-or-later
"""A copied disk has a copied key: two machines, one name. Both are told, the journal is, and neither stays out."""

import shutil

import pytest

from lab import eventually
from lab.house import Lan, NAME, ZONE

TOLD = r"one key changes it from {0} and from {1} in turn"
ALONE = "registered, but not by this machine alone: another machine, at {0}, changes this name with the same key"


def machine(lab, lan, address):
    netns = lab.netns()
    lan.plug(netns, address)
    return netns


def copy_of(lan, netns, client, **settings):
    copy = lan.nsregc(netns, **settings)
    shutil.copytree(client.state_dir, copy.state_dir, dirs_exist_ok=True)
    return copy


@pytest.fixture
def twins(lab):
    """Two machines, of which the second is a copy of the first; neither runs."""
    def make(**settings):
        lan = Lan(lab, **settings)
        first = lan.nsregc(machine(lab, lan, 3))
        assert first.run("--once")[0] == 0
        return lan, first, copy_of(lan, machine(lab, lan, 4), first)
    return make


def test_both_are_told_and_the_journal(twins):
    lan, first, second = twins(**{"max-addr-ttl": "4s", "min-addr-ttl": "1s"})
    first.start()
    eventually(lambda: lan.published() == {"10.1.2.3"})
    second.start()
    first.wait_log(ALONE.format("10.1.2.4"))
    second.wait_log(ALONE.format("10.1.2.3"))
    eventually(lambda: lan.published() == {"10.1.2.3", "10.1.2.4"})
    eventually(lambda: "in turn" in lan.nsregd.log())
    # A lease later it is still so, and still told once.
    lan.nsregd.wait_log(TOLD.format("10.1.2.[34]", "10.1.2.[34]"))
    for client in (first, second):
        client.wait_log("Registered|registered")
        assert client.log().count("not by this machine alone") == 1
    assert lan.nsregd.log().count("in turn") == 1
    # One goes for good: what the other is told ends with the lease of what is left.
    second.kill()
    eventually(lambda: lan.published() == {"10.1.2.3"}, 30)


def test_the_one_that_was_overwritten_is_back_soon(twins):
    """Not with the next refresh, which is most of an hour away."""
    lan, first, second = twins(**{"max-addr-ttl": "1h"})
    first.start()
    eventually(lambda: lan.published() == {"10.1.2.3"})
    second.start()
    eventually(lambda: lan.published() == {"10.1.2.4"})
    first.reload()  # tried at once: told, and there again
    first.wait_log(ALONE.format("10.1.2.4"))
    eventually(lambda: lan.published() == {"10.1.2.3", "10.1.2.4"})
    second.kill()
    second.start()
    eventually(lambda: lan.published() == {"10.1.2.4"})
    eventually(lambda: lan.published() == {"10.1.2.3", "10.1.2.4"}, 60)


def test_the_status_says_so(lab):
    bus = lab.bus(in_namespaces=True).start()
    lan = Lan(lab, **{"max-addr-ttl": "4s", "min-addr-ttl": "1s"})
    first = lan.nsregc(machine(lab, lan, 3), environment=bus.environment)
    assert first.run("--once")[0] == 0
    copy_of(lan, machine(lab, lan, 4), first).start()
    first.start()
    bus.wait_for("org.nsreg.Client1")

    def shown(what):
        return bus.get("org.nsreg.Client1", "/org/nsreg/Client1/zone/d_2eexample", "org.nsreg.Client1.Zone", what)

    eventually(lambda: shown("LastError").startswith("another machine, at 10.1.2.4, changes this name"))
    assert shown("State") == "registered"
    status, out, errors = lab.nsregctl(environment=bus.environment).run("client", "status")
    assert status == 0, errors
    assert "another machine, at 10.1.2.4" in out


def test_a_machine_that_moves_is_no_twin(lab):
    lan, other = Lan(lab), None
    netns = machine(lab, lan, 3)
    client = lan.nsregc(netns).start()
    eventually(lambda: lan.published() == {"10.1.2.3"})
    for address in (5, 3, 5, 3):
        # The kernel takes the routes along.
        lan.unplug(netns)
        lan.plug(netns, address)
        other = {f"10.1.2.{address}"}
        eventually(lambda: lan.published() == other)  # pylint: disable=cell-var-from-loop
    client.kill()
    client.start()
    eventually(lambda: lan.published() == other)
    assert "in turn" not in lan.nsregd.log() and "same key" not in client.log()


# ------ what the registrar says to others ------

@pytest.fixture
def registrar(lab):
    return lab.nsregd({ZONE: {"allowed-nets": ["127.0.0.0/8", "10.0.0.0/8"], "max-addr-ttl": "1h"}}).start()


def test_the_text_and_to_whom(registrar):
    first = registrar.client(source="127.0.0.2")
    second = registrar.client(source="127.0.0.3", key=first.key)
    assert first.send(first.plain("box", ["10.0.0.2"], claim_ttl=3600)).ede is None
    assert second.send(second.plain("box", ["10.0.0.3"])).ede is None
    reply = first.send(first.plain("box", ["10.0.0.2"]))
    assert reply.rcode == "NOERROR" and set(reply.granted()) == {"10.0.0.2"}
    assert reply.ede == (0, "another machine, at 127.0.0.3, changes this name with the same key; if one of the two is "
                            "a copy of the other, give it a key of its own")
    # What else there is to say comes first; without an OPT there is no place for it.
    reply = second.send(second.original("box", ["10.0.0.3", "192.0.2.1"]))
    assert reply.rcode == "NOERROR" and reply.ede is None and reply.refusal is None
    registrar.wait_log("box.d.example.*: " + TOLD.format("127.0.0.2", "127.0.0.3"))
    assert registrar.log().count("in turn") == 1


def test_it_is_told_beside_what_was_left_out(registrar):
    first = registrar.client(source="127.0.0.2")
    second = registrar.client(source="127.0.0.3", key=first.key)
    name = first.full("box")

    def ask(client, *addresses):
        message = client.update().add(name, 60, *addresses).key(name, client.key, 3600).opt()
        return client.send(message.sign(client.key, name))

    assert ask(first, "10.0.0.2").rcode == "NOERROR"
    assert ask(second, "10.0.0.3").rcode == "NOERROR"
    reply = ask(first, "10.0.0.2", "192.0.2.1")
    assert reply.ede_code == 18 and reply.text.startswith("address 192.0.2.1 was left out")
    assert "; another machine, at 127.0.0.3," in reply.text


def test_another_key_is_no_twin(registrar):
    first, second = registrar.client(source="127.0.0.2"), registrar.client(source="127.0.0.3")
    assert first.claim("box", "10.0.0.2").rcode == "NOERROR"
    for _ in range(3):
        assert second.claim("box", "10.0.0.3").rcode == "REFUSED"
    assert "in turn" not in registrar.log()
