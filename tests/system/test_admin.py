# SPDX-License-Identifier: LGPL-2.1-or-later
"""nsregd as its administrator sees it: on the bus, in the journal, with nsregctl; and as others may not."""

import json
import os
import socket

import pytest

from lab import eventually
from lab.container import NOBODY

from home import CONFIG, PORT, REGISTRY, ZONE, addresses, client, registrar

OBJECT = "/org/nsreg/Registry1/name/printer_2ehome_2eexample"
SCRIPT = os.path.join(os.environ.get("NSREG_SOURCE", ""), "units", "after-install.sh")


def claimed(container, **options):
    registrar(container, **options)
    owner = client()
    assert owner.claim("printer", "10.0.0.1", "10.0.0.2").rcode == "NOERROR"
    return owner


def has_owner(container):
    done = container.run("busctl", "call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "NameHasOwner", "s",
                         REGISTRY[0], check=False)
    return done.stdout.strip() == "b true"


def test_busctl_introspect_shows_a_registration(container):
    owner = claimed(container)
    tree = container.run("busctl", "--list", "tree", REGISTRY[0]).stdout.split()
    assert {OBJECT, "/org/nsreg/Registry1/zone/home_2eexample"} <= set(tree)
    lines = container.run("busctl", "introspect", "--full", REGISTRY[0], OBJECT, user=NOBODY).stdout.splitlines()
    shown = {line.split()[0]: " ".join(line.split()[3:]) for line in lines if line.startswith(".")}
    assert shown[".Name"].startswith('"printer.home.example"')
    assert shown[".Zone"].startswith('"home.example"')
    assert shown[".KeyTag"].startswith(str(owner.key.tag))
    assert shown[".Source"].startswith('"127.0.0.1"')
    assert "4 10 0 0 1 " in shown[".Addresses"] and "4 10 0 0 2 " in shown[".Addresses"]
    assert len(shown[".KeyFingerprint"].split('"')[1]) >= 64
    for end in (".KeyLeaseEndUSec", ".LastSeenUSec", ".ClaimedUSec"):
        assert int(shown[end].split()[0]) > 1500000000000000, (end, shown[end])
    assert ".Revoke" in shown and ".Withdraw" in shown


def test_journal_has_fields_and_explanations(container):
    owner = claimed(container)
    container.write("/root/after-install.sh", open(SCRIPT, encoding="utf-8").read(), 0o755)
    container.run("env", "-u", "DESTDIR", "sh", "/root/after-install.sh")
    assert client().claim("printer", "10.0.0.9").rcode != "NOERROR"
    entry, = container.wait_journal("-u", "nsregd.service", "NSREG_NAME=printer.home.example.",
                                    "MESSAGE_ID=d75150b839b94c8d8596845f6fd91ee3")
    assert entry["NSREG_ZONE"] == "home.example." and entry["NSREG_SOURCE"] == "127.0.0.1"
    assert entry["NSREG_KEYTAG"] == str(owner.key.tag) and entry["_UID"] != "0"
    entry, = container.wait_journal("-u", "nsregd.service", "MESSAGE_ID=afcd3e68cbc3434496f9739458df3be4")
    assert entry["NSREG_NAME"] == "printer.home.example." and entry["NSREG_REASON"]
    explained = container.run("journalctl", "-x", "-u", "nsregd.service", "--no-pager").stdout
    assert "Subject: A name is owned by another key" in explained
    assert "nsregctl revoke printer.home.example." in explained
    verbose = container.run("journalctl", "-o", "verbose", "-u", "nsregd.service", "--no-pager").stdout
    assert "    NSREG_NAME=printer.home.example." in verbose


def test_a_flood_of_refusals_is_counted_not_logged(container):
    claimed(container)
    stranger = client()
    with stranger.connect() as connection:
        for _ in range(300):
            assert stranger.claim("printer", "10.0.0.9", connection=connection).rcode != "NOERROR"
    entries = container.journal("-u", "nsregd.service", "MESSAGE_ID=afcd3e68cbc3434496f9739458df3be4")
    assert 1 <= len(entries) <= 10


@pytest.mark.parametrize("polkit", [True, False])
def test_others_may_look_and_not_touch(container, lab, polkit):
    named = lab.named(ZONE).start()
    if not polkit:
        os.symlink("/dev/null", container.path("/etc/systemd/system/polkit.service"))
    registrar(container, upstreams=[named.upstream(ZONE)])
    assert client().claim("printer", "10.0.0.1").rcode == "NOERROR"
    assert named.addresses(f"printer.{ZONE}") == {"10.0.0.1"}

    listed = container.run("nsregctl", "list", user=NOBODY).stdout
    assert "printer.home.example" in listed and "10.0.0.1" in listed
    for words in (["revoke", f"printer.{ZONE}"], ["withdraw", f"printer.{ZONE}"], ["reserve", f"other.{ZONE}"],
                  ["flush"], ["reconcile"], ["reload"]):
        done = container.run("nsregctl", *words, user=NOBODY, check=False)
        assert done.returncode == 1 and "root" in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
    for member, *arguments in (["Revoke", "b", "false"], ["Withdraw"]):
        done = container.run("busctl", "call", REGISTRY[0], OBJECT, "org.nsreg.Registry1.Registration", member,
                             *arguments, user=NOBODY, check=False)
        assert done.returncode != 0
    assert named.addresses(f"printer.{ZONE}") == {"10.0.0.1"}

    done = container.run("nsregctl", "revoke", f"printer.{ZONE}")
    assert "free" in done.stdout and done.stderr == ""
    eventually(lambda: named.addresses(f"printer.{ZONE}") == set(), what="the records leave the upstream")
    assert json.loads(container.run("nsregctl", "--json=short", "list").stdout)["Registrations"] == []
    assert client().claim("printer", "10.0.0.7").rcode == "NOERROR"
    assert named.addresses(f"printer.{ZONE}") == {"10.0.0.7"}


def test_polkit_may_allow_others(container):
    container.write("/etc/polkit-1/rules.d/10-test.rules", """
polkit.addRule(function(action, subject) {
        if (action.id == "org.nsreg.manage" && subject.user == "nobody")
                return polkit.Result.YES;
});
""")
    claimed(container)
    container.run("nsregctl", "revoke", f"printer.{ZONE}", user=NOBODY)
    assert json.loads(container.run("nsregctl", "--json=short", "list").stdout)["Registrations"] == []
    done = container.run("nsregctl", "revoke", f"printer.{ZONE}", user=2, check=False)
    assert done.returncode == 1 and "root" in done.stderr


def test_only_the_daemons_may_have_their_names(container):
    container.boot()
    for name in ("org.nsreg.Registry1", "org.nsreg.Client1"):
        done = container.run("busctl", "call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "RequestName", "su",
                             name, "0", user=NOBODY, check=False)
        assert done.returncode != 0 and "denied" in done.stderr


def test_revoke_through_the_object(container):
    claimed(container)
    container.run("busctl", "call", REGISTRY[0], OBJECT, "org.nsreg.Registry1.Registration", "Withdraw")
    eventually(lambda: addresses("printer") == set())
    assert client().claim("printer", "10.0.0.9").rcode != "NOERROR"
    container.run("busctl", "call", REGISTRY[0], OBJECT, "org.nsreg.Registry1.Registration", "Revoke", "b", "false")
    assert client().claim("printer", "10.0.0.9").rcode == "NOERROR"


def test_the_bus_comes_late_and_goes(container):
    container.write("/etc/nsregd/nsregd.yaml", CONFIG)
    container.boot()
    # Not dbus.socket: with it there would be a bus at the first word.
    container.systemctl("mask", "--runtime", "--now", "dbus.service", "dbus.socket")
    container.systemctl("enable", "--now", "nsregd.socket")
    owner = client()
    assert owner.claim("printer", "10.0.0.1").rcode == "NOERROR"
    pid = container.property("nsregd.service", "MainPID")
    for _ in range(2):
        container.systemctl("unmask", "--runtime", "dbus.service", "dbus.socket")
        container.systemctl("start", "dbus.socket", "dbus.service")
        eventually(lambda: has_owner(container), 30, "nsregd has its name on the bus")
        assert "printer.home.example" in container.run("nsregctl", "list").stdout
        container.systemctl("mask", "--runtime", "--now", "dbus.service", "dbus.socket")
        assert owner.claim("printer", "10.0.0.2").rcode == "NOERROR"
    assert container.property("nsregd.service", "MainPID") == pid


# What a person types, a script calls, and a shell asks when somebody presses the tabulator key.
LOOKS = [
    ["nsregctl", "list"],
    ["nsregctl", "show", f"printer.{ZONE}"],
    ["nsregctl", "statistics"],
    ["nsregctl", "status"],
    ["bash", "-c", "source /usr/share/bash-completion/completions/nsregctl; COMP_WORDS=(nsregctl show p); COMP_CWORD=2;"
                   " _nsregctl"],
]
CALL = ["busctl", "call", *REGISTRY[:2], "org.freedesktop.DBus.Properties", "Get", "ss", REGISTRY[2], "Version"]


def test_nobody_starts_a_registrar_that_is_not_enabled(container):
    container.write("/etc/nsregd/nsregd.yaml", CONFIG)
    container.boot()
    for words in [*LOOKS, CALL]:
        container.run(*words, user=NOBODY, check=False)
        container.run(*words, check=False)
    for unit in ("nsregd.service", "nsregd.socket"):
        assert container.property(unit, "ActiveState") == "inactive"
        assert container.property(unit, "InactiveExitTimestamp") == ""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", PORT), timeout=10)
    done = container.run("nsregctl", "list", user=NOBODY, check=False)
    assert done.returncode == 1 and "systemctl start nsregd.socket" in done.stderr


def test_a_call_on_the_bus_starts_an_enabled_registrar(container):
    registrar(container)
    for words in LOOKS:
        container.run(*words, check=False)
        assert not container.is_active("nsregd.service")
    assert container.run(*CALL, user=NOBODY).stdout.startswith("v s ")
    assert container.is_active("nsregd.service")
    assert "0 names" in container.run("nsregctl", "list").stdout


def test_tsig_key_as_a_credential(container, lab):
    named = lab.named(ZONE).start()
    upstream = named.upstream(ZONE)
    for name in ("tsig-name", "tsig-secret", "tsig-algorithm"):
        del upstream[name]
    upstream["tsig-key-file"] = "dns.key"
    container.write("/etc/nsregd/dns.key", named.key.bind_text(), 0o600)
    container.drop_in("nsregd.service", "[Service]\nLoadCredential=dns.key:/etc/nsregd/dns.key\n")
    registrar(container, upstreams=[upstream])
    assert client().claim("printer", "10.0.0.1").rcode == "NOERROR"
    assert named.addresses(f"printer.{ZONE}") == {"10.0.0.1"}
    done = container.run("cat", "/run/credentials/nsregd.service/dns.key", user=NOBODY, check=False)
    assert done.returncode != 0


def documented_credential():
    """The drop-in that nsregd(8) shows, and the file it is about."""
    with open(os.path.join(os.environ["NSREG_SOURCE"], "man", "nsregd.8"), encoding="ascii") as page:
        text = page.read().split(".Pa /etc/systemd/system/nsregd.service.d/key.conf", 1)[1]
    text = text.split(".Bd -literal -offset indent\n", 1)[1].split(".Ed", 1)[0]
    return text, text.partition("LoadCredential=")[2].strip().partition(":")


def test_reload_with_a_credential_has_a_verdict(container, lab):
    """The daemon alone has the credential: whatever else reads the configuration finds it lacking."""
    named = lab.named(ZONE).start()
    upstream = named.upstream(ZONE)
    for name in ("tsig-name", "tsig-secret", "tsig-algorithm"):
        del upstream[name]
    drop_in, (upstream["tsig-key-file"], _, path) = documented_credential()
    container.write(path, named.key.bind_text(), 0o600)
    container.drop_in("nsregd.service", drop_in, "key")
    registrar(container, upstreams=[upstream])
    container.systemctl("start", "nsregd.service")
    pid = container.property("nsregd.service", "MainPID")

    zone = {**CONFIG["zones"][ZONE], "upstreams": [upstream]}
    container.write("/etc/nsregd/nsregd.yaml", {"zones": {ZONE: zone, "second.example": {}}})
    container.systemctl("reload", "nsregd.service")
    assert "2 zones" in container.property("nsregd.service", "StatusText")

    container.write("/etc/nsregd/nsregd.yaml", {"zones": {ZONE: {**zone, "max-adr-ttl": "1h"}}})
    done = container.run("systemctl", "reload", "nsregd.service", check=False)
    assert done.returncode != 0
    assert container.wait_journal("-u", "nsregd.service", "_COMM=nsregctl", "-g", "did you mean")
    assert "2 zones" in container.property("nsregd.service", "StatusText")
    assert container.property("nsregd.service", "MainPID") == pid
    assert client().claim("printer", "10.0.0.1").rcode == "NOERROR"
    assert named.addresses(f"printer.{ZONE}") == {"10.0.0.1"}


def test_reload_is_for_whoever_may(container):
    """The service's own user may, as the reload of its unit runs; others may not, whatever polkit is asked."""
    registrar(container)
    container.systemctl("start", "nsregd.service")
    user = container.run("id", "-u", "nsregd").stdout.strip()
    container.run("nsregctl", "reload", user=user)
    assert container.run("nsregctl", "reload", user=NOBODY, check=False).returncode == 1


def test_it_starts_after_a_power_cut(container):
    owner = claimed(container)
    os.kill(container.main_pid("nsregd.service"), 9)
    eventually(lambda: container.is_active("nsregd.service"), 60)
    assert addresses("printer") == {"10.0.0.1", "10.0.0.2"}
    assert owner.remove("printer").rcode == "NOERROR"
