# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where nsregc lives in the tests: a network namespace whose addresses the test changes, with a registrar: named to
it (House), or to be found in the DNS (Net)."""

import os

import dns.name
import dns.reversename

from .rules import usable
from .servers import Zone
from .wait import eventually

ZONE = "d.example"
NAME = "box.d.example"
REVERSE = ("10.in-addr.arpa", "16.172.in-addr.arpa", "168.192.in-addr.arpa", "d.f.ip6.arpa")


def expected(netns, **rules):
    return usable(netns.ip("-j", "address"), **rules)


class House:
    """A namespace with a registrar on its loopback and an interface. With `named`, a real name server stands behind
    the registrar, and the outcome is read from that, its PTR records included."""

    def __init__(self, lab, addresses=("10.1.2.3/24",), named=False, zones=(ZONE,), **zone):
        self.lab = lab
        self.netns = lab.netns()
        self.netns.dummy("eth0", *addresses)
        self.named = lab.named(*zones, *REVERSE, netns=self.netns).start() if named else None
        self.nsregd = lab.nsregd(zones={name: {**zone, **self.upstreams(name)} for name in zones}, netns=self.netns)
        self.nsregd.start()

    def upstreams(self, zone):
        return {"upstreams": [self.named.upstream(zone, REVERSE)]} if self.named else {}

    def nsregc(self, name="box", **settings):
        settings.setdefault("zones", [ZONE])
        return self.lab.nsregc(name, server=self.nsregd, netns=self.netns, **settings)

    def published(self, name=NAME):
        return (self.named or self.nsregd).addresses(name)

    def pointers(self, name=NAME):
        """The addresses whose PTR record is this name, of all that the reverse zones hold."""
        with self.netns:
            records = {record for zone in REVERSE for record in self.named.records(zone)}
        return {dns.reversename.to_address(dns.name.from_text(owner)) for owner, kind, target in records
                if kind == "PTR" and target == f"{name}."}

    def settle(self, name=NAME, **rules):
        """Until the DNS says what the rules give; returns it."""
        eventually(lambda: self.published(name) == expected(self.netns, **rules), 30,
                   lambda: f"{self.published(name)} becomes {expected(self.netns, **rules)}")
        if self.named and len(self.nsregd.config["zones"]) == 1:  # the names of several would share them
            eventually(lambda: self.pointers(name) == expected(self.netns, **rules), 30,
                       lambda: f"pointers {self.pointers(name)} become {expected(self.netns, **rules)}")
        return self.published(name)


class Net:
    """eth0 with 10.1.2.3/24, named on 127.0.0.1:53, nsregd that publishes there."""

    def __init__(self, lab, zones=("d.example",), records="", others=(), search="", resolv_conf=None):
        self.lab = lab
        self.netns = lab.netns(resolv_conf=resolv_conf or f"nameserver 127.0.0.1\n{search}\n")
        self.netns.dummy("eth0", "10.1.2.3/24")
        root = Zone(".", records="ns.lab.test. A 127.0.0.1", keys=[])
        self.named = lab.named(root, *[Zone(zone, records=records) for zone in zones], *others, netns=self.netns,
                               port=53)
        self.named.start()
        self.nsregd = self.registrar(zones)
        for zone in zones:
            self.srv(f"0 0 {self.nsregd.port} ns1.{zone}.", zone)
            self.update(f"update add ns1.{zone}. 60 A 127.0.0.1", zone)

    def registrar(self, zones):
        return self.lab.nsregd(zones={zone: {"upstreams": [self.named.upstream(zone)], "max-addr-ttl": "4s",
                                             "min-addr-ttl": "1s"} for zone in zones}, netns=self.netns).start()

    def update(self, line, zone="d.example"):
        status, output = self.named.nsupdate(line, zone=zone)
        assert status == 0, output

    def srv(self, *rdata, zone="d.example", ttl=60):
        if len(rdata) == 2 and " " not in rdata[1]:
            rdata, zone = rdata[:1], rdata[1]
        name = f"_nsreg._tcp.{zone}."
        lines = [f"update delete {name} SRV", *[f"update add {name} {ttl} SRV {one}" for one in rdata]]
        status, output = self.named.nsupdate(*lines, zone=zone)
        assert status == 0, output

    def nsregc(self, zones=None, **settings):
        client = self.lab.nsregc("box", zones=zones, netns=self.netns, **settings)
        return client

    def registered(self, name=NAME, addresses=frozenset({"10.1.2.3"})):
        eventually(lambda: self.named.addresses(name) == set(addresses), 30)

    def resolv_conf(self, text):
        self.netns.set_resolv_conf(text)

    def swallow(self, address):
        """Packets to it leave, and nothing comes back."""
        self.netns.ip("neighbour", "replace", address, "lladdr", "02:00:00:00:00:99", "dev", "eth0")


class Lan:
    """A network with a registrar at its .1, which machines are plugged into and out of. Two of them may be as like as
    two peas: same addresses, same zone, same port."""

    def __init__(self, lab, network="10.1.2", like=None, zone=ZONE, **settings):
        self.lab = lab
        self.network = network
        self.netns = lab.netns()
        # Its own, or it changes with what is plugged in.
        hardware = ":".join(f"{octet:02x}" for octet in (2, *os.urandom(5)))
        self.netns.ip("link", "add", "br0", "address", hardware, "type", "bridge")
        self.netns.ip("link", "set", "br0", "up")
        self.netns.add_address("br0", f"{network}.1/24")
        self.nsregd = lab.nsregd(zones={zone: settings}, netns=self.netns, address=f"{network}.1")
        if like:
            self.nsregd.port = self.nsregd.config["listen-port"] = like.nsregd.port
        self.nsregd.start()

    def plug(self, machine, address, interface="eth0"):
        """The machine's new interface, the way to everywhere, at this address of the network."""
        end = f"e{address}-{interface}"
        machine.veth(interface, self.netns, end)
        self.netns.ip("link", "set", end, "master", "br0")
        machine.add_address(interface, f"{self.network}.{address}/24")

    @staticmethod
    def unplug(machine, interface="eth0"):
        machine.ip("link", "del", interface)

    def nsregc(self, machine, name="box", **settings):
        settings.setdefault("zones", [ZONE])
        return self.lab.nsregc(name, server=self.nsregd, netns=machine, **settings)

    def published(self, name=NAME):
        return self.nsregd.addresses(name)
