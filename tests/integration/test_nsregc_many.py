# SPDX-License-Identifier: LGPL-2.1-or-later
"""More addresses than the registrar takes for a name, or than one update holds."""

import ipaddress

from lab import eventually
from lab.house import House, NAME, ZONE


def give(house, *addresses, interface="eth0"):
    lines = [f"address add {address} dev {interface}" + (" nodad" if ":" in address else "") for address in addresses]
    house.netns.run("ip", "-batch", "-", input="\n".join(lines))


def take(house, *addresses, interface="eth0"):
    house.netns.run("ip", "-batch", "-",
                    input="\n".join(f"address del {address} dev {interface}" for address in addresses))


def several(prefix, n, length=32):
    """Each a network of its own, so that none goes with another."""
    first = int(ipaddress.ip_address(prefix))
    return [f"{ipaddress.ip_address(first + i)}/{length}" for i in range(1, n + 1)]


def bare(addresses):
    return {address.split("/")[0] for address in addresses}


def test_the_best_that_fit(lab):
    house = House(lab, ("10.1.2.3/24",), named=True)
    give(house, *several("fd00:1::", 10, 64), *several("10.2.0.0", 10))
    client = house.nsregc().start()
    # Unique-local before private ones; IPv4 is not left without any.
    eventually(lambda: len(house.published()) == 16)
    assert bare(several("fd00:1::", 10, 64)) < house.published()
    client.wait_log("is registered in part: the registrar takes 16 of 21 addresses, left out: ")
    # A change among those that are registered is made up for by the next best.
    before = house.published()
    take(house, *several("fd00:1::", 2, 64))
    eventually(lambda: "fd00:1::1" not in house.published() and len(house.published()) == 16)
    assert before - house.published() == {"fd00:1::1", "fd00:1::2"}
    assert "was refused" not in client.log()


def test_what_is_filtered_takes_nobodys_place(lab):
    house = House(lab, ("10.1.2.3/24",), **{"max-records-per-name": 3})
    # Better than all others, but not of the registrar's allowed networks.
    give(house, *several("2001:db8::", 6, 64), *several("10.2.0.0", 2))
    client = house.nsregc().start()
    eventually(lambda: house.published() == {"10.1.2.3", "10.2.0.1", "10.2.0.2"})
    assert client.running


def test_the_refusal_tells_the_limit(lab):
    house = House(lab, ("10.1.2.3/24",), **{"max-records-per-name": 3})
    give(house, *several("10.2.0.0", 4))
    client = house.nsregc().start()
    eventually(lambda: len(house.published()) == 3)
    client.wait_log("the registrar takes 3 of 5 addresses")
    take(house, *several("10.2.0.0", 2))
    eventually(lambda: house.published() == {"10.1.2.3", "10.2.0.3", "10.2.0.4"})
    # Nothing is left out any more.
    eventually(lambda: client.log().count("Registered") >= 2)
    assert client.log().count("is registered in part") == 1


def test_renumbering_with_a_raised_limit(lab):
    house = House(lab, (), **{"max-records-per-name": 100})
    old, new = several("10.1.2.0", 40), several("10.7.7.0", 40)
    give(house, *old)
    client = house.nsregc().start()
    eventually(lambda: addresses(house) == bare(old))
    give(house, *new)
    take(house, *old)
    eventually(lambda: addresses(house) == bare(new))
    assert "refused" not in client.log()


def test_five_hundred(lab):
    house = House(lab, (), **{"max-records-per-name": 600})
    many = several("10.1.0.0", 500)
    give(house, *many)
    client = house.nsregc(arguments=["--debug"]).start()
    # The registrar's own zone answers with all of them over TCP.
    eventually(lambda: len(addresses(house)) == 500, 60)
    # From five hundred to one in one step.
    take(house, *many[1:])
    eventually(lambda: addresses(house) == {"10.1.0.1"}, 60)
    assert client.term() == 0
    assert addresses(house) == set()


def addresses(house):
    return {rdata.to_text() for rrset in house.nsregd.query(NAME, "A", tcp=True).answer for rdata in rrset}


def test_all_goes_at_the_end(lab):
    house = House(lab, (), named=True)
    give(house, *several("10.1.2.0", 30))
    client = house.nsregc().start()
    eventually(lambda: len(house.published()) == 16)
    assert client.term() == 0
    eventually(lambda: house.published() == set())


def test_a_registrar_that_takes_small_updates_only(lab):
    house = House(lab, (), **{"max-records-per-name": 100})
    house.nsregd.config["limits"] = {"rrs-per-message": 24}
    house.nsregd.restart()
    many = several("10.1.2.0", 60)
    give(house, *many)
    client = house.nsregc().start()
    eventually(lambda: addresses(house) == bare(many))
    client.wait_log("Registered box")
    eventually(lambda: addresses(house) == bare(many))


def test_check_config_relates_the_limits(lab):
    nsregd = lab.nsregd(zones={ZONE: {"max-records-per-name": 100}})
    status, _, errors = nsregd.run("--check-config")
    assert status == 0
    assert "max-records-per-name" in errors and "rrs-per-message allows 64" in errors
