# SPDX-License-Identifier: LGPL-2.1-or-later
"""A process that never outlives its test, and ports that nobody else takes meanwhile."""

import ctypes
import fcntl
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time

from .wait import eventually

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1

# Below the kernel's ephemeral range, so that no outgoing connection takes a port between two starts.
_PORTS = range(10000, 32000)
_PORT_LOCKS = "/tmp/.nsreg-lab-ports"
_held_locks = []


def _port_is_free(port):
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            try:
                with socket.socket(family, kind) as probe:
                    if family == socket.AF_INET6:
                        probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind((address, port))
            except OSError as error:
                if family == socket.AF_INET6 and error.errno in (97, 99):
                    continue
                return False
    return True


def free_port():
    """A port free for TCP and UDP, and ours until this process ends: a lock keeps other tests away."""
    os.makedirs(_PORT_LOCKS, mode=0o777, exist_ok=True)
    generator = random.Random(os.getpid() ^ time.monotonic_ns())
    for _ in range(1000):
        port = generator.choice(_PORTS)
        descriptor = os.open(f"{_PORT_LOCKS}/{port}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            continue
        if _port_is_free(port):
            _held_locks.append(descriptor)
            return port
        os.close(descriptor)
    raise RuntimeError("no free port found")


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


_SANITIZER = re.compile(r"ERROR: AddressSanitizer|ERROR: LeakSanitizer|ERROR: ThreadSanitizer|"
                        r"WARNING: ThreadSanitizer|runtime error:|: Assertion .* failed")


class Process:
    """One program in a session of its own. Its output goes to a file, which tells what happened."""

    def __init__(self, name, directory, command, environment=None, netns=None, directory_as_cwd=True):
        self.name = name
        self.directory = str(directory)
        self.command = [str(part) for part in command]
        self.environment = dict(environment or {})
        self.netns = netns
        self.cwd = self.directory if directory_as_cwd else None
        self.log_path = os.path.join(self.directory, f"{name}.log")
        self.popen = None
        self.returncode = None

    @property
    def pid(self):
        return self.popen.pid

    @property
    def running(self):
        return self.popen is not None and self.popen.poll() is None

    def spawn(self, extra_arguments=()):
        assert not self.running, f"{self.name} runs already"
        command = self.command + [str(argument) for argument in extra_arguments]
        if self.netns:
            command = self.netns.command() + command
        environment = {**os.environ, **self.environment}
        # The death signal is bound to the thread that forks; a short-lived thread must not take the child along.
        main = threading.current_thread() is threading.main_thread()
        with open(self.log_path, "ab") as log:
            self.popen = subprocess.Popen(command, cwd=self.cwd, env=environment, stdin=subprocess.DEVNULL,
                                          stdout=log, stderr=log, start_new_session=True,
                                          preexec_fn=_die_with_parent if main else None)
        self.returncode = None
        return self

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    def wait_log(self, pattern, timeout=20.0, after=0):
        """Waits until the output, from character `after` on, matches; returns the match."""
        return eventually(lambda: re.search(pattern, self.log()[after:]), timeout, f"{self.name} says {pattern!r}")

    def send_signal(self, number):
        self.popen.send_signal(number)

    def pause(self):
        self.send_signal(signal.SIGSTOP)
        # SIGSTOP is delivered asynchronously: only a stopped process is a silent one.
        eventually(lambda: self._state() in "Tt", what=f"{self.name} stopped")

    def resume(self):
        self.send_signal(signal.SIGCONT)

    def _state(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0]

    def _reap(self, timeout):
        try:
            self.returncode = self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self._kill_group()
            self.popen.wait()
            raise AssertionError(f"{self.name} did not end within {timeout} s")
        self._kill_group()
        return self.returncode

    def _kill_group(self):
        try:
            os.killpg(self.popen.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def wait(self, timeout=60.0):
        return self._reap(timeout)

    def stop(self, number=signal.SIGTERM, timeout=60.0):
        """Ends it politely; returns its exit status."""
        if self.popen is None:
            return None
        if self.running:
            self.send_signal(signal.SIGCONT)
            self.send_signal(number)
        return self._reap(timeout)

    def kill(self):
        """kill -9, as a power cut would."""
        if self.popen is not None:
            self._kill_group()
            self.returncode = self.popen.wait()

    def sanitizer_findings(self):
        return [line for line in self.log().splitlines() if _SANITIZER.search(line)]

    def teardown(self):
        """Ends it whatever its state; returns complaints."""
        complaints = []
        try:
            self.stop()
        except AssertionError as error:
            complaints.append(str(error))
        if self.sanitizer_findings():
            complaints.append(f"{self.name}: sanitizer findings, see {self.log_path}:\n{self.log()[-6000:]}")
        return complaints
