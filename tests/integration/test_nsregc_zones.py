# SPDX-License-Identifier: LGPL-2.1-or-later
"""What nsregc makes of networks that recommend zones, and then do not for a moment: a real named on port 53 of a
namespace."""

from lab import Zone, never
from lab.house import NAME, Net


def recommending(lab, **settings):
    """A network that recommends d.example, by a record that a test may take away."""
    net = Net(lab, others=[Zone("lan.example", records="r._dns-sd._udp 1 PTR d.example.")],
              search="search lan.example", **settings)
    return net, net.nsregc(arguments=["--debug"])


def recommend(net, wanted):
    status, output = net.named.nsupdate("update delete r._dns-sd._udp.lan.example. PTR" if not wanted else
                                        "update add r._dns-sd._udp.lan.example. 1 PTR d.example.", zone="lan.example")
    assert status == 0, output


def test_one_negative_answer_takes_nothing_away(lab):
    net, client = recommending(lab)
    client.start()
    net.registered()
    recommend(net, False)
    # Asked again by a change of the network: nothing there, for some seconds.
    net.netns.ip("address", "add", "172.20.1.1/24", "dev", "eth0")
    net.registered(addresses={"10.1.2.3", "172.20.1.1"})
    client.reload()
    client.wait_log("read again")
    never(lambda: not net.named.addresses(NAME), 4)
    recommend(net, True)
    never(lambda: not net.named.addresses(NAME), 4)
    assert "Withdrew" not in client.log()


def test_a_portal_at_boot(lab):
    """Nothing is there at first, as an SOA that is good for a week says: asked again within seconds."""
    net, client = recommending(lab)
    recommend(net, False)
    client.start()
    never(lambda: net.named.addresses(NAME), 1)
    recommend(net, True)
    net.registered()


def test_a_link_that_breaks_for_two_seconds(lab):
    net, client = recommending(lab)
    client.start()
    net.registered()
    net.resolv_conf("nameserver 127.0.0.1\n")
    never(lambda: not net.named.addresses(NAME), 2)
    net.resolv_conf("nameserver 127.0.0.1\nsearch lan.example\n")
    never(lambda: not net.named.addresses(NAME), 6)
    assert "Withdrew" not in client.log()
    # Gone for good it is withdrawn.
    net.resolv_conf("nameserver 127.0.0.1\n")
    net.registered(addresses=())


def test_what_a_predecessor_left_stays_until_its_zone_is_surely_gone(lab):
    """A restart behind a portal that denies everything."""
    net, client = recommending(lab)
    client.start()
    net.registered()
    client.kill()
    recommend(net, False)
    client.start()
    never(lambda: not net.named.addresses(NAME), 2.5)  # its lease there is four seconds
    recommend(net, True)
    net.registered()
    assert "Withdrew" not in client.log()


def test_an_srv_that_is_not_there_for_a_moment(lab):
    """A configured zone: the registrar of before is gone to meanwhile, and the lease is kept."""
    net = Net(lab)
    net.srv(f"0 0 {net.nsregd.port} ns1.d.example.", ttl=1)
    client = net.nsregc(zones=["d.example"]).start()
    net.registered()
    net.update("update delete _nsreg._tcp.d.example. SRV")
    # Longer than the lease of four seconds.
    never(lambda: net.named.addresses(NAME) != {"10.1.2.3"}, 8)
    net.srv(f"0 0 {net.nsregd.port} ns1.d.example.", ttl=1)
    net.netns.add_address("eth0", "10.1.2.4/24")
    net.registered(addresses={"10.1.2.3", "10.1.2.4"})
    assert client.running
