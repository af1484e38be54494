# SPDX-License-Identifier: LGPL-2.1-or-later
"""How nsregc finds zones and registrars: a real named answers on port 53 of a namespace, resolv.conf names it,
and the registrar's records end in that same named."""

import pytest

from lab import Zone, never
from lab.house import NAME, Net


def test_configured_zone_through_resolv_conf(lab):
    net = Net(lab)
    net.nsregc(zones=["d.example"]).start()
    net.registered()


def test_search_domain_with_srv_is_a_zone(lab):
    net = Net(lab, search="search d.example")
    net.nsregc().start()
    net.registered()


def test_search_domain_without_srv_is_none(lab):
    net = Net(lab, search="search other.example")
    status, _, errors = net.nsregc().run("--once")
    assert status == 1
    assert "no zone" in errors


@pytest.mark.parametrize("label", ["r", "dr"])
def test_recommended_by_the_search_domain(lab, label):
    other = Zone("lan.example", records=f"{label}._dns-sd._udp PTR d.example.")
    net = Net(lab, others=[other], search="search lan.example")
    net.nsregc().start()
    net.registered()


def test_r_goes_before_dr(lab):
    other = Zone("lan.example", records="r._dns-sd._udp PTR d.example.\ndr._dns-sd._udp PTR e.example.")
    net = Net(lab, zones=("d.example", "e.example"), others=[other], search="search lan.example")
    net.nsregc().start()
    net.registered()
    never(lambda: net.named.addresses("box.e.example"), 0.5)


def test_recommended_by_the_network(lab):
    """The reverse name of the network's base address."""
    other = Zone("2.1.10.in-addr.arpa", records="r._dns-sd._udp.0 PTR d.example.")
    net = Net(lab, others=[other])
    net.nsregc().start()
    net.registered()


def test_what_a_network_recommends_gets_the_addresses_of_that_link(lab):
    """A guest network's address is nothing to the zone of the house, whose own the guest network never heard of."""
    net = Net(lab, others=[Zone("2.1.10.in-addr.arpa", records="r._dns-sd._udp.0 2 PTR d.example.")])
    net.netns.add_address("eth0", "fd00:1::3/64")
    net.netns.dummy("eth1", "10.8.8.3/24")
    client = net.nsregc(extra_addresses=["10.0.0.99"]).start()
    net.registered(addresses={"10.1.2.3", "fd00:1::3", "10.0.0.99"})
    # Whatever comes and goes there; another address of the link that it was found on belongs to it.
    net.netns.add_address("eth1", "10.8.8.4/24")
    net.netns.add_address("eth0", "10.9.9.3/24")
    net.registered(addresses={"10.1.2.3", "fd00:1::3", "10.9.9.3", "10.0.0.99"})
    net.netns.delete_address("eth1", "10.8.8.4/24")
    never(lambda: net.named.addresses(NAME) & {"10.8.8.3", "10.8.8.4"}, 0.7)
    # The same network on a second link makes it that link's, too.
    net.netns.add_address("eth1", "10.1.2.33/24")
    everything = {"10.1.2.3", "fd00:1::3", "10.9.9.3", "10.0.0.99", "10.1.2.33", "10.8.8.3"}
    net.registered(addresses=everything)
    net.netns.delete_address("eth1", "10.1.2.33/24")
    net.registered(addresses=everything - {"10.1.2.33", "10.8.8.3"})
    # Who names the zone means all of them.
    client.config["zones"] = ["d.example"]
    client.reload()
    net.registered(addresses=everything - {"10.1.2.33"})


def test_a_network_that_moves_to_another_link(lab):
    """As into a bridge: the same network, the same address, and the name is there all the time."""
    net = Net(lab, others=[Zone("2.1.10.in-addr.arpa", records="r._dns-sd._udp.0 2 PTR d.example.")])
    net.netns.dummy("eth1")
    client = net.nsregc(arguments=["--debug"]).start()
    net.registered()
    for before, after in (("eth0", "eth1"), ("eth1", "eth0")):
        net.netns.delete_address(before, "10.1.2.3/24")
        net.netns.add_address(after, "10.1.2.3/24")
        never(lambda: not net.named.addresses(NAME), 1.5)
    assert "Withdrew" not in client.log()
    net.registered()


def test_several_zones_at_once(lab):
    other = Zone("lan.example", records="r._dns-sd._udp PTR d.example.\nr._dns-sd._udp PTR e.example.")
    net = Net(lab, zones=("d.example", "e.example", "f.example"), others=[other],
              search="search lan.example f.example")
    client = net.nsregc().start()
    for zone in ("d", "e", "f"):
        net.registered(f"box.{zone}.example")
    assert client.term() == 0
    for zone in ("d", "e", "f"):
        assert net.named.addresses(f"box.{zone}.example") == set()


def test_targets_in_order_the_dead_are_passed_over(lab):
    net = Net(lab)
    net.update("update add dead.d.example. 60 A 127.0.0.7")
    net.srv(f"0 0 {net.nsregd.port} dead.d.example.", "5 0 9 ns1.d.example.", "5 100 9 gone.d.example.",
            f"10 0 {net.nsregd.port} ns1.d.example.")
    net.nsregc(zones=["d.example"]).start()
    net.registered()


def test_priority_decides(lab):
    net = Net(lab)
    second = net.registrar(("d.example",))
    net.srv(f"10 0 {second.port} ns1.d.example.", f"1 0 {net.nsregd.port} ns1.d.example.")
    client = net.nsregc(zones=["d.example"]).start()
    net.registered()
    assert "claimed" in net.nsregd.log() and "claimed" not in second.log()
    assert client.running


def test_target_that_says_no(lab):
    net = Net(lab)
    net.srv("0 0 0 .")
    status, _, errors = net.nsregc(zones=["d.example"]).run("--once")
    assert status == 1
    assert "has no registrar" in errors


def test_no_srv_at_all(lab):
    net = Net(lab)
    net.update("update delete _nsreg._tcp.d.example. SRV")
    status, _, errors = net.nsregc(zones=["d.example"]).run("--once")
    assert status == 1
    assert "has no SRV record" in errors


def test_srv_changed_to_another_registrar(lab):
    """The records' lease ends at the old one; the new one is found when the SRV's TTL has ended."""
    net = Net(lab)
    net.srv(f"0 0 {net.nsregd.port} ns1.d.example.", ttl=1)
    net.nsregc(zones=["d.example"]).start()
    net.registered()
    second = net.registrar(("d.example",))
    net.srv(f"0 0 {second.port} ns1.d.example.", ttl=1)
    second.wait_log("box.d.example. claimed|foreign")


def test_registrar_moved_to_another_address(lab):
    net = Net(lab)
    net.nsregc(zones=["d.example"]).start()
    net.registered()
    net.nsregd.term()
    net.nsregd.config["listen-addr"] = net.nsregd.address = "127.0.0.5"
    net.nsregd.start()
    net.update("update delete ns1.d.example. A")
    net.update("update add ns1.d.example. 1 A 127.0.0.5")
    net.netns.add_address("eth0", "10.1.2.4/24")
    net.registered(addresses={"10.1.2.3", "10.1.2.4"})


def test_first_resolver_is_dead(lab):
    net = Net(lab, resolv_conf="nameserver 127.0.0.66\nnameserver 127.0.0.1\n")
    net.nsregc(zones=["d.example"]).start()
    net.registered()


def test_first_resolver_is_silent(lab):
    # Packets to it vanish in the interface that leads nowhere.
    net = Net(lab, resolv_conf="nameserver 10.1.2.99\nnameserver 127.0.0.1\n")
    net.nsregc(zones=["d.example"]).start()
    net.registered()


def test_truncated_answer(lab):
    """An answer too large for a datagram: again over TCP."""
    net = Net(lab)
    many = [f"9 0 {1000 + n} a-target-with-a-rather-long-name-{n}.d.example." for n in range(60)]
    net.srv(f"0 0 {net.nsregd.port} ns1.d.example.", *many)
    assert net.named.query("_nsreg._tcp.d.example", "SRV").flags & 0x0200
    net.nsregc(zones=["d.example"]).start()
    net.registered()


def test_zone_appears_and_vanishes(lab):
    net = Net(lab)
    client = net.nsregc().start()
    never(lambda: net.named.addresses(NAME), 0.3)
    net.resolv_conf("nameserver 127.0.0.1\nsearch d.example\n")
    net.registered()
    net.resolv_conf("nameserver 127.0.0.1\n")
    net.registered(addresses=())
    assert client.running


def test_target_in_another_zone(lab):
    other = Zone("infra.example", records="reg A 127.0.0.1")
    net = Net(lab, others=[other])
    net.srv(f"0 0 {net.nsregd.port} reg.infra.example.")
    net.nsregc(zones=["d.example"]).start()
    net.registered()


def test_resolver_comes_later(lab):
    net = Net(lab)
    net.named.stop()
    client = net.nsregc(zones=["d.example"], dns_timeout="1s").start()
    client.wait_log("to _nsreg._tcp.d.example SRV")
    net.named.start()
    net.registered()
