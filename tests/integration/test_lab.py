# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lab itself: each real server starts, takes what it should, refuses what it should, and is gone after."""

import os
import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import dns.edns
import dns.message
import dns.rrset
import pytest

import lab as laboratory
from lab import Key, Netns, Reply, Update, TSIG_ALGORITHMS, TsigKey, Zone, eventually


def gone(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


SERVERS = ("named", "knot", "pdns")


@pytest.mark.parametrize("kind", SERVERS)
def test_update_goes_in_and_survives_a_restart(lab, kind):
    server = getattr(lab, kind)(Zone("d.example", records="static A 192.0.2.1"), "2.0.192.in-addr.arpa").start()
    assert ("static.d.example.", "A", "192.0.2.1") in server.records()
    before = server.serial()

    status, output = server.nsupdate("update add foo.d.example. 60 A 10.0.0.1",
                                     "update add foo.d.example. 60 AAAA fd00::1", zone="d.example")
    assert status == 0, output
    assert {("foo.d.example.", "A", "10.0.0.1"), ("foo.d.example.", "AAAA", "fd00::1")} <= server.records()
    assert server.addresses("foo.d.example") == {"10.0.0.1", "fd00::1"}
    assert server.ttl("foo.d.example", "A") == 60
    assert server.serial() > before

    status, output = server.nsupdate("update add 1.2.0.192.in-addr.arpa. 60 PTR foo.d.example.",
                                     zone="2.0.192.in-addr.arpa")
    assert status == 0, output
    assert ("1.2.0.192.in-addr.arpa.", "PTR", "foo.d.example.") in server.records("2.0.192.in-addr.arpa")

    content, pid = server.records(), server.process.pid
    server.restart()
    assert gone(pid)
    assert server.records() == content

    status, output = server.nsupdate("update delete foo.d.example.", zone="d.example")
    assert status == 0, output
    assert server.addresses("foo.d.example") == set()


@pytest.mark.parametrize("kind", SERVERS)
def test_wrong_key_is_refused(lab, kind):
    server = getattr(lab, kind)("d.example").start()
    content = server.records()
    for key in (server.key.wrong(), TsigKey("nobody")):
        status, output = server.nsupdate("update add foo.d.example. 60 A 10.0.0.1", key=key, zone="d.example")
        assert status != 0, output
    assert server.records() == content


@pytest.mark.parametrize("algorithm", TSIG_ALGORITHMS)
@pytest.mark.parametrize("kind", SERVERS)
def test_every_tsig_algorithm(lab, kind, algorithm):
    server = getattr(lab, kind)("d.example", key=lab.tsig(algorithm)).start()
    status, output = server.nsupdate("update add foo.d.example. 60 A 10.0.0.1", zone="d.example")
    assert status == 0, output
    assert server.addresses("foo.d.example") == {"10.0.0.1"}


def test_update_policy_of_named(lab):
    key = lab.tsig()
    server = lab.named(Zone("d.example", keys=[key], update_policy=f'grant "{key.name}" zonesub A AAAA;'),
                       key=key).start()
    assert server.nsupdate("update add foo.d.example. 60 A 10.0.0.1", zone="d.example")[0] == 0
    assert server.nsupdate('update add foo.d.example. 60 TXT "no"', zone="d.example")[0] != 0


@pytest.mark.parametrize("control", ("tls", "unix"))
def test_unbound_takes_local_data(lab, control):
    server = lab.unbound(Zone("d.example", records="static.d.example. 300 IN A 192.0.2.1"), control=control).start()
    server.control_command("local_data", "foo.d.example.", "60", "IN", "A", "10.0.0.1")
    assert ("foo.d.example.", "A", "10.0.0.1") in server.records()
    assert ("static.d.example.", "A", "192.0.2.1") in server.records()
    assert server.addresses("foo.d.example") == {"10.0.0.1"}
    pid = server.process.pid
    server.restart()
    assert gone(pid)
    assert server.addresses("foo.d.example") == set()


@pytest.mark.parametrize("kind", (*SERVERS, "unbound"))
def test_kill_pause_resume(lab, kind):
    server = getattr(lab, kind)("d.example").start()
    if kind != "unbound":
        server.pause()
        with pytest.raises(Exception):
            server.query("d.example", "SOA", timeout=0.2)
        server.resume()
        assert eventually(server.is_up)
    pid = server.process.pid
    server.kill()
    assert gone(pid)
    server.start()
    assert server.is_up()


def test_teardown_leaves_no_process():
    stage = laboratory.Lab()
    servers = [stage.named("d.example").start(), stage.knot("d.example").start()]
    pids = [server.process.pid for server in servers]
    servers[0].pause()
    assert stage.teardown() == []
    assert all(gone(pid) for pid in pids)
    shutil.rmtree(stage.directory)


def test_ports_are_never_given_twice():
    ports = [laboratory.free_port() for _ in range(50)]
    assert len(set(ports)) == len(ports)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", ports[0]))


def test_namespace_has_its_own_interfaces(lab):
    first, second = lab.netns(), lab.netns()
    first.veth("left", second, "right")
    first.add_address("left", "10.9.0.1/24")
    second.add_address("right", "10.9.0.2/24")
    second.dummy("dummy0", "fd00:9::1/64")
    assert "10.9.0.2" in second.ip("address", "show")
    assert "10.9.0.2" not in first.ip("address", "show")
    with second:
        with socket.create_server(("10.9.0.2", 4000)):
            first_socket = socket.socket()
        first_socket.close()
    assert os.path.exists(f"/run/netns/{first.name}")


def test_sanitizer_findings_are_found(lab):
    process = lab.process("liar", ["/bin/sh", "-c", "echo 'foo.c:1:2: runtime error: index out of bounds' >&2"])
    process.spawn().wait()
    assert len(process.teardown()) == 1
    os.unlink(process.log_path)


VERIFY = r"""
use Net::DNS; use Net::DNS::SEC;
my ($wire, $owner, $rdata) = map { pack 'H*', $_ } @ARGV;
my $packet = Net::DNS::Packet->decode(\$wire);
my $key = Net::DNS::RR->new(owner => $owner, type => 'KEY', class => 'IN');
$key->flags(unpack 'n', $rdata); $key->protocol(unpack 'x2C', $rdata); $key->algorithm(unpack 'x3C', $rdata);
$key->keybin(substr $rdata, 4);
print $packet->verify($key) ? "good" : "bad: " . $packet->verifyerr;
"""


def verified_by_net_dns(message, owner, key):
    run = subprocess.run(["perl", "-e", VERIFY, message.wire.hex(), owner.encode().hex(), key.rdata.hex()],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=60)
    return run.stdout


@pytest.mark.parametrize("algorithm", sorted(laboratory.ALGORITHMS.values()))
def test_messages_are_what_others_read(algorithm):
    key = Key.generate(algorithm)
    message = (Update("d.example").require_no_name("foo.d.example").add("foo.d.example", 60, "10.0.0.1", "fd00::1")
               .delete("foo.d.example", "10.0.0.2").delete_rrset("foo.d.example", "A").delete_all("foo.d.example")
               .key("foo.d.example", key).opt(60, 3600))
    parsed = dns.message.from_wire(message.wire)
    assert parsed.opcode() == 5 and parsed.zone[0].name.to_text() == "d.example."
    assert len(parsed.prerequisite) == 1 and len(parsed.update) == 5
    assert parsed.options[0].otype == 2

    message.sign(key, "foo.d.example")
    assert verified_by_net_dns(message, "foo.d.example", key) == "good"
    assert verified_by_net_dns(message, "foo.d.example", Key.generate(algorithm)).startswith("bad")


def test_key_with_the_same_tag():
    key = Key.generate(13)
    other = key.with_tag(key.tag)
    assert other.tag == key.tag and other.public_octets != key.public_octets


def test_reply_is_taken_apart():
    reply = dns.message.make_response(dns.message.make_query("foo.d.example.", "A", use_edns=0), our_payload=1232)
    reply.answer.append(dns.rrset.from_text("foo.d.example.", 60, "IN", "A", "10.0.0.1"))
    reply.use_edns(0, options=[dns.edns.EDEOption(18, "no"), dns.edns.GenericOption(2, bytes(4))])
    parsed = Reply(reply.to_wire())
    assert parsed.rcode == "NOERROR" and parsed.granted() == {"10.0.0.1": 60}
    assert parsed.ede == (18, "no") and parsed.lease == (0,)


def test_threads_share_a_namespace():
    netns = Netns()
    try:
        with ThreadPoolExecutor(6) as pool:
            assert all(pool.map(lambda _: stays_itself(netns), range(6)))
    finally:
        netns.teardown()


def stays_itself(netns):
    outer = own_namespace()
    for _ in range(200):
        with netns:
            inner = own_namespace()
            with netns:
                again = own_namespace()
            if not outer != inner == again == own_namespace():
                return False
        if own_namespace() != outer:
            return False
    return True


def own_namespace():
    return os.stat("/proc/thread-self/ns/net").st_ino
