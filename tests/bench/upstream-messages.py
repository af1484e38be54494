#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a DNS server is asked to bear: messages and serial bumps per thousand refreshes (none, when nothing changed) and
per thousand claims under load, and how many names go into a message that changes something. One JSON line a case.
REQUESTS: how many (1000). WORKERS: connections, each with 50 requests in flight (4). UPSTREAM: named, knot, pdns.
DIRECT=1: without the relay that counts messages, which is slower than any server."""

import json
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lab import Key, Lab  # noqa: E402

ZONE, REVERSE = "d.example", ("10.in-addr.arpa",)
REQUESTS = int(os.environ.get("REQUESTS", "1000"))
UPSTREAM = os.environ.get("UPSTREAM", "named")
WORKERS, WINDOW = int(os.environ.get("WORKERS", "4")), 50
PLENTY = {"new-names-per-minute-per-source": 10 ** 6, "updates-per-second-per-source": 10 ** 6,
          "in-flight-per-connection": 64}


def exchange(client, messages, refused):
    with client.connect() as connection:
        sent = answered = 0
        while answered < len(messages):
            while sent < len(messages) and sent - answered < WINDOW:
                connection.send(messages[sent])
                sent += 1
            reply = connection.receive()
            answered += 1
            if reply.rcode != "NOERROR":
                refused.append(repr(reply))


def run(nsregd, batches):
    refused = []
    threads = [threading.Thread(target=exchange, args=(nsregd.client(ZONE), batch, refused)) for batch in batches]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not refused, refused[0]
    return time.monotonic() - begin


def measure(case, nsregd, server, relay, batches):
    serials = [server.serial(zone) for zone in (ZONE, *REVERSE)]
    messages, changes = relay.n_messages, relay.n_changes
    seconds = run(nsregd, batches)
    n = sum(len(batch) for batch in batches)
    bumps = sum(server.serial(zone) - serial for zone, serial in zip((ZONE, *REVERSE), serials))
    changes = relay.n_changes - changes
    # A name and the pointer to it.
    per_message = round(2 * n / changes, 1) if changes else None
    print(json.dumps({"case": case, "upstream": UPSTREAM, "requests": n, "per_second": round(n / seconds),
                      "names_per_message": per_message,
                      "messages_per_thousand": round(1000 * (relay.n_messages - messages) / n, 1),
                      "serial_bumps_per_thousand": round(1000 * bumps / n, 1)}), flush=True)


def signed(client, keys, inception):
    """A message per name, by the worker that sends it."""
    batches = [[] for _ in range(WORKERS)]
    for i, key in enumerate(keys):
        batches[i % WORKERS].append(client.original(f"n{i}", [f"10.0.{i // 250}.{i % 250 + 1}"], ttl=600, key=key,
                                                    inception=inception))
    return batches


def main():
    lab = Lab()
    try:
        server = getattr(lab, UPSTREAM)(ZONE, *REVERSE).start()
        relay = lab.relay(server)
        upstream = server if os.environ.get("DIRECT") else relay
        nsregd = lab.nsregd(zones={ZONE: {"allowed-nets": ["127.0.0.0/8", "10.0.0.0/8"],
                                          "upstreams": [upstream.upstream(ZONE, REVERSE)]}}, limits=PLENTY).start()
        client, now = nsregd.client(ZONE), int(time.time())
        keys = [Key.generate(13) for _ in range(REQUESTS)]
        measure("claim", nsregd, server, relay, signed(client, keys, now - 200))
        measure("refresh", nsregd, server, relay, signed(client, keys, now - 100))
    finally:
        lab.teardown()


if __name__ == "__main__":
    main()
