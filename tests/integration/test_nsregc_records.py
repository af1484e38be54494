# SPDX-License-Identifier: LGPL-2.1-or-later
"""What nsregc registers beside addresses: by its configuration, the host keys of sshd, and on request."""

import os
import subprocess

import dns.rdata
import pytest

from lab import eventually, never, program
from lab.bus import BusError
from lab.house import House, ZONE
from test_nsregc_original import Original

HOST, CHALLENGE = f"box.{ZONE}", f"_acme-challenge.box.{ZONE}"
MANAGER = ("org.nsreg.Client1", "/org/nsreg/Client1", "org.nsreg.Client1.Manager")
TLSA = "3 1 1 " + "12" * 32


def there(house, name, kind):
    server = house.named or house.nsregd
    return {rdata.to_text() for rrset in server.query(name, kind).answer for rdata in rrset}


@pytest.fixture
def ssh(lab):
    """A directory as sshd's."""
    directory = lab.subdirectory("ssh")

    def make(kind):
        path = os.path.join(directory, f"ssh_host_{kind}_key")
        for old in (path, path + ".pub"):
            if os.path.exists(old):
                os.unlink(old)
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", path], check=True)

    def records():
        """As ssh-keygen says."""
        found = set()
        for name in os.listdir(directory):
            if name.endswith(".pub"):
                told = subprocess.run(["ssh-keygen", "-r", "x", "-f", os.path.join(directory, name)], check=True,
                                      stdout=subprocess.PIPE, text=True).stdout
                found |= {dns.rdata.from_text("IN", "SSHFP", line.split("SSHFP")[1].strip()).to_text()
                          for line in told.splitlines() if line.split()[4] == "2"}
        return found

    make("ed25519")
    make("ecdsa")
    return directory, make, records


def test_configured(lab):
    house = House(lab, named=True, **{"record-types": ["TXT"], "names-below-host": ["_*._tcp:TLSA"]})
    client = house.nsregc(records=['@ TXT "hello \\"you\\""', f"_443._tcp TLSA {TLSA}"]).start()
    eventually(lambda: there(house, HOST, "TXT") == {'"hello \\"you\\""'})
    assert there(house, f"_443._tcp.{HOST}", "TLSA") == {TLSA}
    # Another configuration: what is no longer in it goes.
    client.reload({**client.config, "records": ["@ TXT other"]})
    eventually(lambda: there(house, HOST, "TXT") == {'"other"'} and not there(house, f"_443._tcp.{HOST}", "TLSA"))
    assert client.term() == 0
    eventually(lambda: not there(house, HOST, "TXT") and not house.published())


def test_records_live_with_the_addresses(lab):
    """As long as these are refreshed, and no longer."""
    house = House(lab, **{"max-addr-ttl": "3s", "min-addr-ttl": "1s", "record-types": ["TXT"]})
    client = house.nsregc(records=["@ TXT here"]).start()
    eventually(lambda: there(house, HOST, "TXT") == {'"here"'})
    never(lambda: not there(house, HOST, "TXT"), 8)
    client.kill()
    eventually(lambda: not there(house, HOST, "TXT"), 10)


def test_ssh_host_keys(lab, ssh):
    directory, make, records = ssh
    house = House(lab, named=True)
    client = house.nsregc(ssh_host_keys=True, environment={"NSREGC_SSH_DIRECTORY": directory}).start()
    eventually(lambda: there(house, HOST, "SSHFP") == records() and len(records()) == 2)
    # A key that is made anew is followed.
    make("ed25519")
    eventually(lambda: there(house, HOST, "SSHFP") == records())
    assert client.term() == 0
    eventually(lambda: not there(house, HOST, "SSHFP"))


def test_refused_records_leave_the_addresses_alone(lab):
    house = House(lab, **{"record-types": []})
    client = house.nsregc(records=["@ TXT no"]).start()
    eventually(lambda: house.published() == {"10.1.2.3"})
    client.wait_log("other records were refused.*record-types")
    house.netns.add_address("eth0", "10.1.2.4/24")
    eventually(lambda: house.published() == {"10.1.2.3", "10.1.2.4"})
    # Taken once the registrar does.
    house.nsregd.reload({**house.nsregd.config, "zones": {ZONE: {"record-types": ["TXT"]}}})
    house.netns.add_address("eth0", "10.1.2.5/24")
    eventually(lambda: there(house, HOST, "TXT") == {'"no"'}, 30)


def test_an_older_registrar_is_not_told(lab):
    netns = lab.netns()
    netns.dummy("eth0", "10.1.2.3/24")
    original = Original(lab, netns)
    client = lab.nsregc("box", zones=[ZONE], server=original, netns=netns, records=["@ TXT no"]).start()
    eventually(lambda: original.records() == {"10.1.2.3"})
    assert client.term() == 0
    eventually(lambda: original.records() == set())


def test_acme_challenge_by_hand(lab):
    """Without a service: two values at once, both gone afterwards."""
    house = House(lab, named=True)
    client = house.nsregc()
    for value in ("-first_value", "second"):
        status, _, errors = client.run("--acme-challenge", "add", value)
        assert status == 0, errors
        assert f'"{value}"' in there(house, CHALLENGE, "TXT")
    assert there(house, CHALLENGE, "TXT") == {'"-first_value"', '"second"'}
    for value in ("-first_value", "second"):
        status, _, errors = client.run("--acme-challenge", "remove", value)
        assert status == 0, errors
    assert not there(house, CHALLENGE, "TXT") and house.published() == {"10.1.2.3"}
    for words in (["add"], ["add", "a b"], ["put", "x"], ["add", ""]):
        assert client.run("--acme-challenge", *words)[0] == 2, words


def test_acme_challenge_that_is_refused(lab):
    house = House(lab, **{"names-below-host": []})
    client = house.nsregc()
    status, _, errors = client.run("--acme-challenge", "add", "x")
    assert status == 1 and "names-below-host" in errors, errors
    assert house.published() == {"10.1.2.3"}


def test_on_request(lab):
    """The running nsregc is asked over the bus, by programs and by nsregc itself."""
    bus = lab.bus(in_namespaces=True).start()
    house = House(lab, named=True)
    client = house.nsregc(environment=bus.environment).start()
    bus.wait_for("org.nsreg.Client1")
    eventually(lambda: house.published() == {"10.1.2.3"})
    for value in ("one", "two"):
        bus.call(*MANAGER, "AddRecord", "sss", "_acme-challenge", "TXT", value)
        assert f'"{value}"' in there(house, CHALLENGE, "TXT")
    bus.call(*MANAGER, "RemoveRecord", "sss", "_acme-challenge", "TXT", "one")
    assert there(house, CHALLENGE, "TXT") == {'"two"'}
    for words, error in ((("_acme-challenge", "TXT", "one"), "no such record"), (("@", "NS", "a."), "Not a record")):
        with pytest.raises(BusError) as told:
            bus.call(*MANAGER, "RemoveRecord", "sss", *words)
        assert error in str(told.value)
    with pytest.raises(BusError) as told:
        bus.call(*MANAGER, "AddRecord", "sss", "@", "TXT", "not here")
    assert "record-types" in str(told.value)
    bus.call(*MANAGER, "RemoveRecord", "sss", "@", "TXT", "not here")
    assert client.term() == 0
    eventually(lambda: not there(house, CHALLENGE, "TXT"))
    assert program("nsregc")


def test_hooks_of_the_manual(lab):
    """As acme.sh calls its own: with the full name and the value, a name and its wildcard side by side."""
    house = House(lab, named=True)
    client = house.nsregc()
    assert client.run("--once")[0] == 0
    with open(os.path.join(os.environ["NSREG_SOURCE"], "man", "nsregc.8"), encoding="utf-8") as manual:
        hooks = [line for line in manual.read().splitlines() if line.startswith("dns_nsreg_")]
    assert len(hooks) == 2
    calls = [f"dns_nsreg_{verb} {CHALLENGE} {value}" for verb in ("add", "rm") for value in ("-a_1", "b-2")]
    wrapper = f"nsregc() {{ {program('nsregc')} -c {client.config_path} \"$@\"; }}"

    def shell(call):
        done = subprocess.run([*house.netns.command(), "bash", "-c", "\n".join([wrapper, *hooks, call])], check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
                              env={**os.environ, **client.environment})
        assert done.returncode == 0, done.stdout

    shell(calls[0])
    shell(calls[1])
    assert there(house, CHALLENGE, "TXT") == {'"-a_1"', '"b-2"'}
    shell(calls[2])
    shell(calls[3])
    assert not there(house, CHALLENGE, "TXT")
