# SPDX-License-Identifier: LGPL-2.1-or-later
"""nsregc and nsregd, both real, in a network namespace: registering, keeping alive, letting go. The outcome is
read from the DNS."""

import os
import time

from lab import eventually, never
from lab.house import House, ZONE


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


def test_address_filtered_out_says_so(lab):
    house = House(lab, ("10.1.2.3/24",), named=True, **{"allowed-nets": ["10.0.0.0/8", "127.0.0.0/8"]})
    house.netns.add_address("eth0", "192.168.7.7/24")
    client = house.nsregc().start()
    client.wait_log("does not take 192.168.7.7")
    assert house.published() == {"10.1.2.3"}


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
