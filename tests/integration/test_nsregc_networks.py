# SPDX-License-Identifier: LGPL-2.1-or-later
"""Networks that swallow packets, are cut, or are left for another."""

import time

from lab import eventually
from lab.house import NAME, REVERSE, ZONE, expected


def registrar(lab, netns, address, **zone):
    """A registrar at that address with a name server behind it, both returned."""
    named = lab.named(ZONE, *REVERSE, netns=netns).start()
    return lab.nsregd(zones={ZONE: {**zone, "upstreams": [named.upstream(ZONE, REVERSE)]}}, netns=netns,
                      address=address), named


def test_filtered_network_is_met_quietly(lab):
    """Connections time out: a few attempts, further and further apart, and one line in the log."""
    netns = lab.netns()
    netns.dummy("eth0", "10.1.2.3/24")
    # Packets to the server leave and nothing comes back.
    netns.ip("neighbour", "add", "10.1.2.99", "lladdr", "02:00:00:00:00:99", "dev", "eth0")
    client = lab.nsregc("box", zones=[ZONE], netns=netns, dns_server="10.1.2.99@8053", dns_tcp=True,
                        discover_zones=False, dns_timeout="500ms", arguments=["--debug"])
    client.start()
    client.wait_log("cannot be registered now")

    def attempts():
        return client.log().count("cannot be registered now")

    first = time.monotonic()
    eventually(lambda: attempts() >= 3, 30)
    # At the least 0.75 * (2 + 4) s of waiting lie between the first and the third.
    assert time.monotonic() - first > 4
    told = [line for line in client.log().splitlines() if "cannot be registered" in line]
    assert len(told) == attempts()
    with open(f"/proc/{client.process.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    assert int(fields[11]) + int(fields[12]) < 300, "ticks of processor time"
    started = time.monotonic()
    assert client.term() == 0
    assert time.monotonic() - started < 5, "nothing was ever registered: nothing to wait for"


def test_network_cut_and_healed(lab):
    """Two machines and a cable: it is cut longer than the lease, and put back."""
    server, laptop = lab.netns(), lab.netns()
    laptop.veth("eth0", server, "srv0")
    server.ip("address", "add", "10.1.2.1/24", "dev", "srv0")
    laptop.ip("address", "add", "10.1.2.3/24", "dev", "eth0")
    nsregd, named = registrar(lab, server, "10.1.2.1", **{"max-addr-ttl": "2s", "min-addr-ttl": "1s"})
    nsregd.start()
    client = lab.nsregc("box", zones=[ZONE], server=nsregd, netns=laptop, dns_timeout="1s").start()
    eventually(lambda: named.addresses(NAME) == expected(laptop) == {"10.1.2.3"})
    server.ip("link", "set", "srv0", "down")
    client.wait_log("cannot be registered now", timeout=30)
    time.sleep(2)
    server.ip("link", "set", "srv0", "up")
    eventually(lambda: named.addresses(NAME) == expected(laptop) == {"10.1.2.3"}, 60)
    # Another address is a sign that the network changed: tried at once, whatever the back-off says.
    server.ip("link", "set", "srv0", "down")
    eventually(lambda: client.log().count("cannot be registered now") >= 2, 30)
    time.sleep(6)
    server.ip("link", "set", "srv0", "up")
    laptop.ip("address", "add", "10.1.2.4/24", "dev", "eth0")
    eventually(lambda: named.addresses(NAME) == expected(laptop) == {"10.1.2.3", "10.1.2.4"}, 30)
    assert client.term() == 0
    eventually(lambda: named.addresses(NAME) == set())


def test_moved_to_another_network(lab):
    """The laptop leaves one network and comes up in another: the zone of each has what belongs there."""
    first, second, laptop = lab.netns(), lab.netns(), lab.netns()
    laptop.veth("eth0", first, "srv0")
    # Its own address stays when the cable goes.
    first.ip("address", "add", "10.1.1.1/32", "dev", "lo")
    first.ip("address", "add", "10.1.1.2/24", "dev", "srv0")
    laptop.ip("address", "add", "10.1.1.3/24", "dev", "eth0")
    one, old = registrar(lab, first, "10.1.1.1", **{"max-addr-ttl": "3s", "min-addr-ttl": "1s"})
    one.start()
    client = lab.nsregc("box", zones=[ZONE], server=one, netns=laptop, dns_timeout="1s").start()
    eventually(lambda: old.addresses(NAME) == expected(laptop) == {"10.1.1.3"})
    laptop.ip("link", "del", "eth0")
    laptop.veth("eth0", second, "srv0")
    # The same registrar address, another registrar, which knows nothing of this machine.
    second.ip("address", "add", "10.1.1.1/24", "dev", "srv0")
    two, new = registrar(lab, second, "10.1.1.1")
    two.port = two.config["listen-port"] = one.port
    two.start()
    laptop.ip("address", "add", "10.1.1.7/24", "dev", "eth0")
    eventually(lambda: new.addresses(NAME) == expected(laptop) == {"10.1.1.7"}, 30)
    eventually(lambda: old.addresses(NAME) == set(), 30)
    assert client.running


def test_a_link_that_comes_up_ends_the_waiting(lab):
    """An outage at boot: the address is there, the cable is not. Its return is the event, whatever the back-off."""
    server, laptop = lab.netns(), lab.netns()
    laptop.veth("eth0", server, "srv0")
    server.ip("address", "add", "10.1.2.1/24", "dev", "srv0")
    laptop.ip("address", "add", "10.1.2.3/24", "dev", "eth0")
    nsregd, named = registrar(lab, server, "10.1.2.1")
    nsregd.start()
    server.ip("link", "set", "srv0", "down")
    client = lab.nsregc("box", zones=[ZONE], server=nsregd, netns=laptop, dns_timeout="300ms",
                        extra_addresses=["10.9.9.9"], arguments=["--debug"]).start()
    eventually(lambda: client.log().count("cannot be registered now") >= 4, 60)
    # The next attempt would be in twelve seconds or more.
    server.ip("link", "set", "srv0", "up")
    eventually(lambda: "10.1.2.3" in named.addresses(NAME), 8)
