#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the end and the start of nsregd cost with many names, one JSON line a case:

    start     from the start of the process to READY, beside a bare reading of the same tables
    stop      a clean stop when all ends have moved, as after a crash, when all are lengthened
    restart   the start behind that

The database is warm: what is measured is nsregd. Meant for a release build: meson test --benchmark. NAMES: how many
(1000000)."""

import os
import sqlite3
import subprocess
import sys
import tempfile
import time

from lab.programs import Nsregd
from many import ZONE, Notified, fill, report

TABLES = ["names", "ends", "records", "units", "serials", "imports"]


def seconds(act):
    begin = time.monotonic()
    act()
    return time.monotonic() - begin


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
