# SPDX-License-Identifier: LGPL-2.1-or-later
"""Key databases of the original daemon: whose names these are, whatever else stands in them."""

import base64
import json
import os
import time

import pytest

from lab import Key

ZONE = "d.example"
OPTIONS = {"allowed-nets": ["127.0.0.0/8", "10.0.0.0/8"], "min-addr-ttl": "1s"}


def entry(name, key, expiry="2099-05-02T10:00:00Z", **other):
    return {"Name": f"{name}.{ZONE}.", "Flags": 256, "Protocol": 3, "Algorithm": key.algorithm, "KeyTag": key.tag,
            "PublicKey": base64.b64encode(key.public_octets).decode(), "Expiry": expiry, **other}


def write_keydb(directory, entries):
    """In the order that is given: a map may have been written by anybody."""
    path = os.path.join(directory, f"{ZONE}.keydb")
    with open(path, "w", encoding="utf-8") as out:
        json.dump({f"{name}.{ZONE}.": value for name, value in entries}, out)
    return path


def start_with(lab, entries):
    nsregd = lab.nsregd(zones={ZONE: OPTIONS})
    write_keydb(nsregd.data_dir, entries)
    return nsregd.start()


def owns(nsregd, key, name, seconds=0):
    reply = nsregd.client(ZONE, key=key).claim(name, "10.0.0.2", inception=int(time.time()) - 100 + seconds)
    assert reply.rcode in ("NOERROR", "REFUSED"), reply
    return reply.rcode == "NOERROR"


def test_of_two_spellings_the_canonical_one_wins(lab):
    """The other was claimed through a hole of the original's, which told names by case."""
    thief, owner = Key.generate(14), Key.generate(14)
    for first, second in ((("Foo", thief), ("foo", owner)), (("foo", owner), ("Foo", thief))):
        nsregd = start_with(lab, [(name, entry(name, key)) for name, key in (first, second)])
        nsregd.wait_log("1 name taken over")
        assert f"Foo.{ZONE}." in nsregd.log() and "another spelling" in nsregd.log()
        assert not owns(nsregd, thief, "foo")
        assert owns(nsregd, owner, "foo", 1)


def test_of_two_strange_spellings_the_older_wins(lab):
    younger, older, expired = Key.generate(13), Key.generate(13), Key.generate(13)
    nsregd = start_with(lab, [("FOO", entry("FOO", younger, "2099-05-03T10:00:00Z")),
                              ("Foo", entry("Foo", older, "2099-05-02T10:00:00Z")),
                              ("foo", entry("foo", expired, "2018-01-01T00:00:00Z"))])
    nsregd.wait_log("1 name taken over")
    assert not owns(nsregd, younger, "foo") and not owns(nsregd, expired, "foo", 1)
    assert owns(nsregd, older, "foo", 2)


def test_two_spellings_of_one_owner(lab):
    owner = Key.generate(13)
    nsregd = start_with(lab, [("Foo", entry("Foo", owner)), ("foo", entry("foo", owner))])
    nsregd.wait_log("1 name taken over")
    assert "another spelling" not in nsregd.log()
    assert owns(nsregd, owner, "foo")


def test_odd_entries_spoil_nothing(lab):
    good = [(f"good{i}", Key.generate(13)) for i in range(3)]
    off_curve = Key.generate(13)
    rsa = base64.b64encode(b"\x03\x01\x00\x01" + b"\xff" * 256).decode()
    odd = [("rsasha1", entry("rsasha1", off_curve, Algorithm=5, PublicKey=rsa)),
           ("short", entry("short", off_curve, PublicKey=base64.b64encode(b"short").decode())),
           ("curve", entry("curve", off_curve, PublicKey=base64.b64encode(b"\x01" * 64).decode())),
           ("text", entry("text", off_curve, PublicKey="no base64 at all!")),
           ("wraps", entry("wraps", off_curve, Algorithm=256 + off_curve.algorithm)),
           ("never", entry("never", off_curve, "not a time")),
           ("bare", "only a text"), ("none", None), ("list", [1, 2]), ("empty", {}),
           ("two..dots", entry("dots", off_curve)), ("below.it", entry("below.it", off_curve)),
           ("under_score", entry("under_score", off_curve))]
    nsregd = start_with(lab, [(good[0][0], entry(*good[0])), *odd[:6], (good[1][0], entry(*good[1])), *odd[6:],
                              (good[2][0], entry(*good[2]))])
    nsregd.wait_log(f"3 names taken over.*{len(odd)} unusable")
    assert f'"rsasha1.{ZONE}."' in nsregd.log() and f'"text.{ZONE}."' in nsregd.log()
    stranger = Key.generate(13)
    for i, (name, key) in enumerate(good):
        assert not owns(nsregd, stranger, name, 2 * i)
        assert owns(nsregd, key, name, 2 * i + 1)
    assert owns(nsregd, stranger, "curve", 10)


@pytest.mark.parametrize("text", ["{ this is no", "[1, 2]", "3", ""])
def test_what_is_no_key_database_is_refused_whole(lab, text):
    nsregd = lab.nsregd(zones={ZONE: OPTIONS})
    path = os.path.join(nsregd.data_dir, f"{ZONE}.keydb")
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    status, _, errors = nsregd.run("--import-keydb", path)
    assert status == 1 and "Nothing of it was taken" in errors, errors


def test_root_leaves_the_database_to_whose_directory_it_is(lab):
    """The service's user could not open it otherwise. The key database is root's own, the original ran as root."""
    if os.geteuid() != 0:
        pytest.skip("only root is somebody else")
    user, group, owner = 65534, 65534, Key.generate(13)
    nsregd = lab.nsregd(zones={ZONE: OPTIONS})
    path = write_keydb(lab.subdirectory("old"), [("old", entry("old", owner))])
    os.chmod(path, 0o600)
    os.chmod(lab.directory, 0o711)
    os.chmod(os.path.dirname(nsregd.data_dir), 0o711)
    os.chown(nsregd.data_dir, user, group)
    # Who was another user is watched by no tracer, which the leak detector is.
    nsregd.environment["ASAN_OPTIONS"] += ":detect_leaks=0"
    status, _, errors = nsregd.run("--import-keydb", path)
    assert status == 0 and "1 name taken over" in errors, errors
    files = os.listdir(nsregd.data_dir)
    assert "registry.db" in files
    for name in files:
        found = os.stat(os.path.join(nsregd.data_dir, name))
        assert (found.st_uid, found.st_gid) == (user, group), name
    nsregd.start()
    assert owns(nsregd, owner, "old")


def test_root_is_told_of_a_database_that_the_user_cannot_open(lab):
    if os.geteuid() != 0:
        pytest.skip("only root is somebody else")
    nsregd = lab.nsregd(zones={ZONE: OPTIONS}).start()
    nsregd.term()
    path = write_keydb(lab.subdirectory("old"), [("old", entry("old", Key.generate(13)))])
    os.chmod(lab.directory, 0o711)
    os.chmod(os.path.dirname(nsregd.data_dir), 0o711)
    os.chown(nsregd.data_dir, 65534, 65534)
    nsregd.environment["ASAN_OPTIONS"] += ":detect_leaks=0"
    status, _, errors = nsregd.run("--import-keydb", path)
    assert status == 1 and f"chown -R nobody: {nsregd.data_dir}" in errors, errors
