#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The longest that a client who refreshes has to wait, while others claim names that are published at an Unbound with
much local data: it tells all of it or nothing. One JSON line a case. Meant for a release build. LOCAL_DATA: how
many (200000)."""

import json
import os
import subprocess
import time

from lab import Lab
from refresher import Refresher

ZONE = "d.example"
LOCAL_DATA = int(os.environ.get("LOCAL_DATA", "200000"))
CLAIMS = 5


def main():
    lab = Lab()
    try:
        server = lab.unbound(ZONE, control="unix").start()
        lines = "".join(f"x{i}.elsewhere.test. 300 IN A 10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}\n"
                        for i in range(LOCAL_DATA))
        subprocess.run(server._control(["local_datas"]), input=lines, text=True, check=True, timeout=300,
                       stdout=subprocess.DEVNULL)
        nsregd = lab.nsregd(zones={ZONE: {"allowed-nets": ["127.0.0.0/8", "10.0.0.0/8"],
                                          "upstreams": [server.upstream(timeout="30s")]}},
                            limits={"new-names-per-minute-per-source": 10 ** 6,
                                    "updates-per-second-per-source": 10 ** 6}).start()
        for case, n in (("quiet", 0), ("claims", CLAIMS)):
            refresher = Refresher(nsregd.client(ZONE), case)
            refresher.start()
            time.sleep(1)
            seconds = []
            for i in range(n):
                begin = time.monotonic()
                reply = nsregd.client(ZONE).claim(f"n{i}", f"10.0.0.{i + 1}")
                seconds.append(time.monotonic() - begin)
                assert reply.rcode == "NOERROR", reply
            time.sleep(0.5)
            waits = refresher.end()
            print(json.dumps({"case": case, "local_data": LOCAL_DATA, "refreshes": len(waits),
                              "longest_wait_ms": round(1000 * waits[-1], 1),
                              "claim_ms": [round(1000 * one) for one in seconds]}), flush=True)
    finally:
        lab.teardown()


if __name__ == "__main__":
    main()
