# SPDX-License-Identifier: LGPL-2.1-or-later
"""Network namespaces with interfaces whose addresses a test may change."""

import ctypes
import json
import os
import signal
import subprocess
import threading
import uuid

import pytest

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


def _ip(*words, check=True):
    return subprocess.run(["ip", *words], check=check, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=30)


class Netns:
    """A namespace with loopback up. `with netns:` makes this thread's new sockets and children live in it."""

    def __init__(self, resolv_conf=None):
        if os.geteuid() != 0:
            pytest.skip("network namespaces need root")
        self.name = f"nsreg-{uuid.uuid4().hex[:10]}"
        made = _ip("netns", "add", self.name, check=False)
        if made.returncode != 0:
            pytest.skip(f"no network namespaces here: {made.stderr.strip()}")
        self._outer = threading.local()  # a namespace belongs to a thread: several may be here at once
        if resolv_conf is not None:
            self.set_resolv_conf(resolv_conf)
        self.ip("link", "set", "lo", "up")

    def set_resolv_conf(self, text):
        """What programs started in the namespace afterwards find as /etc/resolv.conf."""
        os.makedirs(f"/etc/netns/{self.name}", exist_ok=True)
        with open(f"/etc/netns/{self.name}/resolv.conf", "w", encoding="ascii") as out:
            out.write(text)

    def command(self):
        """Put before a command line, it runs the command here (by exec: the process id stays the same)."""
        return ["ip", "netns", "exec", self.name]

    def ip(self, *words, check=True):
        return _ip("-n", self.name, *words, check=check).stdout

    def run(self, *command, check=True, **options):
        return subprocess.run([*self.command(), *command], check=check, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=60, **options)

    def dummy(self, interface, *addresses, default_route=True):
        """An interface that leads nowhere: a cable with both ends here, for not every kernel has dummies. As the way
        to everywhere it counts as one that leads out of the machine."""
        peer = f"{interface}-end"
        self.ip("link", "add", interface, "type", "veth", "peer", "name", peer)
        self.ip("link", "set", peer, "addrgenmode", "none")
        self.ip("link", "set", peer, "up")
        self.ip("link", "set", interface, "up")
        if default_route:
            self.default_route(interface)
        for address in addresses:
            self.add_address(interface, address)

    def default_route(self, interface):
        """In both families, for the last IPv4 address takes the one of IPv4 along. Several differ in their metric."""
        index = json.loads(self.ip("-j", "link", "show", "dev", interface))[0]["ifindex"]
        for family in ("-4", "-6"):
            self.ip(family, "route", "add", "default", "dev", interface, "metric", str(100 + index))

    def veth(self, interface, other, other_interface):
        """A cable from `interface` here, the way to everywhere, to `other_interface` in the namespace `other`."""
        self.ip("link", "add", interface, "type", "veth", "peer", "name", other_interface, "netns", other.name)
        self.ip("link", "set", interface, "up")
        other.ip("link", "set", other_interface, "up")
        self.default_route(interface)

    def add_address(self, interface, address, valid=None, preferred=None):
        words = ["address", "add", address, "dev", interface]
        if ":" in address:
            words.append("nodad")
        if valid is not None:
            words += ["valid_lft", str(valid), "preferred_lft", str(valid if preferred is None else preferred)]
        self.ip(*words)

    def change_address(self, interface, address, valid, preferred=None):
        self.ip("address", "change", address, "dev", interface, "valid_lft", str(valid), "preferred_lft",
                str(valid if preferred is None else preferred))

    def delete_address(self, interface, address):
        self.ip("address", "del", address, "dev", interface)

    def _path(self):
        return f"/run/netns/{self.name}"

    def __enter__(self):
        outer = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._outer.descriptors = [*getattr(self._outer, "descriptors", []), outer]
        inner = os.open(self._path(), os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._enter(inner)
        finally:
            os.close(inner)
        return self

    def __exit__(self, *_):
        outer = self._outer.descriptors.pop()
        try:
            self._enter(outer)
        finally:
            os.close(outer)

    @staticmethod
    def _enter(descriptor):
        if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    def teardown(self):
        for pid in _ip("netns", "pids", self.name, check=False).stdout.split():
            if int(pid) != os.getpid():
                os.kill(int(pid), signal.SIGKILL)
        _ip("netns", "del", self.name, check=False)
        try:
            os.unlink(f"/etc/netns/{self.name}/resolv.conf")
            os.rmdir(f"/etc/netns/{self.name}")
        except FileNotFoundError:
            pass
        return []
