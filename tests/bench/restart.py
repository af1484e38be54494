#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the end and the start of nsregd cost with many names, one JSON line a case:

    start     from the start of the process to READY, beside a bare reading of the same tables
    stop      a clean stop when all ends have moved, as after a crash, when all are lengthened
    restart   the start behind that

The database is warm: what is measured is nsregd. Meant for a release build: meson test --benchmark. NAMES: how many
(1000000)."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

from lab.dns import Key
from lab.programs import Nsregd

ZONE = "d.example"
NAMES = int(os.environ.get("NAMES", "1000000"))
TABLES = ["names", "ends", "records", "units", "serials", "imports"]


class Notified:
    """Waits for what a daemon tells the service manager."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)

    def wait(self, word):
        self._socket.settimeout(300)
        while word not in self._socket.recv(4096).decode():
            pass


def fill(path, lease_usec):
    """Names with two addresses each, an ECDSA key, a request in memory; all lengthened from "lease_usec"."""
    key = Key.generate(13)
    rdata = (256).to_bytes(2, "big") + b"\3" + bytes([13]) + key.public_octets
    week = 7 * 86400
    end = lease_usec + week * 1000000
    leases = 2 * (week.to_bytes(4, "big") + (end - 1000000).to_bytes(8, "big"))
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA synchronous = OFF")
    database.execute("BEGIN")
    labels = [f"n{i:07}" for i in range(NAMES)]
    database.executemany("INSERT INTO names VALUES (?,?,?,1,0,0,?,1,'127.0.0.1',0,0,NULL,NULL)",
                         ((ZONE + ".", label, i + 1, rdata) for i, label in enumerate(labels)))
    database.executemany("INSERT INTO ends VALUES (?,?,?,?,?,1,1,2000000000,?,?)",
                         ((ZONE + ".", label, i + 1, week, end - 1000000, os.urandom(16), leases)
                          for i, label in enumerate(labels)))
    database.executemany("INSERT INTO records VALUES (?,?,?,?,0)",
                         ((ZONE + ".", label, position, f"10.{position * 128 + (i >> 16)}.{i >> 8 & 255}.{i & 255}")
                          for i, label in enumerate(labels) for position in range(2)))
    database.execute("UPDATE heartbeat SET refreshed_usec = ?, generation = ?", (lease_usec, NAMES))
    database.execute("COMMIT")
    database.close()


def seconds(act):
    begin = time.monotonic()
    act()
    return time.monotonic() - begin


def report(case, **values):
    print(json.dumps({"case": case, "names": NAMES,
                      **{key: round(value, 3) if isinstance(value, float) else value for key, value in values.items()}}),
          flush=True)


def main():
    # Not in memory: the log has to reach a disk.
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIRECTORY", "/var/tmp")) as directory:
        notified = Notified(directory)
        nsregd = Nsregd(os.path.join(directory, "nsregd"),
                        {ZONE: {"max-names": 0, "max-names-per-source": 0, "max-addr-ttl": "8760h"}},
                        environment={"NOTIFY_SOCKET": notified.path})
        path = os.path.join(nsregd.data_dir, "registry.db")
        nsregd.spawn()
        notified.wait("READY=1")
        nsregd.term()
        database = sqlite3.connect(path)
        lease_usec, = database.execute("SELECT lease_usec FROM heartbeat").fetchone()
        database.close()
        fill(path, lease_usec)

        def read():
            tool = os.path.join(os.environ["NSREG_BUILD"], "tests", "tools", "select-tool")
            subprocess.run([tool, path, *TABLES], stdout=subprocess.DEVNULL, check=True)

        def start():
            nsregd.spawn()
            notified.wait("READY=1")

        def stop():
            nsregd.process.popen.terminate()
            status = nsregd.process.popen.wait(timeout=300)
            assert status == 0, nsregd.log()

        try:
            for case in ("start", "restart"):
                read()
                bare = min(seconds(read) for _ in range(3))
                started = seconds(start)
                report(case, seconds=started, select_seconds=bare, ratio=started / bare)
                if case == "start":
                    report("stop", seconds=seconds(stop))
            stop()
        finally:
            for complaint in nsregd.teardown():
                print(complaint, file=sys.stderr)


main()
