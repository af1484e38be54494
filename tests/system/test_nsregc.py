# SPDX-License-Identifier: LGPL-2.1-or-later
"""nsregc as a service of a real machine: host name, bus, and a network that networkd makes."""

import glob
import os
import subprocess
import threading
import xml.etree.ElementTree

import pytest

from lab import Named, Netns, Zone, eventually, never
from lab.container import Container
from lab.rules import usable

ZONE = "home.example"
PORT = 8053


def ip(*words):
    subprocess.run(["ip", *words], check=True, stdout=subprocess.PIPE)


def addresses(container, label):
    """What the registrar answers, asked from within."""
    found = set()
    for kind in ("A", "AAAA"):
        done = container.run("dig", "+short", "+tries=1", "+time=3", "@127.0.0.1", "-p", PORT, f"{label}.{ZONE}",
                             kind)
        found |= set(done.stdout.split())
    return found


def kernel(container, **rules):
    return usable(container.run("ip", "-j", "address").stdout, **rules)


# ------ one machine that is registrar and client ------

@pytest.fixture
def box(container):
    ip("link", "add", "lan0", "type", "veth", "peer", "name", "lan0-end")
    for name in ("lo", "lan0", "lan0-end"):
        ip("link", "set", name, "up")
    ip("address", "add", "10.99.0.2/24", "dev", "lan0")
    container.write("/etc/hostname", "box\n")
    container.write("/etc/nsregd/nsregd.yaml", {"zones": {ZONE: {}}})
    container.write("/etc/nsregc/nsregc.yaml", {"zones": [ZONE], "discover-zones": False, "interfaces": ["lan*"],
                                                "dns-server": f"127.0.0.1@{PORT}", "dns-tcp": True})
    container.boot()
    container.systemctl("enable", "--now", "nsregd.socket", "nsregc.service")
    yield container
    ip("link", "del", "lan0")


def settled(box, label="box"):
    eventually(lambda: addresses(box, label) == kernel(box, globs=("lan*",)), 30)


def test_service_registers_and_withdraws(box):
    settled(box)
    assert addresses(box, "box") == {"10.99.0.2"}
    eventually(lambda: "registered in 1 zone" in box.property("nsregc.service", "StatusText"))
    ip("address", "add", "10.99.0.3/24", "dev", "lan0")
    settled(box)
    box.systemctl("stop", "nsregc.service")
    assert addresses(box, "box") == set()
    box.systemctl("start", "nsregc.service")
    settled(box)
    # The key is the credential that the first start made: the name was still its own.
    assert not os.path.exists(box.path("/var/lib/nsregc/nsregc.private"))


def test_host_name_changes(box):
    settled(box)
    box.run("hostnamectl", "hostname", "crate")
    settled(box, "crate")
    eventually(lambda: addresses(box, "box") == set())
    # A transient name is not the machine's.
    box.run("hostnamectl", "--transient", "hostname", "dhcp-17")
    never(lambda: addresses(box, "dhcp-17"), 1.0)
    assert addresses(box, "crate") == {"10.99.0.2"}
    box.run("hostnamectl", "hostname", "localhost")
    never(lambda: addresses(box, "localhost") or not addresses(box, "crate"), 1.0)
    box.run("hostnamectl", "hostname", "box")
    settled(box)
    eventually(lambda: addresses(box, "crate") == set())


def busctl(box, *words, **options):
    return box.run("busctl", *words, **options)


def get(box, path, interface, name):
    return busctl(box, "get-property", "org.nsreg.Client1", path, interface, name).stdout.strip()


MANAGER = ("/org/nsreg/Client1", "org.nsreg.Client1.Manager")
ZONE_PATH = "/org/nsreg/Client1/zone/home_2eexample"
ZONE_OBJECT = (ZONE_PATH, "org.nsreg.Client1.Zone")


def test_bus(box):
    settled(box)
    eventually(lambda: get(box, *MANAGER, "State") == 's "registered"')
    assert get(box, *MANAGER, "Name") == 's "box"'
    assert get(box, *MANAGER, "Addresses") == 'as 1 "10.99.0.2"'
    assert len(get(box, *MANAGER, "KeyFingerprint")) == len('s ""') + 64
    assert ZONE_PATH in busctl(box, "tree", "--list", "org.nsreg.Client1").stdout.split()
    assert get(box, *ZONE_OBJECT, "Zone") == 's "home.example"'
    assert get(box, *ZONE_OBJECT, "Name") == 's "box.home.example"'
    assert get(box, *ZONE_OBJECT, "State") == 's "registered"'
    assert get(box, *ZONE_OBJECT, "Server").startswith('s "')
    assert get(box, *ZONE_OBJECT, "LastError") == 's ""'
    assert get(box, *ZONE_OBJECT, "Registered") == 'as 1 "10.99.0.2"'
    assert int(get(box, *ZONE_OBJECT, "NextRefreshUSec").split()[1]) > 1600000000 * 1000000
    ip("address", "add", "10.99.0.3/24", "dev", "lan0")
    eventually(lambda: get(box, *ZONE_OBJECT, "Registered") == 'as 2 "10.99.0.2" "10.99.0.3"')


def test_bus_methods_are_for_root(box):
    settled(box)
    for method in ("Refresh", "Release", "Rediscover", "Reload"):
        done = busctl(box, "call", "org.nsreg.Client1", *MANAGER, method, user=65534, check=False)
        assert done.returncode != 0 and "denied" in done.stderr.lower(), done
    never(lambda: addresses(box, "box") != {"10.99.0.2"}, 0.3)
    busctl(box, "call", "org.nsreg.Client1", *MANAGER, "Release")
    eventually(lambda: addresses(box, "box") == set())
    busctl(box, "call", "org.nsreg.Client1", *MANAGER, "Refresh")
    settled(box)
    box.write("/etc/nsregc/nsregc.yaml", "nonsense: 1\n")
    done = busctl(box, "call", "org.nsreg.Client1", *MANAGER, "Reload", check=False)
    assert done.returncode != 0 and "nsregc.yaml:1:1" in done.stderr, done
    assert addresses(box, "box") == {"10.99.0.2"}


def members(interface):
    return {(child.tag, child.get("name"), child.get("type"), child.get("access")) for child in interface
            if child.tag in ("property", "method", "signal")}


def test_bus_is_what_the_contract_says(box):
    settled(box)
    contract = xml.etree.ElementTree.parse(os.path.join(os.environ["NSREG_SOURCE"], "dbus/org.nsreg.Client1.xml"))
    wanted = {interface.get("name"): members(interface) for interface in contract.getroot().findall("interface")}
    for path, name in (MANAGER, ZONE_OBJECT):
        told = busctl(box, "introspect", "--xml-interface", "org.nsreg.Client1", path).stdout
        found = {interface.get("name"): members(interface)
                 for interface in xml.etree.ElementTree.fromstring(told).findall("interface")}
        assert found[name] == wanted[name]


def test_bus_comes_back(box):
    settled(box)
    box.systemctl("restart", "dbus.service", check=False)
    eventually(lambda: get(box, *MANAGER, "Name") == 's "box"', 30)
    ip("address", "add", "10.99.0.3/24", "dev", "lan0")
    settled(box)


WAKES_UP = """
import dbus, dbus.lowlevel
bus = dbus.SystemBus()
name = dbus.service.BusName("org.freedesktop.login1", bus)
for asleep in (True, False):
    signal = dbus.lowlevel.SignalMessage("/org/freedesktop/login1", "org.freedesktop.login1.Manager", "PrepareForSleep")
    signal.append(asleep, signature="b")
    bus.send_message(signal)
bus.flush()
"""


def test_waking_up_is_a_reason_to_look(box):
    """Logind is masked here: its one signal is sent in its name."""
    if box.run("/usr/bin/python3", "-c", "import dbus.service", check=False).returncode != 0:
        pytest.skip("needs python3-dbus")
    settled(box)
    eventually(lambda: get(box, *ZONE_OBJECT, "State") == 's "registered"')

    def refresh_at():
        return int(get(box, *ZONE_OBJECT, "NextRefreshUSec").split()[1])

    # It drifts by the clocks' difference; a new one is another lot, and later.
    before = refresh_at()
    box.run("/usr/bin/python3", "-c", "import dbus.service" + WAKES_UP)
    eventually(lambda: abs(refresh_at() - before) > 100000)
    assert addresses(box, "box") == {"10.99.0.2"}


# ------ a laptop and the router that gives it addresses, both by networkd ------

ROUTER = """[Match]
Name=r0
[Network]
Address=10.77.0.1/24
Address=fd77:1::1/64
IPv6AcceptRA=no
{dhcp}
IPv6SendRA=yes
[DHCPServer]
DefaultLeaseTimeSec={lease}
MaxLeaseTimeSec={lease}
EmitDNS=yes
DNS=10.77.0.1
SendOption=15:string:home.example
[IPv6SendRA]
EmitDNS=no
{prefixes}
"""
PREFIX = """[IPv6Prefix]
Prefix={0}
PreferredLifetimeSec={1}
ValidLifetimeSec={2}
"""
LAPTOP = """[Match]
Name=l0
[Network]
DHCP=ipv4
IPv6AcceptRA=yes
LinkLocalAddressing=ipv6
[DHCPv4]
UseDomains=yes
UseHostname=no
"""


class Home:
    def __init__(self):
        self.started = False
        ip("link", "add", "r0", "type", "veth", "peer", "name", "l0")
        self.router = Container("router").install()
        self.laptop = Container("laptop").install()
        self.network(lease=3600, prefixes=[("fd77:1::/64", 1800, 3600)])
        self.router.write("/etc/nsregd/nsregd.yaml", {"zones": {ZONE: {"max-addr-ttl": "10s", "min-addr-ttl": "1s"}}})
        self.laptop.write("/etc/systemd/network/l0.network", LAPTOP)
        self.laptop.write("/etc/hostname", "laptop\n")
        # Nothing names a zone: it is the domain that DHCP gives.
        self.ask("10.77.0.1")

    def boot(self):
        for container, interface in ((self.router, "r0"), (self.laptop, "l0")):
            container.boot("--private-network")
            ip("link", "set", interface, "netns", str(container.pid))
        return self

    def ask(self, server, **settings):
        self.laptop.write("/etc/nsregc/nsregc.yaml", {"dns-server": f"{server}@{PORT}", "dns-timeout": "2s",
                                                      **settings})

    def network(self, lease, prefixes, dhcp=True):
        self.router.write("/etc/systemd/network/r0.network",
                          ROUTER.format(dhcp="DHCPServer=yes" if dhcp else "", lease=lease,
                                        prefixes="".join(PREFIX.format(*prefix) for prefix in prefixes)))
        if self.started:
            self.router.run("networkctl", "reload")

    def start(self):
        self.router.systemctl("start", "systemd-networkd")
        self.started = True
        self.router.systemctl("start", "nsregd.socket")
        self.laptop.systemctl("start", "systemd-networkd", "nsregc.service")
        return self

    def published(self):
        return addresses(self.router, "laptop")

    def settled(self, timeout=60):
        eventually(lambda: self.published() == kernel(self.laptop), timeout,
                   "the DNS has what the laptop's kernel has")
        return self.published()

    def teardown(self):
        for container in (self.laptop, self.router):
            container.teardown()
        subprocess.run(["ip", "link", "del", "r0"], check=False, stderr=subprocess.DEVNULL)


@pytest.fixture
def home(request):
    made = Home().boot()
    yield made
    report = getattr(request.node, "report_call", None)
    if report is None or report.failed:
        for container in (made.laptop, made.router):
            for entry in container.journal("-n", "60", "-p", "info"):
                print(container.name, entry.get("SYSLOG_IDENTIFIER"), entry.get("MESSAGE"))
        print(made.laptop.run("ip", "address", check=False).stdout)
    made.teardown()


def test_dhcp_and_router_advertisements(home):
    home.start()
    eventually(lambda: len(kernel(home.laptop)) == 2, 60, "a lease and an address of the prefix")
    found = home.settled()
    assert any(address.startswith("10.77.0.") for address in found)
    assert any(address.startswith("fd77:1:") for address in found)


def test_renumbered_by_the_router(home):
    home.start()
    eventually(lambda: len(kernel(home.laptop)) == 2, 60)
    home.settled()
    home.network(lease=3600, prefixes=[("fd77:1::/64", 0, 3600), ("fd77:2::/64", 1800, 3600)])
    eventually(lambda: any(address.startswith("fd77:2:") for address in kernel(home.laptop)) and
               not any(address.startswith("fd77:1:") for address in kernel(home.laptop)), 60, "the new prefix")
    found = home.settled()
    assert not any(address.startswith("fd77:1:") for address in found)
    assert any(address.startswith("fd77:2:") for address in found)


@pytest.mark.parametrize("configured", [True, False])
def test_dhcp_lease_ends(home, configured):
    """With the lease goes its address, and its domain: a zone that was found by that is let go."""
    home.network(lease=12, prefixes=[("fd77:1::/64", 1800, 3600)])
    home.ask("[fd77:1::1]", **({"zones": [ZONE]} if configured else {}))
    home.start()
    eventually(lambda: len(kernel(home.laptop)) == 2, 60)
    home.settled()
    home.network(lease=12, prefixes=[("fd77:1::/64", 1800, 3600)], dhcp=False)
    eventually(lambda: len(kernel(home.laptop)) == 1, 90, "the lease ends")
    if configured:
        assert not any(address.startswith("10.") for address in home.settled())
    else:
        eventually(lambda: home.published() == set(), 60)


def test_network_gone_and_back(home):
    home.start()
    eventually(lambda: len(kernel(home.laptop)) == 2, 60)
    home.settled()
    home.laptop.run("ip", "link", "set", "l0", "down")
    eventually(lambda: home.published() == set(), 60, "what nobody refreshes ends with its lease")
    messages = len(home.laptop.journal("-u", "nsregc.service"))
    never(lambda: not home.laptop.is_active("nsregc.service"), 3.0)
    assert len(home.laptop.journal("-u", "nsregc.service")) - messages < 5
    home.laptop.run("ip", "link", "set", "l0", "up")
    eventually(lambda: len(kernel(home.laptop)) == 2, 60)
    assert len(home.settled()) == 2


# ------ the same with systemd-resolved, and a name server for it ------

class ContainerNet(Netns):
    """The network of a container, for what runs beside it."""

    def __init__(self, pid):  # nothing is made: it is there
        self.pid = pid
        self._outer = threading.local()

    def command(self):
        return ["nsenter", "-t", str(self.pid), "-n"]

    def _path(self):
        return f"/proc/{self.pid}/ns/net"

    def teardown(self):
        return []


def resolved_package():
    """It must never be installed on this machine, whose resolv.conf it would take: unpacked over a container's root."""
    folder = os.path.join(os.environ["NSREG_BUILD"], "packages")
    found = glob.glob(os.path.join(folder, "systemd-resolved_*.deb"))
    if not found:
        pytest.skip(f"needs (mkdir -p {folder}; cd {folder}; apt-get download systemd-resolved)")
    return found[0]


@pytest.fixture
def office(request, tmp_path):
    """Home, with resolved in the laptop and a named in the router that nsregd publishes to."""
    package = resolved_package()
    made = Home()
    made.named = None
    subprocess.run(["dpkg", "-x", package, tmp_path / "resolved"], check=True)
    made.laptop.install(tmp_path / "resolved")
    os.unlink(made.laptop.path("/etc/systemd/system/systemd-resolved.service"))
    # Whoever reads it asks nobody: it is the bus that must be asked.
    made.laptop.write("/etc/resolv.conf", "nameserver 203.0.113.1\n")
    made.laptop.write("/etc/nsregc/nsregc.yaml", {"dns-timeout": "3s"})
    made.boot()
    for container in (made.router, made.laptop):
        container.systemctl("start", "systemd-networkd")
    eventually(lambda: "10.77.0.1" in made.router.run("ip", "address").stdout)
    zone = Zone(ZONE, records=f"_nsreg._tcp 2 SRV 0 0 {PORT} ns1\nns1 A 10.77.0.1")
    made.named = Named(tmp_path / "named", Zone(".", records="ns.lab.test. A 10.77.0.1", keys=[]), zone, Zone("local"),
                       netns=ContainerNet(made.router.pid), address="10.77.0.1", port=53)
    made.named.start()
    made.router.write("/etc/nsregd/nsregd.yaml",
                      {"zones": {ZONE: {"upstreams": [made.named.upstream(ZONE)], "max-addr-ttl": "10s",
                                        "min-addr-ttl": "1s"}}})
    os.chmod(made.router.path("/etc/nsregd/nsregd.yaml"), 0o644)
    yield made
    report = getattr(request.node, "report_call", None)
    if report is None or report.failed:
        for container in (made.laptop, made.router):
            for entry in container.journal("-n", "60", "-p", "info"):
                print(container.name, entry.get("SYSLOG_IDENTIFIER"), entry.get("MESSAGE"))
        print(made.laptop.run("resolvectl", check=False).stdout)
    if made.named:
        made.named.teardown()
    made.teardown()


def test_resolved_is_asked_over_the_bus(office):
    office.laptop.systemctl("start", "systemd-resolved")
    office.start()
    eventually(lambda: len(kernel(office.laptop)) == 2, 60)
    eventually(lambda: office.named.addresses(f"laptop.{ZONE}") == kernel(office.laptop), 60)
    # The domain of the link goes: the zone is let go. It comes back: so does the registration.
    office.laptop.run("resolvectl", "domain", "l0", "other.example")
    office.laptop.write("/etc/systemd/network/l0.network.d/no-domain.conf", "[DHCPv4]\nUseDomains=no\n")
    office.laptop.run("networkctl", "reload")
    eventually(lambda: office.named.addresses(f"laptop.{ZONE}") == set(), 60)
    os.unlink(office.laptop.path("/etc/systemd/network/l0.network.d/no-domain.conf"))
    office.laptop.run("resolvectl", "domain", "l0", f"~{ZONE}")
    eventually(lambda: office.named.addresses(f"laptop.{ZONE}") == kernel(office.laptop), 60)


def test_the_domain_of_one_link_gets_no_address_of_another(office):
    """resolved tells which link has which domain."""
    office.laptop.systemctl("start", "systemd-resolved")
    office.start()
    eventually(lambda: len(kernel(office.laptop)) == 2, 60)
    own = kernel(office.laptop)
    eventually(lambda: office.named.addresses(f"laptop.{ZONE}") == own, 60)
    for words in ("link add g0 type veth peer name g0-end", "link set g0-end up", "link set g0 up",
                  "address add 10.88.0.2/24 dev g0", "route add default dev g0 metric 5000"):
        office.laptop.run("ip", *words.split())
    eventually(lambda: '"10.88.0.2"' in get(office.laptop, *MANAGER, "Addresses"), 60)
    never(lambda: office.named.addresses(f"laptop.{ZONE}") != own, 2.0)
    # The guest network recommends it, too.
    office.laptop.run("resolvectl", "domain", "g0", ZONE)
    office.laptop.systemctl("restart", "nsregc.service")
    eventually(lambda: office.named.addresses(f"laptop.{ZONE}") == own | {"10.88.0.2"}, 60)


def test_local_is_asked_of_the_links_own_servers(office):
    """resolved sends no question below local. to anybody; who recommends by it, as of old, is heard all the same."""
    status, output = office.named.nsupdate(f"update add r._dns-sd._udp.local. 60 PTR {ZONE}.", zone="local")
    assert status == 0, output
    office.laptop.systemctl("start", "systemd-resolved")
    office.laptop.write("/etc/systemd/network/l0.network.d/no-domain.conf", "[DHCPv4]\nUseDomains=no\n")
    office.laptop.run("networkctl", "reload")
    eventually(lambda: len(kernel(office.laptop)) == 2, 60)
    office.laptop.run("resolvectl", "domain", "l0", "other.example")
    office.start()
    assert ZONE not in office.laptop.run("resolvectl", "domain").stdout
    eventually(lambda: office.named.addresses(f"laptop.{ZONE}") == kernel(office.laptop), 60)
