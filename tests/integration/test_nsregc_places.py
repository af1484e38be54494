# SPDX-License-Identifier: LGPL-2.1-or-later
"""home.arpa is everywhere: a machine between networks whose zones, and registrars, have one name and one address; and
a name with a suffix, which is a makeshift."""

import os

import pytest

from lab import eventually, never
from lab.house import Lan

ZONE = "home.arpa"
BOX, BOX_2 = "box.home.arpa", "box-2.home.arpa"


class Laptop:
    """One client, one machine, which is at one of the networks or at none."""

    def __init__(self, lab, lan, **settings):
        self.netns = lab.netns()
        self.lan = None
        self.client = lan.nsregc(self.netns, zones=[ZONE], name_on_conflict="suffix", **settings)

    def move(self, lan, address):
        if self.lan:
            Lan.unplug(self.netns)
        self.lan = lan
        if lan:
            lan.plug(self.netns, address)

    def is_called(self, name, *addresses):
        eventually(lambda: self.lan.published(name) == set(addresses), 40)


def claim(lab, lan, label, address=77):
    """Another machine's; it is there, and stays. Returns its client."""
    netns = lab.netns()
    lan.plug(netns, address)
    client = lan.nsregc(netns, label, zones=[ZONE], keep_records=True)
    status, _, errors = client.run("--once")
    assert status == 0, errors
    return client


def test_back_home_it_is_itself_again(lab):
    """The friend's network has the same numbers, and a box of its own."""
    home = Lan(lab, zone=ZONE)
    friends = Lan(lab, like=home, zone=ZONE)
    claim(lab, friends, "box")
    laptop = Laptop(lab, home)
    laptop.move(home, 3)
    laptop.client.start()
    laptop.is_called(BOX, "10.1.2.3")
    for address in (5, 6):
        laptop.move(friends, address)
        laptop.is_called(BOX_2, f"10.1.2.{address}")
        assert friends.published(BOX) == {"10.1.2.77"}
        laptop.move(home, address + 4)
        laptop.is_called(BOX, f"10.1.2.{address + 4}")
        assert home.published(BOX_2) == set()
    # At home nobody has heard of the other name, and at the friend's it is still the laptop's.
    claim(lab, home, "box-2")
    netns = lab.netns()
    friends.plug(netns, 78)
    assert friends.nsregc(netns, "box-2", zones=[ZONE]).run("--once")[0] == 1


@pytest.mark.parametrize("end", ["term", "kill"])
def test_a_start_elsewhere(lab, end):
    """What the ledger has of one place is not taken for another's, nor forgotten there."""
    home = Lan(lab, zone=ZONE)
    friends = Lan(lab, like=home, zone=ZONE)
    claim(lab, friends, "box")
    claim(lab, friends, "box-2", 78)
    laptop = Laptop(lab, home)
    laptop.move(home, 3)
    laptop.client.start()
    laptop.is_called(BOX, "10.1.2.3")
    getattr(laptop.client, end)()
    for address in (5, 6):
        laptop.move(friends, address)
        laptop.client.start()
        laptop.is_called("box-3.home.arpa", f"10.1.2.{address}")
        assert friends.published(BOX) == {"10.1.2.77"}
        getattr(laptop.client, end)()
        laptop.move(home, address)
        laptop.client.start()
        laptop.is_called(BOX, f"10.1.2.{address}")
        never(lambda: home.published("box-3.home.arpa"), 0.5)
        getattr(laptop.client, end)()


def test_one_place_is_one_whatever_its_numbers(lab):
    """Renumbered, plugged in elsewhere: what was registered before goes, for the registrar is the same."""
    home = Lan(lab, zone=ZONE)
    home.netns.add_address("br0", "10.9.9.1/24")
    laptop = Laptop(lab, home)
    laptop.move(home, 3)
    laptop.client.start()
    laptop.is_called(BOX, "10.1.2.3")
    laptop.netns.add_address("eth0", "10.9.9.3/24")
    laptop.netns.ip("route", "add", "10.1.2.1/32", "dev", "eth0")
    laptop.netns.delete_address("eth0", "10.1.2.3/24")
    laptop.is_called(BOX, "10.9.9.3")
    with open(os.path.join(laptop.client.state_dir, "registered"), encoding="ascii") as ledger:
        assert len(ledger.read().splitlines()) == 1


# ------ the makeshift ------

@pytest.fixture
def lodger(lab):
    """A laptop that is box-2, for box is another's: (network, laptop, the other's client)."""
    lan = Lan(lab, zone=ZONE)
    other = claim(lab, lan, "box")
    laptop = Laptop(lab, lan)
    laptop.move(lan, 3)
    laptop.client.start()
    laptop.is_called(BOX_2, "10.1.2.3")
    return lan, laptop, other


def is_itself(lab, lan, laptop):
    laptop.is_called(BOX, "10.1.2.3")
    laptop.is_called(BOX_2)
    eventually(lambda: "Released box-2.home.arpa" in laptop.client.log())
    claim(lab, lan, "box-2", 79)
    assert lan.published(BOX) == {"10.1.2.3"}
    assert "box-3" not in laptop.client.log()


def test_the_makeshift_ends_when_the_name_is_free(lab, lodger):
    lan, laptop, other = lodger
    laptop.client.reload()  # asked for again, and refused: nothing changes
    never(lambda: lan.published(BOX_2) != {"10.1.2.3"} or lan.published(BOX) != {"10.1.2.77"}, 1.5)
    assert other.run("--release")[0] == 0
    laptop.client.reload()
    is_itself(lab, lan, laptop)


@pytest.mark.parametrize("end", ["term", "kill"])
def test_the_makeshift_ends_with_a_start(lab, lodger, end):
    lan, laptop, other = lodger
    assert other.run("--release")[0] == 0
    getattr(laptop.client, end)()
    laptop.client.start()
    is_itself(lab, lan, laptop)


def test_the_makeshift_stays_while_the_name_is_asked_for(lab, lodger):
    """However often: its records are there all the time, and it is released by nobody."""
    lan, laptop, _ = lodger
    missing = []
    for number in range(1, 5):
        laptop.client.reload()
        # pylint: disable=cell-var-from-loop
        eventually(lambda: laptop.client.log().count("read again") == number)
        eventually(lambda: lan.nsregd.log().count("owned by another key") > number)
        if lan.published(BOX_2) != {"10.1.2.3"}:
            missing.append(number)
    assert not missing
    assert "Released" not in laptop.client.log() and "Withdrew" not in laptop.client.log()


def test_many_addresses_move_to_the_name_that_is_free(lab, lodger):
    """More than one update holds."""
    lan, laptop, other = lodger
    lan.nsregd.config["zones"][ZONE]["max-records-per-name"] = 100
    lan.nsregd.reload()
    for number in range(100, 160):
        laptop.netns.add_address("eth0", f"10.1.2.{number}/24")
    addresses = {"10.1.2.3", *(f"10.1.2.{number}" for number in range(100, 160))}
    laptop.client.reload()
    laptop.is_called(BOX_2, *addresses)
    assert other.run("--release")[0] == 0
    laptop.client.reload()
    laptop.is_called(BOX, *addresses)
    laptop.is_called(BOX_2)
