# SPDX-License-Identifier: LGPL-2.1-or-later
"""What another registrar had published at the names of this one: left to the names' owners, and to nobody else."""

import base64
import json
import os
import sqlite3
import subprocess
import time

import pytest

from lab import Key, eventually, program

ZONE, REVERSE = "d.example", "10.in-addr.arpa"


def preload(name, **settings):
    """The environment with a preloaded library, behind the sanitizer's own where there is one."""
    build = os.environ["NSREG_BUILD"]
    linked = subprocess.run(["ldd", program("nsregd")], stdout=subprocess.PIPE, text=True, check=True).stdout
    asan = [line.split()[2] for line in linked.splitlines() if "libasan" in line or "libtsan" in line]
    return {"LD_PRELOAD": " ".join([*asan, os.path.join(build, "tests", "tools", f"lib{name}.so")]),
            **{key: str(value) for key, value in settings.items()}}


def registrar(lab, server, **zone):
    upstream = server.upstream() if type(server).__name__ == "Unbound" else server.upstream(ZONE)
    upstream["reverse-zones"] = [REVERSE]
    return lab.nsregd({ZONE: {"allowed-nets": ["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"], "min-addr-ttl": "1s",
                              "upstreams": [upstream], **zone}})


def write_keydb(nsregd, **keys):
    """As the Go program has left it beside its records."""
    entries = {f"{name}.{ZONE}.": {"Name": f"{name}.{ZONE}.", "Flags": 256, "Protocol": 3, "Algorithm": key.algorithm,
                                   "KeyTag": key.tag, "PublicKey": base64.b64encode(key.public_octets).decode(),
                                   "Expiry": "2099-05-02T10:00:00Z"} for name, key in keys.items()}
    with open(os.path.join(nsregd.data_dir, f"{ZONE}.keydb"), "w", encoding="utf-8") as out:
        json.dump(entries, out)


def left_behind(named, *lines):
    for zone in (ZONE, REVERSE):
        wanted = [f"update add {line}" for line in lines if zone in line.split()[0]]
        if wanted:
            assert named.nsupdate(*wanted, zone=zone)[0] == 0


def claim(nsregd, key, name, *addresses, back=60):
    return nsregd.client(ZONE, key=key).claim(name, *[(address, 600) for address in addresses], key_ttl=3600,
                                              inception=int(time.time()) - back)


def test_an_imported_zone_adopts(lab):
    """The old daemon was killed, or kept its records; its clients go on as if nothing had been."""
    same, moved = Key.generate(14), Key.generate(14)
    named = lab.named(ZONE, REVERSE).start()
    left_behind(named, f"same.{ZONE} 60 A 10.0.0.1", f"1.0.0.{REVERSE} 60 PTR same.{ZONE}.",
                f"moved.{ZONE} 60 A 10.0.0.2", f"moved.{ZONE} 60 A 10.0.0.3", f"moved.{ZONE} 60 AAAA fd00::3",
                f'moved.{ZONE} 60 TXT "of the administrator"')
    nsregd = registrar(lab, named)
    write_keydb(nsregd, same=same, moved=moved)
    nsregd.start()
    nsregd.wait_log("2 names taken over")
    # Whenever its owners come: a restart does not end it.
    nsregd.restart()
    assert claim(nsregd, same, "same", "10.0.0.1").rcode == "NOERROR"
    assert claim(nsregd, moved, "moved", "10.0.0.4").rcode == "NOERROR"
    assert named.addresses(f"same.{ZONE}") == {"10.0.0.1"}
    assert named.addresses(f"moved.{ZONE}") == {"10.0.0.4"}
    assert (f"1.0.0.{REVERSE}.", "PTR", f"same.{ZONE}.") in named.records(REVERSE)
    # From now on they are ours: over a kill, and to their end.
    nsregd.kill()
    nsregd.start()
    for key, name in ((same, "same"), (moved, "moved")):
        assert nsregd.client(ZONE, key=key).release(name, inception=int(time.time()) - 30).rcode == "NOERROR"
        assert named.addresses(f"{name}.{ZONE}") == set()
    assert not [record for record in named.records(REVERSE) if record[1] == "PTR"]
    assert [record for record in named.records() if record[0] == f"moved.{ZONE}." and record[1] == "TXT"]


def test_an_import_lifts_a_block(lab):
    """Refused before anybody thought of the key file."""
    owner = Key.generate(14)
    named = lab.named(ZONE, REVERSE).start()
    left_behind(named, f"old.{ZONE} 60 A 10.0.0.1")
    nsregd = registrar(lab, named).start()
    for back in (60, 59):
        assert claim(nsregd, owner, "old", "10.0.0.2", back=back).rcode == "REFUSED"
    nsregd.term()
    write_keydb(nsregd, old=owner)
    status, _, errors = nsregd.run("--import-keydb", os.path.join(nsregd.data_dir, f"{ZONE}.keydb"))
    assert status == 0 and "1 name taken over" in errors, errors
    nsregd.start()
    assert claim(nsregd, owner, "old", "10.0.0.2", back=50).rcode == "NOERROR"
    assert named.addresses(f"old.{ZONE}") == {"10.0.0.2"}


def test_a_zone_that_comes_back_adopts(lab):
    """Out of the configuration, and in again, without a restart."""
    owner = Key.generate(14)
    named = lab.named(ZONE, REVERSE).start()
    left_behind(named, f"old.{ZONE} 60 A 10.0.0.1")
    nsregd = registrar(lab, named)
    write_keydb(nsregd, old=owner)
    nsregd.config["zones"]["e.example"] = {}
    nsregd.start()
    nsregd.wait_log("1 name taken over")
    nsregd.restart()
    zones = nsregd.config["zones"]
    for config in ({"e.example": {}}, zones):
        nsregd.config["zones"] = config
        nsregd.reload()
        eventually(lambda: (nsregd.query(ZONE, "SOA").rcode() == 0) == (ZONE in config), 20)
    assert claim(nsregd, owner, "old", "10.0.0.2").rcode == "NOERROR"
    assert named.addresses(f"old.{ZONE}") == {"10.0.0.2"}


def test_an_imported_zone_adopts_of_unbound(lab):
    owner = Key.generate(14)
    server = lab.unbound(ZONE).start()
    server.control_command("local_data", f"old.{ZONE}.", "60", "IN", "A", "10.0.0.1")
    nsregd = registrar(lab, server)
    write_keydb(nsregd, old=owner)
    nsregd.start()
    assert claim(nsregd, owner, "old", "10.0.0.2").rcode == "NOERROR"
    assert server.addresses(f"old.{ZONE}") == {"10.0.0.2"}


def test_nobody_else_adopts(lab):
    """What the administrator has at other names, and what is no address."""
    alias = Key.generate(13)
    named = lab.named(ZONE, REVERSE).start()
    left_behind(named, f"www.{ZONE} 60 A 192.0.2.1", f"alias.{ZONE} 60 CNAME elsewhere.example.")
    nsregd = registrar(lab, named)
    write_keydb(nsregd, alias=alias)
    nsregd.start()
    nsregd.wait_log("1 name taken over")
    before = named.records()
    assert claim(nsregd, Key.generate(13), "www", "10.0.0.1").rcode == "REFUSED"
    assert claim(nsregd, alias, "alias", "10.0.0.1").rcode == "REFUSED"
    assert named.records() == before


def forget_rows(nsregd):
    """As in a database that was restored from a copy of before, or carried to another place."""
    database = sqlite3.connect(os.path.join(nsregd.data_dir, "registry.db"))
    database.execute("DELETE FROM units")
    database.commit()
    database.close()


@pytest.mark.parametrize("date,adopts", ((time.strftime("%Y-%m-%d", time.gmtime(time.time() + 2 * 86400)), True),
                                         ("2020-02-02 12:00", False), (None, False)))
def test_up_to_a_date(lab, date, adopts):
    owner = Key.generate(13)
    named = lab.named(ZONE, REVERSE).start()
    nsregd = registrar(lab, named).start()
    assert claim(nsregd, owner, "foo", "10.0.0.1").rcode == "NOERROR"
    nsregd.term()
    forget_rows(nsregd)
    left_behind(named, f"www.{ZONE} 60 A 192.0.2.1")
    if date:
        nsregd.config["zones"][ZONE]["adopt-until"] = date
    nsregd.start()
    reply = claim(nsregd, owner, "foo", "10.0.0.2", back=30)
    assert (reply.rcode == "NOERROR") == adopts, reply
    assert named.addresses(f"foo.{ZONE}") == ({"10.0.0.1", "10.0.0.2"} if adopts else {"10.0.0.1"})
    assert claim(nsregd, Key.generate(13), "www", "10.0.0.3").rcode == "REFUSED"


def test_adopting_by_a_reload(lab):
    """The administrator reads the refusal, and says that this is the owner's own."""
    owner = Key.generate(13)
    named = lab.named(ZONE, REVERSE).start()
    nsregd = registrar(lab, named).start()
    assert claim(nsregd, owner, "foo", "10.0.0.1").rcode == "NOERROR"
    nsregd.term()
    forget_rows(nsregd)
    nsregd.start()
    reply = claim(nsregd, owner, "foo", "10.0.0.2", back=40)
    assert reply.rcode != "NOERROR" and "addresses of its own" in reply.text, reply
    nsregd.config["zones"][ZONE]["adopt-until"] = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 2 * 86400))
    nsregd.reload()
    nsregd.wait_log("Configuration reloaded")
    seconds = iter(range(30, 0, -1))
    eventually(lambda: claim(nsregd, owner, "foo", "10.0.0.2", back=next(seconds)).rcode == "NOERROR", 20,
               "the owner has its name back")
    assert named.addresses(f"foo.{ZONE}") == {"10.0.0.1", "10.0.0.2"}


def synchronized_by(directory):
    """Time in which the machine is off counts where the clock is synchronised, and this says that it is."""
    path = directory / "sync"
    path.write_text("")
    return path


def let_pass(nsregd, seconds, boot):
    """The machine was off for so long."""
    nsregd.term()
    database = sqlite3.connect(os.path.join(nsregd.data_dir, "registry.db"))
    database.execute("UPDATE heartbeat SET real_usec = real_usec - ?", (seconds * 1000000,))
    database.commit()
    database.close()
    nsregd.environment["NSREG_BOOT_ID"] = f"{boot:032x}"
    nsregd.start()


def test_a_block_does_not_outlive_its_reason(lab, tmp_path):
    """However often it was refused: what was in the way is gone, and after an hour at most the name works."""
    owner, stranger = Key.generate(13), Key.generate(13)
    named = lab.named(ZONE, REVERSE).start()
    nsregd = registrar(lab, named)
    nsregd.environment.update(preload("unsync-clock", SYNC_CLOCK=synchronized_by(tmp_path)))
    nsregd.start()
    assert claim(nsregd, owner, "foo", back=200, *("10.0.0.1",)).rcode == "NOERROR"
    assert nsregd.client(ZONE, key=owner).remove("foo", "10.0.0.1", inception=int(time.time()) - 190).rcode == "NOERROR"
    left_behind(named, f"foo.{ZONE} 60 A 192.0.2.1", f"bar.{ZONE} 60 A 192.0.2.2")
    # Each soon enough behind the last for the next block to be twice as long.
    for i, seconds in enumerate((700, 1300, 2500, 3700, 3700, 3700)):
        for key, name in ((owner, "foo"), (stranger, "bar")):
            assert claim(nsregd, key, name, "10.0.0.1", back=180 - i).rcode == "REFUSED"
        let_pass(nsregd, seconds, i + 1)
    assert named.nsupdate(f"update delete foo.{ZONE} A", f"update delete bar.{ZONE} A", zone=ZONE)[0] == 0
    for key, name in ((owner, "foo"), (stranger, "bar")):
        assert claim(nsregd, key, name, "10.0.0.1", back=100).rcode == "NOERROR", name
        assert named.addresses(f"{name}.{ZONE}") == {"10.0.0.1"}
