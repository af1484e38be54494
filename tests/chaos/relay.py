# SPDX-License-Identifier: LGPL-2.1-or-later
"""A path between the registrar and a DNS server on which messages are late, lost, or come twice, as on a real one:
only what a path and a live server can do. What was answered over TCP is not delivered again."""

import random
import socket
import struct
import threading
import time

from lab import free_port
from lab.relay import read_message


class Path:
    """`trouble` is one of None, "cut" (the server's answer is lost, the connection ends), "hold" (delivered late,
    whoever waits), "late" (the answer is late), "twice" (answer lost, delivered again), "deaf" (nothing passes
    until it is over, then all of it), each for a share of the messages; `seconds` is how long."""

    def __init__(self, server, seed):
        self.server = server
        self.random = random.Random(seed)
        self.trouble = None
        self.share = 1.0
        self.seconds = 1.0
        self.counts = {}
        self.over = threading.Event()
        self.over.set()
        self.late = 0  # messages still to be delivered
        self._lock = threading.Lock()
        self._sockets = set()
        self._listener = None
        self.address = self.port = None
        self.move("127.0.0.1")

    def move(self, address):
        """Is reached at another address from now on, and not any more at the old one."""
        old = self._listener
        self.address, self.port = address, free_port()
        self._listener = socket.create_server((address, self.port), backlog=64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        if old:
            self._shut(old)
            self.break_all()

    def set(self, trouble, share=1.0, seconds=1.0):
        self.share, self.seconds = share, seconds
        if trouble == "deaf":
            self.over.clear()
        self.trouble = trouble

    def clear(self):
        self.trouble = None
        self.over.set()

    def break_all(self):
        with self._lock:
            for one in self._sockets:
                self._shut(one)

    def settled(self):
        with self._lock:
            return self.late == 0

    def upstream(self, *arguments, **options):
        entry = self.server.upstream(*arguments, **options)
        entry["hostname"], entry["port"] = self.address, self.port
        return entry

    def teardown(self):
        self.clear()
        self._shut(self._listener)
        self.break_all()
        return []

    @staticmethod
    def _shut(one):
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        one.close()

    def _accept(self, listener):
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._sockets.add(peer)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _ask(self, message, server):
        """The server's answer, over a connection that is kept while it works."""
        try:
            if server[0] is None:
                server[0] = socket.create_connection((self.server.address, self.server.port), timeout=60)
            server[0].sendall(struct.pack("!H", len(message)) + message)
            return read_message(server[0])
        except (OSError, EOFError):
            if server[0]:
                server[0].close()
            server[0] = None
            raise

    def _again(self, message):
        try:
            self._ask(message, [None])
        except (OSError, EOFError):
            pass
        self._count(-1)

    def _count(self, n):
        with self._lock:
            self.late += n

    def _pass(self, message, server, trouble):
        """The answer that the sender gets. What waits here is delivered however long its sender is gone, and
        nothing of the same connection overtakes it."""
        if trouble not in ("deaf", "hold"):
            answer = self._ask(message, server)
            if trouble == "late":
                time.sleep(self.seconds)
            return answer
        self._count(1)
        try:
            if trouble == "deaf":
                self.over.wait()
            else:
                time.sleep(self.seconds)
            return self._ask(message, server)
        finally:
            self._count(-1)

    def _serve(self, peer):
        server = [None]
        try:
            while True:
                message = read_message(peer)
                trouble = self.trouble if self.random.random() < self.share else None
                update = message[2] >> 3 & 15 == 5
                if trouble:
                    self.counts[trouble] = self.counts.get(trouble, 0) + 1
                answer = self._pass(message, server, trouble)
                if trouble == "twice" and update:
                    self._count(1)
                    timer = threading.Timer(self.seconds, self._again, (message,))
                    timer.daemon = True
                    timer.start()
                if trouble in ("cut", "twice"):
                    break
                peer.sendall(struct.pack("!H", len(answer)) + answer)
        except (OSError, EOFError):
            pass
        finally:
            with self._lock:
                self._sockets.discard(peer)
            self._shut(peer)
            if server[0]:
                server[0].close()
