# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real systemd as PID 1 with nsreg installed, over this machine's own root.

What is installed is a build of its own, without sanitizers: the units run as they are shipped, with all of their
hardening. Works within isolate.py only, which gives the namespaces that all of this dies with. Containers share
the network of the test: what listens on a loopback address in one is reached from the test, and the other way."""

import fcntl
import json
import os
import shutil
import signal
import subprocess

import pytest

from . import yaml
from .isolate import INSIDE
from .wait import eventually

STAGE = "/mnt"
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "TERM": "dumb", "SYSTEMD_PAGER": "",
               "SYSTEMD_COLORS": "0"}
NOBODY = 65534

# What a machine's own root has and a container must not: its services, its identity, its network.
_FORGOTTEN = ("etc/systemd/system", "etc/systemd/network", "etc/machine-id", "var/lib/dbus/machine-id",
              "var/log/journal", "etc/resolv.conf", "etc/nsregd", "etc/nsregc", "etc/credstore.encrypted",
              "var/lib/systemd/credential.secret", "var/lib/nsregd", "var/lib/nsregc")
# They wait for what there is not.
_MASKED = ("systemd-networkd-wait-online.service", "systemd-timesyncd.service", "systemd-resolved.service",
           "getty.target", "console-getty.service", "systemd-logind.service", "e2scrub_reap.service",
           "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer", "man-db.timer")


def is_possible():
    return os.environ.get(INSIDE) == "1"


def _logged(command, log, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)
    log.write(done.stdout)
    assert done.returncode == 0, f"{command[0]} failed:\n{done.stdout[-4000:]}"


def installed():
    """The tree that "meson install" makes, built once for all tests of a build directory."""
    build = os.path.join(os.environ["NSREG_BUILD"], "system-build")
    tree = os.path.join(os.environ["NSREG_BUILD"], "system-root")
    environment = {key: value for key, value in os.environ.items() if key not in ("CFLAGS", "LDFLAGS", "DESTDIR")}
    with open(f"{build}.log", "a", encoding="utf-8") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        if not os.path.exists(os.path.join(build, "build.ninja")):
            shutil.rmtree(build, ignore_errors=True)
            _logged(["meson", "setup", build, os.environ["NSREG_SOURCE"], "-Dtests=false",
                     "--buildtype=debugoptimized", "--prefix=/usr"], log, env=environment)
        _logged(["ninja", "-C", build], log, env=environment)
        _logged(["meson", "install", "-C", build, "--no-rebuild", "--only-changed", "--destdir", tree], log,
                env=environment)
    return tree


class Container:
    """`journal` and files can be read after off() too."""

    def __init__(self, name="nsreg", lower="/"):
        self.name = name
        self.directory = os.path.join(STAGE, name)
        self.root = os.path.join(self.directory, "root")
        self.console = os.path.join(self.directory, "console.log")
        self.nspawn = None
        self.pid = None
        self._overlay(lower)
        self._forget()

    # -- its root

    def _overlay(self, lower):
        upper, work = (os.path.join(self.directory, part) for part in ("upper", "work"))
        for path in (upper, work, self.root):
            os.makedirs(path)
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                        f"lowerdir={lower},upperdir={upper},workdir={work}", self.root], check=True)

    def _forget(self):
        for path in _FORGOTTEN:
            full = os.path.join(self.root, path)
            if os.path.isdir(full) and not os.path.islink(full):
                shutil.rmtree(full)
            elif os.path.lexists(full):
                os.unlink(full)
        for path in ("etc/systemd/system", "etc/systemd/network", "var/log/journal"):
            os.makedirs(os.path.join(self.root, path))
        self.write("/etc/machine-id", "")
        self.write("/etc/hostname", f"{self.name}\n")
        self.write("/etc/locale.conf", "LANG=C.UTF-8\n")
        for unit in _MASKED:
            os.symlink("/dev/null", self.path("/etc/systemd/system", unit))

    def path(self, *names):
        return os.path.join(self.root, *[name.lstrip("/") for name in names])

    def write(self, path, content, mode=0o644):
        """A dict becomes YAML."""
        text = content if isinstance(content, str) else yaml.dump(content) + "\n"
        full = self.path(path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with os.fdopen(os.open(full, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as out:
            out.write(text)
        os.chmod(full, mode)

    def read(self, path):
        with open(self.path(path), encoding="utf-8") as file:
            return file.read()

    def drop_in(self, unit, text, name="test"):
        self.write(f"/etc/systemd/system/{unit}.d/{name}.conf", text)
        if self.pid:
            self.systemctl("daemon-reload")

    def install(self, tree=None):
        """Unpacked through tar: where /lib is a symbolic link it must stay one."""
        with subprocess.Popen(["tar", "-C", tree or installed(), "-c", "."], stdout=subprocess.PIPE) as source:
            subprocess.run(["tar", "-C", self.root, "-x", "--keep-directory-symlink", "--no-same-owner"],
                           stdin=source.stdout, check=True)
        assert source.returncode == 0
        # As a package would; at a boot it is done only where something seems to have been updated.
        for tool, *options in ("systemd-sysusers",), ("systemd-tmpfiles", "--create"):
            subprocess.run([tool, f"--root={self.root}", *options, "nsregd.conf", "nsregc.conf"], check=True,
                           capture_output=True)
        return self

    # -- its life

    def boot(self, *options):
        with open(self.console, "ab") as console:
            self.nspawn = subprocess.Popen(
                ["systemd-nspawn", "-q", "-D", self.root, "-b", "-M", self.name, "--register=no", "--keep-unit",
                 "--console=pipe", "--resolv-conf=off", "--timezone=off", "--link-journal=no", *options],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"})
        self.pid = eventually(self._find_init, 60, f"{self.name} boots")
        state = self.run("systemctl", "is-system-running", "--wait", check=False, timeout=120).stdout.strip()
        assert state == "running", f"{state}\n{self.run('systemctl', '--failed', check=False).stdout}{self.log()}"
        # Below a chroot the kernel makes no user namespaces, and so no hardened service runs.
        if self.run("systemd-run", "--quiet", "--wait", "--property=PrivateUsers=yes", "true", check=False).returncode:
            pytest.skip("services cannot have user namespaces here")
        return self

    def _find_init(self):
        if self.nspawn.poll() is not None:
            raise RuntimeError(f"nspawn ended:\n{self.log()}")
        with open(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children", encoding="ascii") as children:
            for pid in children.read().split():
                if os.path.exists(f"/proc/{pid}/root/run/systemd/private"):
                    return int(pid)
        return None

    def off(self):
        if self.pid:
            os.kill(self.pid, signal.SIGRTMIN + 4)
            self.nspawn.wait(120)
        self.pid = None

    def log(self):
        try:
            with open(self.console, encoding="utf-8", errors="replace") as console:
                return console.read()
        except FileNotFoundError:
            return ""

    def teardown(self):
        if self.nspawn and self.nspawn.poll() is None:
            if self.pid:
                os.kill(self.pid, signal.SIGKILL)
            try:
                # It takes its own mounts away, if it is let.
                self.nspawn.wait(20)
            except subprocess.TimeoutExpired:
                self.nspawn.kill()
                self.nspawn.wait(60)
        self.pid = None
        subprocess.run(["umount", "-R", "-l", self.root], check=False)
        shutil.rmtree(self.directory, ignore_errors=True)
        return []

    # -- within

    def command(self, *command, user=None):
        assert self.pid, "the container does not run"
        # The root too: within a chroot a namespace's own is another.
        line = ["nsenter", "-t", str(self.pid), "-a", "-r", "-w", "env", "-i",
                *[f"{key}={value}" for key, value in ENVIRONMENT.items()]]
        if user is not None:
            line += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        return line + [str(word) for word in command]

    def run(self, *command, user=None, check=True, timeout=120, **options):
        """Standard output and error are texts of the result; a status but 0 fails the test unless check is off."""
        done = subprocess.run(self.command(*command, user=user), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=timeout, check=False,
                              **{"stdin": subprocess.DEVNULL, **options})
        if check:
            assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def spawn(self, *command, user=None, **options):
        return subprocess.Popen(self.command(*command, user=user), stdin=subprocess.DEVNULL, **options)

    def systemctl(self, *words, **options):
        return self.run("systemctl", *words, **options).stdout

    def property(self, unit, name):
        return self.systemctl("show", "-P", name, unit).strip()

    def main_pid(self, unit):
        """As this test's namespace counts it; 0 when there is none."""
        inner = self.property(unit, "MainPID")
        if inner == "0":
            return 0
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    with open(f"/proc/{entry}/status", encoding="ascii", errors="replace") as status:
                        numbers = [line.split()[1:] for line in status if line.startswith("NSpid:")][0]
                except (OSError, IndexError):
                    continue
                if len(numbers) > 1 and numbers[-1] == inner and \
                        os.readlink(f"/proc/{entry}/ns/pid") == os.readlink(f"/proc/{self.pid}/ns/pid"):
                    return int(entry)
        return 0

    def is_active(self, unit):
        return self.property(unit, "ActiveState") == "active"

    def journal(self, *options):
        """The entries as dicts of their fields."""
        options = ["-o", "json", "--no-pager", *options]
        if self.pid:
            text = self.run("journalctl", "--sync", check=False) and self.run("journalctl", *options).stdout
        else:
            text = subprocess.run(["journalctl", "-D", self.path("/var/log/journal"), *options],
                                  stdout=subprocess.PIPE, text=True, check=True).stdout
        return [json.loads(line) for line in text.splitlines()]

    def wait_journal(self, *options, timeout=30):
        return eventually(lambda: self.journal(*options), timeout, f"the journal has {options}")
