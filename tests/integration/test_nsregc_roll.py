# SPDX-License-Identifier: LGPL-2.1-or-later
"""nsregc replaces its key: the old one signs the new one in; whatever interrupts that, one of both is found to work."""

import os
import random
import shutil
import signal
import subprocess
import time

import pytest

from lab import eventually
from lab.house import House, ZONE
from test_nsregc_original import Original

HOST = f"box.{ZONE}"


def private(client):
    return os.path.join(client.state_dir, "nsregc.private")


def content(path):
    with open(path, encoding="ascii") as text:
        return text.read()


def registered(house, client):
    status, _, errors = client.run("--once")
    assert status == 0, errors
    assert house.published() == {"10.1.2.3"}


def by(lab, house, key):
    """Another nsregc with this key."""
    other = house.nsregc()
    with open(private(other), "w", encoding="ascii") as out:
        out.write(key)
    os.chmod(private(other), 0o600)
    return other


def test_roll(lab):
    house = House(lab, named=True)
    client = house.nsregc()
    registered(house, client)
    old = content(private(client))
    with open(os.path.join(client.state_dir, "nsregc.key"), encoding="ascii") as text:
        public = text.read()
    status, _, errors = client.run("--roll-key")
    assert status == 0 and "has a new key" in errors, errors
    assert house.published() == {"10.1.2.3"}
    assert content(private(client)) != old and content(os.path.join(client.state_dir, "nsregc.key")) != public
    assert os.stat(private(client)).st_mode & 0o777 == 0o600 and not os.path.exists(private(client) + ".new")
    registered(house, client)
    status, _, errors = by(lab, house, old).run("--once")
    assert status == 1 and "another key" in errors, errors
    # And once more, from there.
    assert client.run("--roll-key")[0] == 0
    registered(house, client)


@pytest.mark.parametrize("heard", [False, True], ids=["before", "behind"])
def test_interrupted(lab, heard):
    """Before a registrar has heard of the new key, or behind that: the next attempt goes on with the same one."""
    house = House(lab)
    client = house.nsregc()
    registered(house, client)
    old = content(private(client))
    if heard:
        assert client.run("--roll-key")[0] == 0
        new = content(private(client))
        shutil.move(private(client), private(client) + ".new")
        shutil.copy(private(client) + ".new", private(client))
        with open(private(client), "w", encoding="ascii") as out:
            out.write(old)
    else:
        maker = house.nsregc("other")
        assert maker.run("--generate-key")[0] == 0
        new = content(private(maker))
        shutil.copy(private(maker), private(client) + ".new")
    status, _, errors = client.run("--roll-key")
    assert status == 0 and "earlier attempt" in errors, errors
    assert content(private(client)) == new and not os.path.exists(private(client) + ".new")
    registered(house, client)
    assert by(lab, house, old).run("--once")[0] == 1


def test_nothing_is_begun_that_cannot_be_ended(lab):
    """A registrar that is away, or knows no way: nothing has changed."""
    house = House(lab)
    client = house.nsregc(dns_timeout="1s")
    registered(house, client)
    old = content(private(client))
    house.nsregd.pause()
    status, _, _ = client.run("--roll-key")
    assert status != 0 and content(private(client)) == old and not os.path.exists(private(client) + ".new")
    house.nsregd.resume()
    eventually(lambda: client.run("--once")[0] == 0, 20)

    netns = lab.netns()
    netns.dummy("eth0", "10.1.2.3/24")
    original = Original(lab, netns)
    client = lab.nsregc("box", zones=[ZONE], server=original, netns=netns)
    assert client.run("--once")[0] == 0
    old = content(private(client))
    status, _, errors = client.run("--roll-key")
    assert status != 0 and "no way to replace a key" in errors, errors
    assert content(private(client)) == old and not os.path.exists(private(client) + ".new")
    assert client.run("--once")[0] == 0 and original.records() == {"10.1.2.3"}


def test_killed_at_any_point(lab):
    house = House(lab)
    client = house.nsregc()
    registered(house, client)
    lot = random.Random(1)
    for _ in range(8):
        client.write_configuration()
        process = subprocess.Popen([*house.netns.command(), *client.command(), "--roll-key"], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, env={**os.environ, **client.environment},
                                   start_new_session=True)
        time.sleep(lot.uniform(0, 0.4))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        # Whatever the registrar has: it is settled by going on, as often as it says that it has had too much of this
        # second.
        def settled():
            status, _, errors = client.run("--roll-key")
            assert status == 0 or "within one second" in errors, errors
            return status == 0
        eventually(settled, 20)
        registered(house, client)


def test_words(lab):
    client = lab.nsregc("box", zones=[ZONE])
    assert client.run("--roll-key", "--once")[0] == 2
