# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which of several registrars nsregc goes to, what it makes of those that are dead, and how long it waits for
whom. A real named answers on port 53 of a namespace; packets to the dead leave and nothing comes back."""

import os
import re
import time

import pytest

from lab import eventually
from lab.house import NAME, Net

DEAD = "10.1.2.99"


def with_a_dead_first(lab, ttl=5, **settings):
    """The first target swallows what is sent to it, the second lives."""
    net = Net(lab)
    net.swallow(DEAD)
    net.update(f"update add dead.d.example. 60 A {DEAD}")
    net.srv(f"0 0 {net.nsregd.port} dead.d.example.", f"1 0 {net.nsregd.port} ns1.d.example.", ttl=ttl)
    return net, net.nsregc(zones=["d.example"], arguments=["--debug"], **settings)


def attempts(client, address=DEAD):
    return len(re.findall(f"connecting to {re.escape(address)}@", client.log()))


@pytest.mark.parametrize("ttl", [1, 5, 60])
def test_a_dead_target_does_not_use_up_the_pass(lab, ttl):
    net, client = with_a_dead_first(lab, ttl)
    client.start()
    net.registered()
    assert attempts(client) == 1
    # It is remembered: what changes from now on goes to the one that lives, and the dead one is not asked first.
    for n in range(4, 8):
        net.netns.add_address("eth0", f"10.1.2.{n}/24")
        net.registered(addresses={f"10.1.2.{m}" for m in range(3, n + 1)})
    assert attempts(client) == 1
    assert client.term() == 0
    net.registered(addresses=())
    assert "in time" not in client.log()


def test_all_dead_but_the_last(lab):
    net = Net(lab)
    targets = []
    for n in range(90, 96):
        net.swallow(f"10.1.2.{n}")
        net.update(f"update add dead{n}.d.example. 60 A 10.1.2.{n}")
        targets.append(f"{n} 0 {net.nsregd.port} dead{n}.d.example.")
    net.srv(*targets, f"100 0 {net.nsregd.port} ns1.d.example.", ttl=1)
    net.nsregc(zones=["d.example"]).start()
    net.registered()


def test_a_dead_target_that_comes_back(lab):
    """It is tried last, but it is tried."""
    net, client = with_a_dead_first(lab)
    client.start()
    net.registered()
    net.nsregd.term()
    net.nsregd.config["listen-addr"] = net.nsregd.address = DEAD
    net.netns.ip("neighbour", "del", DEAD, "dev", "eth0")
    net.netns.ip("address", "add", f"{DEAD}/32", "dev", "eth0")
    net.nsregd.start()
    net.netns.add_address("eth0", "10.1.2.4/24")
    net.registered(addresses={"10.1.2.3", "10.1.2.4", DEAD})


def test_the_addresses_of_one_target_are_tried_meanwhile(lab):
    net = Net(lab)
    net.swallow(DEAD)
    net.update(f"update add both.d.example. 60 A {DEAD}")
    net.update("update add both.d.example. 60 A 127.0.0.1")
    net.srv(f"0 0 {net.nsregd.port} both.d.example.")
    net.nsregc(zones=["d.example"]).start()
    net.registered()


def cut(lab, **settings):
    """A registrar in another namespace, behind a cable that can be cut."""
    server, laptop = lab.netns(), lab.netns()
    laptop.veth("eth0", server, "srv0")
    server.ip("address", "add", "10.1.2.1/24", "dev", "srv0")
    laptop.ip("address", "add", "10.1.2.3/24", "dev", "eth0")
    named = lab.named("d.example", netns=server).start()
    nsregd = lab.nsregd(zones={"d.example": {"upstreams": [named.upstream("d.example")]}}, netns=server,
                        address="10.1.2.1").start()
    client = lab.nsregc("box", zones=["d.example"], server=nsregd, netns=laptop, **settings)
    return server, laptop, named, nsregd, client


def test_term_away_from_home_is_one_short_attempt(lab):
    server, _, named, _, client = cut(lab)
    client.start()
    eventually(lambda: named.addresses(NAME) == {"10.1.2.3"})
    server.ip("address", "del", "10.1.2.1/24", "dev", "srv0")
    started = time.monotonic()
    assert client.term() == 0
    # A promise to whoever shuts down: far below the ten seconds that a registrar that answers may have.
    assert time.monotonic() - started < 6
    assert "ends with its lease" in client.log() and "in time" not in client.log()
    # What may be there is known to the next start.
    with open(os.path.join(client.state_dir, "registered"), encoding="ascii") as ledger:
        assert "10.1.2.3" in ledger.read()


def test_term_while_a_leftover_waits(lab):
    """What a predecessor left in a zone that is gone is tried in a back-off; TERM does not wait for that."""
    _, _, named, _, client = cut(lab)
    with open(os.path.join(client.state_dir, "registered"), "w", encoding="ascii") as out:
        out.write("gone.example. box.gone.example. modern 10.1.2.3\n")
    client.start()
    eventually(lambda: named.addresses(NAME) == {"10.1.2.3"})
    client.wait_log("gone.example. cannot be registered now|no SRV record")
    started = time.monotonic()
    assert client.term() == 0
    assert time.monotonic() - started < 6
    assert named.addresses(NAME) == set()


def ports(netns, nsregd):
    """The client's ends of its connections."""
    lines = netns.run("ss", "-Htn", "state", "established").stdout.splitlines()
    return {line.split()[2] for line in lines if line.split()[3].endswith(f":{nsregd.port}")}


def kept_waiting(laptop, named, nsregd, address):
    """The client's end of the connection on which it waits for the answer to a change: the registrar waits for its
    name server."""
    eventually(lambda: not ports(laptop, nsregd))
    named.pause()
    laptop.ip("address", "add", address, "dev", "eth0")

    def stays():
        found = ports(laptop, nsregd)
        time.sleep(0.4)
        return found & ports(laptop, nsregd)

    return eventually(stays)


def woken(bus):
    tool = os.path.join(os.environ["NSREG_BUILD"], "tests", "tools", "bus-tool")
    done = bus.run(tool, "woken")
    assert done.returncode == 0, done.stderr


def test_a_connection_from_before_the_suspend_is_not_waited_for(lab):
    bus = lab.bus(in_namespaces=True).start()
    _, laptop, named, nsregd, client = cut(lab, environment=bus.environment)
    client.start()
    eventually(lambda: named.addresses(NAME) == {"10.1.2.3"})
    bus.wait_for("org.nsreg.Client1")
    before = kept_waiting(laptop, named, nsregd, "10.1.2.4/24")
    woken(bus)
    eventually(lambda: ports(laptop, nsregd) and not ports(laptop, nsregd) & before, 5)
    named.resume()
    eventually(lambda: named.addresses(NAME) == {"10.1.2.3", "10.1.2.4"})


def test_a_connection_from_before_the_network_changed_is_given_up_soon(lab):
    _, laptop, named, nsregd, client = cut(lab)
    client.start()
    eventually(lambda: named.addresses(NAME) == {"10.1.2.3"})
    before = kept_waiting(laptop, named, nsregd, "10.1.2.4/24")
    laptop.ip("address", "add", "10.1.2.5/24", "dev", "eth0")
    eventually(lambda: ports(laptop, nsregd) and not ports(laptop, nsregd) & before, 5)
    named.resume()
    eventually(lambda: named.addresses(NAME) == {"10.1.2.3", "10.1.2.4", "10.1.2.5"})
