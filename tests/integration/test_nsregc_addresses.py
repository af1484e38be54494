# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which addresses nsregc registers, as they come and go in a real network namespace. The outcome is read from
the DNS, and compared with the set that the rules give, computed from `ip -j address`."""

import time

import pytest

from lab import eventually, never
from lab.house import House, expected


def test_addresses_come_and_go(street):
    street.nsregc().start()
    street.settle()
    street.netns.add_address("eth0", "10.1.2.4/24")
    assert street.settle() == {"10.1.2.3", "10.1.2.4"}
    street.netns.add_address("eth0", "fd00:1::5/64")
    assert street.settle() == {"10.1.2.3", "10.1.2.4", "fd00:1::5"}
    street.netns.delete_address("eth0", "10.1.2.3/24")
    assert "10.1.2.3" not in street.settle()
    street.netns.delete_address("eth0", "fd00:1::5/64")
    street.settle()


def test_all_addresses_gone_and_back(street):
    client = street.nsregc().start()
    street.settle()
    street.netns.delete_address("eth0", "10.1.2.3/24")
    assert street.settle() == set()
    street.netns.add_address("eth0", "10.1.2.9/24")
    assert street.settle() == {"10.1.2.9"}
    assert client.running


def test_renumbering_ends_with_the_new_prefix(lab):
    house = House(lab, ("fd00:aaaa::1/64",), named=True)
    house.nsregc().start()
    assert house.settle() == {"fd00:aaaa::1"}
    house.netns.add_address("eth0", "fd00:bbbb::1/64")
    house.netns.change_address("eth0", "fd00:aaaa::1/64", 600, 0)
    assert house.settle() == {"fd00:bbbb::1"}


def test_deprecation_by_time(lab):
    house = House(lab, ("10.1.2.3/24",), named=True)
    house.netns.add_address("eth0", "fd00:aaaa::1/64", 60, 2)
    house.nsregc().start()
    assert house.settle() == {"10.1.2.3", "fd00:aaaa::1"}
    eventually(lambda: expected(house.netns) == {"10.1.2.3"}, 20)
    assert house.settle() == {"10.1.2.3"}


def test_expiry_by_time(lab):
    house = House(lab, ("10.1.2.3/24",), named=True)
    house.netns.add_address("eth0", "10.1.2.50/24", 3)
    house.nsregc().start()
    eventually(lambda: "10.1.2.50" in house.published())
    eventually(lambda: "10.1.2.50" not in expected(house.netns), 20)
    assert house.settle() == {"10.1.2.3"}


def test_lifetime_refresh_is_no_change(lab):
    house = House(lab, ("10.1.2.3/24",), named=True)
    house.netns.add_address("eth0", "fd00:aaaa::1/64", 600, 300)
    client = house.nsregc(arguments=["--debug"]).start()
    house.settle()
    eventually(lambda: client.log().count("Registered") >= 1)
    time.sleep(0.5)
    before = house.named.serial()
    sent = client.log().count("Registered")
    for valid in (700, 800, 900):
        house.netns.change_address("eth0", "fd00:aaaa::1/64", valid, valid)
    never(lambda: house.named.serial() != before or
          client.log().count("Registered") != sent, 1.5)


def test_tentative_and_dad_failed(lab):
    house = House(lab, named=True)
    # The same address on both ends of a cable: whoever comes second fails duplicate address detection.
    house.netns.ip("link", "add", "dad0", "type", "veth", "peer", "name", "dad1")
    house.netns.ip("link", "set", "dad0", "up")
    house.netns.ip("link", "set", "dad1", "up")
    house.nsregc(interfaces=["eth0", "dad0"]).start()
    rules = {"globs": ("eth0", "dad0")}
    house.settle(**rules)
    house.netns.ip("address", "add", "fd00:dad::1/64", "dev", "dad1", "nodad")
    house.netns.ip("address", "add", "fd00:dad::1/64", "dev", "dad0")
    eventually(lambda: "dadfailed" in house.netns.ip("address", "show", "dev", "dad0"), 20)
    assert house.settle(**rules) == {"10.1.2.3"}
    house.netns.ip("address", "add", "fd00:dad::2/64", "dev", "dad0")
    # Tentative first, then good.
    eventually(lambda: "fd00:dad::2" in expected(house.netns, **rules), 20)
    assert house.settle(**rules) == {"10.1.2.3", "fd00:dad::2"}


def test_temporary_addresses(lab):
    house = House(lab, named=True)
    # mngtmpaddr makes the kernel add a temporary address of its own.
    house.netns.run("sysctl", "-qw", "net.ipv6.conf.eth0.use_tempaddr=2")
    house.netns.ip("address", "add", "fd00:aaaa::1/64", "dev", "eth0", "nodad", "mngtmpaddr")
    eventually(lambda: "temporary" in house.netns.ip("address", "show", "dev", "eth0"), 10)
    house.nsregc().start()
    assert house.settle() == {"10.1.2.3", "fd00:aaaa::1"}


def test_temporary_addresses_on_wish(lab):
    house = House(lab, named=True)
    house.netns.run("sysctl", "-qw", "net.ipv6.conf.eth0.use_tempaddr=2")
    house.netns.ip("address", "add", "fd00:aaaa::1/64", "dev", "eth0", "nodad", "mngtmpaddr")
    eventually(lambda: "temporary" in house.netns.ip("address", "show", "dev", "eth0"), 10)
    house.nsregc(ipv6_temporary=True).start()
    eventually(lambda: len(expected(house.netns, temporary=True)) == 3)
    assert len(house.settle(temporary=True)) == 3


def test_ipv4_secondary_is_a_good_address(lab):
    house = House(lab, ("10.1.2.3/24", "10.1.2.4/24"), named=True)
    assert "secondary" in house.netns.ip("address", "show", "dev", "eth0")
    house.nsregc().start()
    assert house.settle() == {"10.1.2.3", "10.1.2.4"}


@pytest.mark.parametrize("globs", [["eth*"], ["!eth1"], ["eth*", "!eth1"], ["wlan?"], []])
def test_interface_globs(lab, globs):
    house = House(lab, named=True)
    house.netns.dummy("eth1", "10.1.3.3/24")
    house.netns.dummy("wlan0", "10.1.4.3/24")
    house.nsregc(interfaces=globs).start()
    house.settle(globs=globs)


def test_interface_appears_is_renamed_and_vanishes(lab):
    house = House(lab, named=True)
    rules = {"globs": ("eth*",)}
    house.nsregc(interfaces=["eth*"]).start()
    assert house.settle(**rules) == {"10.1.2.3"}
    house.netns.dummy("eth7", "10.7.7.7/24")
    assert house.settle(**rules) == {"10.1.2.3", "10.7.7.7"}
    house.netns.ip("link", "set", "eth7", "name", "other7")
    assert house.settle(**rules) == {"10.1.2.3"}
    house.netns.ip("link", "set", "other7", "name", "eth8")
    assert house.settle(**rules) == {"10.1.2.3", "10.7.7.7"}
    house.netns.ip("link", "del", "eth8")
    assert house.settle(**rules) == {"10.1.2.3"}


def test_same_address_on_two_interfaces(lab):
    house = House(lab, named=True)
    house.netns.dummy("eth1", "10.1.2.3/32")
    house.nsregc().start()
    assert house.settle() == {"10.1.2.3"}
    house.netns.delete_address("eth0", "10.1.2.3/24")
    never(lambda: house.published() != {"10.1.2.3"}, 1.0)
    house.netns.delete_address("eth1", "10.1.2.3/32")
    assert house.settle() == set()


def test_exclude_subnets_and_extra_addresses(lab):
    house = House(lab, ("10.1.2.3/24", "172.16.5.5/24"), named=True)
    house.nsregc(exclude_subnets=["172.16.0.0/12"], extra_addresses=["192.168.99.1", "fd00:99::1"]).start()
    assert house.settle(exclude=("172.16.0.0/12", "127.0.0.0/8", "fe80::/10", "::1/128"),
                        extra=("192.168.99.1", "fd00:99::1")) == {"10.1.2.3", "192.168.99.1", "fd00:99::1"}


def test_many_changes_become_few_updates(street):
    client = street.nsregc(arguments=["--debug"]).start()
    street.settle()
    before = client.log().count("Registered")
    batch = "\n".join(f"address add 10.1.2.{n}/24 dev eth0" for n in range(20, 33))
    street.netns.run("ip", "-batch", "-", input=batch)
    assert len(street.settle()) == 14
    assert client.log().count("Registered") - before <= 3


def test_events_lost_are_dumped_again(lab):
    house = House(lab, named=True)
    client = house.nsregc(arguments=["--debug"]).start()
    house.settle()
    # More events than the socket's buffer holds, while the client does not read.
    client.process.pause()
    house.netns.dummy("eth5")
    lines = []
    for _ in range(40):
        for n in range(1, 250):
            lines.append(f"address add 10.9.{n}.1/24 dev eth5")
        lines.append("address flush dev eth5")
    lines.append("address add 10.9.9.9/24 dev eth5")
    house.netns.run("ip", "-batch", "-", input="\n".join(lines))
    house.netns.ip("address", "add", "10.1.2.4/24", "dev", "eth0")
    client.process.resume()
    client.wait_log("events were lost")
    assert house.settle() == {"10.1.2.3", "10.1.2.4", "10.9.9.9"}
