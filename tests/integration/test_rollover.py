# SPDX-License-Identifier: LGPL-2.1-or-later
"""A name's key is replaced: the old key signs the new one in."""

import subprocess

import pytest

from lab import Key, Zone, eventually

ZONE = "d.example"
NAME = f"lamp.{ZONE}."
NETS = ["127.0.0.0/8", "10.0.0.0/8"]


def zone(*upstreams, **options):
    return {"allowed-nets": NETS, "upstreams": list(upstreams),
            **{key.replace("_", "-"): value for key, value in options.items()}}


class NoKey(Key):
    """Of the right length, and no point of the curve."""

    public_octets = bytes(64)


def roll(client, new, original=False, every=False, ttl=3600, add=(), **signature):
    """An update by the old key that adds the new one and deletes the old, or all."""
    message = client.update()
    message.release_key(NAME, None if every else client.key).key_in_update(NAME, new, ttl).add(NAME, 60, *add)
    if original:
        message.key(NAME, client.key)
    return message.opt().sign(client.key, NAME, **signature)


def owns(nsregd, key):
    return nsregd.client(ZONE, key=key).claim("lamp", "10.0.0.1", ttl=600)


@pytest.mark.parametrize("original", [False, True], ids=["plain", "original"])
@pytest.mark.parametrize("every", [False, True], ids=["one", "all"])
def test_roll(lab, original, every):
    server = lab.named(Zone(ZONE)).start()
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE))}).start()
    old, new = nsregd.client(ZONE), Key.generate(15)
    assert old.claim("lamp", "10.0.0.1", ttl=600).rcode == "NOERROR"
    serial = server.serial()
    message = roll(old, new, original, every)
    assert old.send(message).rcode == "NOERROR"
    # A lost answer, asked for again, is the same; nothing moved at the server.
    assert old.send(message).rcode == "NOERROR"
    assert server.addresses(NAME) == {"10.0.0.1"} and server.serial() == serial
    reply = owns(nsregd, old.key)
    assert reply.rcode == "REFUSED" and "another key" in reply.text
    assert owns(nsregd, new).rcode == "NOERROR"
    # Now it is not the last one any more, and its key is nobody's.
    assert old.send(message).rcode == "REFUSED"
    nsregd.wait_log("lamp.d.example. has a new key")


def test_durable(lab):
    """Kill -9 behind the answer, and before it: the one key or the other owns the name."""
    nsregd = lab.nsregd(zones={ZONE: zone()}).start()
    old, new = nsregd.client(ZONE), Key.generate(13)
    assert old.claim("lamp", "10.0.0.1", ttl=600).rcode == "NOERROR"
    assert old.send(roll(old, new)).rcode == "NOERROR"
    nsregd.kill()
    nsregd.start()
    assert owns(nsregd, old.key).rcode == "REFUSED" and owns(nsregd, new).rcode == "NOERROR"

    third = Key.generate(13)
    client = nsregd.client(ZONE, key=new)
    with client.connect() as connection:
        connection.send(roll(client, third))
        nsregd.kill()
    nsregd.start()
    assert sorted(owns(nsregd, key).rcode for key in (new, third)) == ["NOERROR", "REFUSED"]


def test_refused(lab):
    """Nobody else's key lets one in, and not every key is let in."""
    nsregd = lab.nsregd(zones={ZONE: zone(algorithms=["ecdsap256sha256"])}).start()
    old, new = nsregd.client(ZONE), Key.generate(13)
    assert old.claim("lamp", "10.0.0.1", ttl=600).rcode == "NOERROR"
    # Two keys at the same time are not kept.
    message = old.update().key_in_update(NAME, new).opt().sign(old.key, NAME)
    assert old.send(message).rcode in ("REFUSED", "FORMERR")
    message = roll(old, new).key_in_update(NAME, Key.generate(13))
    message.additional.clear()
    assert old.send(message.opt().sign(old.key, NAME)).rcode == "FORMERR"
    # By the new key itself, by another, forged.
    stranger = nsregd.client(ZONE, key=new)
    assert stranger.send(roll(stranger, Key.generate(13))).rcode == "REFUSED"
    forged = roll(stranger, new, original=True)
    assert stranger.send(forged).rcode == "REFUSED"
    assert old.send(roll(old, Key.generate(15))).rcode == "REFUSED"
    assert old.send(roll(old, NoKey(13, None))).rcode == "FORMERR"
    assert old.send(roll(old, new, ttl=0)).rcode == "FORMERR"
    assert owns(nsregd, old.key).rcode == "NOERROR"
    # With the records of the update: all or nothing.
    assert old.send(roll(old, new, add=["192.0.2.1"])).rcode == "REFUSED"
    assert owns(nsregd, new).rcode == "REFUSED"
    assert old.send(roll(old, new, add=["10.0.0.2"])).rcode == "NOERROR"
    assert nsregd.addresses(NAME) == {"10.0.0.1", "10.0.0.2"}


def test_captured_messages(lab):
    """What the old key signed before does nothing afterwards."""
    nsregd = lab.nsregd(zones={ZONE: zone()}).start()
    old, new = nsregd.client(ZONE), Key.generate(13)
    assert old.claim("lamp", "10.0.0.1", ttl=600).rcode == "NOERROR"
    removal = old.original("lamp", delete=["10.0.0.1"])
    back = roll(nsregd.client(ZONE, key=new), old.key)
    assert old.send(roll(old, new)).rcode == "NOERROR"
    assert old.send(removal).rcode in ("REFUSED", "SERVFAIL")
    assert nsregd.addresses(NAME) == {"10.0.0.1"}
    # And back again, by the key that is in force.
    assert old.send(back).rcode in ("NOERROR", "SERVFAIL")
    eventually(lambda: nsregd.addresses(NAME) == {"10.0.0.1"}, 5)


def test_nsupdate(lab):
    nsregd = lab.nsregd(zones={ZONE: zone()}).start()
    old, new = Key.generate(13), Key.generate(13)
    directory = lab.subdirectory("keys")
    private, public = old.write(directory, NAME), new.write(directory, NAME)
    with open(public.replace(".private", ".key"), encoding="ascii") as text:
        rdata = text.read().split("KEY")[1].strip()
    assert nsregd.client(ZONE, key=old).claim("lamp", "10.0.0.1", ttl=600).rcode == "NOERROR"
    script = f"server 127.0.0.1 {nsregd.port}\nzone {ZONE}\nupdate delete {NAME} KEY\nupdate add {NAME} 600 KEY {rdata}\nsend\n"
    done = subprocess.run(["nsupdate", "-v", "-k", private], input=script, text=True, timeout=60, cwd=directory,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout
    assert owns(nsregd, old).rcode == "REFUSED" and owns(nsregd, new).rcode == "NOERROR"
