# SPDX-License-Identifier: LGPL-2.1-or-later
"""nsregc.service: two lines of configuration or none, its key as a credential, its end."""

import json
import os
import signal
import tempfile

import pytest

from lab import Key, eventually, never
from lab.container import NOBODY

from home import CLIENT, ZONE, configure, eventually_is, network, no_network, registrar

TWO_LINES = f"zones: [{ZONE}]\ndns-server: 127.0.0.1@8053\n"
SEALED = "/etc/credstore.encrypted/nsregc.private"


@pytest.fixture(autouse=True)
def lan():
    network("10.0.0.5/24")
    yield
    no_network()


def with_client(container, config=TWO_LINES):
    container.write("/etc/hostname", "laptop\n")
    if config:
        container.write("/etc/nsregc/nsregc.yaml", config)
    registrar(container)
    container.systemctl("enable", "--now", "nsregc.service")
    eventually_is("laptop", {"10.0.0.5"})
    return container


def fingerprint(container):
    return container.run("busctl", "get-property", *CLIENT, "KeyFingerprint").stdout.split('"')[1]


def test_two_lines_register_this_machine(container):
    with_client(container)
    eventually(lambda: "registered" in container.property("nsregc.service", "StatusText"))
    entry, = container.wait_journal("-u", "nsregc.service", "MESSAGE_ID=8d4b3b2f0f5a4b639c1da65e7702c141")
    assert entry["NSREG_NAME"].startswith("laptop.home.example") and entry["NSREG_ZONE"].startswith("home.example")
    user = container.run("ps", "-o", "user=", "-p", container.property("nsregc.service", "MainPID")).stdout
    assert user.strip() == "nsregc"

    container.systemctl("stop", "nsregc.service")
    assert container.property("nsregc.service", "Result") == "success"
    eventually_is("laptop", set(), timeout=5)
    container.systemctl("start", "nsregc.service")
    eventually_is("laptop", {"10.0.0.5"})


def test_no_configuration_but_the_domain(container):
    """The registrar's own records, found by the search domain of resolv.conf."""
    container.write("/etc/resolv.conf", f"nameserver 127.0.0.1\nsearch {ZONE}\n")
    container.drop_in("nsregd.socket", "[Socket]\nListenStream=53\nListenDatagram=53\n")
    with_client(container, None)


def test_the_key_is_sealed_and_kept(container):
    with_client(container)
    assert os.stat(container.path(SEALED)).st_mode & 0o077 == 0
    sealed = container.read(SEALED)
    assert "Private-key-format" not in sealed
    assert "Private-key-format" in container.run("systemd-creds", "decrypt", "--name=nsregc.private", SEALED, "-").stdout
    first = fingerprint(container)
    for path in (SEALED, "/run/credentials/nsregc.service/nsregc.private"):
        assert container.run("test", "-e", path).returncode == 0
        done = container.run("cat", path, user=NOBODY, check=False)
        assert done.returncode != 0 and done.stdout == ""
    # In the clear it is nowhere on the disk.
    done = container.run("grep", "-rl", "Private-key-format", "/etc", "/var", check=False)
    assert done.stdout == ""
    container.systemctl("restart", "nsregc.service")
    eventually(lambda: fingerprint(container) == first)
    eventually_is("laptop", {"10.0.0.5"})
    container.off()
    container.boot()
    eventually(lambda: container.is_active("nsregc.service"))
    assert container.read(SEALED) == sealed
    eventually(lambda: fingerprint(container) == first)
    eventually_is("laptop", {"10.0.0.5"})


def test_the_sealed_key_is_replaced(container):
    with_client(container)
    first, sealed = fingerprint(container), container.read(SEALED)
    done = by_hand(container, "--roll-key", check=False)
    assert done.returncode != 0 and "systemctl stop nsregc" in done.stderr
    container.systemctl("stop", "nsregc.service")
    done = by_hand(container, "--roll-key")
    assert container.read(SEALED) != sealed and not os.path.exists(container.path(SEALED + ".new"))
    assert os.stat(container.path(SEALED)).st_mode & 0o077 == 0
    done = container.run("grep", "-rl", "Private-key-format", "/etc", "/var", check=False)
    assert done.stdout == ""
    container.systemctl("start", "nsregc.service")
    eventually_is("laptop", {"10.0.0.5"})
    second = fingerprint(container)
    assert second != first and owner(container) == second


def test_the_service_registers_what_a_hook_asks_for(container):
    """And the ssh host keys of the machine, where it has some."""
    with_client(container, TWO_LINES + "ssh-host-keys: true\n")
    container.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/etc/ssh/ssh_host_ed25519_key")
    by_hand(container, "--acme-challenge", "add", "-value")

    def shown():
        return container.run("nsregctl", "list", "--type=any", "laptop", check=False).stdout

    eventually(lambda: "SSHFP" in shown())
    assert '"-value"' in shown()
    by_hand(container, "--acme-challenge", "remove", "-value")
    assert '"-value"' not in shown() and "SSHFP" in shown()
    done = container.run("nsregc", "--acme-challenge", "remove", "-value", check=False)
    assert done.returncode == 1 and "no such record" in done.stderr
    container.systemctl("stop", "nsregc.service")
    eventually(lambda: "SSHFP" not in shown() and "10.0.0.5" not in shown())


def test_watchdog_restarts_a_client_that_hangs(container):
    container.drop_in("nsregc.service", "[Service]\nWatchdogSec=2s\nRestartSec=100ms\n")
    with_client(container)
    os.kill(container.main_pid("nsregc.service"), signal.SIGSTOP)
    eventually(lambda: container.property("nsregc.service", "NRestarts") == "1" and
               container.is_active("nsregc.service"), 60, "the watchdog's restart")
    eventually_is("laptop", {"10.0.0.5"})


def test_reload_takes_the_new_configuration(container):
    with_client(container)
    pid = container.property("nsregc.service", "MainPID")
    container.write("/etc/nsregc/nsregc.yaml", f"{TWO_LINES}name: desktop\n")
    container.systemctl("reload", "nsregc.service")
    eventually_is("desktop", {"10.0.0.5"})
    eventually_is("laptop", set())
    container.write("/etc/nsregc/nsregc.yaml", "zoness: []\n")
    done = container.run("systemctl", "reload", "nsregc.service", check=False)
    assert done.returncode != 0
    assert container.property("nsregc.service", "MainPID") == pid
    assert container.wait_journal("-u", "nsregc.service", "-g", "nsregc.yaml:1:")
    eventually_is("desktop", {"10.0.0.5"})


def test_the_client_on_the_bus(container):
    with_client(container)
    shown = container.run("nsregctl", "client", "status", user=NOBODY).stdout
    assert ZONE in shown and "registered" in shown and "10.0.0.5" in shown
    done = container.run("nsregctl", "client", "release", user=NOBODY, check=False)
    assert done.returncode == 1 and "root" in done.stderr
    container.run("nsregctl", "client", "release")
    eventually_is("laptop", set())
    container.run("nsregctl", "client", "refresh")
    eventually_is("laptop", {"10.0.0.5"})
    container.run("nsregctl", "client", "rediscover")
    assert container.run("nsregctl", "status").stdout.count("running") == 2


def test_a_user_without_credentials_keeps_the_key_at_home(container):
    configure(container)
    container.boot()
    container.systemctl("enable", "--now", "nsregd.socket")
    container.write("/home/nsregc.yaml", f"{TWO_LINES}name: tablet\n")
    for _ in range(2):
        container.run("install", "-d", "-o", NOBODY, "-g", NOBODY, "/home/state")
        container.run("env", "STATE_DIRECTORY=/home/state", "nsregc", "-c", "/home/nsregc.yaml", "--once", user=NOBODY)
        eventually_is("tablet", {"10.0.0.5"})
    key = os.stat(container.path("/home/state/nsregc.private"))
    assert key.st_mode & 0o777 == 0o600 and key.st_uid == NOBODY


def owner(container, label="laptop"):
    """The fingerprint of the key that has the name; None while nobody has it."""
    done = container.run("nsregctl", "--json=short", "show", f"{label}.{ZONE}", check=False)
    return json.loads(done.stdout)["KeyFingerprint"] if done.returncode == 0 else None


def by_hand(container, *words, **options):
    """In an empty directory that is checked to stay so."""
    container.run("mkdir", "-p", "/srv/elsewhere")
    done = container.run("env", "-C", "/srv/elsewhere", "nsregc", *words, **options)
    assert os.listdir(container.path("/srv/elsewhere")) == []
    return done


def test_by_hand_the_service_is_asked(container):
    with_client(container)
    mine = fingerprint(container)
    by_hand(container, "--once")
    by_hand(container, "--once", "--server", "127.0.0.1@8053")
    for words in (["--name", "other"], ["elsewhere.example"], ["--tcp"], ["-c", "/root/other.yaml"]):
        container.write("/root/other.yaml", f"{TWO_LINES}addr-ttl: 2h\n")
        done = by_hand(container, "--once", *words, check=False)
        assert done.returncode == 2 and "nsregc.service runs" in done.stderr and len(done.stderr.splitlines()) == 1
        assert {"--name": "other", "--tcp": "dns-tcp: true", "-c": "addr-ttl: 2h"}.get(words[0], "") in done.stderr
    done = by_hand(container, check=False)
    assert done.returncode == 1 and "nsregctl client" in done.stderr
    by_hand(container, "--release")
    assert owner(container) is None
    by_hand(container, "--once")
    assert owner(container) == mine == fingerprint(container)
    eventually_is("laptop", {"10.0.0.5"})
    # Somebody else has the name: the answer is the registrar's.
    container.run("nsregctl", "revoke", "--block", f"laptop.{ZONE}")
    done = by_hand(container, "--once", check=False)
    assert done.returncode == 1 and "laptop.home.example" in done.stderr, done.stderr
    done = container.run("nsregc", "--once", user=NOBODY, check=False)
    assert done.returncode == 1


def test_by_hand_without_the_service_it_is_the_same_device(container):
    with_client(container)
    mine = fingerprint(container)
    container.systemctl("stop", "nsregc.service")
    by_hand(container, "--once")
    eventually_is("laptop", {"10.0.0.5"})
    assert owner(container) == mine
    assert {os.stat(container.path("/var/lib/nsregc", name)).st_uid for name in
            os.listdir(container.path("/var/lib/nsregc"))} == {os.stat(container.path("/var/lib/nsregc")).st_uid} != {0}
    container.systemctl("start", "nsregc.service")
    # What was noted by hand the service takes away.
    eventually(lambda: "registered" in container.property("nsregc.service", "StatusText"))
    container.systemctl("stop", "nsregc.service")
    eventually_is("laptop", set())
    done = by_hand(container, "--generate-key", check=False)
    assert done.returncode == 1 and SEALED in done.stderr
    by_hand(container, "--release")
    assert owner(container) is None


def test_by_hand_before_there_is_a_service(container):
    """A key is made as the service makes it, and is the service's from then on; it is in the clear nowhere."""
    container.write("/etc/hostname", "laptop\n")
    container.write("/etc/nsregc/nsregc.yaml", TWO_LINES)
    registrar(container)
    by_hand(container, "--once")
    mine = owner(container)
    done = container.run("grep", "-rl", "Private-key-format", "/etc", "/var/lib/nsregc", "/var/tmp",
                         "/srv", check=False)
    assert done.stdout == ""
    container.systemctl("enable", "--now", "nsregc.service")
    eventually(lambda: "registered" in container.property("nsregc.service", "StatusText"))
    assert fingerprint(container) == mine == owner(container)


def test_a_sealed_key_that_cannot_be_opened_is_not_made_up_for(container):
    container.write("/etc/hostname", "laptop\n")
    container.write("/etc/nsregc/nsregc.yaml", TWO_LINES)
    container.write(SEALED, "rubbish", 0o600)
    registrar(container)
    done = by_hand(container, "--once", check=False)
    assert done.returncode == 1 and SEALED in done.stderr
    assert owner(container) is None and container.read(SEALED) == "rubbish"


def test_one_who_works_holds_the_lock(container):
    """Also where there is no bus to see each other on."""
    with_client(container)
    container.systemctl("mask", "--runtime", "--now", "dbus.service", "dbus.socket")
    done = by_hand(container, "--release", check=False)
    assert done.returncode == 1 and "/var/lib/nsregc/lock" in done.stderr
    eventually_is("laptop", {"10.0.0.5"})
    # A service waits for whoever has it.
    container.systemctl("stop", "nsregc.service")
    wait = "until [ -e /srv/end ]; do sleep 0.05; done"
    with container.spawn("flock", "/var/lib/nsregc/lock", "sh", "-c", wait) as holder:
        eventually(lambda: container.run("flock", "-n", "/var/lib/nsregc/lock", "true", check=False).returncode)
        container.systemctl("start", "--no-block", "nsregc.service")
        eventually(lambda: container.main_pid("nsregc.service"))
        never(lambda: container.is_active("nsregc.service"), 1)
        container.write("/srv/end", "")
        holder.wait(30)
    eventually(lambda: container.is_active("nsregc.service"))


def test_a_user_has_a_key_of_his_own(container):
    with_client(container)
    container.run("install", "-d", "-o", NOBODY, "-g", NOBODY, "/srv/home")
    container.write("/srv/nsregc.yaml", f"{TWO_LINES}name: tablet\n")
    for _ in range(2):
        by_hand(container, "-c", "/srv/nsregc.yaml", "--once", user=NOBODY, check=False)
        container.run("env", "-C", "/srv/elsewhere", "HOME=/srv/home", "nsregc", "-c", "/srv/nsregc.yaml", "--once",
                      user=NOBODY)
        assert owner(container, "tablet") not in (None, fingerprint(container))
    key = os.stat(container.path("/srv/home/.local/state/nsregc/nsregc.private"))
    assert key.st_mode & 0o777 == 0o600 and key.st_uid == NOBODY


def test_configured_paths_go_before_the_credential(container):
    container.write("/etc/hostname", "laptop\n")
    container.write("/etc/nsregc/nsregc.yaml", f"{TWO_LINES}private-key-file: mine.private\nkey-file: mine.key\n")
    registrar(container)
    by_hand(container, "--once")
    mine = owner(container)
    assert "Private-key-format" in container.read("/etc/nsregc/mine.private")
    assert not os.path.exists(container.path(SEALED))
    container.systemctl("enable", "--now", "nsregc.service")
    eventually(lambda: "registered" in container.property("nsregc.service", "StatusText"))
    assert fingerprint(container) == mine == owner(container)


def original_key(container, path, algorithm=14):
    """As the original left it: of its algorithm, for root alone. Returns the text."""
    with tempfile.TemporaryDirectory() as directory:
        with open(Key.generate(algorithm, flags=256).write(directory, "laptop"), encoding="ascii") as file:
            text = file.read()
    container.write(path, text, 0o600)
    return text


@pytest.mark.parametrize("path", ["/etc/nsregc/nsregc.private", "/root/.nsregc/nsregc.private",
                                  "/var/lib/nsregc/nsregc.private"])
def test_the_key_of_an_original_becomes_the_services(container, path):
    """Wherever it ran: the machine's name stays its own, by the same key, sealed; and the old one's file is left to
    whoever goes back to it."""
    container.write("/etc/hostname", "laptop\n")
    container.write("/etc/nsregc/nsregc.yaml", TWO_LINES)
    registrar(container)
    text = original_key(container, path)
    container.run("install", "-D", "-m", "0600", path, "/srv/original/nsregc.private")
    container.run("env", "STATE_DIRECTORY=/srv/original", "nsregc", "--once")
    mine = owner(container)
    assert mine
    container.systemctl("enable", "--now", "nsregc.service")
    eventually(lambda: "registered" in container.property("nsregc.service", "StatusText"))
    assert fingerprint(container) == mine == owner(container)
    assert container.property("nsregc-keygen.service", "Result") == "success"
    assert container.read(path) == text
    sealed = os.stat(container.path(SEALED))
    assert sealed.st_uid == 0 and sealed.st_mode & 0o077 == 0
    with open(container.path(SEALED), encoding="ascii") as out:
        assert "PrivateKey" not in out.read()


def test_of_several_old_keys_the_configurations_own_is_taken(container):
    container.write("/etc/hostname", "laptop\n")
    container.write("/etc/nsregc/nsregc.yaml", TWO_LINES)
    registrar(container)
    text = original_key(container, "/etc/nsregc/nsregc.private")
    original_key(container, "/root/.nsregc/nsregc.private")
    original_key(container, "/var/lib/nsregc/nsregc.private")
    container.systemctl("start", "nsregc-keygen.service")
    opened = container.run("systemd-creds", "decrypt", "--name=nsregc.private", SEALED, "-").stdout
    assert opened.strip() == text.strip()
    # A sealed one is the machine's by then: nothing goes over it, and an empty file is no key.
    container.systemctl("stop", "nsregc-keygen.service")
    original_key(container, "/etc/nsregc/nsregc.private")
    container.systemctl("start", "nsregc-keygen.service")
    assert container.run("systemd-creds", "decrypt", "--name=nsregc.private", SEALED, "-").stdout == opened
    container.run("rm", SEALED)
    container.write("/etc/nsregc/nsregc.private", "")
    container.systemctl("restart", "nsregc-keygen.service")
    other = container.run("systemd-creds", "decrypt", "--name=nsregc.private", SEALED, "-").stdout
    assert other.strip() == container.read("/var/lib/nsregc/nsregc.private").strip()


def test_stop_is_bounded_when_the_registrar_hangs(container):
    with_client(container)
    os.kill(container.main_pid("nsregd.service"), signal.SIGSTOP)
    container.systemctl("stop", "nsregc.service")
    assert container.property("nsregc.service", "Result") == "success"
    os.kill(container.main_pid("nsregd.service"), signal.SIGCONT)
