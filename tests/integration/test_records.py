# SPDX-License-Identifier: LGPL-2.1-or-later
"""Records beside addresses: of other types, at a host and at names below it."""

import json
import os
import random
import subprocess
import time

import dns.rdata
import pytest

from lab import Key, Zone, eventually, program

ZONE = "d.example"
NETS = ["127.0.0.0/8", "::1", "10.0.0.0/8", "fd00::/8"]
SERVERS = ("named", "knot", "pdns", "unbound", "builtin")
HOST, CHALLENGE = f"lamp.{ZONE}.", f"_acme-challenge.lamp.{ZONE}."
SSHFP = "4 2 " + "ab" * 32
SSHFP_OLD = "1 2 " + "cd" * 32
TLSA = "3 1 1 " + "12" * 32


def zone(*upstreams, **options):
    return {"allowed-nets": NETS, "min-addr-ttl": "1s", "upstreams": list(upstreams),
            **{key.replace("_", "-"): value for key, value in options.items()}}


WIDE = {"record_types": ["SSHFP", "TXT", "HTTPS", "SVCB", "CAA"],
        "names_below_host": ["_acme-challenge:TXT", "_*._tcp:TLSA,SRV", "_*._udp:SRV"]}


def canonical(kind, text):
    return dns.rdata.from_text("IN", kind, text).to_text().lower()


class Place:
    """Where records are published, and what is there of the host and below it."""

    def __init__(self, lab, kind, records="static A 192.0.2.1"):
        self.kind = kind
        if kind == "builtin":
            self.server = None
        elif kind == "unbound":
            local = "".join("{}.{}. 300 IN {}\n".format(line.split()[0], ZONE, " ".join(line.split()[1:]))
                            for line in records.splitlines())
            self.server = lab.unbound(Zone(ZONE, records=local), control="unix")
        else:
            self.server = getattr(lab, kind)(Zone(ZONE, records=records))
        if self.server:
            self.server.start()

    def upstreams(self):
        if self.kind == "builtin":
            return [{"type": "builtin"}]
        return [self.server.upstream() if self.kind == "unbound" else self.server.upstream(ZONE)]

    def has(self, nsregd, *asked):
        """Of these names and types: a set of (owner, type, data)."""
        if self.server:
            return {(owner, kind, canonical(kind, data)) for owner, kind, data in self.server.records(ZONE)
                    if owner == HOST or owner.endswith("." + HOST)}
        return {(owner, kind, canonical(kind, rdata.to_text())) for owner, kind in asked
                for rrset in nsregd.query(owner, kind).answer for rdata in rrset}


@pytest.fixture(params=SERVERS)
def place(lab, request):
    return Place(lab, request.param)


def send(client, *changes, label="lamp", **signature):
    """changes: (verb of Update, arguments)."""
    message = client.update()
    for verb, *arguments in changes:
        getattr(message, verb)(*arguments)
    return client.send(message.opt().sign(client.key, client.full(label), **signature))


def expect(*records):
    return {(owner, kind, canonical(kind, text)) for owner, kind, text in records}


def test_default_types(lab, place):
    nsregd = lab.nsregd(zones={ZONE: zone(*place.upstreams())}).start()
    client = nsregd.client(ZONE)
    asked = [(HOST, "A"), (HOST, "SSHFP"), (CHALLENGE, "TXT")]
    a = (HOST, "A", "10.0.0.1")
    assert client.claim("lamp", "10.0.0.1", ttl=600).rcode == "NOERROR"

    reply = send(client, ("add_record", HOST, 600, "SSHFP", SSHFP), ("add_record", HOST, 600, "SSHFP", SSHFP_OLD))
    assert reply.rcode == "NOERROR" and {record.type for record in reply.answer} == {"SSHFP"}, reply
    both = expect(a, (HOST, "SSHFP", SSHFP), (HOST, "SSHFP", SSHFP_OLD))
    assert place.has(nsregd, *asked) == both
    # Two at a time, as certificates for a name and all below it need them.
    for value in ("one", "two"):
        assert send(client, ("add_record", CHALLENGE, 600, "TXT", f'"{value}"')).rcode == "NOERROR"
    challenges = expect((CHALLENGE, "TXT", '"one"'), (CHALLENGE, "TXT", '"two"'))
    assert place.has(nsregd, *asked) == both | challenges

    # One goes, an address changes: the rest is as it was.
    assert send(client, ("delete_record", CHALLENGE, "TXT", '"one"')).rcode == "NOERROR"
    assert send(client, ("delete", HOST, "10.0.0.1"), ("add", HOST, 600, "10.0.0.2")).rcode == "NOERROR"
    assert send(client, ("delete_record", HOST, "SSHFP", SSHFP_OLD)).rcode == "NOERROR"
    rest = expect((HOST, "A", "10.0.0.2"), (HOST, "SSHFP", SSHFP), (CHALLENGE, "TXT", '"two"'))
    assert place.has(nsregd, *asked) == rest

    # What is durable is there again, and published as it was.
    nsregd.kill()
    nsregd.start()
    eventually(lambda: place.has(nsregd, *asked) == rest, 20)

    # The end of the host is the end of all below it.
    assert client.release("lamp").rcode == "NOERROR"
    assert place.has(nsregd, *asked) == set()
    if place.kind != "builtin":
        assert place.server.addresses(f"static.{ZONE}") == {"192.0.2.1"}


def test_all_types(lab, place):
    """Each that a zone's configuration allows comes and goes."""
    nsregd = lab.nsregd(zones={ZONE: zone(*place.upstreams(), **WIDE)}).start()
    client = nsregd.client(ZONE)
    assert client.claim("lamp", "10.0.0.1", ttl=600).rcode == "NOERROR"
    a = (HOST, "A", "10.0.0.1")
    records = [(HOST, "SSHFP", SSHFP), (HOST, "TXT", '"v=1" "two; strings \\"quoted\\""'),
               (HOST, "HTTPS", "1 . alpn=h2"), (HOST, "SVCB", "1 svc.example. port=853"),
               (HOST, "CAA", '0 issue "ca.example"'), (f"_443._tcp.{HOST}", "TLSA", TLSA),
               (f"_https._tcp.{HOST}", "SRV", "1 2 443 Lamp.D.example."), (f"_x._udp.{HOST}", "SRV", "0 0 1 a.example.")]
    asked = [(owner, kind) for owner, kind, _ in [a, *records]]
    # Each type in an update of its own, then all are there, then each goes.
    for owner, kind, text in records:
        reply = send(client, ("add_record", owner, 600, kind, text))
        assert reply.rcode == "NOERROR", (kind, reply)
    assert place.has(nsregd, *asked) == expect(a, *records)
    assert send(client, ("delete_rrset", HOST, "HTTPS")).rcode == "NOERROR"
    assert send(client, ("delete_all", f"_x._udp.{HOST}")).rcode == "NOERROR"
    left = [record for record in records if record[1] != "HTTPS" and not record[0].startswith("_x.")]
    assert place.has(nsregd, *asked) == expect(a, *left)
    # All of the host's own; what is below it stays.
    assert send(client, ("delete_all", HOST)).rcode == "NOERROR"
    assert place.has(nsregd, *asked) == expect(*[record for record in left if record[0] != HOST])
    assert client.release("lamp").rcode == "NOERROR"
    assert place.has(nsregd, *asked) == set()


def test_leases(lab):
    """Each record has its own; the granted one is told."""
    nsregd = lab.nsregd(zones={ZONE: zone(max_addr_ttl="100s")}).start()
    client = nsregd.client(ZONE)
    assert client.claim("lamp", "10.0.0.1").rcode == "NOERROR"
    assert send(client, ("add_record", HOST, 1000, "SSHFP", SSHFP)).answer[0].ttl == 100
    assert send(client, ("add_record", CHALLENGE, 2, "TXT", "x")).answer[0].ttl == 2
    time.sleep(1)
    assert send(client, ("add_record", CHALLENGE, 2, "TXT", "x")).rcode == "NOERROR"
    time.sleep(1.3)
    assert nsregd.query(CHALLENGE, "TXT").answer
    eventually(lambda: not nsregd.query(CHALLENGE, "TXT").answer, 5)
    assert nsregd.query(HOST, "SSHFP").answer and nsregd.addresses(f"lamp.{ZONE}")


def test_refused(lab):
    """Nothing is changed, and it is said why."""
    inner = f"inner.lamp.{ZONE}"
    nsregd = lab.nsregd(zones={ZONE: zone(max_records_per_name=3, max_names_per_host=2, max_rdata_per_name=200,
                                          names_below_host=["_acme-challenge:TXT", "_*._tcp:TLSA", "_a:TXT", "a.b.c.d:TXT",
                                                            "x.inner:TXT"]), inner: zone()}).start()
    client = nsregd.client(ZONE)
    assert client.claim("lamp", "10.0.0.1").rcode == "NOERROR"
    assert send(client, ("add_record", CHALLENGE, 60, "TXT", "there")).rcode == "NOERROR"
    sshfp = bytes([4, 2]) + bytes(31)
    cases = [
        # Types and names that the zone does not take.
        ("REFUSED", 21, "record-types", ("add_record", HOST, 60, "TXT", "x")),
        ("REFUSED", 21, "names-below-host", ("add_record", CHALLENGE, 60, "SSHFP", SSHFP)),
        ("REFUSED", 21, "names-below-host", ("add_record", f"_b.{HOST}", 60, "TXT", "x")),
        ("REFUSED", 21, "names-below-host", ("add_record", f"_a._acme-challenge.{HOST}", 60, "TXT", "x")),
        ("REFUSED", 21, "names-below-host", ("add", f"_a.{HOST}", 60, "10.0.0.1")),
        ("REFUSED", 18, "below it", ("add_record", f"_acme-challenge.other.{ZONE}.", 60, "TXT", "x")),
        ("REFUSED", 18, "zone of its own", ("add_record", f"x.{inner}.", 60, "TXT", "x")),
        ("REFUSED", 18, "more than 4", ("add_record", f"e.a.b.c.d.{HOST}", 60, "TXT", "x")),
        ("REFUSED", 18, '"*"', ("add_record", f"*._tcp.{HOST}", 60, "TLSA", TLSA)),
        # Never, whatever the configuration says.
        ("REFUSED", 21, "never", ("add_record", HOST, 60, "NS", "ns.example.")),
        ("REFUSED", 21, "never", ("add_record", HOST, 60, "CNAME", "x.example.")),
        ("REFUSED", 21, "never", ("add_record", HOST, 60, "DNAME", "x.example.")),
        ("REFUSED", 21, "never", ("add_rr", HOST, 43, 60, bytes(36))),
        # Forms.
        ("FORMERR", None, "fingerprint", ("add_rr", HOST, "SSHFP", 60, sshfp)),
        ("FORMERR", None, "malformed", ("add_rr", HOST, "SSHFP", 60, b"\x04")),
        ("FORMERR", None, "TTL", ("add_record", HOST, 0, "SSHFP", SSHFP)),
        # Limits.
        ("REFUSED", 18, "max-names-per-host", ("add_record", f"_a.{HOST}", 60, "TXT", "x")),
        ("REFUSED", 18, "max-rdata-per-name", ("add_record", CHALLENGE, 60, "TXT", "x" * 196)),
    ]
    before = nsregd.query(CHALLENGE, "TXT").answer
    for rcode, ede, text, change in cases:
        reply = send(client, change)
        assert reply.rcode == rcode and text in reply.text and (ede is None or reply.ede_code == ede), (change, reply)
    many = [("add_record", CHALLENGE, 60, "TXT", f"v{i}") for i in range(3)]
    reply = send(client, *many)
    assert reply.rcode == "REFUSED" and "max-records-per-name" in reply.text
    # A claim is made of addresses.
    message = client.update().key_in_update(f"new.{ZONE}.", client.key)
    message.add_record(f"new.{ZONE}.", 60, "SSHFP", SSHFP)
    assert client.send(message.opt().sign(client.key)).rcode == "REFUSED"
    assert nsregd.query(CHALLENGE, "TXT").answer == before and not nsregd.query(HOST, "SSHFP").answer
    assert nsregd.addresses(f"lamp.{ZONE}") == {"10.0.0.1"}
    # Somebody else's key.
    other = nsregd.client(ZONE, key=Key.generate(13))
    assert send(other, ("add_record", CHALLENGE, 60, "TXT", "x")).rcode in ("REFUSED", "NOTAUTH")


def test_prerequisites(lab):
    nsregd = lab.nsregd(zones={ZONE: zone()}).start()
    client = nsregd.client(ZONE)
    assert client.claim("lamp", "10.0.0.1").rcode == "NOERROR"
    add = ("add_record", CHALLENGE, 60, "TXT", '"a"')
    assert send(client, ("require_no_name", CHALLENGE), add).rcode == "NOERROR"
    assert send(client, ("require_no_name", CHALLENGE), add).rcode == "YXDOMAIN"
    assert send(client, ("require_no_rrset", CHALLENGE, "TXT"), add).rcode == "YXRRSET"
    assert send(client, ("require_rrset", HOST, "SSHFP"), add).rcode == "NXRRSET"
    assert send(client, ("require_value", CHALLENGE, "TXT", '"b"'), add).rcode == "NXRRSET"
    assert send(client, ("require_value", CHALLENGE, "TXT", '"a"'), add).rcode == "NOERROR"
    assert send(client, ("require_name", f"_x.{HOST}"), add).rcode == "NXDOMAIN"


def test_builtin_answers(lab):
    """What is between a name and its host exists, empty; what is not there does not."""
    nsregd = lab.nsregd(zones={ZONE: zone(**WIDE)}).start()
    client = nsregd.client(ZONE)
    assert client.claim("lamp", "10.0.0.1").rcode == "NOERROR"
    assert send(client, ("add_record", f"_443._tcp.{HOST}", 60, "TLSA", TLSA)).rcode == "NOERROR"
    for name, rcode in ((f"_tcp.{HOST}", 0), (f"_443._tcp.{HOST}", 0), (f"_444._tcp.{HOST}", 3), (f"_udp.{HOST}", 3),
                        (f"a._443._tcp.{HOST}", 3), (f"tcp.{HOST}", 3)):
        reply = nsregd.query(name, "TXT")
        assert reply.rcode() == rcode and not reply.answer and reply.authority, (name, reply)
    assert len(nsregd.query(f"_443._tcp.{HOST}", "TLSA").answer) == 1
    assert send(client, ("delete_rrset", HOST, "A"), ("delete_rrset", HOST, "AAAA")).rcode == "NOERROR"
    assert nsregd.query(HOST, "A").rcode() == 0
    assert send(client, ("delete_all", f"_443._tcp.{HOST}")).rcode == "NOERROR"
    assert nsregd.query(HOST, "A").rcode() == 3 and nsregd.query(f"_tcp.{HOST}", "A").rcode() == 3


@pytest.mark.parametrize("kind", ["named", "knot", "pdns"])
def test_static_record_of_the_type(lab, kind):
    """The administrator's own set survives, and the addresses stand."""
    place = Place(lab, kind, f"lamp SSHFP {SSHFP_OLD}\n_acme-challenge.lamp TXT \"static\"")
    before = place.server.records(ZONE)
    nsregd = lab.nsregd(zones={ZONE: zone(*place.upstreams())}).start()
    client = nsregd.client(ZONE)
    assert client.claim("lamp", "10.0.0.1").rcode == "NOERROR"
    for change, kind in ((("add_record", HOST, 60, "SSHFP", SSHFP), "SSHFP"),
                         (("add_record", CHALLENGE, 60, "TXT", "x"), "TXT")):
        for _ in range(2):
            reply = send(client, change)
            assert reply.rcode == "REFUSED" and f"{kind} records of its own" in reply.text, reply
            # The addresses are told nothing of it.
            assert client.claim("lamp", "10.0.0.1", "10.0.0.2").rcode == "NOERROR"
            assert client.remove("lamp", "10.0.0.2").rcode == "NOERROR"
    assert place.server.records(ZONE) == before | {(HOST, "A", "10.0.0.1")}
    assert client.release("lamp").rcode == "NOERROR"
    assert place.server.records(ZONE) == before


def test_type_that_the_server_does_not_grant(lab):
    """A policy by types refuses the type, and never the addresses."""
    server = lab.named(Zone(ZONE, update_policy="grant nsreg-key zonesub A AAAA;")).start()
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE))}).start()
    client = nsregd.client(ZONE)
    assert client.claim("lamp", "10.0.0.1").rcode == "NOERROR"
    for i in range(2, 5):
        reply = send(client, ("add_record", HOST, 60, "SSHFP", SSHFP))
        assert reply.rcode == "REFUSED" and "REFUSED" in reply.text, reply
        assert client.claim("lamp", f"10.0.0.{i}").rcode == "NOERROR"
    assert server.addresses(HOST) == {f"10.0.0.{i}" for i in range(1, 5)}
    # Once it is granted, it is taken.
    nsregd.stop()
    server.stop()
    server.zones[0].update_policy = "grant nsreg-key zonesub A AAAA SSHFP;"
    server.write_configuration()
    server.start()
    nsregd.start()
    assert send(client, ("add_record", HOST, 60, "SSHFP", SSHFP)).rcode == "NOERROR"
    assert server.query(HOST, "SSHFP").answer


def test_type_that_is_filtered(lab):
    """What one upstream is not to have, another may."""
    some, all_of_it = lab.named(Zone(ZONE)).start(), lab.knot(Zone(ZONE)).start()
    nsregd = lab.nsregd(zones={ZONE: zone(some.upstream(ZONE, record_types=["TXT"]), all_of_it.upstream(ZONE))}).start()
    client = nsregd.client(ZONE)
    assert client.claim("lamp", "10.0.0.1").rcode == "NOERROR"
    assert send(client, ("add_record", HOST, 60, "SSHFP", SSHFP), ("add_record", CHALLENGE, 60, "TXT", "x")).rcode == "NOERROR"
    assert all_of_it.query(HOST, "SSHFP").answer and not some.query(HOST, "SSHFP").answer
    assert all_of_it.query(CHALLENGE, "TXT").answer and some.query(CHALLENGE, "TXT").answer


def test_outage(lab):
    """A server that is away gets them when it comes back, below the host as well."""
    server = lab.knot(Zone(ZONE)).start()
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE, timeout="1s"))}).start()
    client = nsregd.client(ZONE)
    assert client.claim("lamp", "10.0.0.1", ttl=600).rcode == "NOERROR"
    server.pause()
    assert send(client, ("add_record", CHALLENGE, 600, "TXT", "x")).rcode == "SERVFAIL"
    server.resume()
    eventually(lambda: server.query(CHALLENGE, "TXT").answer, 60)
    eventually(lambda: send(client, ("add_record", CHALLENGE, 600, "TXT", "x")).rcode == "NOERROR", 60)
    assert send(client, ("delete_all", CHALLENGE)).rcode == "NOERROR"
    assert server.query(CHALLENGE, "TXT").rcode() == 3


def test_nsupdate(lab):
    """Any client of RFC 2136 adds and removes them."""
    server = lab.named(Zone(ZONE)).start()
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE), **WIDE)}).start()
    key = Key.generate(13)
    directory = lab.subdirectory("keys")
    private = key.write(directory, HOST)

    def nsupdate(*lines):
        script = [f"server 127.0.0.1 {nsregd.port}", f"zone {ZONE}", *lines, "send"]
        done = subprocess.run(["nsupdate", "-v", "-k", private], input="\n".join(script) + "\n", text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, cwd=directory)
        assert done.returncode == 0, done.stdout

    with open(private.replace(".private", ".key"), encoding="ascii") as text:
        public = text.read().split("KEY")[1].strip()
    nsupdate(f"update add {HOST} 600 KEY {public}", f"update add {HOST} 600 A 10.0.0.1")
    records = [(HOST, "SSHFP", SSHFP), (CHALLENGE, "TXT", '"x y"'), (f"_443._tcp.{HOST}", "TLSA", TLSA),
               (f"_https._tcp.{HOST}", "SRV", f"0 0 443 {HOST}")]
    nsupdate(*[f"update add {owner} 600 {kind} {text}" for owner, kind, text in records])
    content = {(owner, kind, canonical(kind, data)) for owner, kind, data in server.records(ZONE) if owner.endswith(HOST)}
    assert content == expect((HOST, "A", "10.0.0.1"), *records)
    nsupdate(f"update delete {HOST} SSHFP", f"update delete {CHALLENGE} TXT \"x y\"",
             f"update delete _443._tcp.{HOST}", f"update delete _https._tcp.{HOST} SRV")
    assert {(owner, kind) for owner, kind, _ in server.records(ZONE) if owner.endswith(HOST)} == {(HOST, "A")}
    assert os.path.exists(private)


def test_bus_and_nsregctl(lab):
    """What is registered is shown, by name and type; whatever its octets are, they are text for a terminal."""
    bus = lab.bus().start()
    nsregd = lab.nsregd(zones={ZONE: zone()}, environment=bus.environment).start()
    bus.wait_for("org.nsreg.Registry1")
    client = nsregd.client(ZONE)
    assert client.claim("lamp", "10.0.0.1", ttl=600).rcode == "NOERROR"
    registration = "/org/nsreg/Registry1/name/lamp_2ed_2eexample"

    def records():
        done = bus.run("busctl", "--json=short", "get-property",
                       "org.nsreg.Registry1", registration, "org.nsreg.Registry1.Registration", "Records")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["data"]

    assert records() == []
    assert send(client, ("add_record", CHALLENGE, 600, "TXT", '"\\027[31m\\200"'),
                ("add_record", HOST, 600, "SSHFP", SSHFP)).rcode == "NOERROR"
    found = {(name.rstrip("."), kind): (bytes(octets), end) for name, kind, octets, end in records()}
    assert set(found) == {(f"lamp.{ZONE}", 44), (f"_acme-challenge.lamp.{ZONE}", 16)}
    assert found[f"lamp.{ZONE}", 44][0] == bytes([4, 2]) + b"\xab" * 32
    assert abs(found[f"lamp.{ZONE}", 44][1] - (time.time() + 600) * 1e6) < 60e6

    shown = bus.run(program("nsregctl"), "show", f"lamp.{ZONE}")
    assert shown.returncode == 0 and "\\027[31m\\200" in shown.stdout and SSHFP in shown.stdout, shown.stdout
    assert "\033" not in shown.stdout.replace("\033[0m", "")
    listed = bus.run(program("nsregctl"), "list", "--type=txt", ZONE)
    assert listed.returncode == 0 and "\\027[31m\\200" in listed.stdout and "SSHFP" not in listed.stdout, listed
    for words, types in ((["--type=any"], {"A", "SSHFP", "TXT"}), (["--type=SSHFP", "l*p"], {"SSHFP"}), (["--type=a"], {"A"}),
                         (["--type=TLSA"], set()), (["--type=any", "x*"], set())):
        listed = json.loads(bus.run(program("nsregctl"), "--json=short", "list", *words).stdout)["Records"]
        assert {record["Type"] for record in listed} == types, (words, listed)
        assert all(record["Registration"] == f"lamp.{ZONE}" for record in listed)
    assert bus.run(program("nsregctl"), "list", "--type=nonsense").returncode == 2
    assert bus.run(program("nsregctl"), "zones", "--type=TXT").returncode == 2
    # Page by page, each a name.
    for i in range(3):
        assert client.claim(f"more{i}", "10.0.0.2", ttl=600).rcode == "NOERROR"
    after, seen = "", []
    while True:
        page = bus.call("org.nsreg.Registry1", "/org/nsreg/Registry1", "org.nsreg.Registry1.Manager", "ListRecords", "sssqu", ZONE,
                        "", after, 1, 1)[0]
        if not page:
            break
        seen += [record[0] for record in page]
        after = page[-1][0]
    assert seen == [f"{label}.{ZONE}" for label in ("lamp", "more0", "more1", "more2")]

    told = json.loads(bus.run(program("nsregctl"), "--json=short", "show", f"lamp.{ZONE}").stdout)
    assert {(record["Type"], record["Data"]) for record in told["Records"]} == {
        ("SSHFP", SSHFP), ("TXT", '"\\027[31m\\200"')}
    assert told["Addresses"] == ["10.0.0.1"]


@pytest.mark.parametrize("seed", range(2))
def test_disorder(lab, seed):
    """Whatever is killed, paused and lost meanwhile: in the end every server has what stands, and nothing else."""
    lot = random.Random(seed)
    servers = {kind: getattr(lab, kind)(Zone(ZONE, records="static TXT mine\n_acme-challenge.static TXT mine")).start()
               for kind in ("named", "knot")}
    static = {kind: server.records(ZONE) for kind, server in servers.items()}
    nsregd = lab.nsregd(zones={ZONE: zone({"type": "builtin"}, *[server.upstream(ZONE, timeout="1s")
                                                                  for server in servers.values()], **WIDE)},
                        limits={"updates-per-second-per-source": 10000}).start()
    clients = {f"h{i}": nsregd.client(ZONE) for i in range(4)}
    for label, client in clients.items():
        eventually(lambda client=client, label=label: client.claim(label, "10.0.0.1", ttl=600).rcode == "NOERROR", 60)

    def choices(label):
        host = f"{label}.{ZONE}."
        return [(host, "SSHFP", SSHFP), (host, "SSHFP", SSHFP_OLD), (host, "TXT", '"a"'), (host, "HTTPS", "1 . alpn=h2"),
                *[(f"_acme-challenge.{host}", "TXT", f'"{i}"') for i in range(3)],
                (f"_443._tcp.{host}", "TLSA", TLSA), (f"_x._udp.{host}", "SRV", "0 0 1 a.example.")]

    def change(label):
        owner, kind, text = lot.choice(choices(label))
        verb = lot.choice([("add_record", owner, 600, kind, text), ("add_record", owner, 600, kind, text),
                           ("delete_record", owner, kind, text), ("delete_rrset", owner, kind),
                           ("delete_all", f"_443._tcp.{label}.{ZONE}.")])
        try:
            reply = send(clients[label], verb, label=label)
        except (OSError, AssertionError):
            return
        assert reply is None or reply.rcode in ("NOERROR", "SERVFAIL"), (verb, reply)

    for _ in range(80):
        what = lot.random()
        server = lot.choice(list(servers.values()))
        if what < 0.03:
            nsregd.kill()
            nsregd.start()
        elif what < 0.06:
            server.pause()
            change(lot.choice(list(clients)))
            server.resume()
        elif what < 0.08:
            server.kill()
            change(lot.choice(list(clients)))
            server.start()
        else:
            change(lot.choice(list(clients)))

    def held():
        found = set()
        for label in clients:
            for owner, kind in {(owner, kind) for owner, kind, _ in choices(label)} | {(f"{label}.{ZONE}.", "A")}:
                found |= {(owner, kind, canonical(kind, rdata.to_text()))
                          for rrset in nsregd.query(owner, kind).answer for rdata in rrset}
        return found

    def published(kind):
        return {(owner, type_, canonical(type_, data)) for owner, type_, data in servers[kind].records(ZONE) - static[kind]}

    for kind in servers:
        eventually(lambda kind=kind: published(kind) == held(), 60,
                   lambda kind=kind: f"{kind} has {published(kind) ^ held()} too many or too few")
        assert static[kind] <= servers[kind].records(ZONE)
    # Each owner is heard again, and all of it goes with the names.
    for label, client in clients.items():
        eventually(lambda client=client, label=label: client.release(label).rcode in ("NOERROR", "REFUSED"), 60)
    for kind in servers:
        eventually(lambda kind=kind: servers[kind].records(ZONE) == static[kind], 60)
