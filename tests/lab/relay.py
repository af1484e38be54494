# SPDX-License-Identifier: LGPL-2.1-or-later
"""A relay in front of a real DNS server, which can be told to misbehave."""

import socket
import struct
import threading
import time

import dns.message
import dns.rcode
import dns.tsig

from .process import free_port

LOOPBACK = "127.0.0.1"


def _read_exactly(peer, length):
    data = b""
    while len(data) < length:
        part = peer.recv(length - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def read_message(peer):
    """One message with its length before it; EOFError where the connection ends."""
    return _read_exactly(peer, struct.unpack("!H", _read_exactly(peer, 2))[0])


class Relay:
    """Modes: "pass" (as if it were not there), "silent" (nothing is passed on, nothing answered), "swallow"
    (passed on, the answer is not), "deaf" (the same, but for updates that change something alone), "half" (half of an answer), "garbage", "unsigned" and "forged" (success that
    the server never said), "servfail", "notzone", "refused" (signed), "slow" (the true answer, late), "close" (the connection ends
    instead of an answer). To questions with an OPT, as servers that know no EDNS: "formerr-to-opt", "notimp-to-opt",
    "deaf-to-opt"."""

    def __init__(self, server, mode="pass"):
        self.server = server
        self.mode = mode
        self.delay = 0.5
        self.limit = None  # a connection ends behind so many answers
        self.datagram_max = None  # larger ones are lost
        self.datagram_sizes = []
        self.address = LOOPBACK
        self.port = free_port()
        self.n_connections = 0
        self.n_messages = 0
        self.n_updates = 0
        self.n_changes = 0  # of those, which change something
        self._running = True
        self._sockets = []
        self._lock = threading.Lock()
        self._listener = socket.create_server((LOOPBACK, self.port), backlog=64)
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._datagrams.bind((LOOPBACK, self.port))
        for target in (self._accept, self._receive):
            threading.Thread(target=target, daemon=True).start()

    def upstream(self, *arguments, **options):
        # A short fudge: what gets lost here is not long in doubt.
        entry = self.server.upstream(*arguments, **{"tsig_fudge": "2s", **options})
        entry["port"] = self.port
        return entry

    def teardown(self):
        self._running = False
        with self._lock:
            sockets = [self._listener, self._datagrams, *self._sockets]
        for one in sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()
        return []

    # -- what it does to a message

    def _forward(self, message):
        with socket.create_connection((self.server.address, self.server.port), timeout=10) as peer:
            peer.sendall(struct.pack("!H", len(message)) + message)
            return read_message(peer)

    def _make(self, message, rcode, signed):
        try:
            query = dns.message.from_wire(message, keyring=self.server.key.keyring())
        except dns.tsig.PeerError:
            return None
        response = dns.message.make_response(query)
        response.set_rcode(rcode)
        if not signed:
            response.tsig = None
            response.keyring = None
        return response.to_wire()

    def _answer(self, message):
        """The octets to be sent back, None for none."""
        mode = self.mode
        self.n_messages += 1
        if message[2] >> 3 & 15 == 5:
            self.n_updates += 1
            self.n_changes += struct.unpack("!H", message[8:10])[0] > 0
        if mode == "silent":
            return None
        if mode == "swallow":
            self._forward(message)
            return None
        if mode == "deaf" and message[2] >> 3 & 15 == 5 and struct.unpack("!H", message[8:10])[0] > 0:
            self._forward(message)
            return None
        if mode == "late" and message[2] >> 3 & 15 == 5 and struct.unpack("!H", message[8:10])[0] > 0:
            # What changes something reaches the server when nobody waits for it any more.
            threading.Timer(self.delay, self._forward, (message,)).start()
            return None
        if mode == "garbage":
            return message[:2] + bytes(range(256))
        if mode == "unsigned":
            return self._make(message, dns.rcode.NOERROR, False)
        if mode == "forged":
            wire = bytearray(self._make(message, dns.rcode.NOERROR, True))
            # Within the MAC: behind it are original ID, error, other length.
            wire[-10] ^= 1
            return bytes(wire)
        if mode in ("servfail", "notzone", "refused"):
            return self._make(message, dns.rcode.from_text(mode), True)
        if mode.endswith("-to-opt") and message[11]:
            rcode = {"formerr-to-opt": 1, "notimp-to-opt": 4}.get(mode)
            return None if rcode is None else message[:2] + bytes([0x80, rcode, 0, 0, 0, 0, 0, 0, 0, 0])
        if mode == "slow":
            time.sleep(self.delay)
        return self._forward(message)

    # -- TCP

    def _accept(self):
        while self._running:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._sockets.append(peer)
            self.n_connections += 1
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        n_answers = 0
        try:
            while self.limit is None or n_answers < self.limit:
                n_answers += 1
                message = read_message(peer)
                if self.mode == "close":
                    self.n_messages += 1
                    break
                answer = self._answer(message)
                if answer is None:
                    continue
                framed = struct.pack("!H", len(answer)) + answer
                if self.mode == "half":
                    peer.sendall(framed[:len(framed) // 2])
                    continue
                peer.sendall(framed)
        except (OSError, EOFError):
            pass
        peer.close()

    # -- UDP

    def _receive(self):
        while self._running:
            try:
                message, peer = self._datagrams.recvfrom(65535)
                if not message:
                    continue
                self.datagram_sizes.append(len(message))
                if self.datagram_max is not None and len(message) > self.datagram_max:
                    continue
                answer = self._answer(message)
                if answer is not None:
                    self._datagrams.sendto(answer, peer)
            except (OSError, EOFError):
                continue
