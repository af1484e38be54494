# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where nsregc lives in the tests: a network namespace whose addresses the test changes, with a registrar."""

import dns.name
import dns.reversename

from .rules import usable
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
