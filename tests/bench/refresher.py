# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client that refreshes its lease again and again, and how long it waited each time."""

import threading
import time


class Refresher(threading.Thread):
    """Its messages are signed beforehand; they go out one after the other on one connection."""

    def __init__(self, client, label, pause=0.004):
        super().__init__(daemon=True)
        self.client, self.pause = client, pause
        now = int(time.time())
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
                time.sleep(self.pause)

    def end(self):
        """Returns the waits, the longest last."""
        self.ending.set()
        self.join()
        return sorted(self.waits)
