# SPDX-License-Identifier: LGPL-2.1-or-later
"""nsregc and registrars that hang or end; a wrong clock."""

import os
import re
import subprocess
import time

import pytest

from lab import eventually, never
from lab.house import House


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
