#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""nsregc, two JSON lines:

    rest     its memory when everything is registered, in KiB: resident, and what of that is its own
    change   milliseconds from an address in the kernel to the record in the DNS, a quarter of a second of coalescing
             included; the first target of the SRV swallows what it is sent

Meant for a release build: meson test --benchmark. CHANGES: how many (100)."""

import json
import os
import re
import time

import dns.message
import dns.query

from lab import Lab, eventually
from lab.house import NAME, Net

CHANGES = int(os.environ.get("CHANGES", "100"))
DEAD = "10.1.2.99"


def memory(lab):
    nsregd = lab.nsregd(zones={"d.example": {}}).start()
    client = lab.nsregc("box", zones=["d.example"], server=nsregd, extra_addresses=["10.0.0.1"], interfaces=["none*"])
    client.start()
    eventually(lambda: nsregd.addresses(NAME))
    client.term()
    client.start()  # with the key that is there
    eventually(lambda: nsregd.addresses(NAME))
    time.sleep(3)  # until the connection is closed
    with open(f"/proc/{client.process.pid}/smaps_rollup", encoding="ascii") as rollup:
        sizes = dict(re.findall(r"^(\w+): +(\d+) kB", rollup.read(), re.M))
    print(json.dumps({"case": "rest", "resident": int(sizes["Rss"]), "own": int(sizes["Anonymous"])}))


def changes(lab):
    net = Net(lab)
    net.swallow(DEAD)
    net.nsregd.config["zones"]["d.example"]["max-addr-ttl"] = "1h"
    net.nsregd.restart()
    net.update(f"update add dead.d.example. 60 A {DEAD}")
    net.srv(f"0 0 {net.nsregd.port} dead.d.example.", f"1 0 {net.nsregd.port} ns1.d.example.", ttl=5)
    net.nsregc(zones=["d.example"]).start()
    net.registered()
    question = dns.message.make_query(NAME + ".", "A")
    spans, there = [], False

    def published():
        answer = dns.query.udp(question, "127.0.0.1", timeout=2).answer
        return any(rdata.to_text() == "10.1.2.200" for rrset in answer for rdata in rrset)

    with net.netns:
        for number in range(CHANGES):
            time.sleep(0.4 + number % 7 * 0.5)  # with and without a connection that is still open
            (net.netns.delete_address if there else net.netns.add_address)("eth0", "10.1.2.200/24")
            began, there = time.monotonic(), not there
            while published() != there:
                time.sleep(0.002)
            spans.append(round(1000 * (time.monotonic() - began)))
    spans.sort()
    print(json.dumps({"case": "change", "median": spans[len(spans) // 2], "p99": spans[len(spans) * 99 // 100],
                      "most": spans[-1]}))


def main():
    lab = Lab()
    try:
        memory(lab)
        changes(lab)
    finally:
        lab.teardown()


if __name__ == "__main__":
    main()
