# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the measurements with many names share: a database made by hand, the word that a daemon is ready, one JSON line
a case. NAMES: how many (1000000)."""

import json
import os
import queue
import socket
import sqlite3
import threading

from lab.dns import Key

ZONE = "d.example"
NAMES = int(os.environ.get("NAMES", "1000000"))


class Notified(threading.Thread):
    """Hears what a daemon tells the service manager: all of it, else the daemon waits."""

    def __init__(self, directory):
        super().__init__(daemon=True)
        self.path = os.path.join(directory, "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._words = queue.Queue()
        self.start()

    def run(self):
        while True:
            self._words.put(self._socket.recv(4096).decode())

    def wait(self, word):
        """For one that was told since the last wait."""
        while word not in self._words.get(timeout=300):
            pass


def fill(path, lease_usec, lease_sec=7 * 86400):
    """Names with two addresses each, an ECDSA key, a request in memory; all lengthened from "lease_usec"."""
    key = Key.generate(13)
    rdata = (256).to_bytes(2, "big") + b"\3" + bytes([13]) + key.public_octets
    end = lease_usec + lease_sec * 1000000
    leases = 2 * (lease_sec.to_bytes(4, "big") + (end - 1000000).to_bytes(8, "big"))
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA synchronous = OFF")
    database.execute("BEGIN")
    labels = [f"n{i:07}" for i in range(NAMES)]
    database.executemany("INSERT INTO names VALUES (?,?,?,1,0,0,?,1,'127.0.0.1',0,0,NULL,NULL)",
                         ((ZONE + ".", label, i + 1, rdata) for i, label in enumerate(labels)))
    database.executemany("INSERT INTO ends VALUES (?,?,?,?,?,1,1,2000000000,?,?)",
                         ((ZONE + ".", label, i + 1, lease_sec, end - 1000000, os.urandom(16), leases)
                          for i, label in enumerate(labels)))
    database.executemany("INSERT INTO records VALUES (?,?,?,X'',1,?,0,0)",
                         ((ZONE + ".", label, position, bytes((10, position * 128 + (i >> 16), i >> 8 & 255, i & 255)))
                          for i, label in enumerate(labels) for position in range(2)))
    database.execute("UPDATE heartbeat SET refreshed_usec = ?, generation = ?", (lease_usec, NAMES))
    database.execute("COMMIT")
    database.close()


def report(case, **values):
    print(json.dumps({"case": case, "names": NAMES,
                      **{key: round(value, 3) if isinstance(value, float) else value for key, value in values.items()}}),
          flush=True)
