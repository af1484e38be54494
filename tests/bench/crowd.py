# SPDX-License-Identifier: LGPL-2.1-or-later
"""Those who mean no good, each a process of its own, as hard as it can until it is ended. Each is a function of the
target: where the daemon is, and what was prepared for the attack."""

import os
import random
import resource
import select
import signal
import socket
import struct
import time

IPV6_FREEBIND = 78


def frame(message):
    return struct.pack("!H", len(message)) + message


def spoil(message):
    return message[:-1] + bytes([message[-1] ^ 1])


def connect(target, source):
    """A connection that is being made, from this source; None when the machine will not have it."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    peer = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_INET6:
            peer.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
        else:
            # The port is chosen when it is known where to: one source may have thousands.
            peer.setsockopt(socket.IPPROTO_IP, 24, 1)
        # What the kernel holds for the attackers is not what is measured.
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        peer.setblocking(False)
        peer.bind((source, 0))
        peer.connect_ex((target.address if family == socket.AF_INET else "::1", target.port))
        return peer
    except OSError:
        peer.close()
        return None


class Crowd:
    """Many connections, from these sources in turn, that come again when they are closed. `saying(number)` is what
    one says whenever it can; None: nothing."""

    def __init__(self, target, sources, n, saying=None, reads=True, pause=0.0, chunk=None):
        self.target, self.sources, self.n = target, sources, n
        self.saying, self.reads, self.pause, self.chunk = saying, reads, pause, chunk
        self.epoll = select.epoll()
        self.peers, self.made = {}, 0

    def come(self):
        peer = connect(self.target, self.sources[self.made % len(self.sources)])
        self.made += 1
        if peer is None:
            return
        if not self.reads:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        said = self.saying(self.made) if self.saying else b""
        self.peers[peer.fileno()] = [peer, said, 0]
        events = select.EPOLLHUP | select.EPOLLERR | select.EPOLLRDHUP
        if self.reads:
            events |= select.EPOLLIN
        if said and not self.pause:
            events |= select.EPOLLOUT
        self.epoll.register(peer.fileno(), events)

    def leave(self, number):
        self.peers.pop(number)[0].close()

    def say(self, number):
        peer, said, at = self.peers[number]
        n = peer.send(said[at:at + (self.chunk or len(said))])
        self.peers[number][2] = (at + n) % len(said)

    def on_event(self, number, events):
        try:
            if events & (select.EPOLLHUP | select.EPOLLERR | select.EPOLLRDHUP):
                raise ConnectionError
            if events & select.EPOLLIN and not self.peers[number][0].recv(1 << 16):
                raise ConnectionError
            if events & select.EPOLLOUT:
                self.say(number)
        except BlockingIOError:
            pass
        except OSError:
            self.leave(number)

    def run(self):
        while True:
            for _ in range(min(self.n - len(self.peers), 200)):
                self.come()
            for number, events in self.epoll.poll(0.01, 512):
                if number in self.peers:
                    self.on_event(number, events)
            if not self.pause:
                continue
            for number in list(self.peers):
                try:
                    self.say(number)
                except BlockingIOError:
                    pass
                except OSError:
                    self.leave(number)
            time.sleep(self.pause)


def of(block, n):
    """So many sources, each a host of its own."""
    return [f"127.{block}.{i // 250}.{i % 250 + 1}" for i in range(n)]


def silent(target):
    Crowd(target, of(10, 500), 10000).run()


def loris(target):
    Crowd(target, of(11, 100), 2000, lambda _: frame(target.forged[0]), pause=0.05, chunk=1).run()


def unread(target):
    Crowd(target, of(12, 1), 250, lambda _: frame(target.question) * 50, reads=False).run()


def forged(target):
    Crowd(target, of(13, 40), 400, lambda i: frame(target.forged[i % len(target.forged)]) * 10).run()


def own(target):
    """Signatures that are wrong, for names that are the attackers' own, from where they claimed them."""
    sources = [source for source, _ in target.own]
    Crowd(target, sources, 300, lambda i: frame(target.own[(i - 1) % len(target.own)][1]) * 10).run()


def fresh(target):
    """Claims with keys that nobody saw before, from one /64."""
    sources = [f"fd00:0:0:64::{i:x}" for i in range(1, 5000)] if target.ipv6 else of(14, 200)
    Crowd(target, sources, 400, lambda i: frame(target.fresh[i % len(target.fresh)])).run()


def garbage(target):
    chance = random.Random(1)
    Crowd(target, of(15, 100), 400, lambda _: chance.randbytes(3000)).run()


def udp(target):
    peers = []
    for source in of(16, 50):
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        peer.bind((source, 0))
        peer.setblocking(False)
        peers.append(peer)
    while True:
        for peer in peers:
            for message in (target.question, target.forged[0]):
                try:
                    peer.sendto(message, (target.address, target.port))
                except OSError:
                    pass


def local(target):
    """A user of this machine, from the one address that it has."""
    Crowd(target, ["127.0.0.1"], 7000).run()


def bus(target):
    while True:
        pid = os.fork()
        if pid == 0:
            os.setuid(65534)
            os.execve(target.bus_tool, [target.bus_tool, "flood", "2500"], {**os.environ, **target.bus_environment})
        os.waitpid(pid, 0)


ATTACKS = {"silent": silent, "loris": loris, "unread": unread, "forged": forged, "own": own, "fresh": fresh,
           "garbage": garbage, "udp": udp, "local": local, "bus": bus}


def begin(attack, target, processor):
    """Returns the process id."""
    pid = os.fork()
    if pid == 0:
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            os.setpgid(0, 0)
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            # What passes the kernel on their processor must not wait for all of them to have had their turn.
            os.nice(19)
            with open(os.devnull, "r+b", buffering=0) as null:
                os.dup2(null.fileno(), 1)
            most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
            if os.cpu_count() > 1:
                os.sched_setaffinity(0, {processor})
            ATTACKS[attack](target)
        finally:
            os._exit(1)
    return pid


def end(pid):
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
