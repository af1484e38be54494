# SPDX-License-Identifier: LGPL-2.1-or-later
"""The original daemon, as protocol.md tells of it, for tests that it is still served: it knows single records
only, wants the KEY every time, packs a request anew before it verifies it, echoes what it accepted and leaves out
the rest, answers no question but the one for itself, and has never heard of leases or EDE.

Run as a program it listens, and writes what it holds as JSON to a file after every change."""

import ipaddress
import json
import os
import socket
import struct
import sys
import threading

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, NOTAUTH = 0, 1, 2, 3, 4, 5, 9
A, TXT, SIG, KEY, AAAA, SRV, SOA, OPT, ANY_TYPE = 1, 16, 24, 25, 28, 33, 6, 41, 255
IN, NONE, ANY = 1, 254, 255

ALLOWED = [ipaddress.ip_network(text) for text in ("127.0.0.0/8", "10.0.0.0/8", "::1/128", "fd00::/8")]


def wire_name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.rstrip(".").split(".") if label) + b"\0"


def read_name(message, position):
    labels, end = [], None
    while True:
        length = message[position]
        if length >= 0xC0:
            end = end or position + 2
            position = (length & 0x3F) << 8 | message[position + 1]
            continue
        position += 1
        if length == 0:
            return ".".join(labels) + ".", end or position
        labels.append(message[position:position + length].decode("latin-1"))
        position += length


class Refusal(Exception):
    def __init__(self, rcode, text):
        super().__init__(text)
        self.rcode = rcode


class Request:
    def __init__(self, message):
        self.message = message
        self.id, self.flags, *self.counts = struct.unpack("!HHHHHH", message[:12])
        position = 12
        self.question = None
        for _ in range(self.counts[0]):
            name, position = read_name(message, position)
            self.question = (name.lower(), *struct.unpack("!HH", message[position:position + 4]))
            position += 4
        self.question_end = position
        self.sections = []
        # Packed anew, without pointers: what is verified, whatever was received.
        self.packed = bytearray(message[:position])
        self.last_at = position
        for count in self.counts[1:]:
            section = []
            for _ in range(count):
                start = position
                name, position = read_name(message, position)
                fixed = message[position:position + 10]
                kind, rclass, ttl, length = struct.unpack("!HHIH", fixed)
                position += 10
                section.append((name, kind, rclass, ttl, message[position:position + length], start, position))
                self.last_at = len(self.packed)
                self.packed += wire_name(name) + fixed + message[position:position + length]
                position += length
            self.sections.append(section)

    @property
    def opcode(self):
        return self.flags >> 11 & 15

    def reply(self, rcode, answer=b"", answers=0, additional=b"", additionals=0):
        header = struct.pack("!HHHHHH", self.id, 0x8000 | self.opcode << 11 | rcode, self.counts[0], answers, 0,
                             additionals)
        return header + self.message[12:self.question_end] + answer + additional


class Daemon:
    def __init__(self, zone, port, state, max_ttl, lease=False, localhost=False):
        self.zone = zone.rstrip(".") + "."
        self.port = port
        self.state = state
        self.max_ttl = max_ttl
        self.lease = lease  # answers with Update Lease, as the original never did
        self.localhost = localhost  # names its listen-addr as it is by default, without an address
        self.keys = {}
        self.records = self.found()
        self.log = []
        self.lock = threading.Lock()

    def found(self):
        """What one that was killed left in the DNS: this one takes it away when told so, never by itself."""
        if not os.path.exists(self.state):
            return {}
        with open(self.state, encoding="ascii") as state:
            return {name: set(found) for name, found in json.load(state)["records"].items()}

    def save(self):
        text = json.dumps({"records": {name: sorted(found) for name, found in self.records.items()}, "log": self.log})
        with open(self.state + ".new", "w", encoding="ascii") as out:
            out.write(text)
        os.rename(self.state + ".new", self.state)

    def answer(self, message):
        request = Request(message)
        if request.opcode == 0:
            return self.query(request)
        if request.opcode != 5:
            return request.reply(NOTIMP)
        with self.lock:
            try:
                return self.update(request)
            except Refusal as refusal:
                self.log.append({"rcode": refusal.rcode, "text": str(refusal)})
                self.save()
                return self.refuse(request, refusal)

    def query(self, request):
        name, kind, _ = request.question
        if kind == SRV and name == f"_nsreg._tcp.{self.zone}":
            target = wire_name("localhost." if self.localhost else f"nsreg.{self.zone}")
            rdata = struct.pack("!HHH", 0, 0, self.port) + target
            answer = wire_name(name) + struct.pack("!HHIH", SRV, IN, 0, len(rdata)) + rdata
            if self.localhost:
                return request.reply(NOERROR, answer, 1)
            glue = target + struct.pack("!HHIH", A, IN, 0, 4) + socket.inet_aton("127.0.0.1")
            return request.reply(NOERROR, answer, 1, glue, 1)
        return self.refuse(request, Refusal(REFUSED, "Non-update query refused"))

    def refuse(self, request, refusal):
        text = str(refusal).encode()
        rr = wire_name(self.zone) + struct.pack("!HHIH", TXT, ANY, 0, len(text) + 1) + bytes([len(text)]) + text
        return request.reply(refusal.rcode, additional=rr, additionals=1)

    def verify(self, request, signature, key):
        rdata = signature[4]
        signer, end = read_name(rdata, 18)
        public = key[4:]
        size = {13: 32, 14: 48}.get(key[3])
        if size is None or rdata[2] != key[3]:
            raise Refusal(REFUSED, "algorithm")
        curve, digest = (ec.SECP256R1(), hashes.SHA256()) if size == 32 else (ec.SECP384R1(), hashes.SHA384())
        numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(public[:size], "big"),
                                                int.from_bytes(public[size:], "big"), curve)
        octets = rdata[end:]
        body = request.packed[:request.last_at]
        body[10:12] = struct.pack("!H", request.counts[3] - 1)
        try:
            numbers.public_key().verify(
                encode_dss_signature(int.from_bytes(octets[:size], "big"), int.from_bytes(octets[size:], "big")),
                rdata[:end] + bytes(body), ec.ECDSA(digest))
        except InvalidSignature as error:
            raise Refusal(NOTAUTH, "signature") from error
        return signer.lower()

    def update(self, request):
        if request.question[0] != self.zone:
            raise Refusal(NOTAUTH, "zone")
        additional = request.sections[2]
        keys = [rr for rr in additional if rr[1] == KEY]
        signatures = [rr for rr in additional if rr[1] == SIG]
        if len(keys) != 1 or len(signatures) != 1 or additional[-1] is not signatures[0]:
            raise Refusal(FORMERR, "one KEY and one SIG are needed")
        if keys[0][3] == 0:
            raise Refusal(FORMERR, "KEY TTL is zero")
        name = keys[0][0].lower()
        for rr in request.sections[1]:
            if rr[1] not in (A, AAAA) or rr[0].lower() != name:
                raise Refusal(REFUSED, "type or name")
            if rr[2] not in (IN, NONE) or (rr[3] == 0) != (rr[2] == NONE):
                raise Refusal(FORMERR, "class or TTL")
            if len(rr[4]) not in (4, 16):
                raise Refusal(FORMERR, "delete-RRset is not supported")
        if self.verify(request, signatures[0], keys[0][4]) != name:
            raise Refusal(REFUSED, "signer")
        if self.keys.setdefault(name, keys[0][4][4:]) != keys[0][4][4:]:
            raise Refusal(REFUSED, "name is owned by another key")
        return self.apply(request, name)

    def apply(self, request, name):
        held = self.records.setdefault(name, set())
        answer, count = b"", 0
        for owner, kind, rclass, ttl, rdata, *_ in request.sections[1]:
            address = str(ipaddress.ip_address(rdata))
            if not any(ipaddress.ip_address(rdata) in network for network in ALLOWED):
                continue
            if rclass == NONE:
                held.discard(address)
                granted = 0
            else:
                held.add(address)
                granted = min(ttl, self.max_ttl)
            answer += wire_name(owner) + struct.pack("!HHIH", kind, rclass, granted, len(rdata)) + rdata
            count += 1
        self.log.append({"rcode": NOERROR, "classes": [rr[2] for rr in request.sections[1]]})
        self.save()
        if not self.lease:
            return request.reply(NOERROR, answer, count)
        option = struct.pack("!HHII", 2, 8, self.max_ttl, 7200)
        opt = b"\0" + struct.pack("!HHIH", OPT, 1232, 0, len(option)) + option
        return request.reply(NOERROR, answer, count, opt, 1)


def serve(connection, daemon):
    with connection:
        stream = connection.makefile("rb")
        while True:
            length = stream.read(2)
            if len(length) < 2:
                return
            message = stream.read(struct.unpack("!H", length)[0])
            reply = daemon.answer(message)
            connection.sendall(struct.pack("!H", len(reply)) + reply)


def main():
    address, port, zone, state, max_ttl, *more = sys.argv[1:]
    daemon = Daemon(zone, int(port), state, int(max_ttl), "lease" in more, "localhost" in more)
    daemon.save()
    listener = socket.create_server((address, int(port)))
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, daemon), daemon=True).start()


if __name__ == "__main__":
    main()
