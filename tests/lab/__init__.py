# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real parts for the tests: name servers, our own programs, a client that can send anything.

A test asks the `lab` fixture for what it needs and forgets about ending it:

    def test_claim(lab):
        named = lab.named("d.example", "10.in-addr.arpa").start()
        nsregd = lab.nsregd(zones={"d.example": {"upstreams": [named.upstream("d.example")]}}).start()
        reply = nsregd.client("d.example").claim("foo", "10.0.0.1")
        assert reply.rcode == "NOERROR"
        assert ("foo.d.example.", "A", "10.0.0.1") in named.records()
"""

from .bus import Bus
from .client import Client, Connection, Reply
from .dns import ALGORITHMS, Key, Update
from .netns import Netns
from .process import Process, free_port
from .programs import Nsregc, Nsregctl, Nsregd, program
from .relay import Relay
from .servers import Knot, Named, Pdns, TSIG_ALGORITHMS, TsigKey, Unbound, Zone
from .stage import Lab
from .wait import eventually, never

__all__ = [
    "ALGORITHMS", "Bus", "Client", "Connection", "Key", "Knot", "Lab", "Named", "Netns", "Nsregc", "Nsregctl",
    "Nsregd", "Pdns", "Process", "Relay", "Reply", "TSIG_ALGORITHMS", "TsigKey", "Unbound", "Update", "Zone",
    "eventually", "free_port", "never", "program",
]
