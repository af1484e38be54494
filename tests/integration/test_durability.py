# SPDX-License-Identifier: LGPL-2.1-or-later
"""What was promised stands: kill -9 at any point, slow and full disks, greedy connections."""

import os
import random
import resource
import subprocess
import threading
import time

import pytest

from lab import Key, Update, eventually, program

ZONE = "d.example"
OPTIONS = {"allowed-nets": ["127.0.0.0/8", "10.0.0.0/8"], "min-addr-ttl": "1s"}
PLENTY = {"new-names-per-minute-per-source": 1000000, "updates-per-second-per-source": 1000000}


def preload(name="slow-sync", **settings):
    """The environment with a preloaded library, behind the sanitizer's own where there is one."""
    build = os.environ["NSREG_BUILD"]
    library = os.path.join(build, "tests", "tools", f"lib{name}.so")
    nsregd = os.path.join(build, "src", "nsregd", "nsregd")
    linked = subprocess.run(["ldd", nsregd], stdout=subprocess.PIPE, text=True, check=True).stdout
    asan = [line.split()[2] for line in linked.splitlines() if "libasan" in line or "libtsan" in line]
    return {"LD_PRELOAD": " ".join([*asan, library]), **{key: str(value) for key, value in settings.items()}}


def claims(nsregd, names, stop, granted, seed):
    """Claims one name after the other, and notes what was answered and when."""
    client = nsregd.client(ZONE, key=Key.generate(13))
    for name in names:
        if stop.is_set():
            return
        try:
            before = time.monotonic()
            reply = client.claim(name, ("10.0.0.%d" % (seed % 250 + 1), 6), key_ttl=600)
        except (OSError, EOFError, AssertionError):
            continue
        # No reply at all: it was killed in between.
        if reply and reply.rcode == "NOERROR":
            granted.append((name, before, time.monotonic(), client.key))


@pytest.mark.parametrize("upstream", ["builtin", "named", "knot"])
def test_kill_under_load(lab, upstream):
    """Everything that was answered NOERROR is there after a kill, and ends neither early nor late."""
    options = dict(OPTIONS)
    server = None
    if upstream != "builtin":
        server = getattr(lab, upstream)(ZONE).start()
        options["upstreams"] = [server.upstream(ZONE)]
    nsregd = lab.nsregd(zones={ZONE: options}, limits=PLENTY).start()
    where = server or nsregd
    granted, stop = [], threading.Event()

    for turn in range(4):
        stop.clear()
        threads = [threading.Thread(target=claims, args=(nsregd, [f"t{turn}-{worker}-{i}" for i in range(200)], stop,
                                                         granted, turn * 10 + worker)) for worker in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(random.Random(turn).uniform(0.2, 0.7))
        nsregd.kill()
        stop.set()
        for thread in threads:
            thread.join()
        nsregd.restart()
    restarted = time.monotonic()
    assert granted, "nothing was granted at all"

    # Nobody else can have a granted name, and its owner can still change it.
    for name, *_, key in random.Random(1).sample(granted, min(10, len(granted))):
        reply = nsregd.client(ZONE).claim(name, "10.0.0.9")
        assert reply.rcode == "REFUSED" and "another key" in reply.text, (name, reply)

    # Never before its lease ended, as the client saw it begin; at most one lease and ten seconds after.
    left = {name: (begin, end) for name, begin, end, _ in granted}
    while left:
        for name, (begin, end) in list(left.items()):
            asked = time.monotonic()
            there = where.addresses(f"{name}.{ZONE}")
            if there:
                # The crash may have come right after the answer: one lease from there, ten seconds, and the time
                # that looking takes.
                assert asked < max(end, restarted) + 6 + 6 + 10 + 10, f"{name} is still there"
            else:
                assert time.monotonic() >= begin + 6, f"{name} is gone {begin + 6 - time.monotonic():.1f} s early"
                del left[name]
        time.sleep(0.05)


def test_refreshed_lease_survives_kill(lab):
    """Refreshes are not written to the disk; after a kill they count all the same."""
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}).start()
    client = nsregd.client(ZONE)
    assert client.claim("foo", ("10.0.0.1", 4)).rcode == "NOERROR"
    time.sleep(2.5)
    refreshed = time.monotonic()
    assert client.claim("foo", ("10.0.0.1", 4)).rcode == "NOERROR"
    nsregd.kill()
    nsregd.restart()
    eventually(lambda: not nsregd.addresses(f"foo.{ZONE}"), 20)
    assert time.monotonic() - refreshed >= 3.9


def test_ends_on_time_without_a_crash(lab):
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}).start()
    client = nsregd.client(ZONE)
    begin = time.monotonic()
    assert client.claim("foo", ("10.0.0.1", 3)).rcode == "NOERROR"
    end = time.monotonic()
    assert nsregd.addresses(f"foo.{ZONE}")
    # A clean restart moves no end.
    nsregd.term()
    nsregd.restart()
    eventually(lambda: not nsregd.addresses(f"foo.{ZONE}"), 10)
    assert begin + 3 <= time.monotonic() <= end + 3 + 2


def test_name_stays_reserved_until_its_key_lease_ends(lab):
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}).start()
    client, other = nsregd.client(ZONE), nsregd.client(ZONE)
    assert client.claim("foo", ("10.0.0.1", 1), key_ttl=4).rcode == "NOERROR"
    begin = time.monotonic()
    eventually(lambda: not nsregd.addresses(f"foo.{ZONE}"), 10)
    assert other.claim("foo", "10.0.0.2").rcode == "REFUSED"
    eventually(lambda: other.claim("foo", "10.0.0.2").rcode == "NOERROR", 10, interval=0.1)
    assert time.monotonic() - begin >= 3.9


def test_slow_disk_delays_no_refresh(lab):
    """While a claim waits for a disk of 400 ms, refreshes are answered: before the claim is, every time."""
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}, limits=PLENTY, environment=preload(SLOW_SYNC_MS=400)).start()
    client = nsregd.client(ZONE)
    assert client.claim("mine", ("10.0.0.1", 600)).rcode == "NOERROR"
    now = int(time.time())
    assert client.claim("mine", ("10.0.0.1", 600), inception=now - 250).rcode == "NOERROR"
    ahead = 0
    for i in range(10):
        claimer = nsregd.client(ZONE)
        with claimer.connect() as claiming, client.connect() as refreshing:
            claiming.send(claimer.original(f"new{i}", ["10.0.0.2"]))
            time.sleep(0.02)
            assert client.claim("mine", ("10.0.0.1", 600), connection=refreshing,
                                inception=now - 200 + i).rcode == "NOERROR"
            # Nothing has come for the claim yet.
            claiming.socket.setblocking(False)
            try:
                claiming.socket.recv(1)
            except BlockingIOError:
                ahead += 1
    assert ahead >= 9, "refreshes waited for the disk"


def test_full_disk_changes_nothing(lab, tmp_path):
    fail = tmp_path / "fail"
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}, limits=PLENTY,
                        environment=preload(SLOW_SYNC_FAIL=str(fail))).start()
    client, other = nsregd.client(ZONE), nsregd.client(ZONE)
    assert client.claim("kept", "10.0.0.1").rcode == "NOERROR"
    fail.write_text("")
    reply = client.claim("lost", "10.0.0.2")
    assert reply.rcode == "SERVFAIL" and "not stored" in reply.text
    assert not nsregd.addresses(f"lost.{ZONE}")
    assert nsregd.addresses(f"kept.{ZONE}") == {"10.0.0.1"}
    # A refresh needs no disk.
    assert client.claim("kept", "10.0.0.1", inception=int(time.time()) - 100).rcode == "NOERROR"
    fail.unlink()
    assert other.claim("lost", "10.0.0.3").rcode == "NOERROR"
    nsregd.kill()
    nsregd.restart()
    assert nsregd.addresses(f"lost.{ZONE}") == {"10.0.0.3"}


def test_an_always_readable_connection_starves_nobody(lab):
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}, limits=PLENTY).start()
    greedy, client = nsregd.client(ZONE), nsregd.client(ZONE)
    message = greedy.update().zone("elsewhere.example").add("foo.elsewhere.example.", 60, "10.0.0.1")
    message.sign(greedy.key, "foo.elsewhere.example.")
    octets = len(message.wire).to_bytes(2, "big") + message.wire
    stop = threading.Event()

    def flood():
        with greedy.connect() as connection:
            connection.socket.settimeout(0.2)
            while not stop.is_set():
                try:
                    connection.socket.sendall(octets * 20)
                    connection.socket.setblocking(False)
                    try:
                        while connection.socket.recv(65536):
                            pass
                    except BlockingIOError:
                        pass
                    connection.socket.settimeout(0.2)
                except OSError:
                    return

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        for i in range(20):
            assert client.claim(f"n{i}", "10.0.0.1").rcode == "NOERROR"
    finally:
        stop.set()
        flooding.join()


def test_damaged_database_is_not_overwritten(lab):
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}).start()
    assert nsregd.client(ZONE).claim("foo", "10.0.0.1").rcode == "NOERROR"
    nsregd.term()
    path = os.path.join(nsregd.data_dir, "registry.db")
    with open(path, "r+b") as database:
        database.write(b"this is no database at all, whatever its name says")
    with open(path, "rb") as database:
        damaged = database.read()
    status, _, errors = nsregd.run(timeout=30)
    assert status == 1
    assert "registry.db" in errors and "left as it is" in errors
    with open(path, "rb") as database:
        assert database.read() == damaged


@pytest.mark.parametrize("closed", ["registry.db", "registry.db-wal"])
def test_a_database_of_somebody_else_is_told(lab, tmp_path, closed):
    """What belongs to another user is not damaged: who it is that may not write it, and what to type."""
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}).start()
    nsregd.term()
    directory = nsregd.data_dir
    for path in (directory, *(os.path.join(directory, name) for name in os.listdir(directory))):
        os.chown(path, 65534, 65534)
    os.chown(os.path.join(directory, closed), 0, 0)
    for above in (tmp_path, *tmp_path.parents[:2], os.path.dirname(directory), os.path.dirname(os.path.dirname(directory))):
        os.chmod(above, 0o755)
    os.chmod(nsregd.config_path, 0o644)
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program("nsregd"), "-c",
                           nsregd.config_path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
                          env={**os.environ, **nsregd.environment}, check=False)
    if "Permission denied" in done.stdout and "setpriv" in done.stdout:
        pytest.skip("the build directory is closed to others")
    assert done.returncode == 1 and "I/O" not in done.stdout and "damaged" not in done.stdout, done.stdout
    assert f"chown -R nobody: {directory}" in done.stdout, done.stdout


def test_second_daemon_on_one_database_is_told(lab):
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}).start()
    other = lab.nsregd(zones={ZONE: OPTIONS})
    other.config["data-dir"] = nsregd.data_dir
    status, _, errors = other.run(timeout=30)
    assert status == 1 and "another nsregd" in errors
    assert nsregd.accepts()


def test_import_of_the_originals_keys(lab):
    import base64
    import json
    import sqlite3
    key, gone = Key.generate(14), Key.generate(13)

    def entry(name, its, expiry):
        return {"Name": f"{name}.{ZONE}.", "Flags": 256, "Protocol": 3, "Algorithm": its.algorithm, "KeyTag": its.tag,
                "PublicKey": base64.b64encode(its.public_octets).decode(), "Expiry": expiry}

    nsregd = lab.nsregd(zones={ZONE: OPTIONS})
    with open(os.path.join(nsregd.data_dir, f"{ZONE}.keydb"), "w", encoding="utf-8") as keydb:
        json.dump({f"old.{ZONE}.": entry("old", key, "2099-05-02T10:00:00.123456789+02:00"),
                   f"gone.{ZONE}.": entry("gone", gone, "2018-01-01T00:00:00Z")}, keydb)
    nsregd.start()
    nsregd.wait_log("1 name taken over")
    stranger = nsregd.client(ZONE)
    assert stranger.claim("old", "10.0.0.1").rcode == "REFUSED"
    assert stranger.claim("gone", "10.0.0.1").rcode == "NOERROR"
    assert nsregd.client(ZONE, key=key).claim("old", "10.0.0.2").rcode == "NOERROR"
    nsregd.term()
    with sqlite3.connect(os.path.join(nsregd.data_dir, "registry.db")) as database:
        assert database.execute("SELECT count(*) FROM names WHERE claimed").fetchone() == (2,)


def other_boot(number=1):
    """The environment of another boot of this machine."""
    return {"NSREG_BOOT_ID": f"{number:032x}"}


def test_doubtful_clock_ends_no_ownership(lab):
    """Another boot, and a clock behind where it was: owners stay; bad times are not the client's fault."""
    import sqlite3
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}, restart_grace="3s", environment=preload("unsync-clock")).start()
    assert nsregd.client(ZONE).claim("foo", ("10.0.0.1", 2), key_ttl=2).rcode == "NOERROR"
    nsregd.term()
    database = sqlite3.connect(os.path.join(nsregd.data_dir, "registry.db"))
    database.execute("UPDATE heartbeat SET real_usec = real_usec + 86400000000")
    database.commit()
    database.close()
    nsregd.environment.update(other_boot())
    nsregd.start()
    nsregd.wait_log("signatures are not judged by it")
    eventually(lambda: not nsregd.addresses(f"foo.{ZONE}"), 10)
    time.sleep(1)
    reply = nsregd.client(ZONE).claim("foo", "10.0.0.2")
    assert reply.rcode == "REFUSED" and "another key" in reply.text
    now = int(time.time())
    reply = nsregd.client(ZONE).claim("bar", "10.0.0.2", inception=now + 600, expiration=now + 900)
    assert reply.rcode == "SERVFAIL" and "not synchronized" in reply.text


@pytest.mark.parametrize("boot_id", ["", "0" * 32, "%b"])
def test_no_start_without_a_boot_id(lab, boot_id):
    """No boot could be told from another, and after a power cut leases would end early."""
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}, environment={"NSREG_BOOT_ID": boot_id})
    status, _, errors = nsregd.run(timeout=30)
    assert status == 1 and "boot id" in errors and "NSREG_BOOT_ID" in errors


def set_back(nsregd, seconds):
    """The last heartbeat was so long ago, by the wall clock."""
    import sqlite3
    database = sqlite3.connect(os.path.join(nsregd.data_dir, "registry.db"))
    database.execute("UPDATE heartbeat SET real_usec = real_usec - ?", (seconds * 1000000,))
    database.commit()
    database.close()


YEARS = 10 * 365 * 86400


def test_lease_that_ended_while_the_machine_was_off(lab, tmp_path):
    """It is due at once, however long before this boot it ended."""
    sync = tmp_path / "sync"
    sync.write_text("")
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}, environment=preload("unsync-clock", SYNC_CLOCK=sync)).start()
    client = nsregd.client(ZONE)
    assert client.claim("foo", ("10.0.0.1", 60), key_ttl=100).rcode == "NOERROR"
    nsregd.term()
    set_back(nsregd, YEARS)
    nsregd.environment.update(other_boot())
    nsregd.start()
    eventually(lambda: not nsregd.addresses(f"foo.{ZONE}"), 10)
    eventually(lambda: nsregd.client(ZONE).claim("foo", "10.0.0.2").rcode == "NOERROR", 10)


def test_time_off_counts_for_every_name(lab, tmp_path):
    """In every zone, however many there are: it is counted in slices."""
    sync = tmp_path / "sync"
    sync.write_text("")
    zones = {zone: dict(OPTIONS) for zone in (ZONE, "second.example", "empty.example", "third.example")}
    nsregd = lab.nsregd(zones=zones, environment=preload("unsync-clock", SYNC_CLOCK=sync),
                        limits={"new-names-per-minute-per-source": 100000}).start()
    names = {ZONE: 2500, "second.example": 40, "third.example": 2}
    for zone, n in names.items():
        client = nsregd.client(zone)
        with client.connect() as connection:
            for first in range(0, n, 50):
                messages = [client.original(f"n{i:04}", [("10.0.0.1", 60)], key_ttl=100).wire
                            for i in range(first, min(first + 50, n))]
                for message in messages:
                    connection.send(message)
                assert all(connection.receive().rcode == "NOERROR" for _ in messages)
    nsregd.term()
    set_back(nsregd, 3600)
    nsregd.environment.update(other_boot())
    nsregd.start()
    for zone, n in names.items():
        for i in {0, n // 2, n - 1}:
            eventually(lambda: not nsregd.addresses(f"n{i:04}.{zone}"), 20, f"n{i:04}.{zone} is gone")
            eventually(lambda: nsregd.client(zone).claim(f"n{i:04}", "10.0.0.2").rcode == "NOERROR", 20, f"n{i:04}.{zone} is free")


def test_time_off_ends_nothing_at_once(lab, tmp_path):
    """Off for years: records stay until the grace is over, and owners keep their names after it."""
    sync = tmp_path / "sync"
    sync.write_text("")
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}, restart_grace="4s",
                        environment=preload("unsync-clock", SYNC_CLOCK=sync)).start()
    client, back = nsregd.client(ZONE), nsregd.client(ZONE)
    assert client.claim("gone", ("10.0.0.1", 60), key_ttl=100).rcode == "NOERROR"
    assert back.claim("back", ("10.0.0.1", 60), key_ttl=100).rcode == "NOERROR"
    nsregd.term()
    set_back(nsregd, YEARS)
    nsregd.environment.update(other_boot())
    began = time.monotonic()
    nsregd.start()
    assert back.claim("back", ("10.0.0.1", 60), key_ttl=100).rcode == "NOERROR"
    eventually(lambda: not nsregd.addresses(f"gone.{ZONE}"), 15)
    assert time.monotonic() - began >= 4
    assert nsregd.addresses(f"back.{ZONE}") == {"10.0.0.1"}
    for name in ("gone", "back"):
        assert nsregd.client(ZONE).claim(name, "10.0.0.2").rcode == "REFUSED"
    assert client.claim("gone", ("10.0.0.3", 60)).rcode == "NOERROR"


def test_time_off_counts_when_the_clock_is_synchronized(lab, tmp_path):
    """A clock that nobody has set yet ends nothing; once it is set, what was granted before the boot is over, what
    was granted since is not."""
    sync = tmp_path / "sync"
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}, restart_grace="1s",
                        environment=preload("unsync-clock", SYNC_CLOCK=sync)).start()
    client, back = nsregd.client(ZONE), nsregd.client(ZONE)
    assert client.claim("gone", ("10.0.0.1", 600), key_ttl=1000).rcode == "NOERROR"
    assert back.claim("back", ("10.0.0.1", 600), key_ttl=1000).rcode == "NOERROR"
    nsregd.term()
    set_back(nsregd, YEARS)
    nsregd.environment.update(other_boot())
    nsregd.start()
    time.sleep(3)
    assert nsregd.addresses(f"gone.{ZONE}") == {"10.0.0.1"}
    assert back.claim("back", ("10.0.0.1", 600), key_ttl=1000).rcode == "NOERROR"
    sync.write_text("")
    nsregd.wait_log("was off for")
    eventually(lambda: not nsregd.addresses(f"gone.{ZONE}"), 10)
    assert nsregd.addresses(f"back.{ZONE}") == {"10.0.0.1"}
    assert nsregd.client(ZONE).claim("gone", "10.0.0.2").rcode == "REFUSED"


def test_step_of_the_wall_clock_holds_what_ends(lab, tmp_path):
    """Forward, against CLOCK_BOOTTIME: as if the machine had been saved and resumed. Nobody could refresh meanwhile."""
    step = tmp_path / "step"
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}, restart_grace="6s",
                        environment=preload("shift-clock", SHIFT_CLOCK_SEC=7200, SHIFT_CLOCK_FILE=step)).start()
    granted = time.monotonic()
    assert nsregd.client(ZONE).claim("foo", ("10.0.0.1", 4), key_ttl=4).rcode == "NOERROR"
    # A look at the clocks before the step: a lease of its own ends.
    assert nsregd.client(ZONE).claim("bar", ("10.0.0.1", 1), key_ttl=3600).rcode == "NOERROR"
    eventually(lambda: not nsregd.addresses(f"bar.{ZONE}"), 10)
    step.write_text("")
    nsregd.wait_log("stepped forward")
    assert nsregd.addresses(f"foo.{ZONE}")
    eventually(lambda: not nsregd.addresses(f"foo.{ZONE}"), 20)
    assert time.monotonic() >= granted + 4 + 5
    # Who owned it then keeps it, as this registrar's clock is two hours ahead for others as well.
    now = int(time.time()) + 7200
    reply = nsregd.client(ZONE).claim("foo", "10.0.0.2", inception=now - 10, expiration=now + 100)
    assert reply.rcode == "REFUSED" and "another key" in reply.text
