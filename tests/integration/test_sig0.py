# SPDX-License-Identifier: LGPL-2.1-or-later
"""SIG(0) against other people's programs, in both directions and in every algorithm: Net::DNS::SEC signs and verifies,
nsupdate signs with keys that we made, and Python's cryptography is a third opinion."""

import base64
import os
import shutil
import socket
import struct
import subprocess
import threading

import pytest

from lab import Key, Update

ALGORITHMS = {"ECDSAP256SHA256": 13, "ECDSAP384SHA384": 14, "ED25519": 15, "ED448": 16}
TOOL = os.path.join(os.environ["NSREG_BUILD"], "tests", "tools", "sig0-tool")
PERL = os.path.join(os.environ["NSREG_SOURCE"], "tests", "tools", "sig0.pl")
KEYS = os.path.join(os.environ["NSREG_SOURCE"], "tests", "data", "keys")
OWNER = "host.d.example"


def run(*command, status=0):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                          check=False)
    assert done.returncode == status, (done.stdout[-500:], done.stderr.decode())
    return done.stdout


def perl(*arguments, status=0):
    if not shutil.which("perl") or subprocess.run(["perl", "-MNet::DNS::SEC", "-e", "1"], check=False,
                                                  stderr=subprocess.DEVNULL).returncode:
        pytest.skip("Net::DNS::SEC is not installed")
    return run("perl", PERL, *arguments, status=status)


def own_key(directory, algorithm):
    """A pair made by our code, under the names that BIND and Net::DNS expect; returns their common beginning."""
    made = os.path.join(directory, "made")
    tag = int(run(TOOL, "generate", algorithm, OWNER, made))
    base = os.path.join(directory, f"K{OWNER}.+{ALGORITHMS[algorithm]:03d}+{tag:05d}")
    for half in (".key", ".private"):
        os.rename(made + half, base + half)
    return base


def bind_key(directory, algorithm):
    """A pair made by dnssec-keygen."""
    bits = ["-b", "2048"] if algorithm.startswith("RSA") else []
    name = run("dnssec-keygen", "-q", "-T", "KEY", "-n", "HOST", "-a", algorithm, *bits, "-K", directory, OWNER)
    return os.path.join(directory, name.decode().strip())


def write(directory, octets):
    path = os.path.join(directory, "message")
    with open(path, "wb") as out:
        out.write(octets)
    return path


def flipped(octets, offset):
    return octets[:offset] + bytes([octets[offset] ^ 0x10]) + octets[offset + 1:]


def accepted(key, octets, directory):
    done = subprocess.run([TOOL, "verify", key, write(directory, octets)], stdout=subprocess.PIPE, check=False, timeout=60)
    return done.returncode == 0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_net_dns_verifies_what_we_sign(tmp_path, algorithm):
    base = own_key(tmp_path, algorithm)
    message = run(TOOL, "sign", base, "d.example", OWNER, "192.0.2.1", OWNER, "2001:db8::1")
    assert perl("verify", base + ".key", write(tmp_path, message)).decode().strip() == OWNER
    # and it does look: an octet of the address
    at = message.index(bytes([192, 0, 2, 1]))
    perl("verify", base + ".key", write(tmp_path, flipped(message, at)), status=255)


@pytest.mark.parametrize("algorithm", ["RSASHA256", "RSASHA512"])
def test_net_dns_verifies_rsa_of_a_bind_key(tmp_path, algorithm):
    base = bind_key(tmp_path, algorithm)
    message = run(TOOL, "sign", base, "d.example", OWNER, "192.0.2.1")
    assert perl("verify", base + ".key", write(tmp_path, message)).decode().strip() == OWNER
    assert accepted(base + ".key", message, tmp_path)


@pytest.mark.parametrize("algorithm", [*ALGORITHMS, "RSASHA256", "RSASHA512"])
def test_we_verify_what_net_dns_signs(tmp_path, algorithm):
    base = bind_key(tmp_path, algorithm)
    message = perl("sign", base + ".private", base + ".key", "d.example", OWNER, "192.0.2.1")
    assert run(TOOL, "verify", base + ".key", write(tmp_path, message)).decode().split() == [OWNER + ".", algorithm]
    for offset in range(0, len(message), 7):
        assert not accepted(base + ".key", flipped(message, offset), tmp_path), offset


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_net_dns_signs_with_our_key_file(tmp_path, algorithm):
    base = own_key(tmp_path, algorithm)
    message = perl("sign", base + ".private", base + ".key", "d.example", OWNER, "192.0.2.1")
    assert accepted(base + ".key", message, tmp_path)


class Recorder(threading.Thread):
    """A server that takes one TCP message, keeps it and says NOERROR."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(30)
        self.port = self.listener.getsockname()[1]
        self.message = None

    def run(self):
        connection, _ = self.listener.accept()
        with connection, connection.makefile("rb") as stream:
            size, = struct.unpack("!H", stream.read(2))
            self.message = stream.read(size)
            reply = self.message[:2] + b"\xa8\0" + b"\0" * 8
            connection.sendall(struct.pack("!H", len(reply)) + reply)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("maker", [own_key, bind_key])
def test_we_verify_what_nsupdate_signs(tmp_path, algorithm, maker):
    base = maker(tmp_path, algorithm)
    recorder = Recorder()
    recorder.start()
    script = (f"server 127.0.0.1 {recorder.port}\nzone d.example\nupdate add {OWNER} 300 A 192.0.2.1\nsend\n")
    done = subprocess.run(["nsupdate", "-v", "-t", "20", "-k", base + ".private"], input=script, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
    recorder.join(30)
    assert recorder.message, done.stdout
    assert run(TOOL, "verify", base + ".key", write(tmp_path, recorder.message)).decode().split() == [OWNER + ".",
                                                                                                   algorithm]


@pytest.mark.parametrize("algorithm", [*ALGORITHMS.values(), 8, 10])
def test_we_verify_what_python_signs(tmp_path, algorithm):
    key = Key.generate(algorithm)
    path = os.path.join(tmp_path, "python.key")
    octets = Update("d.example").add(OWNER, 300, "192.0.2.1").key(OWNER, key, 3600).sign(key, OWNER).wire
    with open(path, "w", encoding="ascii") as out:
        out.write(f"{OWNER}. IN KEY {key.flags} 3 {algorithm} {base64.b64encode(key.public_octets).decode()}\n")
    assert accepted(path, octets, tmp_path)
    for offset in range(0, len(octets), 5):
        assert not accepted(path, flipped(octets, offset), tmp_path), offset


@pytest.mark.parametrize("fixture", ["p256", "p384", "ed25519", "ed448", "rsa256"])
def test_another_key_does_not_verify(tmp_path, fixture):
    base = bind_key(tmp_path, "ED25519")
    message = run(TOOL, "sign", base, "d.example", OWNER, "192.0.2.1")
    assert accepted(base + ".key", message, tmp_path)
    assert not accepted(os.path.join(KEYS, fixture + ".key"), message, tmp_path)
