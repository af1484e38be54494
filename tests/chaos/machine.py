# SPDX-License-Identifier: LGPL-2.1-or-later
"""The machine under the registrar: its clocks, its disk, its boots; and the registrar on it."""

import ctypes
import mmap
import os
import shutil
import socket
import sqlite3
import struct
import subprocess
import threading
import time
import uuid

from lab import Nsregd, eventually
from lab.bus import BusError
from lab.programs import program

SERVICE = "org.nsreg.Registry1"
ROOT = "/org/nsreg/Registry1"
MANAGER = "org.nsreg.Registry1.Manager"
REAL, BOOT, DELAY, ERROR, UNSYNCHRONIZED = range(5)
ENOSPC = 28


def preload():
    """LD_PRELOAD for a program of ours, which may be built with a sanitizer."""
    library = os.path.join(os.path.abspath(os.environ["NSREG_BUILD"]), "tests", "tools", "libdisturb.so")
    linked = subprocess.run(["ldd", binary()], stdout=subprocess.PIPE, text=True, check=True).stdout
    sanitizers = [line.split()[2] for line in linked.splitlines() if "libasan" in line or "libtsan" in line]
    return " ".join([*sanitizers, library]), library


def binary():
    """The registrar to be judged."""
    return os.environ.get("NSREG_CHAOS_BINARY") or program("nsregd")


class Disturbance:
    """What disturb.c is told."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as out:
            out.write(bytes(48))
        with open(path, "r+b") as file:
            self._page = mmap.mmap(file.fileno(), 48)

    def __setitem__(self, which, value):
        struct.pack_into("q", self._page, which * 8, int(value))


class Clock:
    """Time as the model counts it: like the kernel's, and at once an hour later where the test says so. `step` is
    what a wall clock is wrong by."""

    def __init__(self):
        self.jumped = 0.0
        self.step = 0.0
        self.followers = []  # (disturbance, what its own wall clock is wrong by)

    def now(self):
        return time.monotonic() + self.jumped

    def wall(self):
        return time.time() + self.jumped + self.step

    def to_wall(self, moment):
        """A point in the model's time, on the wall."""
        return moment - self.now() + self.wall()

    def follow(self, disturbance):
        self.followers.append([disturbance, 0.0])
        self.tell()
        return self.followers[-1]

    def tell(self):
        for disturbance, skew in self.followers:
            disturbance[REAL] = (self.jumped + self.step + skew) * 1e6


class Daemon(Nsregd):
    """nsregd on its own disk, with its own boots, and ears for what it says to its service manager."""

    def __init__(self, directory, clock, bus, boot_id_hidden=False, disk_bytes=24 << 20, **options):
        super().__init__(directory, **options)
        self.clock = clock
        self.bus = bus
        self.disturbance = Disturbance(os.path.join(self.directory, "disturbance"))
        self.clock.follow(self.disturbance)
        self.boot_ahead = 0.0
        self.booted_at_jump = 0.0
        self.boot_id_hidden = boot_id_hidden
        self.runtime = os.path.join(self.directory, "run")
        os.makedirs(self.runtime)
        self.boot_id_path = os.path.join(self.directory, "boot_id")
        with open(self.boot_id_path, "w", encoding="ascii") as out:
            out.write("" if boot_id_hidden else f"{uuid.uuid4()}\n")
        self.filler = os.path.join(self.data_dir, "filler")
        self._mount(disk_bytes)
        self.ready_at = None
        self._notify_path = os.path.join(self.directory, "notify")
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(self._notify_path)
        threading.Thread(target=self._listen, daemon=True).start()
        self.environment.update(bus.environment)
        libraries, _ = preload()
        self.environment.update({"LD_PRELOAD": libraries, "NSREG_DISTURB": self.disturbance.path,
                                 "RUNTIME_DIRECTORY": self.runtime, "NOTIFY_SOCKET": self._notify_path})
        self._new_boot_id()
        self.n_starts = 0

    def _mount(self, size):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", self.data_dir], check=True)
        subprocess.run(["mount", "--bind", self.boot_id_path, "/proc/sys/kernel/random/boot_id"], check=True)

    def command(self):
        return [binary(), "-c", self.config_path]

    def _listen(self):
        while True:
            text = self._notify.recv(65535).decode(errors="replace")
            if "READY=1" in text.splitlines() and self.ready_at is None:
                self.ready_at = self.clock.now()

    def _new_boot_id(self):
        identity = uuid.uuid4()
        # Written in its place: it is mounted.
        with open(self.boot_id_path, "r+", encoding="ascii") as out:
            out.write("" if self.boot_id_hidden else f"{identity}\n")
        self.environment["NSREG_BOOT_ID"] = identity.hex

    def reboot(self):
        """Between a stop and a start: the machine came up just now."""
        self._new_boot_id()
        for name in os.listdir(self.runtime):
            os.unlink(os.path.join(self.runtime, name))
        uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
        self.boot_ahead = 15.0 - uptime
        self.booted_at_jump = self.clock.jumped

    def tell(self):
        self.disturbance[BOOT] = (self.boot_ahead + self.clock.jumped - self.booted_at_jump) * 1e6

    def start(self, *arguments):
        self.tell()
        self.ready_at = None
        self.n_starts += 1
        self.spawn(*arguments)
        eventually(self._is_ready, 60, "nsregd is ready")
        return self

    def _is_ready(self):
        if not self.running:
            raise RuntimeError(f"nsregd ended: {self.log()[-4000:]}")
        return self.ready_at is not None

    def fill_disk(self, leave=0):
        with open(self.filler, "wb", buffering=0) as out:
            block = bytes(4096)
            try:
                while True:
                    out.write(block)
            except OSError:
                pass
            if leave:
                out.truncate(max(0, out.tell() - leave))

    def free_disk(self):
        try:
            os.unlink(self.filler)
        except FileNotFoundError:
            pass

    def check_database(self):
        """What SQLite finds in a copy, with the log that goes with it; None when all is well."""
        copy = os.path.join(self.directory, "copy")
        shutil.rmtree(copy, ignore_errors=True)
        os.makedirs(copy)
        for name in os.listdir(self.data_dir):
            if name.startswith("registry.db") and not name.endswith("-shm"):
                shutil.copy(os.path.join(self.data_dir, name), copy)
        path = os.path.join(copy, "registry.db")
        if not os.path.exists(path):
            return None
        database = sqlite3.connect(path)
        try:
            found = database.execute("PRAGMA integrity_check").fetchall()
            if found != [("ok",)]:
                return f"integrity_check: {found}"
            found = database.execute("PRAGMA foreign_key_check").fetchall()
            return f"foreign_key_check: {found}" if found else None
        finally:
            database.close()

    # -- over the bus

    def call(self, method, signature="", *arguments, path=ROOT):
        return self.bus.call(SERVICE, path, MANAGER, method, signature, *arguments)

    def reload_by_bus(self):
        """Its error's text, or None. A registrar that was just started may not be on the bus yet."""
        for _ in range(200):
            try:
                self.call("Reload")
                return None
            except BusError as error:
                text = error.text
            if "not provided" not in text and "no owner" not in text or not self.running:
                break
            time.sleep(0.05)
        return text

    def registrations(self):
        """{name: (key tag, end of the key lease, {address: end of the lease})}; times are the wall's, in seconds."""
        found, after = {}, ""
        while True:
            page = self.call("ListRegistrations", "sssu", "", "", after, 1000)[0]
            for name, _, _, tag, key_end, _, _, addresses, _ in page:
                found[name.rstrip(".") + "."] = tag, key_end / 1e6, {
                    socket.inet_ntop(family, bytes(octets)): end / 1e6 for family, octets, end in addresses}
            if not page:
                return found
            after = page[-1][0]

    def teardown(self):
        complaints = super().teardown()
        for place in (self.data_dir, "/proc/sys/kernel/random/boot_id"):
            subprocess.run(["umount", "-l", place], check=False, stderr=subprocess.DEVNULL)
        return complaints


_libc = ctypes.CDLL(None, use_errno=True)


class Elsewhere:
    """This thread, in a network namespace, for a while."""

    def __init__(self, netns):
        self.netns = netns

    def __enter__(self):
        if self.netns:
            self._outer = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            self._set(os.open(f"/run/netns/{self.netns.name}", os.O_RDONLY | os.O_CLOEXEC))

    def __exit__(self, *_):
        if self.netns:
            self._set(self._outer)

    @staticmethod
    def _set(descriptor):
        result = _libc.setns(descriptor, 0x40000000)
        os.close(descriptor)
        if result:
            raise OSError(ctypes.get_errno(), "setns")


__all__ = ["BusError", "Clock", "Daemon", "Disturbance", "Elsewhere", "preload"]
