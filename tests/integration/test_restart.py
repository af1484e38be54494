# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an end of any kind leaves: a stop, a kill, a reboot, a full or a slow or a broken disk. A lease that was
granted stands, an owner stays, and none of it depends on how the daemon ended."""

import os
import shutil
import signal
import sqlite3
import time

import pytest

from lab import Key, eventually
from test_durability import OPTIONS, PLENTY, ZONE, other_boot, preload

LEASE = 8
DATABASES = os.path.join(os.environ.get("NSREG_SOURCE", os.path.join(os.path.dirname(__file__), "..", "..")),
                         "tests", "data", "databases")


def query(nsregd, text):
    """Of the database of a daemon that is stopped."""
    database = sqlite3.connect(os.path.join(nsregd.data_dir, "registry.db"))
    rows = database.execute(text).fetchall()
    database.close()
    return rows


def claim(client, name, lease=LEASE, **options):
    reply = client.claim(name, ("10.0.0.1", lease), **options)
    assert reply.rcode == "NOERROR", (name, reply)
    return time.monotonic()


def refused_to_others(nsregd, name):
    reply = nsregd.client(ZONE).claim(name, "10.0.0.9")
    assert reply.rcode == "REFUSED" and "another key" in reply.text, (name, reply)


def clean(nsregd):
    return query(nsregd, "SELECT refreshed_usec FROM heartbeat") == [(0,)]


# -- a clean stop


@pytest.mark.parametrize("upstream", ["builtin", "named"])
def test_refreshed_leases_survive_a_clean_restart(lab, upstream):
    """Fifty names, all refreshed in time, TERM, start: all are there, until their leases end."""
    options = dict(OPTIONS)
    server = None
    if upstream == "named":
        server = lab.named(ZONE).start()
        options["upstreams"] = [server.upstream(ZONE)]
    nsregd = lab.nsregd(zones={ZONE: options}, limits=PLENTY).start()
    where = server or nsregd
    client = nsregd.client(ZONE)
    names = [f"n{i}" for i in range(50)]
    began = time.time() - 100
    for name in names:
        claim(client, name, key_ttl=LEASE, inception=int(began))
    time.sleep(LEASE / 2)
    refreshed = time.monotonic()
    for name in names:
        claim(client, name, key_ttl=LEASE, inception=int(began) + 50)
    assert nsregd.term() == 0
    assert clean(nsregd)
    nsregd.start()
    gone = [name for name in names if not where.addresses(f"{name}.{ZONE}")]
    assert time.monotonic() < refreshed + LEASE and not gone, gone
    # Longer than what was stored at first: until the refreshed end.
    while time.monotonic() < refreshed + LEASE - 0.5:
        assert where.addresses(f"n0.{ZONE}") and where.addresses(f"n49.{ZONE}")
        refused_to_others(nsregd, "n7")
        time.sleep(0.1)
    eventually(lambda: not any(where.addresses(f"{name}.{ZONE}") for name in names), 15)


def test_a_refresh_cannot_be_replayed_after_a_restart(lab):
    """What was accepted last is remembered with the ends that it moved."""
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}, limits=PLENTY).start()
    client = nsregd.client(ZONE)
    now = int(time.time())
    claim(client, "foo", 600, inception=now - 100)
    refresh = client.original("foo", [("10.0.0.1", 600)], inception=now - 50)
    assert client.send(refresh).rcode == "NOERROR"
    assert client.remove("foo", "10.0.0.1", inception=now - 40).rcode == "NOERROR"
    claim(client, "bar", 600, inception=now - 100)
    other = client.original("bar", [("10.0.0.1", 600)], inception=now - 50)
    assert client.send(other).rcode == "NOERROR"
    late = client.original("bar", [("10.0.0.7", 600)], inception=now - 60)
    assert nsregd.term() == 0
    nsregd.start()
    assert client.send(late).rcode != "NOERROR"
    assert client.send(refresh).rcode != "NOERROR"
    assert nsregd.addresses(f"bar.{ZONE}") == {"10.0.0.1"} and not nsregd.addresses(f"foo.{ZONE}")


def test_a_stop_waits_for_a_slow_disk(lab):
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}, limits=PLENTY, environment=preload(SLOW_SYNC_MS=700)).start()
    client = nsregd.client(ZONE)
    claim(client, "foo")
    time.sleep(3)
    refreshed = claim(client, "foo")
    assert nsregd.term() == 0
    assert clean(nsregd)
    nsregd.start()
    while time.monotonic() < refreshed + LEASE - 0.5:
        assert nsregd.addresses(f"foo.{ZONE}")
        time.sleep(0.2)


def test_no_clean_end_where_not_all_is_stored(lab, tmp_path):
    """A disk that fails at the stop: it ends in time and says so, and the next start counts as after a crash."""
    fail = tmp_path / "fail"
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}, limits=PLENTY, environment=preload(SLOW_SYNC_FAIL=str(fail))).start()
    client = nsregd.client(ZONE)
    claim(client, "foo")
    time.sleep(3)
    refreshed = claim(client, "foo")
    fail.write_text("")
    assert nsregd.term() != 0
    assert "could not be stored" in nsregd.log()
    fail.unlink()
    assert not clean(nsregd)
    nsregd.start()
    while time.monotonic() < refreshed + LEASE - 0.5:
        assert nsregd.addresses(f"foo.{ZONE}")
        time.sleep(0.2)


def test_a_dead_disk_does_not_keep_it(lab):
    """The disk does not answer any more: the stop ends all the same, and claims nothing."""
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}, limits=PLENTY,
                        environment=preload(SLOW_SYNC_MS=0, SLOW_SYNC_FILE=lab.path("delay"))).start()
    client = nsregd.client(ZONE)
    claim(client, "foo", 600)
    with open(lab.path("delay"), "w", encoding="ascii") as delay:
        delay.write("120000")
    nsregd.process.send_signal(signal.SIGTERM)
    eventually(lambda: not nsregd.running, 60)
    assert nsregd.process.popen.returncode != 0
    os.unlink(lab.path("delay"))
    assert not clean(nsregd)


# -- a crash


def test_reboot_ends_no_refreshed_lease(lab):
    """A power cut: what was refreshed and not written is covered by the heartbeat."""
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}, limits=PLENTY, environment=other_boot(1)).start()
    client = nsregd.client(ZONE)
    claim(client, "foo", key_ttl=LEASE)
    # Once it is covered; the first refresh after a quiet time asks for that.
    claim(client, "foo", key_ttl=LEASE)
    time.sleep(LEASE / 2)
    refreshed = claim(client, "foo", key_ttl=LEASE)
    nsregd.kill()
    nsregd.environment.update(other_boot(2))
    nsregd.start()
    while time.monotonic() < refreshed + LEASE - 0.5:
        assert nsregd.addresses(f"foo.{ZONE}")
        refused_to_others(nsregd, "foo")
        time.sleep(0.1)


@pytest.mark.parametrize("delay", [0, 200])
def test_reboot_right_after_the_first_refresh(lab, delay):
    """The first refresh after a quiet time is answered when a heartbeat covers it, not before."""
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}, limits=PLENTY,
                        environment={**other_boot(1), **preload(SLOW_SYNC_MS=delay)}).start()
    client = nsregd.client(ZONE)
    claim(client, "foo", key_ttl=LEASE)
    time.sleep(LEASE / 2)
    refreshed = claim(client, "foo", key_ttl=LEASE)
    nsregd.kill()
    nsregd.environment.update(other_boot(2))
    nsregd.start()
    while time.monotonic() < refreshed + LEASE - 0.5:
        assert nsregd.addresses(f"foo.{ZONE}")
        time.sleep(0.1)


@pytest.mark.parametrize("end", ["term", "kill", "reload"])
def test_what_a_start_lengthens_stays_so(lab, end):
    """A kill, a start that lengthens what it cannot know, and whatever follows: no lease ends early."""
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}, limits=PLENTY).start()
    client = nsregd.client(ZONE)
    claim(client, "foo", key_ttl=LEASE)
    time.sleep(LEASE / 2)
    refreshed = claim(client, "foo", key_ttl=LEASE)
    nsregd.kill()
    nsregd.start()
    if end == "reload":
        nsregd.reload()
        nsregd.wait_log("reloaded")
    else:
        getattr(nsregd, end)()
        nsregd.start()
    while time.monotonic() < refreshed + LEASE - 0.5:
        assert nsregd.addresses(f"foo.{ZONE}"), f"gone {refreshed + LEASE - time.monotonic()} s early"
        time.sleep(0.1)
    eventually(lambda: not nsregd.addresses(f"foo.{ZONE}"), 15)


@pytest.mark.parametrize("twice", [False, True])
def test_who_could_not_refresh_is_held_over_a_crash(lab, twice):
    """Off for longer than a key lease: nobody else gets the name for a day, crashes behind that start or not."""
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}, limits=PLENTY, **{"restart-grace": "1s"}).start()
    away, there = nsregd.client(ZONE), nsregd.client(ZONE)
    claim(away, "foo", 2, key_ttl=2)
    claim(there, "bar", 600, key_ttl=600)
    nsregd.term()
    time.sleep(3)
    for _ in range(2 if twice else 1):
        nsregd.start()
        refused_to_others(nsregd, "foo")
        # From this refresh on everything counts in full, as far as anybody can know behind the crash.
        claim(there, "bar", 600, key_ttl=600)
        nsregd.kill()
    nsregd.start()
    # So long the key lease would be counted anew, and the grace.
    time.sleep(2 + 1 + 1)
    refused_to_others(nsregd, "foo")
    claim(away, "foo", 2, key_ttl=2)


def test_a_shorter_lease_is_shorter_after_a_crash(lab):
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}, limits=PLENTY).start()
    client = nsregd.client(ZONE)
    claim(client, "foo", 600, key_ttl=600)
    shortened = claim(client, "foo", 5, key_ttl=600)
    nsregd.kill()
    nsregd.start()
    eventually(lambda: not nsregd.addresses(f"foo.{ZONE}"), 15)
    assert shortened + 4.5 <= time.monotonic() <= shortened + 5 + 5


# -- a full disk


def on_small_disk(lab, **options):
    disk = lab.disk()
    nsregd = lab.nsregd(zones={ZONE: {**OPTIONS, "max-names": 0, "max-names-per-source": 0}}, limits=PLENTY, netns=disk,
                        **options)
    nsregd.config["data-dir"] = nsregd.data_dir = disk.path
    nsregd.start()
    return disk, nsregd


def fill(disk, nsregd):
    """Claims until one does not fit any more; the last that did, and was answered so."""
    client = nsregd.client(ZONE)
    disk.fill()
    for i in range(20000):
        reply = client.claim(f"filling-{i:05}-{'x' * 40}", ("10.0.0.2", 3600))
        if reply.rcode != "NOERROR":
            assert reply.rcode == "SERVFAIL" and "not stored" in reply.text, reply
            return i
    raise AssertionError("the disk does not become full")


def test_full_disk_loses_no_refresh(lab):
    """No claim goes in any more; refreshes are granted, survive a stop and a start on the full disk."""
    disk, nsregd = on_small_disk(lab)
    client = nsregd.client(ZONE)
    claim(client, "foo", 12, key_ttl=12)
    fill(disk, nsregd)
    time.sleep(5)
    refreshed = claim(client, "foo", 12, key_ttl=12)
    assert nsregd.term() == 0, nsregd.log()[-2000:]
    nsregd.start()
    assert time.monotonic() < refreshed + 12
    assert nsregd.client(ZONE).claim("more", "10.0.0.3").rcode == "SERVFAIL"
    while time.monotonic() < refreshed + 11.5:
        assert nsregd.addresses(f"foo.{ZONE}")
        refused_to_others(nsregd, "foo")
        time.sleep(0.2)
    disk.free()
    eventually(lambda: nsregd.client(ZONE).claim("more", "10.0.0.3").rcode == "NOERROR", 20)


def test_full_disk_and_reload_give_no_name_away(lab, tmp_path):
    """The disk fails, the owner refreshes, the configuration is read again: the owner stays."""
    fail = tmp_path / "fail"
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}, limits=PLENTY, environment=preload(SLOW_SYNC_FAIL=str(fail))).start()
    client = nsregd.client(ZONE)
    claim(client, "foo", key_ttl=LEASE)
    time.sleep(LEASE / 2)
    fail.write_text("")
    refreshed = claim(client, "foo", key_ttl=LEASE)
    nsregd.reload()
    while time.monotonic() < refreshed + LEASE - 0.5:
        assert nsregd.addresses(f"foo.{ZONE}")
        refused_to_others(nsregd, "foo")
        time.sleep(0.2)


def test_many_ended_leases_and_a_full_disk(lab, tmp_path):
    """What ends cannot be stored: it is tried again with pauses that grow, and then it is."""
    fail = tmp_path / "fail"
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}, limits=PLENTY, environment=preload(SLOW_SYNC_FAIL=str(fail))).start()
    client = nsregd.client(ZONE)
    for i in range(30):
        claim(client, f"n{i}", 2)
    fail.write_text("")
    time.sleep(4)
    fail.unlink()
    eventually(lambda: not any(nsregd.addresses(f"n{i}.{ZONE}") for i in range(30)), 60)


def test_what_was_not_stored_does_not_come_back(lab, tmp_path):
    """A claim was refused because the disk failed at its last step: what it left in the log is not taken for a claim at
    the next start, once the disk has worked again for a moment."""
    fail = tmp_path / "fail"
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}, limits=PLENTY, environment=preload(SLOW_SYNC_FAIL=str(fail))).start()
    claim(nsregd.client(ZONE), "kept", 600)
    fail.write_text("")
    assert nsregd.client(ZONE).claim("lost", ("10.0.0.1", 600)).rcode == "SERVFAIL"
    log = os.path.join(nsregd.data_dir, "registry.db-wal")
    fail.unlink()
    mended = time.time()
    # Nobody asks for anything: it tries by itself.
    eventually(lambda: os.stat(log).st_mtime > mended, 40)
    time.sleep(0.5)
    nsregd.kill()
    nsregd.start()
    assert nsregd.addresses(f"kept.{ZONE}") and not nsregd.addresses(f"lost.{ZONE}")
    claim(nsregd.client(ZONE), "lost", 600)


# -- databases of earlier and later versions


def with_database(lab, name, **zones):
    nsregd = lab.nsregd(zones={zone: {**OPTIONS, **zones.get(zone, {})}
                               for zone in ("one.example", "two.example", "three.example")}, limits=PLENTY)
    path = os.path.join(nsregd.data_dir, "registry.db")
    shutil.copy(os.path.join(DATABASES, name), path)
    # As if it had been written just now, at another boot: leases go on where they were.
    database = sqlite3.connect(path)
    database.execute("UPDATE heartbeat SET real_usec = ?, boot_id = zeroblob(16)", (time.time_ns() // 1000,))
    database.commit()
    database.close()
    return nsregd


@pytest.mark.parametrize("name", ["clean.db", "killed.db"])
@pytest.mark.parametrize("schema", [1, 2])
def test_database_of_an_earlier_schema(lab, schema, name):
    """All that an earlier version kept is there, and stays so at the next start."""
    nsregd = with_database(lab, f"schema-{schema}/{name}").start()
    for _ in range(2):
        assert nsregd.addresses("p256.one.example") == {"10.0.0.1", "fd00::1"}
        assert nsregd.addresses("ed25519.one.example") == {"10.0.0.3"}
        assert nsregd.addresses("many7.two.example") == {"10.0.1.7"}
        assert nsregd.addresses("refreshed.three.example") == {"10.0.3.4"}
        assert not nsregd.addresses("withdrawn.two.example") and not nsregd.addresses("p384.one.example")
        for zone, label in (("one.example", "p256"), ("one.example", "p384"), ("two.example", "withdrawn"),
                            ("two.example", "remembers")):
            reply = nsregd.client(zone).claim(label, "10.0.0.9")
            assert reply.rcode == "REFUSED" and "another key" in reply.text, (label, reply)
        assert nsregd.client("three.example").claim("reserved", "10.0.0.9").rcode == "REFUSED"
        assert nsregd.client("one.example").claim("foreign", "10.0.0.9").rcode == "REFUSED"
        assert nsregd.term() == 0
        nsregd.start()
    assert nsregd.client("three.example").claim("revoked", "10.0.0.9").rcode == "NOERROR"
    assert nsregd.term() == 0
    assert query(nsregd, "PRAGMA user_version") == [(3,)] and query(nsregd, "PRAGMA integrity_check") == [("ok",)]
    assert query(nsregd, "PRAGMA foreign_key_check") == []


@pytest.mark.parametrize("schema", [1, 2])
def test_interrupted_migration(lab, schema):
    """Killed in it, it begins again: one transaction."""
    nsregd = with_database(lab, f"schema-{schema}/killed.db")
    nsregd.environment.update(preload(SLOW_SYNC_MS=300))
    for _ in range(3):
        nsregd.spawn()
        time.sleep(0.35)
        nsregd.kill()
    nsregd.environment.pop("LD_PRELOAD")
    nsregd.start()
    assert nsregd.addresses("p256.one.example") == {"10.0.0.1", "fd00::1"}


def test_newer_database_is_refused(lab):
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}).start()
    claim(nsregd.client(ZONE), "foo", 600)
    nsregd.term()
    query(nsregd, "PRAGMA user_version = 99")
    status, _, errors = nsregd.run(timeout=30)
    assert status == 1 and "newer version" in errors, errors


def test_database_of_another_program_is_refused(lab):
    nsregd = lab.nsregd(zones={ZONE: OPTIONS})
    database = sqlite3.connect(os.path.join(nsregd.data_dir, "registry.db"))
    database.execute("CREATE TABLE names (other TEXT)")
    database.commit()
    database.close()
    status, _, errors = nsregd.run(timeout=30)
    assert status == 1 and "not a database of nsregd" in errors, errors


# -- imports


def test_failed_import_is_tried_again(lab):
    """A key file that cannot be read keeps its names from strangers, however often the daemon starts."""
    import base64
    import json
    key = Key.generate(13)
    entry = {"Name": f"old.{ZONE}.", "Flags": 256, "Protocol": 3, "Algorithm": key.algorithm, "KeyTag": key.tag,
             "PublicKey": base64.b64encode(key.public_octets).decode(), "Expiry": "2099-05-02T10:00:00Z"}
    nsregd = lab.nsregd(zones={ZONE: OPTIONS})
    path = os.path.join(nsregd.data_dir, f"{ZONE}.keydb")
    with open(path, "w", encoding="utf-8") as keydb:
        keydb.write("{ this is no")
    # Until then nothing new is given there; elsewhere everything goes on.
    nsregd.config["zones"]["e.example"] = OPTIONS
    for _ in range(2):
        nsregd.start()
        nsregd.wait_log("Cannot import")
        reply = nsregd.client(ZONE).claim("old", "10.0.0.9", inception=int(time.time()) - 100)
        assert reply.rcode == "SERVFAIL" and "owners" in reply.text, reply
        nsregd.client("e.example").claim("else", ("10.0.0.9", 600))
        assert nsregd.addresses("else.e.example") == {"10.0.0.9"}
        assert nsregd.term() == 0
    with open(path, "w", encoding="utf-8") as keydb:
        json.dump({f"old.{ZONE}.": entry}, keydb)
    nsregd.start()
    nsregd.wait_log("1 name taken over")
    refused_to_others(nsregd, "old")
    # Once it was done it is not done again: a name that its owner gave up stays free.
    owner = nsregd.client(ZONE, key=key)
    assert owner.claim("old", "10.0.0.2", inception=int(time.time()) - 50).rcode == "NOERROR"
    assert owner.release("old", inception=int(time.time()) - 20).rcode == "NOERROR"
    nsregd.term()
    nsregd.start()
    reply = nsregd.client(ZONE).claim("old", "10.0.0.9", inception=int(time.time()))
    assert reply.rcode == "NOERROR", reply
