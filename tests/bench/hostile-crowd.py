#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A hundred owners who refresh once a second, while others do what they can to keep them out: default limits,
loopback not exempt, nsregd on one processor and everybody else on another, where there are two. One JSON line a case:
how long owners waited, how many refreshes were refused or got no answer, what the daemon and the kernel held. Half of
the owners keep their connection and half come anew each time; half share their address with attackers.

Meant for a release build: meson test --benchmark. SECONDS: how long each case takes (10). CASES: which, by name (all).
DESCRIPTORS: how many the daemon has (as configured for the service)."""

import ctypes
import json
import multiprocessing
import os
import resource
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time

import crowd
from lab import Key
from lab.bus import Bus
from lab.client import Reply
from lab.programs import Nsregd

ZONE = "d.example"
OWNERS = 100
SECONDS = int(os.environ.get("SECONDS", "10"))
DESCRIPTORS = int(os.environ.get("DESCRIPTORS", "16384"))
PATIENCE = 5.0
# Blocks of addresses that the attackers of crowd.py use.
ATTACKED = (10, 11, 13, 15)


class Target:
    """What the attackers know."""

    def __init__(self, nsregd, bus, ipv6):
        self.address, self.port, self.ipv6 = nsregd.address, nsregd.port, ipv6
        self.bus_environment = bus.environment
        self.bus_tool = os.path.join(os.environ["NSREG_BUILD"], "tests", "tools", "bus-tool")
        name = b"".join(bytes([len(label)]) + label.encode() for label in ZONE.split(".")) + b"\0"
        self.question = struct.pack("!6H", 1, 0, 1, 0, 0, 0) + name + struct.pack("!2H", 6, 1)
        self.forged, self.own, self.fresh = [], [], []


class Owner:
    """Refreshes are signed beforehand."""

    def __init__(self, nsregd, number, cases):
        if number % 2:
            block = ATTACKED[number // 2 % len(ATTACKED)]
            self.source = f"127.{block}.0.{number // 8 + 1}"
        else:
            self.source = f"127.200.{number}.1"
        self.kept = number % 4 < 2
        self.target = (nsregd.address, nsregd.port)
        self.label = f"owner{number}"
        self.client = nsregd.client(ZONE, source=self.source)
        now = int(time.time())
        span = {"expiration": now + 1200}
        reply = self.client.claim(self.label, ("10.0.0.1", 3600), inception=now - 2300, **span)
        assert reply.rcode == "NOERROR", reply
        self.messages = [crowd.frame(self.client.original(self.label, [("10.0.0.1", 3600)], inception=now - 2200 + i,
                                                          **span).wire) for i in range(cases * (SECONDS + 3))]
        self.peer, self.begun, self.heard = None, None, b""

    def begin(self):
        self.begun, self.heard = time.monotonic(), b""
        if self.peer is None:
            self.peer = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self.peer.setblocking(False)
            self.peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.peer.bind((self.source, 0))
            self.peer.connect_ex(self.target)
        self.unsent = self.messages.pop(0)

    def close(self):
        if self.peer is not None:
            self.peer.close()
        self.peer = None

    def step(self, readable, writable):
        """(seconds, what came of it) when it has come to its end, else None. An owner whose kept connection was closed
        while it did not need it makes another one."""
        try:
            if writable and self.unsent:
                self.unsent = self.unsent[self.peer.send(self.unsent):]
            if readable:
                octets = self.peer.recv(65536)
                if not octets:
                    raise ConnectionError
                self.heard += octets
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return self._end("lost")
        if len(self.heard) < 2 or len(self.heard) < 2 + struct.unpack("!H", self.heard[:2])[0]:
            return self._end("lost") if time.monotonic() - self.begun > PATIENCE else None
        reply = Reply(self.heard[2:])
        if not self.kept:
            self.close()
        return self._end("granted" if reply.rcode == "NOERROR" else "refused")

    def _end(self, what):
        waited, self.begun = time.monotonic() - self.begun, None
        if what == "lost":
            self.close()
        return waited, what


def real_time(processor):
    """Nobody who attacks delays the clock of those who measure."""
    if os.cpu_count() > 1:
        os.sched_setaffinity(0, {processor})
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    except OSError:
        pass


def idle_closed(owner):
    """Was a kept connection closed since the last refresh? That costs nothing but a new one."""
    if owner.peer is None:
        return
    try:
        if owner.peer.recv(1, socket.MSG_PEEK) == b"":
            owner.close()
    except BlockingIOError:
        pass
    except OSError:
        owner.close()


def measure(owners):
    """All refresh once a second, spread over it; returns [(seconds, what came of it)]."""
    results, due = [], {owner: time.monotonic() + i / len(owners) for i, owner in enumerate(owners)}
    end = time.monotonic() + SECONDS
    poll = None
    while time.monotonic() < end or any(owner.begun for owner in owners):
        now = time.monotonic()
        for owner in owners:
            if owner.begun is None and due[owner] <= now < end:
                idle_closed(owner)
                owner.begin()
                due[owner] += 1
        busy = [owner for owner in owners if owner.begun is not None]
        poll = select.poll()
        by_number = {}
        for owner in busy:
            poll.register(owner.peer, select.POLLIN | (select.POLLOUT if owner.unsent else 0))
            by_number[owner.peer.fileno()] = owner
        events = dict(poll.poll(2 if busy else 1))
        for owner in busy:
            event = events.get(owner.peer.fileno(), 0)
            done = owner.step(event & (select.POLLIN | select.POLLHUP | select.POLLERR), event & select.POLLOUT)
            if done:
                results.append(done)
    return results


def resident(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2 ** 20


def kernel_memory():
    """Of TCP, on the whole machine."""
    with open("/proc/net/sockstat", encoding="ascii") as stat:
        words = next(line for line in stat if line.startswith("TCP:")).split()
    return int(words[words.index("mem") + 1]) * os.sysconf("SC_PAGE_SIZE") / 2 ** 20


def kernel_counter(name):
    """Of this network's TCP."""
    with open("/proc/self/net/netstat", encoding="ascii") as stat:
        lines = [line.split() for line in stat if line.startswith("TcpExt:")]
    return int(dict(zip(*lines))[name])


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def case(name, attacks, owners, nsregd, target):
    pids = [crowd.begin(attack, target, 1) for attack in attacks]
    try:
        time.sleep(2)
        pid, queue = nsregd.process.pid, multiprocessing.Queue()
        begin, log = processor_seconds(pid), len(nsregd.log())
        overflows = kernel_counter("ListenOverflows")
        results = measure(owners)
        waits = sorted(waited for waited, what in results if what == "granted") or [0.0]
        print(json.dumps({
            "case": name, "refreshes": len(results), "refused": sum(what == "refused" for _, what in results),
            "lost": sum(what == "lost" for _, what in results),
            "p50_msec": round(waits[len(waits) // 2] * 1000, 2),
            "p99_msec": round(waits[len(waits) * 99 // 100] * 1000, 2), "longest_msec": round(waits[-1] * 1000, 2),
            "processor": round((processor_seconds(pid) - begin) / SECONDS, 2), "resident_mib": round(resident(pid), 1),
            "kernel_mib": round(kernel_memory(), 1), "log_kib": round((len(nsregd.log()) - log) / 1024, 1),
            "not_accepted": kernel_counter("ListenOverflows") - overflows}),
            flush=True)
        queue.close()
    finally:
        for one in pids:
            crowd.end(one)


def own_network():
    """Addresses of a /64, where that may be had: then the loopback is nobody else's either."""
    if os.geteuid() != 0 or ctypes.CDLL(None, use_errno=True).unshare(0x40000000) != 0:
        return False
    for words in (["link", "set", "lo", "up"], ["-6", "route", "add", "local", "fd00:0:0:64::/64", "dev", "lo"]):
        subprocess.run(["ip", *words], check=True)
    return True


def prepare(nsregd, target, cases):
    now = int(time.time())
    owners = [Owner(nsregd, number, cases) for number in range(OWNERS)]
    for owner in owners:
        target.forged.append(crowd.spoil(owner.client.original(owner.label, ["10.66.0.1"], inception=now - 100,
                                                               expiration=now + 1800).wire))
    for number, source in enumerate(crowd.of(17, 150)):
        client = nsregd.client(ZONE, source=source)
        assert client.claim(f"own{number}", "10.0.0.1", inception=now - 2000, expiration=now + 1500).rcode == "NOERROR"
        target.own.append((source, crowd.spoil(client.original(f"own{number}", ["10.0.0.2"], inception=now - 100,
                                                               expiration=now + 1800).wire)))
    for number in range(2000):
        client = nsregd.client(ZONE, key=Key.generate(13))
        target.fresh.append(crowd.spoil(client.original(f"fresh{number}", ["10.0.0.1"], inception=now - 100,
                                                        expiration=now + 1800).wire))
    return owners


def main():
    ipv6 = own_network()
    names = [name for name in os.environ.get("CASES", " ".join(["quiet", *crowd.ATTACKS, "all"])).split()]
    with tempfile.TemporaryDirectory(prefix="nsreg-bench-") as directory:
        os.mkdir(os.path.join(directory, "bus"))
        os.chmod(directory, 0o755)
        bus = Bus(os.path.join(directory, "bus")).start()
        nsregd = Nsregd(os.path.join(directory, "nsregd"),
                        zones={ZONE: {"allowed-nets": ["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"],
                                      "max-names-per-source": 64}},
                        limits={"exempt-nets": []}, environment=bus.environment)
        nsregd.config["listen-addr"] = "::"
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(DESCRIPTORS, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
                                                    resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        nsregd.start()
        if os.cpu_count() > 1:
            os.sched_setaffinity(nsregd.process.pid, {0})
        try:
            # What else runs on this machine is not what is measured.
            os.setpriority(os.PRIO_PROCESS, nsregd.process.pid, -15)
            with open(f"/proc/{nsregd.process.pid}/autogroup", "w", encoding="ascii") as group:
                group.write("-15")
        except OSError:
            pass
        try:
            target = Target(nsregd, bus, ipv6)
            owners = prepare(nsregd, target, len(names))
            real_time(1)
            for name in names:
                attacks = {"quiet": [], "all": list(crowd.ATTACKS)}.get(name) or name.split("+")
                attacks = [] if name == "quiet" else attacks
                case(name, attacks, owners, nsregd, target)
        finally:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            for part in (nsregd, bus):
                for complaint in part.teardown():
                    print(complaint, file=sys.stderr)


if __name__ == "__main__":
    main()
