# SPDX-License-Identifier: LGPL-2.1-or-later
"""nsregctl: every verb, as a table and as JSON, and what it says when something is wrong."""

import contextlib
import fcntl
import json
import os
import pty
import re
import sqlite3
import struct
import subprocess
import termios
import time

import pytest

from lab import Process, eventually, never, program
from lab.bus import NOBODY

ZONE = "d.example"
SERVICE = "org.nsreg.Registry1"


class Control:
    def __init__(self, lab, **zone):
        self.lab = lab
        self.bus = lab.bus().start()
        self.nsregd = lab.nsregd({ZONE: {"min-addr-ttl": "1s", **zone}, "e.example": {}},
                                 environment=self.bus.environment,
                                 limits={"new-names-per-minute-per-source": 10000}).start()
        self.bus.wait_for(SERVICE)
        self.client = self.nsregd.client(ZONE)

    def run(self, *words, **options):
        return self.bus.run(program("nsregctl"), *words, **options)

    def table(self, *words):
        done = self.run(*words)
        assert done.returncode == 0 and done.stderr == "", done.stderr
        return done.stdout

    def json(self, *words):
        texts = [self.table(f"--json={kind}", *words) for kind in ("pretty", "short")]
        assert texts[1].count("\n") == 1 and texts[1].endswith("\n")
        values = [json.loads(text) for text in texts]
        # Ends of leases are reckoned from the clocks of the moment: they may differ in microseconds.
        stripped = [re.sub(r"\b1[0-9]{15}\b", "0", json.dumps(value)) for value in values]
        assert stripped[0] == stripped[1]
        return values[0]

    def fails(self, *words, status=1, **options):
        done = self.run(*words, **options)
        assert done.returncode == status, (done.stdout, done.stderr)
        assert done.stdout == ""
        return done.stderr

    def claim(self, label, *addresses, **options):
        reply = self.client.claim(label, *(addresses or ["10.0.0.1"]), **options)
        assert reply.rcode == "NOERROR", reply


@pytest.fixture
def control(lab):
    return Control(lab)


def test_list(control):
    assert "0 names." in control.table("list")
    assert control.json("list") == {"Registrations": []}
    control.claim("foo", "10.0.0.1", "10.0.0.2", ttl=1000, key_ttl=5000)
    control.claim("bar", "10.0.0.3", ttl=1000, key_ttl=5000)
    assert control.nsregd.client("e.example").claim("foo", "10.0.0.4").rcode == "NOERROR"
    lines = control.table("list").splitlines()
    assert lines[0].split()[:2] == ["NAME", "ADDRESSES"] and lines[-1] == "3 names."
    assert re.search(r"^bar\.d\.example\s+10\.0\.0\.3\s+in 1\d?min", lines[1]), lines
    assert re.search(r"^foo\.d\.example\s+10\.0\.0\.1 10\.0\.0\.2\s.*127\.0\.0\.1.*yes", lines[2]), lines
    rows = {row["Name"]: row for row in control.json("list")["Registrations"]}
    assert sorted(rows) == ["bar.d.example", "foo.d.example", "foo.e.example"]
    foo = rows["foo.d.example"]
    assert foo["Addresses"] == ["10.0.0.1", "10.0.0.2"] and foo["Published"] is True and foo["Source"] == "127.0.0.1"
    assert foo["KeyTag"] == control.client.key.tag and foo["KeyLeaseEndUSec"] > foo["LeaseEndUSec"] > foo["LastSeenUSec"] > 0
    assert "foo.e.example" not in control.table("list", ZONE) and "foo.d.example" in control.table("list", ZONE)
    assert [row["Name"] for row in control.json("list", "B*")["Registrations"]] == ["bar.d.example"]
    assert "NAME" not in control.table("--no-legend", "list") and "names" not in control.table("--no-legend", "list")
    assert "elsewhere.example" in control.fails("list", "elsewhere.example")
    for words in (["nope"], ["--type=A", "nope"]):
        assert control.fails("list", *words) == 'nsregctl: No name is like "nope".\n'
    # A document is one also then.
    done = control.run("--json=short", "list", "nope")
    assert done.returncode == 1 and json.loads(done.stdout) == {"Registrations": []} and "nope" in done.stderr


def test_list_pages(control):
    with control.client.connect() as connection:
        for number in range(1203):
            control.client.send(control.client.original(f"host{number}", ["10.0.0.1"]), connection)
    rows = control.json("list")["Registrations"]
    assert len({row["Name"] for row in rows}) == len(rows) == 1203
    assert control.table("list").endswith("1203 names.\n")


def test_show(control):
    control.claim("foo", "10.0.0.1", "10.0.0.2", ttl=1000, key_ttl=5000)
    text = control.table("show", f"foo.{ZONE}")
    for word in (f"foo.{ZONE}", "10.0.0.1 10.0.0.2", "ECDSAP256SHA256", str(control.client.key.tag), "Published"):
        assert word in text, text
    shown = control.json("show", f"foo.{ZONE}")
    assert shown["Name"] == f"foo.{ZONE}" and shown["Zone"] == ZONE and shown["Algorithm"] == "ECDSAP256SHA256"
    assert shown["KeyTag"] == control.client.key.tag and shown["Addresses"] == ["10.0.0.1", "10.0.0.2"]
    assert shown["KeyLeaseEndUSec"] > shown["LeaseEndUSec"] > shown["ClaimedUSec"] > 0 and shown["Source"] == "127.0.0.1"
    assert shown["Upstreams"] == [{"Upstream": "builtin", "Published": True}] and len(shown["KeyFingerprint"]) >= 64
    assert "not claimed" in control.fails("show", f"bar.{ZONE}")
    assert "No zone served here" in control.fails("show", "bar")
    # One label is enough where one zone has it; a pattern is no name.
    assert control.table("show", "FOO") == control.table("show", f"foo.{ZONE}")
    assert "No zone served here" in control.fails("show", "fo")
    control.fails("show", "f*")
    assert control.nsregd.client("e.example").claim("foo", "10.0.0.4").rcode == "NOERROR"
    both = control.fails("show", "foo")
    assert f"foo.{ZONE}" in both and "foo.e.example" in both
    assert "not a domain name" in control.fails("show", "a..b")


def test_zones_upstreams_status_statistics(lab):
    named = lab.named(ZONE).start()
    control = Control(lab, upstreams=[named.upstream(ZONE)])
    control.claim("foo", "10.0.0.1", "10.0.0.2")
    zones = {row["Zone"]: row for row in control.json("zones")["Zones"]}
    assert zones[ZONE]["NameCount"] == 1 and zones[ZONE]["RecordCount"] == 2 and zones[ZONE]["Builtin"] is False
    assert zones["e.example"]["Builtin"] is True and "10.0.0.0/8" in zones[ZONE]["AllowedNets"]
    assert "ZONE" in control.table("zones")
    upstream, = control.json("upstreams")["Upstreams"]
    assert upstream["Type"] == "nsupdate" and upstream["Target"] == f"127.0.0.1@{named.port}"
    assert upstream["State"] == "idle" and upstream["Pending"] == upstream["Refused"] == 0
    assert upstream["LastSuccessUSec"] > 0 and upstream["Zone"] == ZONE
    status = control.json("status")
    assert status["RegistrarRunning"] is True and status["ClientRunning"] is False
    assert status["Zones"] == control.json("zones")["Zones"] and len(status["Upstreams"]) == 1
    text = control.table()
    assert "Registrar (nsregd): running" in text and "Client (nsregc): not running" in text
    counters = {row["Counter"]: row["Value"] for row in control.json("statistics")["Statistics"]}
    assert counters["claims"] == 1 and counters["refusals"] == 0
    metrics = control.table("statistics", "--prometheus")
    assert "# TYPE nsreg_claims_total counter\nnsreg_claims_total 1\n" in metrics
    assert "# TYPE nsreg_registrations gauge\nnsreg_registrations 1\n" in metrics
    assert all(re.fullmatch(r"# TYPE \w+ (counter|gauge)|\w+ \d+", line) for line in metrics.splitlines())
    named.stop()
    assert control.client.claim("bar", "10.0.0.3").rcode == "SERVFAIL"
    upstream, = control.json("upstreams")["Upstreams"]
    assert upstream["State"] == "retrying" and upstream["Pending"] >= 1 and upstream["LastError"]
    named.start()
    assert "tried again" in control.table("flush")
    eventually(lambda: control.json("upstreams")["Upstreams"][0]["State"] == "idle")
    assert "compared" in control.table("reconcile")
    # Nothing for those who want none, or a document.
    assert control.table("--no-legend", "flush") == control.table("--json=short", "flush") == ""


def test_changing(control):
    control.claim("foo")
    other = control.nsregd.client(ZONE)
    assert "records" in control.table("withdraw", f"foo.{ZONE}")
    assert control.nsregd.addresses(f"foo.{ZONE}") == set()
    assert "so already" in control.fails("withdraw", f"foo.{ZONE}")
    assert "free" in control.table("revoke", f"foo.{ZONE}")
    assert "not claimed" in control.fails("revoke", f"foo.{ZONE}")
    control.claim("foo")
    control.table("revoke", "--block", f"foo.{ZONE}")
    assert control.client.claim("foo", "10.0.0.1").rcode != "NOERROR"
    row, = control.json("reserved")["Reserved"]
    assert row["Name"] == f"foo.{ZONE}" and len(row["RefusedKeyFingerprint"]) >= 64
    assert other.claim("foo", "10.0.0.1").rcode == "NOERROR"
    control.table("reserve", f"bar.{ZONE}")
    assert other.claim("bar", "10.0.0.1").rcode != "NOERROR"
    assert "so already" in control.fails("reserve", f"bar.{ZONE}")
    assert f"bar.{ZONE}" in control.table("reserved")
    control.table("unreserve", f"bar.{ZONE}")
    assert other.claim("bar", "10.0.0.1").rcode == "NOERROR"
    assert control.table("--no-legend", "reserve", f"baz.{ZONE}") == ""


def test_others_are_told_to_become_root(control):
    control.claim("foo")
    # The build directory may be closed to others.
    for words in (["revoke", f"foo.{ZONE}"], ["reload"]):
        done = control.run(*words, user=NOBODY)
        if done.returncode == 127 or "Permission denied" in done.stderr and "setpriv" in done.stderr:
            pytest.skip("the build directory is closed to others")
        assert done.returncode == 1 and "root" in done.stderr and len(done.stderr.splitlines()) == 1
    assert control.json("list")["Registrations"]


def test_reload(control):
    control.claim("foo")
    control.nsregd.write_configuration({**control.nsregd.config, "zones": {ZONE: {}, "new.example": {}}})
    assert "in force" in control.table("reload")
    assert [row["Zone"] for row in control.json("zones")["Zones"]] == [ZONE, "new.example"]
    assert len(control.json("list")["Registrations"]) == 1
    control.nsregd.write_configuration("zones:\n  d.example:\n    max-adr-ttl: 1h\n")
    error = control.fails("reload")
    assert "nsregd.yaml:3:" in error and "max-addr-ttl" in error
    assert control.nsregd.alive(ZONE)


def test_a_reload_takes_its_time(control):
    """No bus's time-out comes between a slow daemon and its verdict."""
    control.nsregd.pause()
    slow = Process("nsregctl-reload", control.lab.subdirectory("reload"), [program("nsregctl"), "reload"],
                   {**control.bus.environment, "SYSTEMD_BUS_TIMEOUT": "1s"})
    control.lab.keep(slow).spawn()
    never(lambda: not slow.running, 2)
    control.nsregd.resume()
    assert slow.wait() == 0, slow.log()


@pytest.mark.parametrize("form", ["table", "json"])
def test_monitor(control, form):
    monitor = Process("nsregctl-monitor", control.lab.subdirectory("monitor"),
                      [program("nsregctl"), *(["--json=short"] if form == "json" else []), "monitor"],
                      control.bus.environment)
    control.lab.keep(monitor).spawn()
    # A name comes and goes until it watches: the match is in place some time after the start.
    number = iter(range(1000))
    eventually(lambda: control.claim(f"try{next(number)}") or "try" in monitor.log(), interval=0.1)
    control.claim("foo")
    control.nsregd.client(ZONE).claim("foo", "10.0.0.1")
    control.table("revoke", f"foo.{ZONE}")
    control.claim("brief", ttl=1, key_ttl=1)
    if form == "json":
        def events():
            return [json.loads(line) for line in monitor.log().splitlines() if line.startswith("{")]
        found = eventually(lambda: [one for one in events() if one["Event"] == "NameExpired"] and events(), 30)
        by_kind = {one["Event"]: one for one in found}
        assert {one["Name"] for one in found if one["Event"] == "NameClaimed"} >= {f"foo.{ZONE}", f"brief.{ZONE}"}
        assert by_kind["NameReleased"]["Name"] == f"foo.{ZONE}" and by_kind["NameExpired"]["Name"] == f"brief.{ZONE}"
        assert by_kind["ClaimRefused"]["Reason"] and by_kind["ClaimRefused"]["Source"] == "127.0.0.1"
    else:
        for text in (rf"foo\.{ZONE} claimed from 127\.0\.0\.1", rf"foo\.{ZONE} refused to 127\.0\.0\.1: \w+",
                     rf"foo\.{ZONE} released", rf"brief\.{ZONE} expired"):
            monitor.wait_log(text, timeout=30)
    assert monitor.stop() == 0


def test_client(lab, control):
    nsregc = lab.nsregc("box", zones=[ZONE], server=control.nsregd, interfaces=["none*"],
                        extra_addresses=["10.0.0.9"], environment=control.bus.environment)
    assert "nsregc does not run here" in control.fails("client")
    nsregc.start()
    control.bus.wait_for("org.nsreg.Client1")
    eventually(lambda: control.json("client")["Client"][0]["State"] == "registered")
    row, = control.json("client", "status")["Client"]
    assert row["Zone"] == ZONE and row["Name"] == f"box.{ZONE}" and row["Registered"] == ["10.0.0.9"]
    assert row["Server"] == f"127.0.0.1@{control.nsregd.port}" and row["NextRefreshUSec"] > 0
    assert "registered" in control.table("client")
    assert control.json("status")["Client"][0]["Name"] == f"box.{ZONE}"
    assert "given up" in control.table("client", "release")
    eventually(lambda: control.json("list")["Registrations"] == [])
    assert "registered again" in control.table("client", "refresh")
    eventually(lambda: len(control.json("list")["Registrations"]) == 1)
    assert "looked for" in control.table("client", "rediscover")
    nsregc.write_configuration({**nsregc.config, "name": "crate"})
    assert "in force" in control.table("client", "reload")
    eventually(lambda: [row["Name"] for row in control.json("list")["Registrations"]] == [f"crate.{ZONE}"])


def test_client_without_a_zone(lab):
    bus = lab.bus().start()
    lab.nsregc("box", zones=[], interfaces=["none*"], discover_zones=False, environment=bus.environment).spawn()
    bus.wait_for("org.nsreg.Client1")
    done = bus.run(program("nsregctl"), "client", "status")
    assert done.returncode == 0 and "No zone to register in" in done.stdout, done
    done = bus.run(program("nsregctl"), "--json=short", "client", "status")
    assert json.loads(done.stdout)["Client"] == [], done


@pytest.mark.parametrize("words", [["frobnicate"], ["show"], ["show", "a", "b"], ["list", "a", "b"], ["--json=xml"],
                                   ["--frobnicate"], ["list", "--block"], ["client", "frobnicate"], ["revoke"]])
def test_usage(control, words):
    assert control.fails(*words, status=2)


def test_without_a_daemon_or_a_bus(lab):
    bus = lab.bus().start()
    for words in (["list"], ["zones"], ["upstreams"], ["reserved"], ["statistics"], ["flush"], ["show", "a.example"],
                  ["revoke", "a.example"]):
        done = bus.run(program("nsregctl"), *words)
        assert done.returncode == 1 and "nsregd does not run here" in done.stderr and "systemctl start" in done.stderr
    done = bus.run(program("nsregctl"))
    assert done.returncode == 0 and done.stdout.count("not running") == 2
    bus.stop()
    done = bus.run(program("nsregctl"), "list")
    assert done.returncode == 1 and "bus" in done.stderr


@pytest.mark.parametrize("verb", ("flush", "reconcile"))
def test_a_block_does_not_outlive_its_cause(lab, verb):
    """A name that a server would not have can be claimed when the administrator has made room and says so."""
    server = lab.named(ZONE).start()
    control = Control(lab, upstreams=[server.upstream(ZONE)])
    status, output = server.nsupdate(f"update add foo.{ZONE}. 60 A 192.0.2.1", zone=ZONE)
    assert status == 0, output
    assert control.client.claim("foo", "10.0.0.1").rcode == "REFUSED"
    status, output = server.nsupdate(f"update delete foo.{ZONE}. A", zone=ZONE)
    assert status == 0, output
    now = int(time.time())
    assert control.client.claim("foo", "10.0.0.1", inception=now - 200).rcode == "REFUSED"
    control.table(verb)
    eventually(lambda: control.nsregd.client(ZONE).claim("foo", "10.0.0.1", inception=now - 100).rcode == "NOERROR")
    assert (f"foo.{ZONE}.", "A", "10.0.0.1") in server.records(ZONE)


def test_an_import_can_be_given_up(lab):
    bus = lab.bus().start()
    nsregd = lab.nsregd({ZONE: {}}, environment=bus.environment)
    with open(os.path.join(nsregd.data_dir, f"{ZONE}.keydb"), "w", encoding="utf-8") as keydb:
        keydb.write("{ this is no")
    nsregd.start()
    bus.wait_for(SERVICE)
    client = nsregd.client(ZONE)
    assert client.claim("foo", "10.0.0.1").rcode == "SERVFAIL"
    done = bus.run(program("nsregctl"), "abandon-import", ZONE)
    assert done.returncode == 0 and "new names" in done.stdout, done
    assert client.claim("foo", "10.0.0.1").rcode == "NOERROR"
    done = bus.run(program("nsregctl"), "abandon-import", ZONE)
    assert done.returncode == 1 and "waits" in done.stderr, done
    # For good.
    nsregd.restart()
    assert nsregd.client(ZONE).claim("bar", "10.0.0.2").rcode == "NOERROR"


def test_an_upstream_that_went_can_be_forgotten(lab):
    bus = lab.bus().start()
    server = lab.named(ZONE).start()
    with_it, without = {"upstreams": [{"type": "builtin"}, server.upstream(ZONE)]}, {"upstreams": [{"type": "builtin"}]}
    nsregd = lab.nsregd({ZONE: with_it}, environment=bus.environment).start()
    bus.wait_for(SERVICE)
    assert nsregd.client(ZONE).claim("foo", "10.0.0.1").rcode == "NOERROR"
    server.stop()
    # Gone while the registrar was away: its rows tell.
    nsregd.term()
    with contextlib.closing(sqlite3.connect(os.path.join(nsregd.data_dir, "registry.db"))) as database:
        (identity,), = database.execute("SELECT DISTINCT upstream FROM units")

    def forget(status, words):
        done = bus.run(program("nsregctl"), "forget", identity)
        assert done.returncode == status and words in done.stdout + done.stderr, done

    def starts_silently():
        at = len(nsregd.log())
        nsregd.restart()
        assert "configured no more" not in nsregd.log()[at:]

    nsregd.config["zones"][ZONE] = without
    nsregd.start()
    nsregd.wait_log(f"Upstream {re.escape(identity)} is configured no more, and 1 names and addresses were left")
    bus.wait_for(SERVICE)
    forget(0, "is forgotten")
    forget(1, "Nothing is left over")
    starts_silently()
    # Gone in a reload: it is being drained, in vain.
    server.start()
    bus.wait_for(SERVICE)
    nsregd.config["zones"][ZONE] = with_it
    nsregd.reload()
    # What is forgotten is not sought: that name has to be claimed there anew.
    eventually(lambda: nsregd.client(ZONE).claim("bar", "10.0.0.2").rcode == "NOERROR", 20)
    forget(1, "is configured")
    server.stop()
    nsregd.config["zones"][ZONE] = without
    nsregd.reload()
    eventually(lambda: bus.run(program("nsregctl"), "forget", identity).returncode == 0, 20)
    eventually(lambda: nsregd.log().count("is forgotten; what is left there") == 2, 20)
    starts_silently()


def test_help_and_version(lab):
    bus = lab.bus()
    done = bus.run(program("nsregctl"), "--help")
    assert done.returncode == 0 and done.stderr == ""
    for verb in ("status", "list", "show", "zones", "upstreams", "reserved", "revoke", "withdraw", "reserve", "unreserve",
                 "abandon-import", "forget", "monitor", "flush", "reconcile", "reload", "statistics", "client"):
        assert re.search(rf"^  {verb}\b", done.stdout, re.M), verb
    assert bus.run(program("nsregctl"), "--version").stdout.startswith("nsregctl ")


def on_a_terminal(control, columns, *words, **environment):
    """What a person sees in a window of so many columns."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    done = subprocess.run([program("nsregctl"), *words], stdin=slave, stdout=slave, stderr=subprocess.PIPE, timeout=60,
                          env={**os.environ, **control.bus.environment, "TERM": "xterm-256color", "PAGER": "cat",
                               "SYSTEMD_PAGERSECURE": "0", **environment}, check=False)
    os.close(slave)
    seen = b""
    try:
        while True:
            seen += os.read(master, 65536)
    except OSError:
        os.close(master)
    assert done.returncode == 0, done.stderr
    return seen.decode().replace("\r\n", "\n")


def test_tables_fit_a_terminal(control):
    control.claim("foo", *[f"10.0.0.{number}" for number in range(1, 13)])
    wide = control.table("list")
    assert max(len(line) for line in wide.splitlines()) > 160 and "10.0.0.12" in wide
    shown = on_a_terminal(control, 130, "list")
    assert "\x1b[32m" in shown, repr(shown)
    plain = on_a_terminal(control, 130, "list", NO_COLOR="1")
    assert "\x1b[" not in plain and f"foo.{ZONE}" in plain
    assert max(len(line) for line in plain.splitlines()) <= 130 and "10.0.0.12" not in plain


MANY = [f"192.168.0.{number}" for number in (123, 124, 125, 7, 201)] + ["fd00:1234:5678:9abc:def0:1234:5678:9abc"]
WORDS = [["list"], ["show", f"refrigerator.{ZONE}"], ["zones"], ["upstreams"], ["reserved"], ["client"], ["status"]]


@pytest.mark.parametrize("columns", [40, 80, 115, 200])
@pytest.mark.parametrize("locale, ellipsis", [("C.UTF-8", "\u2026"), ("C", "...")])
def test_nothing_is_cut_without_a_mark(lab, columns, locale, ellipsis):
    """An address that is cut is another address."""
    control = Control(lab)
    control.claim("refrigerator", *MANY)
    control.claim("x", MANY[0])
    control.table("reserve", f"reserved.{ZONE}")
    client = lab.nsregc("a-rather-long-host-name", zones=[ZONE], server=control.nsregd, interfaces=["none*"],
                        extra_addresses=MANY, environment=control.bus.environment).start()
    control.bus.wait_for("org.nsreg.Client1")
    eventually(lambda: control.json("client")["Client"][0]["State"] == "registered")
    for words in WORDS:
        piped = control.table(*words)
        known = set(piped.split())
        shown = on_a_terminal(control, columns, *words, NO_COLOR="1", LC_ALL=locale)
        # Times go on; everything else that is shown is a whole word of what there is.
        strange = {word for word in shown.split() if word not in known | {ellipsis} and not re.match(r"\d+(s|min)$", word)}
        assert not strange, (words, shown)
        assert ellipsis not in piped
        for line in shown.splitlines():
            # What is left out is marked, at the end of its cell.
            if "refrigerator" in line and not set(MANY) <= set(line.split()) and words == ["list"]:
                assert re.search(rf"192\.168\.0\.123( \S+)* {re.escape(ellipsis)} ", line), line
        full = on_a_terminal(control, columns, "--full", *words, NO_COLOR="1", LC_ALL=locale)
        assert ellipsis not in full and len(set(full.split())) >= len(known) - 8
        if words[0] in ("list", "show", "client"):
            assert set(MANY) <= set(full.split())
            assert set(MANY) <= set(on_a_terminal(control, columns, "-l", *words, NO_COLOR="1", LC_ALL=locale).split())
    assert client.term() == 0


def test_a_pager_hides_nothing(control):
    """The width is the terminal's, and colours are shown, though a pager stands between."""
    control.claim("foo", *[f"10.0.0.{number}" for number in range(1, 13)])
    pager = os.path.join(control.lab.subdirectory("pager"), "pager")
    with open(pager, "w", encoding="ascii") as script:
        script.write('#!/bin/sh\necho "LESS=$LESS"\nexec cat\n')
    os.chmod(pager, 0o755)
    shown = on_a_terminal(control, 130, "list", PAGER=pager, SYSTEMD_PAGER=pager, LC_ALL="C.UTF-8")
    assert "\x1b[32m" in shown and "\u2026" in shown
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert max(len(line) for line in plain.splitlines()) <= 130
    # Long lines are wrapped, not chopped.
    assert re.search(r"^LESS=\w+$", plain, re.M) and "S" not in re.search(r"^LESS=(\w+)$", plain, re.M).group(1)


@pytest.mark.parametrize("environment, secure", [({"SUDO_UID": "1000", "SYSTEMD_PAGERSECURE": ""}, True), ({"SYSTEMD_PAGERSECURE": "1"}, True),
                                                 ({"SUDO_UID": "1000", "SYSTEMD_PAGERSECURE": "0"}, False)])
def test_a_pager_of_somebody_else_runs_nothing(control, environment, secure):
    """Under sudo a pager would give a shell to whoever may only look: less alone, and in its secure mode."""
    directory = control.lab.subdirectory("pager")
    for name, text in (("less", 'echo "secure=$LESSSECURE"'), ("mine", "echo mine")):
        path = os.path.join(directory, name)
        with open(path, "w", encoding="ascii") as script:
            script.write(f"#!/bin/sh\n{text}\nexec cat\n")
        os.chmod(path, 0o755)
    shown = on_a_terminal(control, 130, "list", PAGER=os.path.join(directory, "mine"),
                          PATH=f"{directory}:{os.environ['PATH']}", **environment)
    assert ("secure=1" in shown, "mine" in shown) == (secure, not secure), shown


def test_one_schema(lab):
    """A key is one word of one spelling, of one type wherever it is, and in the manual; no text is a key."""
    named = lab.named(ZONE).start()
    control = Control(lab, upstreams=[named.upstream(ZONE)])
    control.claim("foo", "10.0.0.1", "fd00::1")
    control.table("reserve", f"bar.{ZONE}")
    lab.nsregc("box", zones=["e.example"], server=control.nsregd, interfaces=["none*"], extra_addresses=["10.0.0.9"],
               environment=control.bus.environment).start()
    control.bus.wait_for("org.nsreg.Client1")
    documents = [control.json(*words) for words in (["status"], ["list"], ["list", "--type=A"], ["show", f"foo.{ZONE}"],
                                                    ["zones"], ["upstreams"], ["reserved"], ["statistics"], ["client"])]
    with open(os.path.join(os.environ["NSREG_SOURCE"], "man", "nsregctl.1"), encoding="ascii") as page:
        manual = set(re.findall(r"[A-Z]\w+", page.read().split(".Sh JSON")[1].split(".Sh ENV")[0]))
    types = {}

    def look(value):
        for key, member in value.items():
            assert re.fullmatch("([A-Z][a-z]+|USec)+", key) and key in manual, key
            assert types.setdefault(key, type(member)) is type(member), key
            assert not key.endswith("USec") or isinstance(member, int), key
            for one in member if isinstance(member, list) else []:
                if isinstance(one, dict):
                    look(one)

    for document in documents:
        look(document)
    assert types["Addresses"] is types["Registered"] is types["AllowedNets"] is list


def options_of(help_text):
    return set(re.findall(r"^ +(?:-\w,? )? *--([a-z-]+)", help_text, re.M))


def complete(bus, *words):
    """What bash offers for the last of these words."""
    source = os.path.join(os.environ["NSREG_SOURCE"], "conf", "bash-completion", words[0])
    script = (f"source {source}; COMP_WORDS=({' '.join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1};"
              f" _{words[0]}; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    path = ":".join([os.path.dirname(program("nsregctl")), os.environ["PATH"]])
    done = bus.run("bash", "-u", "-c", script, PATH=path)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return set(done.stdout.split())


def test_completion(control):
    control.claim("foo")
    control.claim("bar")
    assert complete(control.bus, "nsregctl", "st") == {"status", "statistics"}
    assert complete(control.bus, "nsregctl", "show", "f") == {f"foo.{ZONE}"}
    assert complete(control.bus, "nsregctl", "--json=short", "show", f"foo.{ZONE[:3]}") == {f"foo.{ZONE}"}
    assert complete(control.bus, "nsregctl", "list", "") == {ZONE, "e.example"}
    assert complete(control.bus, "nsregctl", "client", "re") == {"refresh", "release", "rediscover", "reload"}
    assert complete(control.bus, "nsregctl", "--json", "=", "s") == {"short"}
    assert "--block" in complete(control.bus, "nsregctl", "revoke", "--")


@pytest.mark.parametrize("name", ["nsregd", "nsregc", "nsregctl"])
def test_completion_knows_every_option(lab, name):
    bus = lab.bus()
    offered = complete(bus, name, "--")
    if name == "nsregctl":
        for verb in ("list", "revoke", "statistics"):
            offered |= complete(bus, name, verb, "--")
    assert {option.strip("-=") for option in offered} == options_of(bus.run(program(name), "--help").stdout)


def test_the_manual_knows_everything(lab):
    shown = lab.bus().run(program("nsregctl"), "--help").stdout
    with open(os.path.join(os.environ["NSREG_SOURCE"], "man", "nsregctl.1"), encoding="ascii") as page:
        manual = page.read()
    options = options_of(shown)
    assert options == set(re.findall(r"^\.It Fl (?:\w , )?-([a-z-]+)", manual, re.M)) and len(options) == 9
    verbs = set(re.findall(r"^  ([a-z-]+)", shown.split("Options:")[0], re.M))
    assert verbs == set(re.findall(r"^\.It Cm ([a-z-]+)", manual, re.M)) and len(verbs) == 18
