#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The longest that a client who refreshes has to wait, with many names, whatever else happens. One JSON line a case:

    quiet           nothing else
    reload          a reload that changes nothing
    reload-filter   one that changes what of every name is published at an upstream
    list            nsregctl lists all names
    leases-end      a tenth of all leases ends within one second

Refreshes go out one after the other on one connection, signed beforehand. Meant for a release build: meson test
--benchmark. NAMES: how many (1000000)."""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time

from lab import eventually, program
from lab.bus import Bus
from lab.programs import Nsregd
from lab.servers import Named
from many import NAMES, ZONE, Notified, fill, report
from refresher import Refresher


def measure(nsregd, case, number, act, pause=0.004):
    refresher = Refresher(nsregd.client(ZONE), f"alive{number}", pause)
    refresher.start()
    time.sleep(0.5)
    act()
    time.sleep(0.5)
    waits = refresher.end()
    report(case, refreshes=len(waits), longest_msec=waits[-1] * 1000, p99_msec=waits[len(waits) * 99 // 100] * 1000)


def main():
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIRECTORY", "/var/tmp")) as directory:
        notified = Notified(directory)
        for part in ("bus", "named"):
            os.mkdir(os.path.join(directory, part))
        bus = Bus(os.path.join(directory, "bus")).start()
        server = Named(os.path.join(directory, "named"), ZONE).start()
        upstreams = [{"type": "builtin"}, server.upstream(ZONE, exclude_nets=["0.0.0.0/0"])]
        zone = {"max-names": 0, "max-names-per-source": 0, "max-addr-ttl": "8760h", "upstreams": upstreams,
                "min-addr-ttl": "1s"}
        nsregd = Nsregd(os.path.join(directory, "nsregd"), {ZONE: zone},
                        environment={**bus.environment, "NOTIFY_SOCKET": notified.path})
        path = os.path.join(nsregd.data_dir, "registry.db")
        nsregd.spawn()
        notified.wait("READY=1")
        nsregd.term()
        database = sqlite3.connect(path, isolation_level=None)
        lease_usec, = database.execute("SELECT lease_usec FROM heartbeat").fetchone()
        database.close()
        fill(path, lease_usec)

        def reload():
            at = len(nsregd.log())
            nsregd.reload()
            nsregd.wait_log("Configuration reloaded", after=at, timeout=120)

        def reload_filter():
            zone["upstreams"] = [upstreams[0], {**upstreams[1], "exclude-nets": ["0.0.0.0/1", "128.0.0.0/1"]}]
            reload()
            # Moving what is published goes on behind it.
            time.sleep(4)

        def list_names():
            subprocess.run([program("nsregctl"), "--no-pager", "list"], env={**os.environ, **bus.environment},
                           stdout=subprocess.DEVNULL, check=True)

        def all_ended():
            def ended():
                counters = subprocess.run([program("nsregctl"), "statistics", "--json=short"], stdout=subprocess.PIPE,
                                          env={**os.environ, **bus.environment}, check=True).stdout
                rows = {row["Counter"]: row["Value"] for row in json.loads(counters)["Statistics"]}
                return rows["expiries"] >= NAMES // 10
            eventually(ended, 60)

        try:
            nsregd.spawn()
            notified.wait("READY=1")
            bus.wait_for("org.nsreg.Registry1")
            measure(nsregd, "quiet", 1, lambda: time.sleep(3))
            measure(nsregd, "reload", 2, reload)
            measure(nsregd, "reload-filter", 3, reload_filter)
            measure(nsregd, "list", 4, list_names)
            nsregd.term()
            # A tenth ends at once, some seconds after the next start.
            database = sqlite3.connect(path, isolation_level=None)
            lease_usec, = database.execute("SELECT lease_usec FROM heartbeat").fetchone()
            end = lease_usec + 25 * 1000000
            leases = 2 * ((1).to_bytes(4, "big") + end.to_bytes(8, "big"))
            database.execute("UPDATE ends SET leases = ?, key_lease_sec = 1, key_end_usec = ? WHERE label IN "
                             "(SELECT label FROM ends WHERE label LIKE 'n%' LIMIT ?)", (leases, end, NAMES // 10))
            database.close()
            # A reload says READY=1 as well.
            notified.wait("STOPPING=1")
            begin = time.monotonic()
            nsregd.spawn()
            notified.wait("READY=1")
            time.sleep(max(15 - (time.monotonic() - begin), 0))
            measure(nsregd, "leases-end", 5, all_ended, 0.015)
        finally:
            for part in (nsregd, server, bus):
                for complaint in part.teardown():
                    print(complaint, file=sys.stderr)


main()
