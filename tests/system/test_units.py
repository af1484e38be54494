# SPDX-License-Identifier: LGPL-2.1-or-later
"""The units as an administrator meets them: installed, enabled, started by the first client."""

import base64
import json
import os
import signal
import socket
import threading

import pytest

from lab import Key, eventually

from home import CONFIG, PORT, addresses, client, registrar

SERVICES = ("nsregd.service", "nsregc.service")
UNITS = ("nsregd.socket", "nsregc-keygen.service") + SERVICES


def test_units_are_sound(container):
    container.boot()
    done = container.run("systemd-analyze", "verify", "--man=no", *UNITS, check=False)
    assert done.returncode == 0 and done.stdout + done.stderr == ""


# In tenths. nsregd asks the kernel whether the clock is synchronised: the one call that tells is marked three times,
# as @clock, as @privileged and for the ProtectClock= that it excludes.
@pytest.mark.parametrize("unit, threshold", [("nsregd.service", 14), ("nsregc.service", 11)])
def test_exposure_is_small(container, unit, threshold):
    container.boot()
    done = container.run("systemd-analyze", "security", "--offline=yes", f"--threshold={threshold}", unit, check=False)
    assert done.returncode == 0, done.stdout[-600:] + done.stderr


def test_exposure_of_the_key_maker(container):
    container.boot()
    done = container.run("systemd-analyze", "security", "--offline=yes", "--threshold=30", "nsregc-keygen.service",
                         check=False)
    assert done.returncode == 0, done.stdout[-600:] + done.stderr


# As nsregd asks the kernel whether the clock is synchronised: modes is 0, nothing is set.
CLOCK = """
import ctypes
timex = ctypes.create_string_buffer(4096)
print("clock state", ctypes.CDLL(None, use_errno=True).adjtimex(timex), "errno", ctypes.get_errno())
"""


@pytest.mark.parametrize("unit", SERVICES)
def test_the_boot_id_is_passed(container, unit):
    """/proc as the units see it has none, and then every boot looks like the last one."""
    registrar(container)
    container.systemctl("start", unit)
    with open(f"/proc/{container.main_pid(unit)}/environ", encoding="utf-8") as file:
        environment = dict(entry.split("=", 1) for entry in file.read().split("\0") if entry)
    boot_id = container.run("cat", "/proc/sys/kernel/random/boot_id").stdout.strip().replace("-", "")
    assert environment.get("NSREG_BOOT_ID") == boot_id


def test_the_registrar_can_ask_about_the_clock(container):
    container.write("/usr/local/lib/clock.py", CLOCK)
    container.drop_in("nsregd.service", "[Service]\nExecStartPre=/usr/bin/python3 /usr/local/lib/clock.py\n")
    container.boot("--system-call-filter=adjtimex clock_adjtime")
    container.systemctl("start", "nsregd.service")
    entry, = container.wait_journal("-u", "nsregd.service", "-g", "clock state")
    assert int(entry["MESSAGE"].split()[2]) >= 0, entry["MESSAGE"]


@pytest.mark.parametrize("unit", SERVICES)
def test_readiness_is_told_in_one_way(container, unit):
    container.boot()
    assert container.property(unit, "Type") == "notify"


def test_the_socket_brings_its_service_to_every_boot(container):
    registrar(container)
    assert container.systemctl("is-enabled", "nsregd.service").strip() == "enabled"
    assert not container.is_active("nsregd.service")
    container.off()
    container.boot()
    assert container.is_active("nsregd.service")
    container.systemctl("disable", "nsregd.socket")
    assert container.run("systemctl", "is-enabled", "nsregd.service", check=False).stdout.strip() == "disabled"


def test_preset(container):
    container.boot()
    container.systemctl("preset", *UNITS[:1], *SERVICES)
    state = {unit: container.run("systemctl", "is-enabled", unit, check=False).stdout.strip()
             for unit in ("nsregd.socket", *SERVICES)}
    assert state == {"nsregd.socket": "disabled", "nsregd.service": "disabled", "nsregc.service": "disabled"}


def test_first_connection_starts_the_registrar(container):
    registrar(container)
    assert container.is_active("nsregd.socket")
    assert not container.is_active("nsregd.service")
    reply = client().claim("printer", "10.0.0.1")
    assert reply.rcode == "NOERROR", reply
    assert container.is_active("nsregd.service")
    assert addresses("printer") == {"10.0.0.1"}
    eventually(lambda: container.property("nsregd.service", "StatusText") == "Serving 1 zone, 1 name",
               what="STATUS tells of the name")
    user = container.run("ps", "-o", "user=", "-p", container.property("nsregd.service", "MainPID")).stdout
    assert user.strip() == "nsregd"


def test_first_datagram_starts_the_registrar(container):
    registrar(container)
    assert addresses("nobody") == set()
    assert container.is_active("nsregd.service")


def test_watchdog_restarts_what_hangs(container):
    container.drop_in("nsregd.service", "[Service]\nWatchdogSec=2s\nRestartSec=100ms\n")
    registrar(container)
    owner = client()
    assert owner.claim("printer", "10.0.0.1").rcode == "NOERROR"
    pid = container.main_pid("nsregd.service")
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: container.property("nsregd.service", "NRestarts") == "1" and
               container.is_active("nsregd.service"), 60, "the watchdog's restart")
    assert any("watchdog" in entry["MESSAGE"].lower() for entry in container.journal("-u", "nsregd.service")
               if isinstance(entry["MESSAGE"], str))
    assert addresses("printer") == {"10.0.0.1"}
    assert client().claim("printer", "10.0.0.2").rcode != "NOERROR"
    assert owner.claim("printer", "10.0.0.3").rcode == "NOERROR"


def test_restart_under_load_refuses_no_connection(container):
    registrar(container)
    claimed, failures, stop = {}, [], threading.Event()

    def load(number):
        owner = client()
        for turn in range(10000):
            if stop.is_set():
                return
            label = f"host-{number}-{turn}"
            while True:
                # A connection may be cut by the restart, never refused; whoever is cut asks again.
                try:
                    reply = owner.claim(label, f"10.{number}.{turn // 256}.{turn % 256}")
                except ConnectionRefusedError as error:
                    failures.append(error)
                    return
                except OSError:
                    reply = None
                if reply is not None and reply.rcode == "NOERROR":
                    claimed[label] = f"10.{number}.{turn // 256}.{turn % 256}"
                    break
                if reply is not None and reply.rcode != "SERVFAIL":
                    failures.append(reply)
                    return

    assert client().claim("first", "10.0.0.1").rcode == "NOERROR"
    threads = [threading.Thread(target=load, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for round_ in range(3):
        before = len(claimed)
        eventually(lambda: len(claimed) > before + 20 or failures, what="load")
        container.systemctl("restart", "nsregd.service")
    before = len(claimed)
    eventually(lambda: len(claimed) > before + 20 or failures, what="load after the restarts")
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    for label, address in claimed.items():
        assert addresses(label) == {address}, label


def test_reload(container):
    registrar(container)
    container.systemctl("start", "nsregd.service")
    pid = container.property("nsregd.service", "MainPID")
    container.write("/etc/nsregd/nsregd.yaml", {"zones": {**CONFIG["zones"], "second.example": {}}})
    container.systemctl("reload", "nsregd.service")
    assert "2 zones" in container.property("nsregd.service", "StatusText")

    container.write("/etc/nsregd/nsregd.yaml", "zones:\n  home.example:\n    max-adr-ttl: 1h\n")
    done = container.run("systemctl", "reload", "nsregd.service", check=False)
    assert done.returncode != 0
    assert container.property("nsregd.service", "MainPID") == pid
    assert container.is_active("nsregd.service")
    assert "2 zones" in container.property("nsregd.service", "StatusText")
    entries = container.wait_journal("-u", "nsregd.service", "MESSAGE_ID=9da7dacc876140a0a81401bc745edc58")
    assert all("nsregd.yaml:3:" in entry["NSREG_REASON"] and "max-addr-ttl" in entry["MESSAGE"] for entry in entries)


def test_broken_configuration_does_not_cost_the_socket(container):
    container.drop_in("nsregd.service", "[Service]\nRestartSec=100ms\n")
    registrar(container, "zones: [\n")
    sockets = []
    for _ in range(100):
        peer = socket.create_connection(("127.0.0.1", PORT), timeout=10)
        sockets.append(peer)
    eventually(lambda: int(container.property("nsregd.service", "NRestarts")) > 10, 60, "many restarts")
    for peer in sockets:
        peer.close()
    assert container.property("nsregd.socket", "ActiveState") == "active"
    container.write("/etc/nsregd/nsregd.yaml", CONFIG)
    assert client().claim("printer", "10.0.0.1").rcode == "NOERROR"
    assert container.is_active("nsregd.service")


def readable(container, path):
    return container.run("setpriv", "--reuid=nsregd", "--regid=nsregd", "--init-groups", "cat", path,
                         check=False).returncode == 0


def test_what_root_can_read_and_the_service_cannot(container):
    upstream = {"type": "nsupdate", "hostname": "127.0.0.1", "zone": "home.example", "tsig-key-file":
                "/etc/nsregd/keys/dns.key"}
    key = 'key "k" { algorithm hmac-sha256; secret "bm90IGEgc2VjcmV0IGF0IGFsbA=="; };\n'
    container.write("/etc/nsregd/nsregd.yaml", {"zones": {"home.example": {"upstreams": [upstream]}}})
    container.write("/etc/nsregd/keys/dns.key", key, 0o600)
    os.chmod(container.path("/etc/nsregd/keys"), 0o700)
    os.chmod(container.path("/etc/nsregd/nsregd.yaml"), 0o600)
    container.boot()

    # Each complaint says what to type; typing it is all that it takes.
    obstacles = []
    for _ in range(10):
        done = container.run("nsregd", "--check-config", check=False)
        if done.returncode == 0:
            break
        assert done.returncode == 1
        for line in done.stderr.splitlines():
            told, _, typed = line.rpartition(" Type: ")
            assert "user nsregd cannot read" in told, line
            obstacles.append(typed.split()[2])
            container.run("sh", "-c", typed)
    assert done.returncode == 0 and done.stderr == ""
    assert sorted(set(obstacles)) == ["/etc/nsregd/keys", "/etc/nsregd/keys/dns.key", "/etc/nsregd/nsregd.yaml"]
    assert readable(container, "/etc/nsregd/keys/dns.key")
    container.systemctl("start", "nsregd.service")

    # Out of sight of the service, whoever may read it.
    upstream["tsig-key-file"] = "/home/dns.key"
    container.write("/home/dns.key", key, 0o644)
    container.write("/etc/nsregd/nsregd.yaml", {"zones": {"home.example": {"upstreams": [upstream]}}})
    done = container.run("nsregd", "--check-config", check=False)
    assert done.returncode == 1 and "/home/dns.key" in done.stderr
    # A way through a symbolic link, a closed drop-in directory.
    container.run("sh", "-c", "mv /home/dns.key /etc/nsregd && mkdir -m 700 /etc/closed &&"
                  " mv /etc/nsregd/dns.key /etc/closed && ln -s /etc/closed/dns.key /etc/nsregd/dns.key")
    upstream["tsig-key-file"] = "/etc/nsregd/dns.key"
    container.write("/etc/nsregd/nsregd.yaml", {"zones": {"home.example": {"upstreams": [upstream]}}})
    done = container.run("nsregd", "--check-config", check=False)
    assert done.returncode == 1 and "chgrp nsregd /etc/closed &&" in done.stderr
    container.run("sh", "-c", "chgrp bind /etc/closed && chmod 750 /etc/closed")
    done = container.run("nsregd", "--check-config", check=False)
    typed = done.stderr.strip().rpartition(" Type: ")[2]
    assert typed == "usermod -a -G bind nsregd"
    container.run("sh", "-c", typed)
    assert container.run("nsregd", "--check-config").stderr == ""
    container.run("mkdir", "-m", "700", "/etc/nsregd/nsregd.yaml.d")
    done = container.run("nsregd", "--check-config", check=False)
    assert done.returncode == 1 and "nsregd.yaml.d" in done.stderr


def test_the_check_without_the_services_user(container):
    container.write("/etc/nsregd/nsregd.yaml", CONFIG, 0o600)
    for path in ("/etc/passwd", "/etc/group"):
        container.write(path, "".join(line for line in container.read(path).splitlines(True)
                                      if not line.startswith("nsregd:")))
    container.write("/usr/lib/sysusers.d/nsregd.conf", "")
    container.boot()
    done = container.run("nsregd", "--check-config")
    assert "no user nsregd" in done.stderr and len(done.stderr.splitlines()) == 1


def test_what_root_imports_the_service_can_open(container):
    """Before the service was ever started; the key database is root's own, as the program it comes from was."""
    owner = Key.generate(13)
    entry = {"Name": "old.home.example.", "Flags": 256, "Protocol": 3, "Algorithm": owner.algorithm,
             "KeyTag": owner.tag, "PublicKey": base64.b64encode(owner.public_octets).decode(),
             "Expiry": "2099-05-02T10:00:00Z"}
    registrar(container)
    container.write("/root/home.example.keydb", json.dumps({"old.home.example.": entry}), 0o600)
    told = container.run("nsregd", "--import-keydb", "/root/home.example.keydb").stderr
    assert "1 name taken over" in told, told
    assert container.run("find", "/var/lib/nsregd", "!", "-user", "nsregd").stdout == ""
    container.systemctl("start", "nsregd.service")
    assert client().claim("old", "10.0.0.1").rcode == "REFUSED"
    assert client(key=owner).claim("old", "10.0.0.1").rcode == "NOERROR"


def test_its_directory_is_for_the_service_to_read(container):
    container.write("/etc/nsregd/tsig.key", "", 0o600)
    container.boot()
    assert container.run("stat", "-c", "%a %U %G", "/etc/nsregd").stdout.strip() == "750 root nsregd"
    assert container.run("stat", "-c", "%a %U %G", "/etc/nsregd/tsig.key").stdout.strip() == "640 root nsregd"


def test_without_any_configuration(container):
    container.boot()
    container.systemctl("enable", "--now", "nsregd.socket", "nsregd.service")
    assert "no zone" in container.property("nsregd.service", "StatusText").lower()
    assert any("no zone" in entry["MESSAGE"] for entry in container.journal("-u", "nsregd.service", "-p", "notice"))
    assert client().claim("printer", "10.0.0.1").rcode in ("NOTAUTH", "REFUSED")
