# SPDX-License-Identifier: LGPL-2.1-or-later
"""nsregc's key, where it is, and whose it is; its command line."""

import os
import re
import shutil

import pytest

from lab import eventually, program
from lab.house import House, NAME, ZONE


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


def test_what_could_not_be_noted_is_made_up_for(house):
    client = house.nsregc().start()
    eventually(lambda: house.published() == {"10.1.2.3"})
    os.rename(client.state_dir, f"{client.state_dir}-away")
    house.netns.add_address("eth0", "10.1.2.4/24")
    eventually(lambda: house.published() == {"10.1.2.3", "10.1.2.4"})
    client.wait_log("cannot be noted")
    os.rename(f"{client.state_dir}-away", client.state_dir)

    def noted():
        with open(os.path.join(client.state_dir, "registered"), encoding="ascii") as ledger:
            return "10.1.2.4" in ledger.read()

    eventually(noted, 30)


def test_a_copied_machine_is_told(house):
    client = house.nsregc()
    assert client.run("--once")[2].count("another machine id") == 0
    with open(os.path.join(client.state_dir, "machine"), "w", encoding="ascii") as machine:
        machine.write("0123456789abcdef0123456789abcdef")
    status, _, errors = client.run("--once")
    assert status == 0 and errors.count("was used under another machine id before") == 1
    assert "another machine id" not in client.run("--once")[2], "told once"


def copy_of(house, client, **settings):
    """Another machine with the same disk."""
    copy = house.nsregc(**settings)
    for name in ("nsregc.private", "nsregc.key"):
        shutil.copy(os.path.join(client.state_dir, name), copy.state_dir)
    return copy


def test_a_copy_that_stops_takes_only_its_own_along(house):
    house.netns.dummy("eth1", "10.5.5.5/24")
    copy = copy_of(house, start_with_key(house, interfaces=["none"]), interfaces=["eth1"]).start()
    eventually(lambda: house.published() == {"10.5.5.5"})
    client = copy_of(house, copy, interfaces=["eth0"]).start()
    eventually(lambda: house.published() == {"10.1.2.3"})
    # It changes, so that it says what it has again; both are there now.
    house.netns.add_address("eth1", "10.5.5.6/24")
    eventually(lambda: house.published() == {"10.1.2.3", "10.5.5.5", "10.5.5.6"})
    assert copy.term() == 0
    assert house.published() == {"10.1.2.3"}
    assert client.running


def start_with_key(house, **settings):
    client = house.nsregc(**settings)
    assert client.run("--generate-key")[0] == 0
    return client


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
