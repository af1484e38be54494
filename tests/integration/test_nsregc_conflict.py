# SPDX-License-Identifier: LGPL-2.1-or-later
"""A name that is somebody else's, or that the registrar does not give."""

import re

import pytest

from lab import eventually, never
from lab.house import House, NAME, ZONE


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


def test_a_foreign_key_is_told_with_the_way_out(house):
    """Which key this is, where it comes from, and what somebody can type."""
    assert house.nsregc().run("--once")[0] == 0
    second = house.nsregc()
    status, _, errors = second.run("--once")
    assert status == 1
    fingerprint = re.search(r"Made a key, .*, fingerprint (\w+)", errors).group(1)
    told = [line for line in errors.splitlines() if "owned by another key" in line][0]
    assert f"this machine's key is {fingerprint} from {second.state_dir}/nsregc.private" in told
    assert "nsregctl revoke box.d.example" in told


def test_reserved_name_says_so(lab):
    house = House(lab, **{"reserved-names": ["printer"]})
    status, _, errors = house.nsregc("printer").run("--once")
    assert status == 1
    assert "reserved" in errors


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
