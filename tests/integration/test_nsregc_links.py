# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which links' addresses nsregc registers, on machines as they are; of the kinds that any kernel has. The others are
told of in the unit tests."""

import json
import time

import pytest

from lab import eventually, never
from lab.house import House, NAME, ZONE


def inner(house, name, *addresses):
    """A cable into a container."""
    house.netns.dummy(name, *addresses, default_route=False)


def bridge(house, name, address, *ports):
    house.netns.ip("link", "add", name, "type", "bridge")
    for port in ports:
        house.netns.ip("link", "set", port, "master", name)
    house.netns.ip("link", "set", name, "up")
    house.netns.ip("address", "add", address, "dev", name)


def tap(house, name):
    house.netns.ip("tuntap", "add", "dev", name, "mode", "tap")
    house.netns.ip("link", "set", name, "up")


def docker(house):
    inner(house, "veth12ab")
    bridge(house, "docker0", "172.17.0.1/16", "veth12ab")


def virtual_machines(house):
    tap(house, "vnet0")
    inner(house, "vm-end")
    bridge(house, "virbr0", "192.168.122.1/24", "vnet0", "vm-end")


def overlay(house):
    house.netns.ip("link", "add", "flannel.1", "type", "vxlan", "id", "1", "dstport", "8472", "local", "10.1.2.3")
    house.netns.ip("link", "set", "flannel.1", "up")
    house.netns.ip("address", "add", "10.244.1.0/32", "dev", "flannel.1")


def container_cable(house):
    inner(house, "ve-guest", "192.168.77.1/24")


def anycast(house):
    house.netns.ip("address", "add", "10.53.53.53/32", "dev", "lo")


def leads_nowhere(house):
    house.netns.ip("link", "add", "ifb7", "type", "ifb")
    house.netns.ip("link", "set", "ifb7", "up")
    house.netns.ip("address", "add", "10.96.0.1/32", "dev", "ifb7")


@pytest.mark.parametrize("add", [docker, virtual_machines, overlay, container_cable, anycast, leads_nowhere])
def test_networks_inside_the_machine_stay_there(lab, add):
    house = House(lab)
    add(house)
    client = house.nsregc().start()
    eventually(lambda: house.published() == {"10.1.2.3"})
    # Nor do they come with the next change.
    house.netns.add_address("eth0", "10.1.2.4/24")
    eventually(lambda: house.published() == {"10.1.2.3", "10.1.2.4"})
    assert client.running


def test_two_hosts_do_not_fight_for_the_pointer(lab):
    house = House(lab, named=True)
    docker(house)
    house.nsregc().start()
    house.nsregc("other").start()
    eventually(lambda: house.published() == house.published("other.d.example") == {"10.1.2.3"})
    assert house.pointers() | house.pointers("other.d.example") == {"10.1.2.3"}


def test_a_named_interface_is_taken_whatever_it_is(lab):
    house = House(lab)
    docker(house)
    anycast(house)
    house.nsregc(interfaces=["eth0", "docker0", "lo"]).start()
    eventually(lambda: house.published() == {"10.1.2.3", "172.17.0.1", "10.53.53.53"})


def test_a_default_route_that_comes_later(lab):
    """A container whose address is there before its route."""
    house = House(lab)
    inner(house, "host0", "10.5.5.5/24")
    house.nsregc().start()
    eventually(lambda: house.published() == {"10.1.2.3"})
    house.netns.default_route("host0")
    eventually(lambda: house.published() == {"10.1.2.3", "10.5.5.5"})
    house.netns.ip("-4", "route", "del", "default", "dev", "host0")
    house.netns.ip("-6", "route", "del", "default", "dev", "host0")
    eventually(lambda: house.published() == {"10.1.2.3"})


def test_a_bridge_by_its_default_route(lab):
    house = House(lab)
    tap(house, "radio")
    inner(house, "cable")
    bridge(house, "br-lan", "192.168.1.1/24", "cable")
    house.nsregc().start()
    eventually(lambda: house.published() == {"10.1.2.3"})
    house.netns.default_route("br-lan")
    eventually(lambda: house.published() == {"10.1.2.3", "192.168.1.1"})


def test_other_routes_wake_nobody(lab):
    house = House(lab)
    client = house.nsregc().start()
    eventually(lambda: house.published() == {"10.1.2.3"})

    def turns():
        with open(f"/proc/{client.process.pid}/status", encoding="ascii") as status:
            return int([line for line in status if line.startswith("voluntary_ctxt_switches")][0].split()[1])

    time.sleep(1)  # what it does at the start is over
    before = turns()
    house.netns.run("ip", "-batch", "-", input="\n".join(
        f"route add 10.{200 + n // 250}.{n % 250}.0/24 dev eth0" for n in range(2000)))
    assert turns() - before < 50


def test_the_way_to_the_registrar_when_nothing_else_is_left(lab):
    """A machine of which all links are of the kinds that are left out: where it is reached from there, it is."""
    house = House(lab)
    house.netns.ip("link", "del", "eth0")
    far = lab.netns()
    house.netns.ip("link", "add", "cable0", "type", "veth", "peer", "name", "far0", "netns", far.name)
    house.netns.ip("link", "set", "cable0", "up")
    house.netns.ip("address", "add", "10.6.6.1/24", "dev", "cable0")
    far.ip("link", "set", "far0", "up")
    far.ip("address", "add", "10.6.6.2/24", "dev", "far0")
    overlay_address = "10.244.1.0"
    house.netns.ip("link", "add", "flannel.1", "type", "vxlan", "id", "1", "dstport", "8472", "local", "10.6.6.1")
    house.netns.ip("link", "set", "flannel.1", "up")
    house.netns.ip("address", "add", f"{overlay_address}/32", "dev", "flannel.1")
    nsregd = lab.nsregd(zones={ZONE: {}}, netns=far, address="10.6.6.2").start()
    client = lab.nsregc("box", zones=[ZONE], server=nsregd, netns=house.netns).start()
    eventually(lambda: nsregd.addresses(NAME) == {"10.6.6.1"})
    # Something better ends it.
    house.netns.dummy("eth0", "10.1.2.3/24")
    house.netns.ip("route", "add", "10.6.6.2/32", "dev", "cable0")
    eventually(lambda: nsregd.addresses(NAME) == {"10.1.2.3"})
    assert client.running


def test_links_that_are_down(lab):
    house = House(lab)
    house.netns.dummy("eth1", "10.5.5.5/24")
    house.netns.ip("link", "set", "eth1", "down")
    house.nsregc().start()
    eventually(lambda: house.published() == {"10.1.2.3"})
    house.netns.ip("link", "set", "eth1", "up")
    house.netns.default_route("eth1")
    eventually(lambda: house.published() == {"10.1.2.3", "10.5.5.5"})
    house.netns.ip("link", "set", "eth1", "down")
    assert "10.5.5.5" in house.netns.ip("address")
    eventually(lambda: house.published() == {"10.1.2.3"})


def test_a_carrier_lost_and_found(lab):
    house = House(lab)
    house.netns.dummy("eth1", "10.5.5.5/24")
    house.nsregc().start()
    eventually(lambda: house.published() == {"10.1.2.3", "10.5.5.5"})
    # A cable that is pulled for a moment is no news.
    house.netns.ip("link", "set", "eth1-end", "down")
    never(lambda: "10.5.5.5" not in house.published(), 2)
    house.netns.ip("link", "set", "eth1-end", "up")
    never(lambda: "10.5.5.5" not in house.published(), 5)
    house.netns.ip("link", "set", "eth1-end", "down")
    eventually(lambda: house.published() == {"10.1.2.3"})
    house.netns.ip("link", "set", "eth1-end", "up")
    eventually(lambda: house.published() == {"10.1.2.3", "10.5.5.5"})


def test_what_was_left_out_is_listed(lab):
    house = House(lab)
    docker(house)
    bus = lab.bus(in_namespaces=True).start()
    house.nsregc(exclude_subnets=["10.7.0.0/16"], environment=bus.environment).start()
    house.netns.add_address("eth0", "10.7.7.7/24")
    bus.wait_for("org.nsreg.Client1")
    eventually(lambda: house.published() == {"10.1.2.3"})
    nsregctl = lab.nsregctl(environment=bus.environment)
    status, output, errors = nsregctl.run("--json=short", "client", "status")
    assert status == 0, errors
    shown = json.loads(output)
    assert [zone["Name"] for zone in shown["Client"]] == [NAME]
    assert {(row["Address"], row["Interface"], row["Rule"]) for row in shown["LeftOut"]} == {
        ("172.17.0.1", "docker0", "a bridge inside this machine, without a default route"),
        ("10.7.7.7", "eth0", "excluded by exclude-subnets")}
    status, output, errors = nsregctl.run("client")
    assert status == 0, errors
    assert "LEFT OUT BY" in output and "172.17.0.1" in output
