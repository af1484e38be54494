# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Debian packages in NSREG_PACKAGES, on a booted machine: installed, enabled, upgraded, removed, purged."""

import glob
import os
import shutil
import subprocess

import pytest

from lab import eventually

from home import CONFIG, ZONE, addresses, client, eventually_is, network, no_network

PACKAGES = os.environ.get("NSREG_PACKAGES", "")
SOURCE = os.environ.get("NSREG_SOURCE", "")
# The version before there were packages, with databases of its own schema.
BEFORE = "e3fe5af"
OURS = ("nsregctl", "nsregd", "nsregc")

CLIENT_CONFIG = {"name": "lamp", "zones": [ZONE], "dns-server": "127.0.0.1@8053"}


@pytest.fixture
def machine(container_of_its_own):
    if not PACKAGES:
        pytest.skip("NSREG_PACKAGES names no directory with packages")
    network("10.1.2.3/24")
    # Of the machine below, which lets no package start a service.
    if os.path.exists(container_of_its_own.path("/usr/sbin/policy-rc.d")):
        os.unlink(container_of_its_own.path("/usr/sbin/policy-rc.d"))
    yield container_of_its_own.boot()
    no_network()


def install(machine, paths):
    os.makedirs(machine.path("/packages"), exist_ok=True)
    names = [shutil.copy(path, machine.path("/packages")) for path in paths]
    return machine.run("dpkg", "--install", *[f"/packages/{os.path.basename(name)}" for name in names])


def packages():
    found = [glob.glob(f"{PACKAGES}/{name}_*.deb") for name in OURS]
    assert all(len(paths) == 1 for paths in found), found
    return [path for path, in found]


def states(machine, verb):
    return {unit: machine.run("systemctl", verb, unit, check=False).stdout.strip()
            for unit in ("nsregd.socket", "nsregd.service", "nsregc.service")}


def left(machine):
    """What is left in the places where the packages, or an administrator by systemctl, put something."""
    done = machine.run("find", "/usr", "/lib/systemd", "/etc", "/var/lib", "(", "-name", "*nsreg*", "-o", "-lname",
                       "*nsreg*", ")", "-not", "-path", "/usr/share/doc/*", "-not", "-path", "/var/lib/dpkg/*")
    return sorted(done.stdout.split())


def configure(machine):
    machine.write("/etc/nsregd/nsregd.yaml", CONFIG)
    machine.write("/etc/nsregc/nsregc.yaml", CLIENT_CONFIG)


def test_installed_used_removed_purged(machine):
    before = left(machine)
    install(machine, packages())
    assert set(states(machine, "is-enabled").values()) == {"disabled"}
    assert set(states(machine, "is-active").values()) == {"inactive"}
    assert machine.run("stat", "-c", "%U:%G %a", "/etc/nsregd").stdout.strip() == "root:nsregd 750"
    assert machine.run("dpkg", "--verify", *OURS).stdout == ""
    configure(machine)
    machine.systemctl("enable", "--now", "nsregd.socket", "nsregc.service")
    eventually_is("lamp", ["10.1.2.3"])
    assert f"lamp.{ZONE}" in machine.run("nsregctl", "list", user=65534).stdout
    # The explanations of the journal are there.
    assert "Its records" in machine.run("journalctl", "--dump-catalog").stdout or \
        "Defined-By: nsreg" in machine.run("journalctl", "--dump-catalog").stdout

    machine.run("dpkg", "--remove", *reversed(OURS))
    assert set(states(machine, "is-active").values()) == {"inactive"}
    assert os.path.exists(machine.path("/etc/nsregd/nsregd.yaml")), "removing is not purging"
    machine.run("dpkg", "--purge", *reversed(OURS))
    assert left(machine) == before
    assert machine.systemctl("--failed", "--no-legend").strip() == ""


def test_an_upgrade_keeps_what_runs(machine):
    """Installed again over itself: the socket stays open, whoever has a name keeps it."""
    install(machine, packages())
    configure(machine)
    machine.systemctl("enable", "--now", "nsregd.socket", "nsregc.service")
    eventually_is("lamp", ["10.1.2.3"])
    key = client()
    assert key.claim("printer", "10.0.0.1").rcode == "NOERROR"
    pids = machine.main_pid("nsregd.service"), machine.main_pid("nsregc.service")
    socket = machine.property("nsregd.socket", "ActiveEnterTimestampMonotonic")
    install(machine, packages())
    eventually(lambda: machine.is_active("nsregd.service") and machine.is_active("nsregc.service"), 30, "both run")
    assert socket == machine.property("nsregd.socket", "ActiveEnterTimestampMonotonic")
    assert pids[0] != machine.main_pid("nsregd.service") and pids[1] != machine.main_pid("nsregc.service")
    assert states(machine, "is-enabled") == {"nsregd.socket": "enabled", "nsregd.service": "enabled",
                                             "nsregc.service": "enabled"}
    eventually_is("lamp", ["10.1.2.3"])
    eventually_is("printer", ["10.0.0.1"])
    assert key.claim("printer", "10.0.0.2").rcode == "NOERROR"


@pytest.fixture(scope="module")
def old_packages(tmp_path_factory):
    """What an earlier version installs, as one package of each name, as far as that is needed to be upgraded."""
    if not PACKAGES or not os.path.exists(os.path.join(SOURCE, ".git")):
        pytest.skip("the earlier version is not to be had")
    directory = tmp_path_factory.mktemp("before")
    build = subprocess.run([os.path.join(SOURCE, "tools/baseline"), BEFORE, str(directory / "tree")], check=True,
                           stdout=subprocess.PIPE, text=True).stdout.strip()
    subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--destdir", str(directory / "all")], check=True,
                   stdout=subprocess.DEVNULL)
    made = []
    for name in OURS:
        root = directory / name
        (root / "DEBIAN").mkdir(parents=True)
        (root / "DEBIAN/control").write_text(
            f"Package: {name}\nVersion: 0.0.1\nArchitecture: {architecture()}\nMaintainer: nobody <nobody@nsreg.example>\n"
            f"Description: an earlier version\n")
        for where, _, files in os.walk(directory / "all"):
            for file in files:
                path = os.path.join(where, file)
                if owner(file) == name:
                    target = str(root) + path[len(str(directory / "all")):]
                    os.makedirs(os.path.dirname(target), exist_ok=True)
                    shutil.copy(path, target)
        made.append(str(directory / f"{name}_0.0.1.deb"))
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", str(root), made[-1]], check=True,
                       stdout=subprocess.DEVNULL)
    return made


def owner(file):
    if "nsregctl" in file or file in ("nsreg.catalog", "org.nsreg.policy"):
        return "nsregctl"
    return "nsregc" if "nsregc" in file or "Client1" in file else "nsregd"


def architecture():
    return subprocess.run(["dpkg", "--print-architecture"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def test_upgrade_from_the_version_before(machine, old_packages):
    install(machine, old_packages)
    for tool, *options in ("systemd-sysusers",), ("systemd-tmpfiles", "--create"):
        machine.run(tool, *options, "nsreg.conf")
    machine.run("busctl", "call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "ReloadConfig")
    configure(machine)
    machine.systemctl("daemon-reload")
    machine.systemctl("enable", "--now", "nsregd.socket", "nsregc.service")
    eventually_is("lamp", ["10.1.2.3"])
    key = client()
    assert key.claim("printer", "10.0.0.1").rcode == "NOERROR"
    install(machine, packages())
    assert machine.run("dpkg", "--verify", *OURS).stdout == ""
    assert not os.path.exists(machine.path("/usr/lib/sysusers.d/nsreg.conf"))
    eventually_is("printer", ["10.0.0.1"])
    eventually_is("lamp", ["10.1.2.3"])
    assert client().claim("printer", "10.0.0.9").rcode == "REFUSED", "it has an owner"
    assert key.claim("printer", "10.0.0.2").rcode == "NOERROR"
    assert addresses("printer") == {"10.0.0.1", "10.0.0.2"}
