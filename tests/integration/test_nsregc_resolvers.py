# SPDX-License-Identifier: LGPL-2.1-or-later
"""The name servers that nsregc asks: those without EDNS, those that are not named, what only /etc/hosts knows, and
what is told of those that do not answer."""

import os
import re

import pytest

from lab import Relay, Zone, eventually, never
from lab.house import NAME, Net

ZONE = "d.example"


def alone(lab, server, nsregd=None, **settings):
    """An nsregc with one address that asks this server."""
    settings.setdefault("zones", [ZONE])
    return lab.nsregc("box", server=server, extra_addresses=["10.0.0.1"], interfaces=["none*"], **settings)


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize("mode", ["formerr-to-opt", "notimp-to-opt", "deaf-to-opt"])
def test_server_without_edns(lab, mode, tcp):
    nsregd = lab.nsregd(zones={ZONE: {}}).start()
    relay = lab.keep(Relay(nsregd, mode))
    status, _, errors = alone(lab, relay, dns_tcp=tcp, dns_timeout="4s").run("--once")
    assert status == 0, errors
    assert nsregd.addresses(NAME) == {"10.0.0.1"}


def test_it_is_remembered_that_a_server_has_no_edns(lab):
    nsregd = lab.nsregd(zones={ZONE: {}}).start()
    relay = lab.keep(Relay(nsregd, "formerr-to-opt"))
    status, _, errors = alone(lab, relay, dns_tcp=False, arguments=["--debug"]).run("--once")
    assert status == 0, errors
    assert errors.count("without EDNS only") == 1


@pytest.mark.parametrize("text", ["", "search d.example\n", "# nothing\n"])
def test_no_server_named_is_the_own_machine(lab, text):
    net = Net(lab, resolv_conf=text or "\n")
    net.nsregc(zones=[ZONE]).start()
    net.registered()


def test_target_that_only_hosts_knows(lab):
    net = Net(lab)
    with open(f"/etc/netns/{net.netns.name}/hosts", "w", encoding="ascii") as hosts:
        hosts.write("127.0.0.1 localhost\n127.0.0.1 registrar.nowhere.example\n")
    try:
        net.srv(f"0 0 {net.nsregd.port} registrar.nowhere.example.")
        net.nsregc(zones=[ZONE]).start()
        net.registered()
    finally:
        os.unlink(f"/etc/netns/{net.netns.name}/hosts")


# ------ what is told ------

def once(client):
    status, _, errors = client.run("--once")
    assert status == 1
    return errors


def test_told_that_questions_are_refused(lab):
    nsregd = lab.nsregd(zones={ZONE: {"query-nets": ["192.0.2.0/24"]}}).start()
    errors = once(alone(lab, nsregd))
    assert (f"127.0.0.1@{nsregd.port} refuses questions from this network (REFUSED to _nsreg._tcp.d.example SRV" in
            errors), errors
    assert "the registrar's query-nets may be too narrow" in errors


def test_told_that_the_server_fails(lab):
    nsregd = lab.nsregd(zones={ZONE: {}}).start()
    relay = lab.keep(Relay(nsregd, "silent"))
    relay._make = lambda message, *_: message[:2] + bytes([0x80, 2, 0, 0, 0, 0, 0, 0, 0, 0])
    relay.mode = "servfail"
    errors = once(alone(lab, relay))
    assert f"127.0.0.1@{relay.port} cannot answer (SERVFAIL to _nsreg._tcp.d.example SRV)" in errors


def test_told_that_the_server_is_silent(lab):
    nsregd = lab.nsregd(zones={ZONE: {}}).start()
    relay = lab.keep(Relay(nsregd, "silent"))
    errors = once(alone(lab, relay, dns_timeout="1s"))
    assert f"127.0.0.1@{relay.port}: no answer (to _nsreg._tcp.d.example SRV)" in errors


def test_told_that_nobody_listens(lab):
    nsregd = lab.nsregd(zones={ZONE: {}})
    errors = once(alone(lab, nsregd))
    assert f"127.0.0.1@{nsregd.port}: Connection refused (to _nsreg._tcp.d.example SRV)" in errors


def test_told_that_a_target_has_no_address(lab):
    net = Net(lab)
    net.srv(f"0 0 {net.nsregd.port} gone.nowhere.example.")
    errors = once(net.nsregc(zones=[ZONE]))
    assert re.search(r"gone\.nowhere\.example@\d+: the name (has no address|cannot be resolved now)", errors), errors
    assert "temporarily unavailable" not in errors


def test_told_that_discovery_fails(lab):
    net = Net(lab, search="search d.example")
    net.named.stop()
    errors = once(net.nsregc(dns_timeout="1s"))
    assert "There is no zone to register in (127.0.0.1: Connection refused (to " in errors
    client = net.nsregc(dns_timeout="1s").start()
    client.wait_log("No zone to register in is found yet: 127.0.0.1: Connection refused")
    # Told once, not at each attempt.
    net.named.start()
    net.registered()
    assert client.log().count("No zone to register in") == 1


def test_one_zone_that_fails_does_not_keep_the_others(lab):
    """A question that nobody answers: what is found otherwise is used at once."""
    dead = Zone("10.in-addr.arpa", records="1 NS ns.1\nns.1 A 10.1.2.99")
    net = Net(lab, others=[dead], search="search d.example")
    net.swallow("10.1.2.99")
    net.nsregc().start()
    net.registered()


def test_a_port_behind_a_colon_is_an_error_that_names_the_sign(lab):
    client = lab.nsregc("box", zones=[ZONE])
    for value, right in (("192.168.0.1:8053", "192.168.0.1@8053"), ("ns.example:53", "ns.example@53"),
                         ("[fd00::1]:53", "fd00::1@53")):
        client.config["dns-server"] = value
        status, _, errors = client.run("--once")
        assert status == 1
        assert f"behind an @: {right}" in errors, errors
        assert re.search(r"nsregc\.yaml:\d+:\d+", errors)
    # An address with colons is one.
    client.config["dns-server"] = "fd00::1"
    assert client.run("--print")[0] == 0


# ------ how much is asked ------

def test_many_search_domains(lab):
    """Those that are asked are few, and what was left out is told."""
    domains = [f"d{n}.nowhere.example" for n in range(80)]
    net = Net(lab, search="search d.example " + " ".join(domains))
    client = net.nsregc().start()
    net.registered()
    client.wait_log(r"too many: 49 of 81 domains, from d31.nowhere.example. on")
    assert client.log().count("too many") == 1


def received(net):
    """Questions that the name server of the namespace was sent over UDP, at the least."""
    text = net.netns.run("cat", "/proc/net/snmp").stdout
    names, values = [line.split() for line in text.splitlines() if line.startswith("Udp:")]
    return int(values[names.index("InDatagrams")])


def test_an_address_event_asks_little(lab):
    """Thirty networks, and one more: the answers of before are good."""
    net = Net(lab, search="search d.example")
    net.nsregd.config["zones"]["d.example"]["max-records-per-name"] = 60
    net.nsregd.restart()
    batch = "\n".join(f"address add 10.5.{n}.1/24 dev eth0" for n in range(30))
    net.netns.run("ip", "-batch", "-", input=batch)
    client = net.nsregc(arguments=["--debug"]).start()
    eventually(lambda: len(net.named.addresses(NAME)) > 1)
    client.wait_log("too many: 15 of 31 networks")
    never(lambda: False, 1.0)
    before = received(net)
    net.netns.add_address("eth0", "10.1.2.4/24")  # in a network that is known
    client.wait_log(r"Registered .*10\.1\.2\.4")
    # Each question is two datagrams that arrive.
    assert received(net) - before < 30, "a handful of questions, not ninety"


# ------ resolv.conf as it is kept ------

def test_resolv_conf_is_a_link_whose_target_is_replaced(lab):
    """As NetworkManager and resolvconf have it: the directory of the target is bound into the place of /etc."""
    net = Net(lab, resolv_conf="nameserver 127.0.0.1\n")
    run = lab.subdirectory("run")
    real, link = os.path.join(run, "resolv.conf"), os.path.join(run, "link")

    def put(text):
        with open(real + ".new", "w", encoding="ascii") as out:
            out.write(text)
        os.rename(real + ".new", real)

    put("nameserver 127.0.0.1\n")
    os.symlink(real, link)
    client = net.nsregc()
    client.write_configuration()
    # A mount of its own for it, in which /etc/resolv.conf is a link as well.
    etc = lab.subdirectory("etc")
    for name in os.listdir("/etc"):
        if name != "resolv.conf":
            os.symlink(f"/proc/1/root/etc/{name}", os.path.join(etc, name))
    os.symlink(link, os.path.join(etc, "resolv.conf"))
    script = f"mount --bind {etc} /etc && exec {' '.join(client.command())}"
    process = lab.process("nsregc-linked", ["nsenter", f"--net=/run/netns/{net.netns.name}", "unshare", "-m", "sh", "-c",
                                            script], environment=client.environment)
    process.spawn()
    never(lambda: net.named.addresses(NAME), 1)
    put("nameserver 127.0.0.1\nsearch d.example\n")
    net.registered()
    put("nameserver 127.0.0.1\n")
    net.registered(addresses=())
    os.unlink(real)
    put("nameserver 127.0.0.1\nsearch d.example\n")
    net.registered()
    process.stop()
