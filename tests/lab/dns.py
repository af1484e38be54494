# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys and UPDATE messages made by hand, octet by octet, so that every wrong form can be sent too."""

import base64
import ipaddress
import os
import random
import struct
import time

import dns.rdata
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "SIG": 24, "KEY": 25, "AAAA": 28,
         "SRV": 33, "DNAME": 39, "OPT": 41, "SSHFP": 44, "TLSA": 52, "SVCB": 64, "HTTPS": 65, "TSIG": 250, "ANY": 255, "CAA": 257}
TYPE_NAMES = {number: name for name, number in TYPES.items()}
CLASSES = {"IN": 1, "CH": 3, "NONE": 254, "ANY": 255}
CLASS_NAMES = {number: name for name, number in CLASSES.items()}
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 6: "YXDOMAIN",
          7: "YXRRSET", 8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE", 16: "BADVERS"}

ALGORITHMS = {"ecdsap256sha256": 13, "ecdsap384sha384": 14, "ed25519": 15, "ed448": 16, "rsasha256": 8}

OPCODE_UPDATE = 5


def name_wire(name):
    """Text (with \\. and \\DDD escapes) or ready octets to wire form; case is kept."""
    if isinstance(name, bytes):
        return name
    out = bytearray()
    label = bytearray()
    text = name if name.endswith(".") else name + "."
    if text == ".":
        return b"\0"
    position = 0
    while position < len(text):
        character = text[position]
        if character == "\\":
            if text[position + 1:position + 4].isdigit():
                label.append(int(text[position + 1:position + 4]))
                position += 4
            else:
                label += text[position + 1].encode()
                position += 2
            continue
        if character == ".":
            out.append(len(label))
            out += label
            label = bytearray()
        else:
            label += character.encode("latin-1")
        position += 1
    return bytes(out) + b"\0"


def type_number(kind):
    return TYPES[kind] if isinstance(kind, str) else kind


def class_number(value):
    return CLASSES[value] if isinstance(value, str) else value


def rr(name, kind, rclass, ttl, rdata=b"", rdlength=None):
    length = len(rdata) if rdlength is None else rdlength
    return (name_wire(name) + struct.pack("!HHIH", type_number(kind), class_number(rclass), ttl, length) + rdata)


def address_rdata(address):
    return ipaddress.ip_address(address).packed


def address_type(address):
    return "A" if ipaddress.ip_address(address).version == 4 else "AAAA"


def record_rdata(kind, text):
    return dns.rdata.from_text("IN", kind, text).to_wire()


class Key:
    """A SIG(0) key pair."""

    def __init__(self, algorithm, private, flags=0, protocol=3):
        self.algorithm = algorithm
        self.private = private
        self.flags = flags
        self.protocol = protocol

    @classmethod
    def generate(cls, algorithm=13, flags=0, bits=2048, exponent=65537):
        algorithm = ALGORITHMS.get(algorithm, algorithm)
        if algorithm == 13:
            private = ec.generate_private_key(ec.SECP256R1())
        elif algorithm == 14:
            private = ec.generate_private_key(ec.SECP384R1())
        elif algorithm == 15:
            private = ed25519.Ed25519PrivateKey.generate()
        elif algorithm == 16:
            private = ed448.Ed448PrivateKey.generate()
        elif algorithm in (5, 8, 10):
            private = rsa.generate_private_key(exponent, bits)
        else:
            raise ValueError(f"algorithm {algorithm}")
        return cls(algorithm, private, flags)

    @property
    def public_octets(self):
        public = self.private.public_key()
        if self.algorithm in (13, 14):
            size = 32 if self.algorithm == 13 else 48
            numbers = public.public_numbers()
            return numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big")
        if self.algorithm in (15, 16):
            return public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        numbers = public.public_numbers()
        exponent = numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8, "big")
        return bytes([len(exponent)]) + exponent + numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")

    @property
    def rdata(self):
        return struct.pack("!HBB", self.flags, self.protocol, self.algorithm) + self.public_octets

    @property
    def tag(self):
        total = sum(octet << 8 if index % 2 == 0 else octet for index, octet in enumerate(self.rdata))
        return (total + (total >> 16)) & 0xFFFF

    def sign(self, data):
        if self.algorithm in (13, 14):
            size, digest = (32, hashes.SHA256()) if self.algorithm == 13 else (48, hashes.SHA384())
            r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(digest)))
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")
        if self.algorithm in (15, 16):
            return self.private.sign(data)
        digest = {5: hashes.SHA1, 8: hashes.SHA256, 10: hashes.SHA512}[self.algorithm]()
        return self.private.sign(data, padding.PKCS1v15(), digest)

    def with_tag(self, tag):
        """Another key of the same algorithm that has this key tag, found by the flags it is published with."""
        other = Key.generate(self.algorithm)
        for flags in range(0x10000):
            other.flags = flags
            if other.tag == tag:
                return other
        return self.with_tag(tag)

    def write(self, directory, owner):
        """BIND's pair of files (v1.3), as nsupdate -k and nsregc read them; returns the path of the private one."""
        names = {13: "ECDSAP256SHA256", 14: "ECDSAP384SHA384", 15: "ED25519", 16: "ED448"}
        if self.algorithm in (13, 14):
            size = 32 if self.algorithm == 13 else 48
            secret = self.private.private_numbers().private_value.to_bytes(size, "big")
        else:
            secret = self.private.private_bytes(serialization.Encoding.Raw, serialization.PrivateFormat.Raw,
                                                serialization.NoEncryption())
        owner = owner if owner.endswith(".") else owner + "."
        base = os.path.join(directory, f"K{owner}+{self.algorithm:03d}+{self.tag:05d}")
        with open(base + ".key", "w", encoding="ascii") as out:
            out.write(f"{owner} IN KEY {self.flags} {self.protocol} {self.algorithm} "
                      f"{base64.b64encode(self.public_octets).decode()}\n")
        descriptor = os.open(base + ".private", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(f"Private-key-format: v1.3\nAlgorithm: {self.algorithm} ({names[self.algorithm]})\n"
                      f"PrivateKey: {base64.b64encode(secret).decode()}\n")
        return base + ".private"


class Update:
    """An UPDATE in the making. Every method returns it, so that a test reads as a sentence:

        Update("d.example").add("foo.d.example", 60, "10.0.0.1").key("foo.d.example", key, 3600).sign(key)

    The sections are lists of ready octets; anything may be put in by hand."""

    def __init__(self, zone=None, zone_type="SOA", zone_class="IN"):
        self.id = random.randrange(0x10000)
        self.opcode = OPCODE_UPDATE
        self.flags = 0
        self.zones = []
        self.prerequisites = []
        self.updates = []
        self.additional = []
        self.trailing = b""
        self.counts = None  # to lie about them: a 4-tuple
        self._signature = None
        if zone is not None:
            self.zone(zone, zone_type, zone_class)

    # -- sections

    def zone(self, name, kind="SOA", rclass="IN"):
        self.zones.append(name_wire(name) + struct.pack("!HH", type_number(kind), class_number(rclass)))
        return self

    def add(self, name, ttl, *addresses):
        for address in addresses:
            self.updates.append(rr(name, address_type(address), "IN", ttl, address_rdata(address)))
        return self

    def add_rr(self, name, kind, ttl, rdata, rclass="IN"):
        self.updates.append(rr(name, kind, rclass, ttl, rdata))
        return self

    def add_record(self, name, ttl, kind, text):
        """A record of any type, in presentation form."""
        return self.add_rr(name, kind, ttl, record_rdata(kind, text))

    def delete_record(self, name, kind, text):
        """Class NONE."""
        return self.add_rr(name, kind, 0, record_rdata(kind, text), "NONE")

    def require_value(self, name, kind, text):
        self.prerequisites.append(rr(name, kind, "IN", 0, record_rdata(kind, text)))
        return self

    def delete(self, name, *addresses):
        """Class NONE: these records."""
        for address in addresses:
            self.updates.append(rr(name, address_type(address), "NONE", 0, address_rdata(address)))
        return self

    def delete_rrset(self, name, kind):
        self.updates.append(rr(name, kind, "ANY", 0))
        return self

    def delete_all(self, name):
        return self.delete_rrset(name, "ANY")

    def key(self, name, key, ttl=3600):
        """The KEY in the additional section: the original's dialect."""
        self.additional.append(rr(name, "KEY", "IN", ttl, key.rdata))
        return self

    def key_in_update(self, name, key, ttl=3600):
        """The KEY in the update section: the plain dialect's claim."""
        self.updates.append(rr(name, "KEY", "IN", ttl, key.rdata))
        return self

    def release_key(self, name, key=None):
        """Deletion of the KEY: one RR (class NONE) or the RRset (class ANY)."""
        if key is None:
            return self.delete_rrset(name, "KEY")
        self.updates.append(rr(name, "KEY", "NONE", 0, key.rdata))
        return self

    def require_name(self, name):
        self.prerequisites.append(rr(name, "ANY", "ANY", 0))
        return self

    def require_no_name(self, name):
        self.prerequisites.append(rr(name, "ANY", "NONE", 0))
        return self

    def require_rrset(self, name, kind):
        self.prerequisites.append(rr(name, kind, "ANY", 0))
        return self

    def require_no_rrset(self, name, kind):
        self.prerequisites.append(rr(name, kind, "NONE", 0))
        return self

    def require_record(self, name, address):
        self.prerequisites.append(rr(name, address_type(address), "IN", 0, address_rdata(address)))
        return self

    def opt(self, lease=None, key_lease=None, options=(), size=1232, version=0, flags=0, lease_octets=None):
        """An OPT RR; with `lease` an Update Lease option of 4 octets, with `key_lease` too one of 8."""
        data = b""
        if lease_octets is not None:
            data += struct.pack("!HH", 2, len(lease_octets)) + lease_octets
        elif lease is not None:
            value = struct.pack("!I", lease) + (struct.pack("!I", key_lease) if key_lease is not None else b"")
            data += struct.pack("!HH", 2, len(value)) + value
        for code, value in options:
            data += struct.pack("!HH", code, len(value)) + value
        self.additional.append(b"\0" + struct.pack("!HHIH", 41, size, version << 16 | flags, len(data)) + data)
        return self

    def extra(self, octets):
        """One more additional RR, ready made."""
        self.additional.append(octets)
        return self

    # -- octets

    def message(self, additional_count=None, id=None):
        counts = self.counts or (len(self.zones), len(self.prerequisites), len(self.updates),
                                 len(self.additional) if additional_count is None else additional_count)
        header = struct.pack("!HHHHHH", self.id if id is None else id, self.opcode << 11 | self.flags, *counts)
        return header + b"".join(self.zones + self.prerequisites + self.updates + self.additional)

    def sign(self, key, signer=None, inception=None, expiration=None, tag=None, algorithm=None, owner=b"\0",
             now=None):
        """Appends a SIG(0) over what is there. `signer` defaults to the first update RR's owner."""
        if signer is None:
            source = self.updates[0] if self.updates else self.additional[0]
            signer = source[:_name_length(source)]
        moment = int(time.time() if now is None else now)
        inception = moment - 300 if inception is None else inception
        expiration = moment + 300 if expiration is None else expiration
        rdata = struct.pack("!HBBIIIH", 0, key.algorithm if algorithm is None else algorithm, 0, 0,
                            expiration & 0xFFFFFFFF, inception & 0xFFFFFFFF, key.tag if tag is None else tag)
        rdata += name_wire(signer)
        signature = key.sign(rdata + self.message())
        self.additional.append(rr(owner, "SIG", "ANY", 0, rdata + signature))
        return self

    @property
    def wire(self):
        return self.message() + self.trailing


def _name_length(octets):
    position = 0
    while octets[position]:
        position += octets[position] + 1
    return position + 1
