#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The longest that a client who refreshes has to wait, while others claim names that are published at an Unbound with
much local data: it tells all of it or nothing. One JSON line a case. Meant for a release build. LOCAL_DATA: how
many (200000)."""

import json
import os
import subprocess
import threading
import time

from lab import Lab

ZONE = "d.example"
LOCAL_DATA = int(os.environ.get("LOCAL_DATA", "200000"))
CLAIMS = 5


class Refresher(threading.Thread):
    """A client of its own name, signed beforehand."""

    def __init__(self, nsregd, label):
        super().__init__(daemon=True)
        client, now = nsregd.client(ZONE), int(time.time())
        self.client = client
        self.messages = [client.original(label, [("10.9.9.9", 3600)], inception=now - 2900 + i, expiration=now + 600)
                         for i in range(2500)]
        self.waits, self.ending = [], threading.Event()
        assert client.claim(label, ("10.9.9.9", 3600), inception=now - 2950, expiration=now + 600).rcode == "NOERROR"

    def run(self):
        with self.client.connect() as connection:
            for message in self.messages:
                if self.ending.is_set():
                    return
                begin = time.monotonic()
                reply = connection.exchange(message)
                self.waits.append(time.monotonic() - begin)
                assert reply is not None and reply.rcode == "NOERROR", reply
                time.sleep(0.004)


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
            refresher = Refresher(nsregd, case)
            refresher.start()
            time.sleep(1)
            seconds = []
            for i in range(n):
                begin = time.monotonic()
                reply = nsregd.client(ZONE).claim(f"n{i}", f"10.0.0.{i + 1}")
                seconds.append(time.monotonic() - begin)
                assert reply.rcode == "NOERROR", reply
            time.sleep(0.5)
            refresher.ending.set()
            refresher.join()
            print(json.dumps({"case": case, "local_data": LOCAL_DATA, "refreshes": len(refresher.waits),
                              "longest_wait_ms": round(1000 * max(refresher.waits), 1),
                              "claim_ms": [round(1000 * one) for one in seconds]}), flush=True)
    finally:
        lab.teardown()


if __name__ == "__main__":
    main()
