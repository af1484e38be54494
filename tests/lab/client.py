# SPDX-License-Identifier: LGPL-2.1-or-later
"""Connections, replies, and a client that speaks like the original one unless told otherwise."""

import collections
import socket
import struct

from .dns import CLASS_NAMES, RCODES, TYPE_NAMES, Key, Update, address_type

Record = collections.namedtuple("Record", "name type rclass ttl rdata")


def _read_name(octets, position):
    labels = []
    end = None
    hops = 0
    while True:
        length = octets[position]
        if length >= 0xC0:
            if end is None:
                end = position + 2
            position = (length & 0x3F) << 8 | octets[position + 1]
            hops += 1
            assert hops < 64, "pointer loop in a reply"
            continue
        position += 1
        if length == 0:
            break
        labels.append(octets[position:position + length])
        position += length
    text = "".join(label.decode("latin-1") + "." for label in labels) or "."
    return text, end if end is not None else position


class Reply:
    """A reply taken apart without mercy: it must be exactly as long as its sections."""

    def __init__(self, octets):
        self.octets = octets
        (self.id, flags, questions, answers, authorities, additionals) = struct.unpack("!HHHHHH", octets[:12])
        self.flags = flags
        assert flags & 0x8000, "a reply without QR"
        self.opcode = flags >> 11 & 15
        position = 12
        self.question = []
        for _ in range(questions):
            name, position = _read_name(octets, position)
            self.question.append((name, *struct.unpack("!HH", octets[position:position + 4])))
            position += 4
        self.answer, position = self._section(octets, position, answers)
        self.authority, position = self._section(octets, position, authorities)
        self.additional, position = self._section(octets, position, additionals)
        assert position == len(octets), "octets behind the last RR of a reply"
        self.opt = None
        code = flags & 15
        for record in self.additional:
            if record.type == "OPT":
                assert self.opt is None, "two OPT in a reply"
                self.opt = record
                code |= (record.ttl >> 24) << 4
        self.rcode = RCODES.get(code, str(code))
        self.options = self._options()

    @staticmethod
    def _section(octets, position, count):
        records = []
        for _ in range(count):
            name, position = _read_name(octets, position)
            kind, rclass, ttl, length = struct.unpack("!HHIH", octets[position:position + 10])
            position += 10
            rdata = octets[position:position + length]
            assert len(rdata) == length, "a reply cut short"
            position += length
            records.append(Record(name, TYPE_NAMES.get(kind, str(kind)),
                                  rclass if kind == 41 else CLASS_NAMES.get(rclass, str(rclass)), ttl, rdata))
        return records, position

    def _options(self):
        options = []
        if self.opt is None:
            return options
        data = self.opt.rdata
        while data:
            code, length = struct.unpack("!HH", data[:4])
            options.append((code, data[4:4 + length]))
            data = data[4 + length:]
        return options

    @property
    def ede(self):
        """(code, text) of the first Extended DNS Error, else None."""
        for code, value in self.options:
            if code == 15:
                return struct.unpack("!H", value[:2])[0], value[2:].decode()
        return None

    @property
    def ede_code(self):
        return self.ede[0] if self.ede else None

    @property
    def lease(self):
        """The Update Lease granted: (lease,), (lease, key lease), or None."""
        for code, value in self.options:
            if code == 2:
                return struct.unpack("!I" if len(value) == 4 else "!II", value)
        return None

    @property
    def refusal(self):
        """The text of the original's TXT RR: first and only TXT, class ANY, TTL 0, one string."""
        found = [record for record in self.additional if record.type == "TXT"]
        if not found or found[0].rclass == "IN":
            return None
        assert len(found) == 1 and self.additional[0] is found[0], "the TXT is not the first additional RR"
        record = found[0]
        assert record.rclass == "ANY" and record.ttl == 0, record
        assert record.rdata[0] == len(record.rdata) - 1, "not one string"
        return record.rdata[1:].decode()

    @property
    def unread(self):
        """The text of a TXT RR of class IN: of a message that was refused before it was known who speaks."""
        found = [record for record in self.additional if record.type == "TXT" and record.rclass == "IN"]
        if not found:
            return None
        assert len(found) == 1 and self.additional == found, "not the only additional RR"
        assert found[0].ttl == 0 and found[0].rdata[0] == len(found[0].rdata) - 1, found[0]
        return found[0].rdata[1:].decode()

    @property
    def text(self):
        return self.refusal or self.unread or (self.ede[1] if self.ede else "")

    def granted(self):
        """The echo of what was added: {address: TTL} of the A and AAAA records of class IN in the answer."""
        return self._addresses("IN")

    def removed(self):
        """The echo of what was removed, in the original's dialect."""
        return set(self._addresses("NONE"))

    def _addresses(self, rclass):
        return {socket.inet_ntop(socket.AF_INET if record.type == "A" else socket.AF_INET6, record.rdata): record.ttl
                for record in self.answer if record.type in ("A", "AAAA") and record.rclass == rclass}

    def key_lease(self):
        for record in self.answer:
            if record.type == "KEY":
                return record.ttl
        return None

    def __repr__(self):
        return f"<Reply {self.rcode} ede={self.ede} text={self.refusal!r} answer={self.answer}>"


class Connection:
    """A TCP connection that is kept: many messages, answered in any order."""

    def __init__(self, address, port, source=None, timeout=30.0):
        self.socket = socket.create_connection((address, port), timeout=timeout,
                                               source_address=(source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, message):
        wire = message.wire if isinstance(message, Update) else message
        self.socket.sendall(struct.pack("!H", len(wire)) + wire)

    def send_raw(self, octets):
        self.socket.sendall(octets)

    def _exactly(self, length):
        data = b""
        while len(data) < length:
            part = self.socket.recv(length - len(data))
            if not part:
                return None
            data += part
        return data

    def receive(self, timeout=None):
        """The next reply; None when the peer has closed."""
        if timeout is not None:
            self.socket.settimeout(timeout)
        try:
            header = self._exactly(2)
            if header is None:
                return None
            body = self._exactly(struct.unpack("!H", header)[0])
        except ConnectionResetError:
            return None
        return None if body is None else Reply(body)

    def exchange(self, message, timeout=None):
        self.send(message)
        return self.receive(timeout)


class Client:
    """A key and a zone. Every request has one connection unless a Connection is given."""

    def __init__(self, address, port, zone, key=None, source=None):
        self.address = address
        self.port = port
        self.zone = zone.rstrip(".")
        self.key = key or Key.generate(13)
        self.source = source
        self._inception = None

    def full(self, label):
        return f"{label}.{self.zone}."

    def update(self):
        return Update(self.zone)

    def connect(self, source=None):
        return Connection(self.address, self.port, source or self.source)

    def send(self, message, connection=None, timeout=30.0):
        if connection is not None:
            return connection.exchange(message, timeout)
        with self.connect() as own:
            return own.exchange(message, timeout)

    def send_udp(self, message, timeout=10.0):
        wire = message.wire if isinstance(message, Update) else message
        with socket.socket(socket.AF_INET6 if ":" in self.address else socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.settimeout(timeout)
            peer.connect((self.address, self.port))
            peer.send(wire)
            return Reply(peer.recv(65535))

    # -- requests in the original's dialect

    def original(self, label, add=(), delete=(), ttl=60, key_ttl=3600, key=None, signed=True, **signature):
        """add: addresses, or (address, TTL) pairs."""
        key = key or self.key
        name = self.full(label)
        message = self.update()
        for item in add:
            address, lease = item if isinstance(item, tuple) else (item, ttl)
            message.add(name, lease, address)
        message.delete(name, *delete)
        message.key(name, key, key_ttl)
        return message.sign(key, name, **signature) if signed else message

    def claim(self, label, *addresses, ttl=60, key_ttl=3600, connection=None, **signature):
        return self.send(self.original(label, addresses, ttl=ttl, key_ttl=key_ttl, **signature), connection)

    def remove(self, label, *addresses, connection=None, **signature):
        return self.send(self.original(label, delete=addresses, **signature), connection)

    # -- requests in the plain dialect

    def plain(self, label, add=(), delete=(), ttl=60, claim_ttl=None, key=None, lease=None, key_lease=None,
              opt=True, signed=True, **signature):
        """claim_ttl: put the KEY in the update section with this TTL."""
        key = key or self.key
        name = self.full(label)
        message = self.update()
        if claim_ttl is not None:
            message.key_in_update(name, key, claim_ttl)
        message.add(name, ttl, *add).delete(name, *delete)
        if opt:
            message.opt(lease, key_lease)
        return message.sign(key, name, **signature) if signed else message

    def release(self, label, connection=None, **signature):
        message = self.update().release_key(self.full(label)).sign(self.key, self.full(label), **signature)
        return self.send(message, connection)


__all__ = ["Client", "Connection", "Record", "Reply", "address_type"]
