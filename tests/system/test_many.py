# SPDX-License-Identifier: LGPL-2.1-or-later
"""A hundred thousand names: nobody's question disconnects or blocks the daemon."""

import json
import sqlite3
import subprocess
import threading

import pytest

from lab import eventually
from lab.container import NOBODY

from home import REGISTRY, ZONE, addresses, client, registrar

COUNT = 100000


def multiply(path):
    """Copies the one registration that is there to so many."""
    with sqlite3.connect(path) as database:
        database.create_function("address", 1, lambda n: bytes((10, n >> 16, n >> 8 & 255, n & 255)))
        for table in ("names", "ends", "records"):
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            value = {"label": "'host' || n", "rdata": "address(n)"}
            database.execute(
                f"WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {COUNT - 1})"
                f" INSERT INTO {table} SELECT {', '.join(value.get(column, column) for column in columns)}"
                f" FROM {table}, numbers WHERE label = 'printer'")
    database.close()


@pytest.fixture
def crowd(container):
    registrar(container)
    assert client().claim("printer", "10.200.0.1").rcode == "NOERROR"
    container.systemctl("stop", "nsregd.socket", "nsregd.service")
    multiply(container.path("/var/lib/nsregd/registry.db"))
    container.systemctl("start", "nsregd.socket")
    assert addresses("host77777") == {"10.1.47.209"}
    return container


def test_a_hundred_thousand_names(crowd):
    pid = crowd.property("nsregd.service", "MainPID")
    owner = crowd.run("busctl", "call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetNameOwner", "s",
                      REGISTRY[0]).stdout
    # Meanwhile somebody asks, all the time.
    stop, answers = threading.Event(), []

    def ask():
        while not stop.is_set():
            answers.append(addresses("host4242") == {"10.0.16.146"})

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        listed = json.loads(crowd.run("nsregctl", "--json=short", "list", user=NOBODY).stdout)["Registrations"]
        assert len({row["Name"] for row in listed}) == len(listed) == COUNT
        tree = crowd.run("busctl", "--list", "tree", REGISTRY[0], user=NOBODY).stdout.split()
        assert 100 < len([path for path in tree if "/name/" in path]) <= 1000

        def call(path, interface, member, *arguments):
            return crowd.run("busctl", "call", REGISTRY[0], path, interface, member, *arguments, user=NOBODY,
                             check=False)

        page = call(*REGISTRY[1:], "ListRegistrations", "sssu", "", "", "", "4294967295").stdout
        assert 1 <= int(page.split()[1]) <= 1000 and len(page) < 1 << 20
        for glob, expected in (("host7777*", 11), ("*", None), ("nothing*", 0), ("*[!", None)):
            done = call(*REGISTRY[1:], "ListRegistrations", "sssu", ZONE, glob, "", "0")
            assert done.returncode == 0, done.stderr
            assert expected is None or int(done.stdout.split()[1]) == expected
        # Many at once, each of which has to look at every name, with the dearest glob.
        dear = [crowd.spawn("busctl", "call", *REGISTRY, "ListRegistrations", "sssu", "", "*[ab]" * 50 + "c", "", "0",
                            user=NOBODY, stdout=subprocess.PIPE, text=True) for _ in range(20)]
        before = len(answers)
        for one in dear:
            assert one.communicate(timeout=120)[0].split()[1] == "0"
        assert len(answers) > before
        assert call(*REGISTRY[1:], "ListReserved", "su", "", "0").returncode == 0
        assert call(*REGISTRY[1:], "GetRegistration", "s", f"host99999.{ZONE}").returncode == 0
        for member, *arguments in (["Revoke", "sb", f"host1.{ZONE}", "false"], ["Withdraw", "s", f"host1.{ZONE}"],
                                   ["Reserve", "s", f"new.{ZONE}"], ["Unreserve", "s", f"host1.{ZONE}"], ["Flush"],
                                   ["Reconcile"], ["Reload"]):
            assert call(*REGISTRY[1:], member, *arguments).returncode != 0
        for path in ("/", *["/org/nsreg/Registry1" + rest for rest in ("", "/zone", "/upstream", "/name")]):
            call(path, "org.freedesktop.DBus.Introspectable", "Introspect")
            call(path, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
            call(path, "org.freedesktop.DBus.Properties", "GetAll", "s", "")
    finally:
        stop.set()
        asker.join()
    assert len(answers) > 50 and all(answers)
    assert crowd.property("nsregd.service", "MainPID") == pid
    assert crowd.run("busctl", "call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetNameOwner", "s",
                     REGISTRY[0]).stdout == owner
    # And the administrator's reload, with all of them.
    crowd.systemctl("reload", "nsregd.service")
    eventually(lambda: addresses("host99999") == {"10.1.134.159"})
    assert "100000 names" in crowd.property("nsregd.service", "StatusText")
