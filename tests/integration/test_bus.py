# SPDX-License-Identifier: LGPL-2.1-or-later
"""Both daemons on a bus: what they show is what dbus/*.xml says, what they say when something happens."""

import os
import threading
import xml.etree.ElementTree

import pytest

from lab import eventually, never
from lab.bus import NOBODY, BusError, interfaces

ZONE = "d.example"
SERVICE = "org.nsreg.Registry1"
ROOT = "/org/nsreg/Registry1"
MANAGER = (SERVICE, ROOT, f"{SERVICE}.Manager")
FOO = f"{ROOT}/name/foo_2ed_2eexample"


def contract(name):
    path = os.path.join(os.environ["NSREG_SOURCE"], "dbus", f"{name}.xml")
    return interfaces(xml.etree.ElementTree.parse(path).getroot())


class Stage:
    def __init__(self, lab, zones=None, **settings):
        self.bus = lab.bus().start()
        self.nsregd = lab.nsregd(zones or {ZONE: {"min-addr-ttl": "1s"}}, environment=self.bus.environment, **settings)
        self.nsregd.start()
        self.bus.wait_for(SERVICE)

    def call(self, method, signature="", *arguments, **options):
        return self.bus.call(*MANAGER, method, signature, *arguments, **options)

    def list(self, zone="", glob="", after="", limit=0):
        return self.call("ListRegistrations", "sssu", zone, glob, after, limit)[0]

    def names(self, **options):
        return [row[0] for row in self.list(**options)]

    def error_name(self, method, signature="", *arguments):
        return self.bus.error_name(*MANAGER, method, signature, *arguments)


@pytest.fixture
def stage(lab):
    return Stage(lab)


def test_introspection_is_the_contract(lab):
    named = lab.named(ZONE).start()
    stage = Stage(lab, {ZONE: {"upstreams": [named.upstream(ZONE)]}})
    assert stage.nsregd.client().claim("foo", "10.0.0.1").rcode == "NOERROR"
    promised = contract(SERVICE)
    upstream, = stage.bus.managed(SERVICE, f"{ROOT}/upstream")
    shown = {}
    for path in (ROOT, f"{ROOT}/zone/d_2eexample", upstream, FOO):
        for name, parts in interfaces(stage.bus.introspect(SERVICE, path)).items():
            if name.startswith("org.nsreg."):
                shown[name] = parts
    assert shown == promised


def test_the_client_is_the_contract(lab):
    stage = Stage(lab)
    nsregc = lab.nsregc("box", zones=[ZONE], server=stage.nsregd, extra_addresses=["10.0.0.1"],
                        interfaces=["none*"],
                        environment=stage.bus.environment).start()
    stage.bus.wait_for("org.nsreg.Client1")
    zone = "/org/nsreg/Client1/zone/d_2eexample"
    eventually(lambda: stage.bus.get("org.nsreg.Client1", zone, "org.nsreg.Client1.Zone", "State") == "registered")
    shown = {}
    for path in ("/org/nsreg/Client1", zone):
        for name, parts in interfaces(stage.bus.introspect("org.nsreg.Client1", path)).items():
            if name.startswith("org.nsreg."):
                shown[name] = parts
    assert shown == contract("org.nsreg.Client1")
    assert list(stage.bus.managed("org.nsreg.Client1", "/org/nsreg/Client1")) == [zone]
    values = stage.bus.get_all("org.nsreg.Client1", zone, "org.nsreg.Client1.Zone")
    assert values["Name"] == f"box.{ZONE}" and "10.0.0.1" in values["Registered"] and values["LastError"] == ""
    assert values["Server"] == f"127.0.0.1@{stage.nsregd.port}" and values["NextRefreshUSec"] > 0
    manager = ("org.nsreg.Client1", "/org/nsreg/Client1", "org.nsreg.Client1.Manager")
    assert stage.bus.get(*manager, "State") == "registered" and stage.bus.get(*manager, "Name") == "box"
    for method in ("Refresh", "Release", "Rediscover", "Reload"):
        with pytest.raises(BusError):
            stage.bus.call(*manager, method, user=NOBODY)
    monitor = stage.bus.monitor("org.nsreg.Client1")
    stage.bus.call(*manager, "Release")
    eventually(lambda: stage.names() == [])
    monitor.wait("PropertiesChanged", "org.nsreg.Client1.Zone")
    stage.bus.call(*manager, "Refresh")
    eventually(lambda: stage.names() == [f"box.{ZONE}"])
    nsregc.write_configuration({**nsregc.config, "zoness": []})
    assert stage.bus.error_name(*manager, "Reload") == "org.nsreg.Error.InvalidConfiguration"
    nsregc.write_configuration({key: value for key, value in nsregc.config.items() if key != "zoness"} |
                               {"name": "crate"})
    stage.bus.call(*manager, "Reload")
    eventually(lambda: stage.names() == [f"crate.{ZONE}"])


def test_objects_and_values(lab):
    named = lab.named(ZONE).start()
    stage = Stage(lab, {ZONE: {"upstreams": [named.upstream(ZONE)]}, "e.example": {}})
    client = stage.nsregd.client(ZONE)
    assert client.claim("foo", "10.0.0.1", "10.0.0.2", ttl=100, key_ttl=5000).rcode == "NOERROR"
    bus = stage.bus
    assert bus.get(*MANAGER, "Registrations") == 1
    assert bus.get(*MANAGER, "Zones") == [f"{ROOT}/zone/d_2eexample", f"{ROOT}/zone/e_2eexample"]
    statistics = bus.get(*MANAGER, "Statistics")
    assert statistics["claims"] == 1 and statistics["verifications"] == 1
    zones = bus.managed(SERVICE, f"{ROOT}/zone")
    assert set(zones) == set(bus.get(*MANAGER, "Zones"))
    zone = {key: value["data"] for key, value in zones[f"{ROOT}/zone/d_2eexample"][f"{SERVICE}.Zone"].items()}
    (upstream, interface), = bus.managed(SERVICE, f"{ROOT}/upstream").items()
    assert zone["Name"] == ZONE and zone["Registrations"] == 1 and zone["Records"] == 2
    assert zone["Upstreams"] == [upstream] and zone["Builtin"] is False
    assert "10.0.0.0/8" in zone["AllowedNets"]
    values = {key: value["data"] for key, value in interface[f"{SERVICE}.Upstream"].items()}
    assert values["Type"] == "nsupdate" and values["Target"] == f"127.0.0.1@{named.port}" and values["Zone"] == ZONE
    assert values["State"] == "idle" and values["LastError"] == "" and values["Pending"] == 0
    assert values["LastSuccessUSec"] > 0 and values["Messages"] >= 1
    assert stage.call("GetRegistration", "s", f"FOO.{ZONE}.") == [FOO]
    found = bus.get_all(SERVICE, FOO, f"{SERVICE}.Registration")
    assert found["Name"] == f"foo.{ZONE}" and found["Algorithm"] == "ECDSAP256SHA256"
    assert found["KeyTag"] == client.key.tag and found["Source"] == "127.0.0.1"
    assert sorted(address[:2] for address in found["Addresses"]) == [[2, [10, 0, 0, 1]], [2, [10, 0, 0, 2]]]
    assert abs(found["KeyLeaseEndUSec"] - found["LastSeenUSec"] - 5000e6) < 60e6
    assert all(abs(address[2] - found["LastSeenUSec"] - 100e6) < 60e6 for address in found["Addresses"])
    assert list(found["Published"].values()) == [True]
    row, = stage.list()
    assert row[:4] == [f"foo.{ZONE}", ZONE, "ECDSAP256SHA256", client.key.tag] and row[8] is True


def test_pages_over_zones(lab):
    zones = {zone: {} for zone in ("d.example", "a.example", "k.example")}
    stage = Stage(lab, zones, limits={"new-names-per-minute-per-source": 10000})
    everything = []
    for zone in zones:
        client = stage.nsregd.client(zone)
        with client.connect() as connection:
            for number in range(23):
                assert client.claim(f"host{number:02}", "10.0.0.1", connection=connection).rcode == "NOERROR"
        everything += [f"host{number:02}.{zone}" for number in range(23)]
    for limit in (1, 7, 23, 69, 1000, 0):
        found, after = [], ""
        while True:
            page = stage.names(limit=limit, after=after)
            assert len(page) <= (limit or 1000)
            if not page:
                break
            found += page
            after = page[-1]
        assert sorted(found) == sorted(everything) and len(found) == len(everything)
    assert found == stage.names()
    assert stage.names(zone="a.example") == [f"host{number:02}.a.example" for number in range(23)]
    assert stage.names(glob="HOST0[12]") == [f"host{number:02}.{zone}" for zone in zones for number in (1, 2)]
    assert stage.names(zone="k.example", glob="*3", after="host03.k.example", limit=1) == ["host13.k.example"]


def test_errors(stage):
    client = stage.nsregd.client()
    assert client.claim("foo", "10.0.0.1").rcode == "NOERROR"
    error = "org.nsreg.Error."
    long = ".".join(["x" * 63] * 4)
    for method, more in (("GetRegistration", ()), ("Revoke", ("b", "false")), ("Withdraw", ())):
        signature, rest = "s" + "".join(more[:1]), more[1:]
        assert stage.error_name(method, signature, f"bar.{ZONE}", *rest) == error + "NoSuchName"
        assert stage.error_name(method, signature, "bar.elsewhere.example", *rest) == error + "NoSuchZone"
        assert stage.error_name(method, signature, f"{long}.{long}", *rest) == error + "InvalidName"
        assert stage.error_name(method, signature, "a..b", *rest) == error + "InvalidName"
    for method in ("Reserve", "Unreserve"):
        assert stage.error_name(method, "s", "bar.elsewhere.example") == error + "NoSuchZone"
        for name in (f"a.b.{ZONE}", f"-x.{ZONE}", f"a_b.{ZONE}", f"{long}.{long}"):
            assert stage.error_name(method, "s", name) == error + "InvalidName", name
    assert stage.error_name("Reserve", "s", f"foo.{ZONE}") == error + "Already"
    assert stage.error_name("Unreserve", "s", f"bar.{ZONE}") == error + "Already"
    assert stage.error_name("ListRegistrations", "sssu", "elsewhere.example", "", "", 0) == error + "NoSuchZone"
    assert stage.error_name("ListRegistrations", "sssu", "a..b", "", "", 0) == error + "InvalidName"
    assert stage.error_name("ListRegistrations", "sssu", "", "", "x.elsewhere.example", 0) == error + "InvalidName"
    assert stage.error_name("ListRegistrations", "sssu", "", "*" * 256, "", 0) == error + "InvalidName"
    assert stage.error_name("ListReserved", "su", "a..b", 0) == error + "InvalidName"
    stage.nsregd.write_configuration("zoness: {}\n")
    assert stage.error_name("Reload") == error + "InvalidConfiguration"
    assert "nsregd.yaml:1:" in stage.bus.error(*MANAGER, "Reload")
    with pytest.raises(BusError):
        stage.bus.get_all(SERVICE, f"{ROOT}/name/bar_2ed_2eexample", f"{SERVICE}.Registration")
    assert stage.nsregd.alive(ZONE)


def test_strange_questions(stage):
    assert stage.nsregd.client().claim("foo", "10.0.0.1").rcode == "NOERROR"
    for name in ("", ".", "..", "\\", "\\300", "\\000" * 63, "x" * 64, "x" * 100000, "foo." * 70, f"foo.{ZONE}\n", "\u00e9"):
        for method, signature, arguments in (("GetRegistration", "s", [name]), ("Revoke", "sb", [name, "true"]),
                                             ("Withdraw", "s", [name]), ("Reserve", "s", [name]),
                                             ("Unreserve", "s", [name])):
            assert stage.bus.error(*MANAGER, method, signature, *arguments)
        for zone, glob, after in ((name, "", ""), ("", name, ""), ("", "", name)):
            try:
                stage.list(zone, glob, after)
            except BusError:
                pass
    for path in ("_", "__", "_zz", "_00", "foo", "foo_2ed_2eexample_", "_66oo_2ed_2eexample", "a/b", "x" * 3000):
        for interface in (f"{SERVICE}.Registration", f"{SERVICE}.Zone", ""):
            for branch in ("name", "zone", "upstream"):
                try:
                    stage.bus.get_all(SERVICE, f"{ROOT}/{branch}/{path}", interface)
                except BusError:
                    pass
    assert stage.nsregd.alive(ZONE)
    assert stage.names() == [f"foo.{ZONE}"]


def test_only_root_may_change(stage):
    assert stage.nsregd.client().claim("foo", "10.0.0.1").rcode == "NOERROR"
    for method, *arguments in (["Revoke", "sb", f"foo.{ZONE}", "true"], ["Withdraw", "s", f"foo.{ZONE}"],
                               ["Reserve", "s", f"bar.{ZONE}"], ["Unreserve", "s", f"bar.{ZONE}"], ["Flush"],
                               ["Reconcile"], ["Reload"]):
        assert "denied" in stage.bus.error(*MANAGER, method, *arguments, user=NOBODY)
    for method, *arguments in (["Revoke", "b", "true"], ["Withdraw"]):
        assert "denied" in stage.bus.error(SERVICE, FOO, f"{SERVICE}.Registration", method, *arguments, user=NOBODY)
    assert stage.call("GetRegistration", "s", f"foo.{ZONE}", user=NOBODY) == [FOO]
    assert stage.names() == [f"foo.{ZONE}"]


def test_revoke_block_withdraw_reserve(stage):
    client, other = stage.nsregd.client(), stage.nsregd.client()
    assert client.claim("foo", "10.0.0.1").rcode == "NOERROR"
    stage.call("Withdraw", "s", f"foo.{ZONE}")
    assert stage.nsregd.addresses(f"foo.{ZONE}") == set()
    assert stage.error_name("Withdraw", "s", f"foo.{ZONE}") == "org.nsreg.Error.Already"
    assert other.claim("foo", "10.0.0.1").rcode != "NOERROR"
    assert client.claim("foo", "10.0.0.1").rcode == "NOERROR"

    stage.call("Revoke", "sb", f"foo.{ZONE}", "true")
    assert stage.names() == []
    (name, fingerprint), = stage.call("ListReserved", "su", "", 0)[0]
    assert name == f"foo.{ZONE}" and len(fingerprint) >= 64
    assert client.claim("foo", "10.0.0.1").rcode != "NOERROR"
    assert other.claim("foo", "10.0.0.1").rcode == "NOERROR"
    stage.call("Revoke", "sb", f"foo.{ZONE}", "false")
    stage.call("Unreserve", "s", f"foo.{ZONE}")
    assert client.claim("foo", "10.0.0.1").rcode == "NOERROR"

    stage.call("Reserve", "s", f"bar.{ZONE}")
    assert stage.error_name("Reserve", "s", f"bar.{ZONE}") == "org.nsreg.Error.Already"
    assert stage.call("ListReserved", "su", "", 0)[0] == [[f"bar.{ZONE}", ""]]
    assert client.claim("bar", "10.0.0.1").rcode != "NOERROR"
    stage.nsregd.restart()
    stage.bus.wait_for(SERVICE)
    assert client.claim("bar", "10.0.0.1").rcode != "NOERROR"
    stage.call("Unreserve", "s", f"bar.{ZONE}")
    assert client.claim("bar", "10.0.0.1").rcode == "NOERROR"


def test_signals(stage):
    client = stage.nsregd.client()
    monitor = stage.bus.monitor(SERVICE)
    assert client.claim("foo", "10.0.0.1").rcode == "NOERROR"
    monitor.wait("NameClaimed", f"foo.{ZONE}", "127.0.0.1")
    before = monitor.signals()
    for _ in range(5):
        assert client.claim("foo", "10.0.0.1").rcode == "NOERROR"
    never(lambda: len(monitor.signals()) > len(before), 1.5, "a signal for a pure refresh")

    assert client.claim("foo", "10.0.0.1", "10.0.0.2").rcode == "NOERROR"
    _, (interface, changed, _), path = monitor.wait("PropertiesChanged")[0]
    assert path == FOO and interface == f"{SERVICE}.Registration" and list(changed) == ["Addresses"]
    assert client.release("foo").rcode == "NOERROR"
    monitor.wait("NameReleased", f"foo.{ZONE}")
    assert client.claim("bar", "10.0.0.1", ttl=1, key_ttl=1).rcode == "NOERROR"
    monitor.wait("NameExpired", f"bar.{ZONE}", timeout=30)
    stage.nsregd.write_configuration({**stage.nsregd.config, "zones": {"e.example": {}}})
    stage.call("Reload")
    assert monitor.wait("InterfacesRemoved", f"{ROOT}/zone/d_2eexample")
    assert monitor.wait("InterfacesAdded", f"{ROOT}/zone/e_2eexample")


def test_refusals_are_limited(stage):
    client, stranger = stage.nsregd.client(), stage.nsregd.client()
    assert client.claim("foo", "10.0.0.1").rcode == "NOERROR"
    monitor = stage.bus.monitor(SERVICE)
    with stranger.connect() as connection:
        for _ in range(100):
            assert stranger.claim("foo", "10.0.0.1", connection=connection).rcode != "NOERROR"
    monitor.wait("ClaimRefused", f"foo.{ZONE}", "127.0.0.1")
    assert client.claim("last", "10.0.0.1").rcode == "NOERROR"
    monitor.wait("NameClaimed", f"last.{ZONE}")
    refused = monitor.signals("ClaimRefused")
    assert 1 <= len(refused) <= 10 and all(arguments[2] for _, arguments, _ in refused)
    assert 1 <= len([line for line in stage.nsregd.log().splitlines() if f"foo.{ZONE}." in line]) <= 12


def test_mass_expiry_is_one_number(lab):
    stage = Stage(lab, limits={"new-names-per-minute-per-source": 10000})
    client = stage.nsregd.client()
    monitor = stage.bus.monitor(SERVICE)
    with client.connect() as connection:
        for number in range(60):
            assert client.claim(f"host{number}", "10.0.0.1", ttl=4, key_ttl=4,
                                connection=connection).rcode == "NOERROR"
    # Stopped until all leases are over, so that they end in one moment.
    stage.nsregd.pause()
    monitor.wait("NameClaimed", f"host59.{ZONE}")
    never(lambda: False, 6)
    stage.nsregd.resume()
    monitor.wait("NamesExpired", timeout=30)
    eventually(lambda: len(monitor.signals("NameExpired")) +
               sum(arguments[0] for _, arguments, _ in monitor.signals("NamesExpired")) == 60)
    assert len(monitor.signals("NameExpired")) <= 40
    # And the journal says it as shortly.
    stage.nsregd.wait_log(r"\d+ more names are free: their key leases ended")
    assert stage.nsregd.log().count("is free: its key lease ended") <= 40
    assert stage.names() == []


def test_upstream_trouble_shows(lab):
    named = lab.named(ZONE).start()
    stage = Stage(lab, {ZONE: {"upstreams": [named.upstream(ZONE, timeout="1s")]}})
    path, = stage.bus.managed(SERVICE, f"{ROOT}/upstream")
    monitor = stage.bus.monitor(SERVICE)
    client = stage.nsregd.client()
    assert client.claim("foo", "10.0.0.1").rcode == "NOERROR"
    named.stop()
    assert client.claim("foo", "10.0.0.1", "10.0.0.2").rcode == "SERVFAIL"
    upstream = (SERVICE, path, f"{SERVICE}.Upstream")
    eventually(lambda: stage.bus.get(*upstream, "State") == "retrying")
    assert stage.bus.get(*upstream, "LastError") and stage.bus.get(*upstream, "Pending") >= 1
    monitor.wait("PropertiesChanged", f"{SERVICE}.Upstream")
    named.start()
    stage.call("Flush")
    eventually(lambda: stage.bus.get(*upstream, "State") == "idle" and not stage.bus.get(*upstream, "LastError"))
    assert named.addresses(f"foo.{ZONE}")
    # Somebody takes it away behind our back.
    named.nsupdate(f"update delete foo.{ZONE} A", zone=ZONE)
    assert named.addresses(f"foo.{ZONE}") == set()
    stage.call("Reconcile")
    eventually(lambda: named.addresses(f"foo.{ZONE}") == stage.nsregd.addresses(f"foo.{ZONE}") or
               named.addresses(f"foo.{ZONE}"), what="the record is back")


def bus_tool(stage, *words, user=None):
    tool = os.path.join(os.environ["NSREG_BUILD"], "tests", "tools", "bus-tool")
    return stage.bus.run(tool, *words, user=user)


def many_names(stage, n=300):
    client = stage.nsregd.client()
    with client.connect() as connection:
        for number in range(n):
            assert client.claim(f"host{number}", "10.0.0.1", connection=connection).rcode == "NOERROR"


def test_nobody_asks_for_more_than_his_share(lab):
    """Who asks for thousands of pages at once is told to wait; the administrator is answered meanwhile."""
    stage = Stage(lab, limits={"new-names-per-minute-per-source": 10000})
    many_names(stage)
    done = []
    crowd = [threading.Thread(target=lambda: done.append(bus_tool(stage, "flood", 2500, user=NOBODY)))
             for _ in range(3)]
    for one in crowd:
        one.start()
    while any(one.is_alive() for one in crowd):
        assert len(stage.list()) == 300
    for one in crowd:
        one.join()
    assert len(done) == 3
    for one in done:
        assert one.returncode == 0, one.stderr
        made, refused, failed = (int(word) for word in one.stdout.split())
        assert made + refused == 2500 and failed == 0
        assert 1 <= made <= 1000 and refused >= 1500, one.stdout
    # And whoever waited is answered as ever.
    assert bus_tool(stage, "flood", 4, user=NOBODY).stdout.split() == ["4", "0", "0"]


def test_whoever_asks_without_end_is_told_to_wait(lab):
    """However little each question costs; others are answered meanwhile, and so is everybody afterwards."""
    stage = Stage(lab, limits={"new-names-per-minute-per-source": 10000})
    many_names(stage, 200)
    done = []
    crowd = [threading.Thread(target=lambda: done.append(bus_tool(stage, "tree", 4000, user=NOBODY)))
             for _ in range(3)]
    for one in crowd:
        one.start()
    while any(one.is_alive() for one in crowd):
        assert stage.call("GetRegistration", "s", f"host1.{ZONE}")
    for one in crowd:
        one.join()
    assert len(done) == 3
    for one in done:
        made, refused, failed = (int(word) for word in one.stdout.split())
        assert made + refused == 4000 and failed == 0 and made >= 1500 and refused > 0, one.stdout
    assert bus_tool(stage, "tree", 4, user=NOBODY).stdout.split() == ["4", "0", "0"]


def test_what_waits_to_be_allowed_is_bounded(stage):
    done = bus_tool(stage, "change", 5000, user=NOBODY)
    assert done.returncode == 0, done.stderr
    allowed, refused, denied = (int(word) for word in done.stdout.split())
    assert allowed == 0 and refused + denied == 5000 and refused > 0, done.stdout
    assert bus_tool(stage, "change", 10).stdout.split() == ["10", "0", "0"]


def test_work_for_a_caller_that_left_is_dropped(lab):
    stage = Stage(lab, limits={"new-names-per-minute-per-source": 10000})
    many_names(stage, 150)
    for _ in range(40):
        assert bus_tool(stage, "leave", 8, user=NOBODY).returncode == 0
    assert bus_tool(stage, "flood", 4, user=NOBODY).stdout.split() == ["4", "0", "0"]
    assert len(stage.list()) == 150


def test_signals_to_a_bus_that_has_stopped_are_bounded(lab):
    """They are lost, as signals are; what is can be asked for afterwards."""
    stage = Stage(lab, limits={"new-names-per-minute-per-source": 100000})
    monitor = stage.bus.monitor(SERVICE)
    stage.bus.process.pause()
    many_names(stage, 5000)
    stage.bus.process.resume()
    assert stage.nsregd.client().claim("last", "10.0.0.1").rcode == "NOERROR"
    eventually(lambda: len(stage.names(glob="host39*")) == 111)
    assert 100 < len(monitor.signals("NameClaimed")) < 4000


def test_the_bus_restarts(stage):
    client = stage.nsregd.client()
    for number in range(2):
        stage.bus.stop()
        assert client.claim(f"foo{number}", "10.0.0.1").rcode == "NOERROR"
        stage.bus.start()
        stage.bus.wait_for(SERVICE)
        assert f"foo{number}.{ZONE}" in stage.names()


def test_it_starts_without_a_bus(lab):
    bus = lab.bus()
    nsregd = lab.nsregd({ZONE: {}}, environment=bus.environment).start()
    assert nsregd.client().claim("foo", "10.0.0.1").rcode == "NOERROR"
    bus.start()
    bus.wait_for(SERVICE)
    assert bus.get(*MANAGER, "Registrations") == 1
