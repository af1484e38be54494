#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a request costs nsregd, told as a ratio to what its signature check costs. One JSON line a case:

    refresh   the same records again: nothing is stored, nothing published
    claim     new names, stored durably, the builtin zone

Messages are signed beforehand. nsregd runs on one processor and this generator on another, where there are two.
Meant for a release build: meson test --benchmark. REQUESTS: how many (20000)."""

import json
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from lab.programs import Nsregd

ZONE = "d.example"
REQUESTS = int(os.environ.get("REQUESTS", "20000"))
CONNECTIONS, WINDOW = 4, 64
PLENTY = 10 ** 6


def pin(pid, processor):
    if os.cpu_count() > 1:
        os.sched_setaffinity(pid, {processor})


def verification_usec():
    """What openssl needs for one P-256 verification, in microseconds, on the processor that nsregd has."""
    speed = subprocess.run(["openssl", "speed", "-seconds", "1", "ecdsap256"], stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, text=True, check=True,
                           preexec_fn=lambda: pin(0, 0)).stdout
    return 1e6 / float(re.search(r"nistp256\).*\s([\d.]+)\s*$", speed, re.M).group(1))


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def exchange(nsregd, messages, refused):
    """Sends all over one connection, a window of them in flight."""
    with socket.create_connection((nsregd.address, nsregd.port)) as peer, peer.makefile("rb") as replies:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sent = answered = 0
        while answered < len(messages):
            more = messages[sent:sent + WINDOW - (sent - answered)]
            peer.sendall(b"".join(struct.pack("!H", len(message)) + message for message in more))
            sent += len(more)
            for _ in range(max(1, (sent - answered) // 2)):
                reply = replies.read(struct.unpack("!H", replies.read(2))[0])
                answered += 1
                if reply[3] & 15:
                    refused.append(reply)


def measure(nsregd, case, messages, check_usec):
    refused = []
    threads = [threading.Thread(target=exchange, args=(nsregd, messages[i::CONNECTIONS], refused))
               for i in range(CONNECTIONS)]
    processor, begin = processor_seconds(nsregd.process.pid), time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - begin
    usec = (processor_seconds(nsregd.process.pid) - processor) / len(messages) * 1e6
    assert not refused, f"{len(refused)} requests were refused"
    print(json.dumps({"case": case, "requests": len(messages), "per_second": round(len(messages) / seconds),
                      "processor_usec": round(usec, 1), "verification_usec": round(check_usec, 1),
                      "ratio": round(usec / check_usec, 2)}), flush=True)


def main():
    check_usec = verification_usec()
    names = 200
    now = int(time.time())
    span = {"inception": now - 3000, "expiration": now + 500}
    with tempfile.TemporaryDirectory(prefix="nsreg-bench-") as directory:
        nsregd = Nsregd(directory, zones={ZONE: {"allowed-nets": ["127.0.0.0/8", "10.0.0.0/8"]}},
                        limits={"new-names-per-minute-per-source": PLENTY, "updates-per-second-per-source": PLENTY,
                                "verifications-per-second": PLENTY, "in-flight-per-connection": 1000})
        nsregd.start()
        pin(nsregd.process.pid, 0)
        pin(0, 1)
        try:
            clients = [nsregd.client(ZONE) for _ in range(names)]
            for i, client in enumerate(clients):
                assert client.claim(f"r{i}", "10.0.0.1", **span).rcode == "NOERROR"
            measure(nsregd, "refresh", [client.original(f"r{i}", ["10.0.0.1"], inception=now - 2900 + turn,
                                                        expiration=now + 500).wire
                                        for turn in range(REQUESTS // names) for i, client in enumerate(clients)],
                    check_usec)
            measure(nsregd, "claim", [nsregd.client(ZONE).original(f"c{i}", [f"10.1.{i // 250}.{i % 250 + 1}"], **span).wire
                                      for i in range(REQUESTS // 5)], check_usec)
        finally:
            nsregd.term()


if __name__ == "__main__":
    sys.exit(main())
