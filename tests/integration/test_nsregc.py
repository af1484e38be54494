# SPDX-License-Identifier: LGPL-2.1-or-later
"""nsregc and nsregd, both real, in a network namespace whose addresses the test changes. The outcome is read
from the DNS, and compared with the set that the rules give, computed from `ip -j address`."""

import os
import re
import subprocess
import time

import dns.name
import dns.reversename
import pytest

from lab import eventually, never, program
from lab.rules import usable

ZONE = "d.example"
NAME = "box.d.example"
REVERSE = ("10.in-addr.arpa", "16.172.in-addr.arpa", "168.192.in-addr.arpa", "d.f.ip6.arpa")


def expected(netns, **rules):
    return usable(netns.ip("-j", "address"), **rules)


class House:
    """A namespace with a registrar on its loopback and an interface. With `named`, a real name server stands behind
    the registrar, and the outcome is read from that, its PTR records included."""

    def __init__(self, lab, addresses=("10.1.2.3/24",), named=False, zones=(ZONE,), **zone):
        self.lab = lab
        self.netns = lab.netns()
        self.netns.dummy("eth0", *addresses)
        self.named = lab.named(*zones, *REVERSE, netns=self.netns).start() if named else None
        self.nsregd = lab.nsregd(zones={name: {**zone, **self.upstreams(name)} for name in zones}, netns=self.netns)
        self.nsregd.start()

    def upstreams(self, zone):
        return {"upstreams": [self.named.upstream(zone, REVERSE)]} if self.named else {}

    def nsregc(self, name="box", **settings):
        settings.setdefault("zones", [ZONE])
        return self.lab.nsregc(name, server=self.nsregd, netns=self.netns, **settings)

    def published(self, name=NAME):
        return (self.named or self.nsregd).addresses(name)

    def pointers(self, name=NAME):
        """The addresses whose PTR record is this name, of all that the reverse zones hold."""
        with self.netns:
            records = {record for zone in REVERSE for record in self.named.records(zone)}
        return {dns.reversename.to_address(dns.name.from_text(owner)) for owner, kind, target in records
                if kind == "PTR" and target == f"{name}."}

    def settle(self, name=NAME, **rules):
        """Until the DNS says what the rules give; returns it."""
        eventually(lambda: self.published(name) == expected(self.netns, **rules), 30,
                   lambda: f"{self.published(name)} becomes {expected(self.netns, **rules)}")
        if self.named and len(self.nsregd.config["zones"]) == 1:  # the names of several would share them
            eventually(lambda: self.pointers(name) == expected(self.netns, **rules), 30,
                       lambda: f"pointers {self.pointers(name)} become {expected(self.netns, **rules)}")
        return self.published(name)


@pytest.fixture
def house(lab):
    return House(lab)


@pytest.fixture
def street(lab):
    """A house with a real name server behind its registrar."""
    return House(lab, named=True)


def test_once(house):
    client = house.nsregc()
    status, _, errors = client.run("--once")
    assert status == 0, errors
    assert house.published() == {"10.1.2.3"}
    # The second time it is known what kind of server that is; nothing changes.
    status, _, errors = client.run("--once")
    assert status == 0, errors
    assert house.published() == {"10.1.2.3"}


def test_registers_and_withdraws(street):
    client = street.nsregc().start()
    assert street.settle() == {"10.1.2.3"}
    assert client.term() == 0
    eventually(lambda: street.published() == set())
    # Withdrawn, not released: another key does not get the name.
    other = street.nsregc()
    status, _, errors = other.run("--once")
    assert status == 1
    assert "refused" in errors


def test_keep_records(street):
    client = street.nsregc(keep_records=True).start()
    street.settle()
    assert client.term() == 0
    assert street.published() == {"10.1.2.3"}


def test_release_frees_the_name(street):
    client = street.nsregc()
    assert client.run("--once")[0] == 0
    status, _, errors = client.run("--release")
    assert status == 0, errors
    eventually(lambda: street.published() == set())
    other = street.nsregc()
    status, _, errors = other.run("--once")
    assert status == 0, errors


def test_addresses_come_and_go(street):
    street.nsregc().start()
    street.settle()
    street.netns.add_address("eth0", "10.1.2.4/24")
    assert street.settle() == {"10.1.2.3", "10.1.2.4"}
    street.netns.add_address("eth0", "fd00:1::5/64")
    assert street.settle() == {"10.1.2.3", "10.1.2.4", "fd00:1::5"}
    street.netns.delete_address("eth0", "10.1.2.3/24")
    assert "10.1.2.3" not in street.settle()
    street.netns.delete_address("eth0", "fd00:1::5/64")
    street.settle()


def test_all_addresses_gone_and_back(street):
    client = street.nsregc().start()
    street.settle()
    street.netns.delete_address("eth0", "10.1.2.3/24")
    assert street.settle() == set()
    street.netns.add_address("eth0", "10.1.2.9/24")
    assert street.settle() == {"10.1.2.9"}
    assert client.running


def test_renumbering_ends_with_the_new_prefix(lab):
    house = House(lab, ("fd00:aaaa::1/64",), named=True)
    house.nsregc().start()
    assert house.settle() == {"fd00:aaaa::1"}
    house.netns.add_address("eth0", "fd00:bbbb::1/64")
    house.netns.change_address("eth0", "fd00:aaaa::1/64", 600, 0)
    assert house.settle() == {"fd00:bbbb::1"}


def test_deprecation_by_time(lab):
    house = House(lab, ("10.1.2.3/24",), named=True)
    house.netns.add_address("eth0", "fd00:aaaa::1/64", 60, 2)
    house.nsregc().start()
    assert house.settle() == {"10.1.2.3", "fd00:aaaa::1"}
    eventually(lambda: expected(house.netns) == {"10.1.2.3"}, 20)
    assert house.settle() == {"10.1.2.3"}


def test_expiry_by_time(lab):
    house = House(lab, ("10.1.2.3/24",), named=True)
    house.netns.add_address("eth0", "10.1.2.50/24", 3)
    house.nsregc().start()
    eventually(lambda: "10.1.2.50" in house.published())
    eventually(lambda: "10.1.2.50" not in expected(house.netns), 20)
    assert house.settle() == {"10.1.2.3"}


def test_lifetime_refresh_is_no_change(lab):
    house = House(lab, ("10.1.2.3/24",), named=True)
    house.netns.add_address("eth0", "fd00:aaaa::1/64", 600, 300)
    client = house.nsregc(arguments=["--debug"]).start()
    house.settle()
    eventually(lambda: client.log().count("Registered") >= 1)
    time.sleep(0.5)
    before = house.named.serial()
    sent = client.log().count("Registered")
    for valid in (700, 800, 900):
        house.netns.change_address("eth0", "fd00:aaaa::1/64", valid, valid)
    never(lambda: house.named.serial() != before or
          client.log().count("Registered") != sent, 1.5)


def test_tentative_and_dad_failed(lab):
    house = House(lab, named=True)
    # The same address on both ends of a cable: whoever comes second fails duplicate address detection.
    house.netns.ip("link", "add", "dad0", "type", "veth", "peer", "name", "dad1")
    house.netns.ip("link", "set", "dad0", "up")
    house.netns.ip("link", "set", "dad1", "up")
    house.nsregc(interfaces=["eth0", "dad0"]).start()
    rules = {"globs": ("eth0", "dad0")}
    house.settle(**rules)
    house.netns.ip("address", "add", "fd00:dad::1/64", "dev", "dad1", "nodad")
    house.netns.ip("address", "add", "fd00:dad::1/64", "dev", "dad0")
    eventually(lambda: "dadfailed" in house.netns.ip("address", "show", "dev", "dad0"), 20)
    assert house.settle(**rules) == {"10.1.2.3"}
    house.netns.ip("address", "add", "fd00:dad::2/64", "dev", "dad0")
    # Tentative first, then good.
    eventually(lambda: "fd00:dad::2" in expected(house.netns, **rules), 20)
    assert house.settle(**rules) == {"10.1.2.3", "fd00:dad::2"}


def test_temporary_addresses(lab):
    house = House(lab, named=True)
    # mngtmpaddr makes the kernel add a temporary address of its own.
    house.netns.run("sysctl", "-qw", "net.ipv6.conf.eth0.use_tempaddr=2")
    house.netns.ip("address", "add", "fd00:aaaa::1/64", "dev", "eth0", "nodad", "mngtmpaddr")
    eventually(lambda: "temporary" in house.netns.ip("address", "show", "dev", "eth0"), 10)
    house.nsregc().start()
    assert house.settle() == {"10.1.2.3", "fd00:aaaa::1"}


def test_temporary_addresses_on_wish(lab):
    house = House(lab, named=True)
    house.netns.run("sysctl", "-qw", "net.ipv6.conf.eth0.use_tempaddr=2")
    house.netns.ip("address", "add", "fd00:aaaa::1/64", "dev", "eth0", "nodad", "mngtmpaddr")
    eventually(lambda: "temporary" in house.netns.ip("address", "show", "dev", "eth0"), 10)
    house.nsregc(ipv6_temporary=True).start()
    eventually(lambda: len(expected(house.netns, temporary=True)) == 3)
    assert len(house.settle(temporary=True)) == 3


def test_ipv4_secondary_is_a_good_address(lab):
    house = House(lab, ("10.1.2.3/24", "10.1.2.4/24"), named=True)
    assert "secondary" in house.netns.ip("address", "show", "dev", "eth0")
    house.nsregc().start()
    assert house.settle() == {"10.1.2.3", "10.1.2.4"}


@pytest.mark.parametrize("globs", [["eth*"], ["!eth1"], ["eth*", "!eth1"], ["wlan?"], []])
def test_interface_globs(lab, globs):
    house = House(lab, named=True)
    house.netns.dummy("eth1", "10.1.3.3/24")
    house.netns.dummy("wlan0", "10.1.4.3/24")
    house.nsregc(interfaces=globs).start()
    house.settle(globs=globs)


def test_interface_appears_is_renamed_and_vanishes(lab):
    house = House(lab, named=True)
    rules = {"globs": ("eth*",)}
    house.nsregc(interfaces=["eth*"]).start()
    assert house.settle(**rules) == {"10.1.2.3"}
    house.netns.dummy("eth7", "10.7.7.7/24")
    assert house.settle(**rules) == {"10.1.2.3", "10.7.7.7"}
    house.netns.ip("link", "set", "eth7", "name", "other7")
    assert house.settle(**rules) == {"10.1.2.3"}
    house.netns.ip("link", "set", "other7", "name", "eth8")
    assert house.settle(**rules) == {"10.1.2.3", "10.7.7.7"}
    house.netns.ip("link", "del", "eth8")
    assert house.settle(**rules) == {"10.1.2.3"}


def test_same_address_on_two_interfaces(lab):
    house = House(lab, named=True)
    house.netns.dummy("eth1", "10.1.2.3/32")
    house.nsregc().start()
    assert house.settle() == {"10.1.2.3"}
    house.netns.delete_address("eth0", "10.1.2.3/24")
    never(lambda: house.published() != {"10.1.2.3"}, 1.0)
    house.netns.delete_address("eth1", "10.1.2.3/32")
    assert house.settle() == set()


def test_exclude_subnets_and_extra_addresses(lab):
    house = House(lab, ("10.1.2.3/24", "172.16.5.5/24"), named=True)
    house.nsregc(exclude_subnets=["172.16.0.0/12"], extra_addresses=["192.168.99.1", "fd00:99::1"]).start()
    assert house.settle(exclude=("172.16.0.0/12", "127.0.0.0/8", "fe80::/10", "::1/128"),
                        extra=("192.168.99.1", "fd00:99::1")) == {"10.1.2.3", "192.168.99.1", "fd00:99::1"}


def test_many_changes_become_few_updates(street):
    client = street.nsregc(arguments=["--debug"]).start()
    street.settle()
    before = client.log().count("Registered")
    batch = "\n".join(f"address add 10.1.2.{n}/24 dev eth0" for n in range(20, 33))
    street.netns.run("ip", "-batch", "-", input=batch)
    assert len(street.settle()) == 14
    assert client.log().count("Registered") - before <= 3


def test_events_lost_are_dumped_again(lab):
    house = House(lab, named=True)
    client = house.nsregc(arguments=["--debug"]).start()
    house.settle()
    # More events than the socket's buffer holds, while the client does not read.
    client.process.pause()
    house.netns.dummy("eth5")
    lines = []
    for _ in range(40):
        for n in range(1, 250):
            lines.append(f"address add 10.9.{n}.1/24 dev eth5")
        lines.append("address flush dev eth5")
    lines.append("address add 10.9.9.9/24 dev eth5")
    house.netns.run("ip", "-batch", "-", input="\n".join(lines))
    house.netns.ip("address", "add", "10.1.2.4/24", "dev", "eth0")
    client.process.resume()
    client.wait_log("events were lost")
    assert house.settle() == {"10.1.2.3", "10.1.2.4", "10.9.9.9"}


def test_what_a_crashed_predecessor_left_is_removed(street):
    client = street.nsregc().start()
    street.netns.add_address("eth0", "10.1.2.4/24")
    assert street.settle() == {"10.1.2.3", "10.1.2.4"}
    client.kill()
    street.netns.delete_address("eth0", "10.1.2.4/24")
    client.start()
    assert street.settle() == {"10.1.2.3"}


def test_another_name_releases_the_old_one(street):
    client = street.nsregc().start()
    street.settle()
    client.kill()
    client.config["name"] = "crate"
    client.start()
    assert street.settle("crate.d.example") == {"10.1.2.3"}
    eventually(lambda: street.published() == set())
    # Given up, not only withdrawn.
    other = street.nsregc()
    eventually(lambda: other.run("--once")[0] == 0)


def test_a_zone_no_longer_configured_is_let_go(lab):
    house = House(lab, named=True, zones=(ZONE, "e.example"))
    client = house.nsregc(zones=[ZONE, "e.example"]).start()
    house.settle()
    house.settle("box.e.example")
    client.kill()
    client.config["zones"] = [ZONE]
    client.start()
    eventually(lambda: house.published("box.e.example") == set())
    house.settle()


def test_letting_go_ends_with_the_lease(house):
    """A zone that is no longer wanted and whose registrar is gone: tried for as long as there is something."""
    client = house.nsregc(addr_ttl="2s")
    ledger = os.path.join(client.state_dir, "registered")
    with open(ledger, "w", encoding="ascii") as out:
        out.write("gone.example. box.gone.example. modern 10.1.2.3\n")
    client.start()
    house.settle()

    def noted():
        with open(ledger, encoding="ascii") as text:
            return "gone.example." in text.read()

    assert noted()
    eventually(lambda: not noted(), 30)
    assert client.running


def test_refresh_keeps_the_lease(lab):
    house = House(lab, named=True, **{"max-addr-ttl": "2s", "min-addr-ttl": "1s"})
    client = house.nsregc().start()
    house.settle()
    never(lambda: house.published() != {"10.1.2.3"}, 6.0)
    client.kill()
    eventually(lambda: house.published() == set(), 10)


def test_term_before_the_first_answer(house):
    client = house.nsregc()
    house.nsregd.pause()
    client.start()
    # The request is out when the connection is.
    eventually(lambda: f":{house.nsregd.port} " in house.netns.run("ss", "-Htn", "state", "established").stdout)
    client.process.send_signal(15)
    time.sleep(0.3)
    house.nsregd.resume()
    assert client.process.wait() == 0
    never(lambda: house.published() != set(), 0.5)


def test_term_with_nobody_there(house):
    client = house.nsregc()
    house.nsregd.term()
    client.start()
    client.wait_log("cannot be registered now")
    started = time.monotonic()
    assert client.term() == 0
    assert time.monotonic() - started < 15


def test_registrar_gone_longer_than_the_lease(lab):
    house = House(lab, named=True, **{"max-addr-ttl": "2s", "min-addr-ttl": "1s"})
    client = house.nsregc(arguments=["--debug"]).start()
    house.settle()
    house.nsregd.kill()
    client.wait_log("cannot be registered now")
    time.sleep(2.5)
    house.nsregd.start()
    house.settle()
    assert len(re.findall("(?<!debug: )cannot be registered now", client.log())) >= 1


def test_registrar_hangs(lab):
    house = House(lab, named=True, **{"max-addr-ttl": "2s", "min-addr-ttl": "1s"})
    client = house.nsregc(dns_timeout="1s").start()
    house.settle()
    house.nsregd.pause()
    client.wait_log("cannot be registered now")
    house.netns.add_address("eth0", "10.1.2.4/24")
    house.nsregd.resume()
    assert house.settle() == {"10.1.2.3", "10.1.2.4"}


def test_refused_is_a_state(street):
    first = street.nsregc()
    assert first.run("--once")[0] == 0
    second = street.nsregc(addr_ttl="60s").start()
    second.wait_log("was refused: .*box")
    assert street.published() == {"10.1.2.3"}
    # Tried again when addresses change, and shown once only.
    assert first.run("--release")[0] == 0
    street.netns.add_address("eth0", "10.1.2.4/24")
    assert street.settle() == {"10.1.2.3", "10.1.2.4"}
    assert second.log().count("was refused") == 1


def test_reserved_name_says_so(lab):
    house = House(lab, **{"reserved-names": ["printer"]})
    status, _, errors = house.nsregc("printer").run("--once")
    assert status == 1
    assert "reserved" in errors


def test_address_filtered_out_says_so(lab):
    house = House(lab, ("10.1.2.3/24",), named=True, **{"allowed-nets": ["10.0.0.0/8", "127.0.0.0/8"]})
    house.netns.add_address("eth0", "192.168.7.7/24")
    client = house.nsregc().start()
    client.wait_log("does not take 192.168.7.7")
    assert house.published() == {"10.1.2.3"}


def test_key_is_made_once(house):
    client = house.nsregc()
    assert client.run("--once")[0] == 0
    path = os.path.join(client.state_dir, "nsregc.private")
    with open(path, encoding="ascii") as key:
        text = key.read()
    assert text.startswith("Private-key-format: v1.3")
    assert os.stat(path).st_mode & 0o777 == 0o600
    with open(os.path.join(client.state_dir, "nsregc.key"), encoding="ascii") as key:
        assert re.match(r"box\.\s.*KEY\s+0 3 13 ", key.read())
    assert client.run("--once")[0] == 0
    with open(path, encoding="ascii") as key:
        assert key.read() == text
    status, _, errors = client.run("--generate-key")
    assert status == 1 and "there is a key already" in errors


def test_no_key_and_none_may_be_made(house):
    status, _, errors = house.nsregc(gen_key=False).run("--once")
    assert status == 1
    assert "gen-key is off" in errors


def test_a_key_that_is_none(house):
    client = house.nsregc()
    with open(os.path.join(client.state_dir, "nsregc.private"), "w", encoding="ascii") as key:
        key.write("rubbish\n")
    status, _, errors = client.run("--once")
    assert status == 1
    assert "nsregc.private" in errors and "not a private key file" in errors


@pytest.mark.parametrize("algorithm", ["ECDSAP256SHA256", "ECDSAP384SHA384", "ED25519"])
def test_keys_of_bind(house, algorithm):
    client = house.nsregc()
    house.netns.run("dnssec-keygen", "-T", "KEY", "-n", "HOST", "-a", algorithm, "-K", client.state_dir, NAME)
    (private,) = [name for name in os.listdir(client.state_dir) if name.endswith(".private")]
    client.config["private-key-file"] = os.path.join(client.state_dir, private)
    status, _, errors = client.run("--once")
    assert status == 0, errors
    assert house.published() == {"10.1.2.3"}


def with_credential(client):
    """Its key becomes a credential."""
    credentials = os.path.join(client.directory, "credentials")
    os.mkdir(credentials)
    os.rename(os.path.join(client.state_dir, "nsregc.private"), os.path.join(credentials, "nsregc.private"))
    client.environment["CREDENTIALS_DIRECTORY"] = credentials


def without_paths(client):
    for name in ("key-file", "private-key-file"):
        del client.config[name]
    return client


def test_credential_goes_before_the_state_directory(house):
    client = without_paths(house.nsregc())
    assert client.run("--once")[0] == 0
    with_credential(client)
    status, _, errors = client.run("--once")
    assert status == 0, errors
    assert not os.path.exists(os.path.join(client.state_dir, "nsregc.private"))


def test_a_configured_path_goes_before_a_credential(house):
    client = house.nsregc()
    assert client.run("--once")[0] == 0
    with_credential(client)
    # Another key: the name is not its own.
    status, _, errors = client.run("--once")
    assert status == 1 and "another key" in errors
    assert os.path.exists(os.path.join(client.state_dir, "nsregc.private"))


def test_relative_paths_are_beside_the_configuration(house):
    client = house.nsregc()
    client.config.update({"key-file": "box.key", "private-key-file": "keys/box.private"})
    os.mkdir(os.path.join(client.directory, "keys"))
    elsewhere = house.lab.subdirectory("elsewhere")
    client.write_configuration()
    house.netns.run(program("nsregc"), "-c", client.config_path, "--once", cwd=elsewhere,
                    env={**os.environ, **client.environment})
    assert os.listdir(os.path.join(client.directory, "keys")) == ["box.private"]
    assert os.path.exists(os.path.join(client.directory, "box.key")) and os.listdir(elsewhere) == []


def test_the_key_of_an_original_beside_its_configuration(house):
    client = without_paths(house.nsregc())
    assert client.run("--once")[0] == 0
    os.rename(os.path.join(client.state_dir, "nsregc.private"), os.path.join(client.directory, "nsregc.private"))
    assert client.run("--once")[0] == 0
    assert not os.path.exists(os.path.join(client.state_dir, "nsregc.private"))


def test_one_at_a_time(house):
    client = house.nsregc().start()
    eventually(lambda: house.published() == {"10.1.2.3"})
    status, _, errors = client.run("--release")
    assert status == 1 and "another nsregc" in errors
    assert house.published() == {"10.1.2.3"}
    assert client.term() == 0
    assert client.run("--release")[0] == 0


@pytest.mark.parametrize("arguments", [["--nonsense"], ["-n", "two.labels"], ["-a", "10.0.0.300"],
                                       ["--once", "--release"], ["bad..zone"], ["-s", "@"]])
def test_usage_errors(house, arguments):
    status, _, errors = house.nsregc().run(*arguments)
    assert status == 2
    assert errors.startswith("nsregc: ")


def test_help_and_version(house):
    status, output, _ = house.nsregc().run("--help")
    assert status == 0 and "--generate-key" in output
    status, output, _ = house.nsregc().run("--version")
    assert status == 0 and output.startswith("nsregc ")


def test_options_over_configuration(lab):
    house = House(lab)
    client = house.nsregc("wrong", zones=["wrong.example"])
    client.config["dns-server"] = "192.0.2.1"
    status, _, errors = client.run("--once", "-n", "box", "-i", "eth0", "-a", "192.168.1.1", "-t", "-k", "-s",
                                   f"127.0.0.1@{house.nsregd.port}", ZONE)
    assert status == 0, errors
    assert house.published() == {"10.1.2.3", "192.168.1.1"}


def test_at_rest_it_sleeps(house):
    """No wake-up between refreshes: the count of context switches stands still."""
    client = house.nsregc().start()
    house.settle()

    def switches():
        with open(f"/proc/{client.process.pid}/status", encoding="ascii") as status:
            return sum(int(line.split()[1]) for line in status if "ctxt_switches" in line)

    time.sleep(4)  # the connection is kept for a moment
    before = switches()
    never(lambda: switches() - before > 2, 5.0)


# ------ reload ------

def test_reload_takes_what_changed(street):
    client = street.nsregc().start()
    assert street.settle() == {"10.1.2.3"}
    street.netns.dummy("eth1", "10.5.5.5/24")
    assert street.settle() == {"10.1.2.3", "10.5.5.5"}
    client.config["interfaces"] = ["!eth1"]
    client.config["extra-addresses"] = ["192.168.3.3"]
    client.reload()
    assert street.settle(globs=("!eth1",), extra=("192.168.3.3",)) == {"10.1.2.3", "192.168.3.3"}
    # Another name: the old one is given up.
    client.config["name"] = "crate"
    client.reload()
    assert street.settle("crate.d.example", globs=("!eth1",), extra=("192.168.3.3",))
    eventually(lambda: street.published() == set())


def test_a_bad_configuration_changes_nothing(house):
    client = house.nsregc().start()
    house.settle()
    client.reload("name: box\nzoness: [d.example]\n")
    client.wait_log(r"nsregc.yaml:2:1: .*zones")
    house.netns.add_address("eth0", "10.1.2.4/24")
    assert house.settle() == {"10.1.2.3", "10.1.2.4"}


def test_zone_added_and_removed_by_reload(lab):
    house = House(lab, named=True, zones=(ZONE, "e.example"))
    client = house.nsregc().start()
    house.settle()
    client.config["zones"] = ["e.example"]
    client.reload()
    house.settle("box.e.example")
    eventually(lambda: house.published() == set())


# ------ networks that swallow ------

def registrar(lab, netns, address, **zone):
    """A registrar at that address with a name server behind it, both returned."""
    named = lab.named(ZONE, *REVERSE, netns=netns).start()
    return lab.nsregd(zones={ZONE: {**zone, "upstreams": [named.upstream(ZONE, REVERSE)]}}, netns=netns,
                      address=address), named


def test_filtered_network_is_met_quietly(lab):
    """Connections time out: a few attempts, further and further apart, and one line in the log."""
    netns = lab.netns()
    netns.dummy("eth0", "10.1.2.3/24")
    # Packets to the server leave and nothing comes back.
    netns.ip("neighbour", "add", "10.1.2.99", "lladdr", "02:00:00:00:00:99", "dev", "eth0")
    client = lab.nsregc("box", zones=[ZONE], netns=netns, dns_server="10.1.2.99@8053", dns_tcp=True,
                        discover_zones=False, dns_timeout="500ms", arguments=["--debug"])
    client.start()
    client.wait_log("cannot be registered now")

    def attempts():
        return client.log().count("cannot be registered now")

    first = time.monotonic()
    eventually(lambda: attempts() >= 3, 30)
    # At the least 0.75 * (2 + 4) s of waiting lie between the first and the third.
    assert time.monotonic() - first > 4
    told = [line for line in client.log().splitlines() if "cannot be registered" in line]
    assert len(told) == attempts()
    with open(f"/proc/{client.process.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    assert int(fields[11]) + int(fields[12]) < 300, "ticks of processor time"
    started = time.monotonic()
    assert client.term() == 0
    assert time.monotonic() - started < 5, "nothing was ever registered: nothing to wait for"


def test_network_cut_and_healed(lab):
    """Two machines and a cable: it is cut longer than the lease, and put back."""
    server, laptop = lab.netns(), lab.netns()
    laptop.veth("eth0", server, "srv0")
    server.ip("address", "add", "10.1.2.1/24", "dev", "srv0")
    laptop.ip("address", "add", "10.1.2.3/24", "dev", "eth0")
    nsregd, named = registrar(lab, server, "10.1.2.1", **{"max-addr-ttl": "2s", "min-addr-ttl": "1s"})
    nsregd.start()
    client = lab.nsregc("box", zones=[ZONE], server=nsregd, netns=laptop, dns_timeout="1s").start()
    eventually(lambda: named.addresses(NAME) == expected(laptop) == {"10.1.2.3"})
    server.ip("link", "set", "srv0", "down")
    client.wait_log("cannot be registered now", timeout=30)
    time.sleep(2)
    server.ip("link", "set", "srv0", "up")
    eventually(lambda: named.addresses(NAME) == expected(laptop) == {"10.1.2.3"}, 60)
    # Another address is a sign that the network changed: tried at once, whatever the back-off says.
    server.ip("link", "set", "srv0", "down")
    eventually(lambda: client.log().count("cannot be registered now") >= 2, 30)
    time.sleep(6)
    server.ip("link", "set", "srv0", "up")
    laptop.ip("address", "add", "10.1.2.4/24", "dev", "eth0")
    eventually(lambda: named.addresses(NAME) == expected(laptop) == {"10.1.2.3", "10.1.2.4"}, 30)
    assert client.term() == 0
    eventually(lambda: named.addresses(NAME) == set())


def test_moved_to_another_network(lab):
    """The laptop leaves one network and comes up in another: the zone of each has what belongs there."""
    first, second, laptop = lab.netns(), lab.netns(), lab.netns()
    laptop.veth("eth0", first, "srv0")
    # Its own address stays when the cable goes.
    first.ip("address", "add", "10.1.1.1/32", "dev", "lo")
    first.ip("address", "add", "10.1.1.2/24", "dev", "srv0")
    laptop.ip("address", "add", "10.1.1.3/24", "dev", "eth0")
    one, old = registrar(lab, first, "10.1.1.1", **{"max-addr-ttl": "3s", "min-addr-ttl": "1s"})
    one.start()
    client = lab.nsregc("box", zones=[ZONE], server=one, netns=laptop, dns_timeout="1s").start()
    eventually(lambda: old.addresses(NAME) == expected(laptop) == {"10.1.1.3"})
    laptop.ip("link", "del", "eth0")
    laptop.veth("eth0", second, "srv0")
    # The same registrar address, another registrar, which knows nothing of this machine.
    second.ip("address", "add", "10.1.1.1/24", "dev", "srv0")
    two, new = registrar(lab, second, "10.1.1.1")
    two.port = two.config["listen-port"] = one.port
    two.start()
    laptop.ip("address", "add", "10.1.1.7/24", "dev", "eth0")
    eventually(lambda: new.addresses(NAME) == expected(laptop) == {"10.1.1.7"}, 30)
    eventually(lambda: old.addresses(NAME) == set(), 30)
    assert client.running


# ------ a wrong clock ------

def preload(name):
    """A library in front of all others, but for the sanitizer's own."""
    build = os.environ["NSREG_BUILD"]
    linked = subprocess.run(["ldd", os.path.join(build, "src", "nsregc", "nsregc")], stdout=subprocess.PIPE, text=True,
                            check=True).stdout
    sanitizers = [line.split()[2] for line in linked.splitlines() if "libasan" in line or "libtsan" in line]
    return " ".join([*sanitizers, os.path.join(build, "tests", "tools", f"lib{name}.so")])


@pytest.mark.parametrize("shift,text", [(7200, r"becomes valid in 6[89]\d\d s"), (-7200, r"expired 6[89]\d\d s ago")])
def test_wrong_clock_says_by_how_much(house, shift, text):
    client = house.nsregc(environment={"LD_PRELOAD": preload("shift-clock"), "SHIFT_CLOCK_SEC": str(shift)})
    status, _, errors = client.run("--once")
    assert status == 1
    assert re.search("clock.*" + text, errors), errors
    # Set right, it registers.
    client.environment["SHIFT_CLOCK_SEC"] = "0"
    status, _, errors = client.run("--once")
    assert status == 0, errors


def test_clock_a_little_off_is_none(house):
    client = house.nsregc(environment={"LD_PRELOAD": preload("shift-clock"), "SHIFT_CLOCK_SEC": "200"})
    status, _, errors = client.run("--once")
    assert status == 0, errors


# ------ a name that is somebody else's ------

def take(house, *labels):
    """These belong to other keys from now on."""
    for label in labels:
        status, _, errors = house.nsregc(label, keep_records=True, extra_addresses=["10.9.9.9"],
                                         interfaces=["none"]).run("--once")
        assert status == 0, errors


def test_another_keys_name_gets_a_suffix(street):
    take(street, "box", "box-2")
    client = street.nsregc(name_on_conflict="suffix").start()
    assert street.settle("box-3.d.example") == {"10.1.2.3"}
    assert street.published("box.d.example") == street.published("box-2.d.example") == {"10.9.9.9"}
    assert client.log().count("was refused") == 1, "the plain name's refusal is told, and no other"
    # It stays with what it has: changes go there.
    street.netns.add_address("eth0", "10.1.2.4/24")
    assert street.settle("box-3.d.example") == {"10.1.2.3", "10.1.2.4"}
    assert client.term() == 0
    eventually(lambda: street.published("box-3.d.example") == set())
    assert street.published() == {"10.9.9.9"}


@pytest.mark.parametrize("end", ["term", "kill"])
def test_the_suffix_is_the_same_after_a_restart(street, end):
    take(street, "box", "box-2")
    client = street.nsregc(name_on_conflict="suffix").start()
    street.settle("box-3.d.example")
    getattr(client, end)()
    street.netns.add_address("eth0", "10.1.2.4/24")
    client.start()
    assert street.settle("box-3.d.example") == {"10.1.2.3", "10.1.2.4"}
    eventually(lambda: street.published("box-4.d.example") == set())
    # Withdrawn and released under the name that it has.
    client.term()
    status, _, errors = client.run("--release")
    assert status == 0, errors
    take(street, "box-3")


def test_a_reserved_name_gets_a_suffix(lab):
    house = House(lab, **{"reserved-names": ["printer", "printer-2"]})
    house.nsregc("printer", name_on_conflict="suffix").start()
    assert house.settle("printer-3.d.example") == {"10.1.2.3"}


def test_a_long_label_is_cut_for_its_suffix(lab):
    label = "x" * 62
    house = House(lab, **{"reserved-names": [label]})
    house.nsregc(label, name_on_conflict="suffix").start()
    assert house.settle("x" * 61 + "-2.d.example") == {"10.1.2.3"}


def test_keep_stays_refused(house):
    take(house, "box")
    client = house.nsregc(name_on_conflict="keep").start()
    client.wait_log("was refused: .*box")
    house.netns.add_address("eth0", "10.1.2.4/24")
    never(lambda: house.published("box-2.d.example") or house.published() != {"10.9.9.9"}, 1.5)
    # Turned on, it finds one; turned off, that one is given up.
    client.config["name-on-conflict"] = "suffix"
    client.reload()
    assert house.settle("box-2.d.example") == {"10.1.2.3", "10.1.2.4"}
    client.config["name-on-conflict"] = "keep"
    client.reload()
    eventually(lambda: house.published("box-2.d.example") == set())
    eventually(lambda: house.nsregc("box-2").run("--once")[0] == 0, 20)


def test_all_taken_is_refused_for_the_plain_names_reason(lab):
    house = House(lab, **{"reserved-names": ["box", "box-[2-9]"]})
    client = house.nsregc(name_on_conflict="suffix", arguments=["--debug"]).start()
    client.wait_log('was refused: name "box" is reserved')
    never(lambda: 'refused: name "box-' in client.log(), 1)
    assert client.running
    # Another reason to look: everything from the plain name on.
    house.nsregd.config["zones"][ZONE]["reserved-names"] = ["box", "box-[2-8]"]
    house.nsregd.reload()
    house.nsregd.wait_log("read again|reload|configuration")
    house.netns.add_address("eth0", "10.1.2.4/24")
    assert house.settle("box-9.d.example") == {"10.1.2.3", "10.1.2.4"}


def test_other_refusals_are_no_conflict(lab):
    house = House(lab, **{"updates-from": ["192.0.2.0/24"]})
    client = house.nsregc(name_on_conflict="suffix", arguments=["--debug"]).start()
    client.wait_log("was refused")
    assert "box-" not in client.log()


@pytest.mark.parametrize("reserved,state,name,error", [(["box", "box-2"], "registered", "box-3.d.example", ""),
                                                       (["box", "box-?"], "refused", NAME, 'name "box" is reserved')])
def test_the_bus_shows_the_name_that_is_registered(lab, reserved, state, name, error):
    bus = lab.bus().start()
    nsregd = lab.nsregd(zones={ZONE: {"reserved-names": reserved}}).start()
    lab.nsregc("box", zones=[ZONE], server=nsregd, extra_addresses=["10.0.0.1"], interfaces=["none*"],
               name_on_conflict="suffix", environment=bus.environment).start()
    bus.wait_for("org.nsreg.Client1")

    def shown(what):
        return bus.get("org.nsreg.Client1", "/org/nsreg/Client1/zone/d_2eexample", "org.nsreg.Client1.Zone", what)

    eventually(lambda: shown("State") == state)
    assert shown("Name") == name
    assert shown("LastError").startswith(error) and bool(shown("LastError")) == bool(error)
