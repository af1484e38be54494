# SPDX-License-Identifier: LGPL-2.1-or-later
"""The path to the name server loses everything for a while, or the name server stands still, while names change."""

import concurrent.futures
import time

import pytest

from lab import eventually, never

ZONE = "d.example"
NETS = ["127.0.0.0/8", "10.0.0.0/8"]
PLENTY = {"new-names-per-minute-per-source": 100000, "updates-per-second-per-source": 100000}
# Longer than the longest time-out here, and than what is repeated early.
OUTAGE_SEC = 16


def zone(*upstreams):
    return {"allowed-nets": NETS, "min-addr-ttl": "1s", "upstreams": list(upstreams)}


class Path:
    """nsregd and its name server in namespaces of their own, with a cable between. A wrong hardware address for
    the other end makes everything that is sent vanish."""

    def __init__(self, lab, kind="named"):
        self.inner, self.outer = lab.netns(), lab.netns()
        self.inner.veth("path", self.outer, "path")
        self.inner.add_address("path", "10.9.0.1/24")
        self.outer.add_address("path", "10.9.0.2/24")
        self.server = getattr(lab, kind)(ZONE, netns=self.outer, address="10.9.0.2").start()

    def block(self):
        for netns, address in ((self.inner, "10.9.0.2"), (self.outer, "10.9.0.1")):
            netns.ip("neigh", "replace", address, "lladdr", "02:00:00:00:00:99", "dev", "path", "nud", "permanent")

    def unblock(self):
        for netns, address in ((self.inner, "10.9.0.2"), (self.outer, "10.9.0.1")):
            netns.ip("neigh", "del", address, "dev", "path")

    def content(self):
        with self.server.netns:
            return content(self.server)


def content(server):
    return {(owner.split(".")[0], data) for owner, kind, data in server.records(ZONE) if kind == "A"}


class Owner:
    """Who asks for one name. Once it had it, it is never refused it."""

    def __init__(self, nsregd, label, netns=None):
        self.client = nsregd.client(ZONE)
        self.label = label
        self.netns = netns
        self.owns = False
        self.asked = set()

    def _run(self, call):
        """The RCODE; None when the registrar was killed meanwhile."""
        try:
            if not self.netns:
                reply = call()
            else:
                with self.netns:
                    reply = call()
        except OSError:
            return None
        return reply and reply.rcode

    def claim(self, address, ttl=300):
        before = self.asked - {address}
        rcode = self._run(lambda: self.client.send(self.client.original(self.label, [address], before, ttl=ttl)))
        self.asked.add(address)
        if self.owns and rcode not in ("NOERROR", "SERVFAIL", None):
            raise RuntimeError(f"{self.label}: its owner got {rcode}")
        self.owns |= rcode == "NOERROR"
        return rcode

    def release(self):
        self.owns = False
        return self._run(lambda: self.client.release(self.label))

    def has(self, address, timeout=90):
        eventually(lambda: self.claim(address) == "NOERROR", timeout, interval=0.5)

    def gives_up(self, timeout=90):
        # What it gave up already is refused as not its own any more.
        eventually(lambda: self.release() in ("NOERROR", "REFUSED"), timeout, interval=0.5)


def trouble(owners, between=lambda: None):
    """Everything at once: what is done to each name while nothing gets through."""
    def change_change():
        owners["cc"].claim("10.0.0.2")
        owners["cc"].claim("10.0.0.3")

    def change_release():
        owners["cr"].claim("10.0.0.2")
        owners["cr"].release()

    def claim_release():
        owners["nr"].claim("10.0.0.1")
        owners["nr"].release()

    def change_expire():
        owners["ce"].claim("10.0.0.2", ttl=2)

    def change():
        owners["ck"].claim("10.0.0.2")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        tasks = [pool.submit(task) for task in (change_change, change_release, claim_release, change_expire, change)]
        between()
        for task in tasks:
            task.result()


def is_right_in_the_end(owners, others, read, quiet_sec):
    """The owners get what they want, others what was given up, and nothing comes up again later."""
    owners["cc"].has("10.0.0.3")
    owners["ck"].has("10.0.0.2")
    owners["cr"].gives_up()
    owners["nr"].gives_up()
    eventually(lambda: not any(label == "ce" for label, _ in read()), 90, interval=0.5)
    others["cr"].has("10.0.0.8")
    others["nr"].has("10.0.0.9")
    expected = {("cc", "10.0.0.3"), ("ck", "10.0.0.2"), ("cr", "10.0.0.8"), ("nr", "10.0.0.9")}
    eventually(lambda: read() == expected, 60, interval=0.5)
    never(lambda: read() != expected, quiet_sec, interval=0.5)


def owners_of(nsregd, netns=None):
    return [{label: Owner(nsregd, label, netns) for label in ("cc", "cr", "nr", "ce", "ck")} for _ in range(2)]


@pytest.mark.parametrize("kill", [False, True])
@pytest.mark.parametrize("timeout", ["10s", "1s"])
def test_path_drops_everything(lab, timeout, kill):
    path = Path(lab)
    nsregd = lab.nsregd(zones={ZONE: zone(path.server.upstream(ZONE, timeout=timeout, tsig_fudge="2s"))},
                        netns=path.inner, limits=PLENTY).start()
    owners, others = owners_of(nsregd, path.inner)
    for label in ("cc", "cr", "ce", "ck"):
        owners[label].has("10.0.0.1")
    path.block()
    begin = time.monotonic()

    def between():
        if not kill:
            return
        time.sleep(3)
        nsregd.kill()
        nsregd.start()

    trouble(owners, between)
    time.sleep(max(0.0, begin + OUTAGE_SEC - time.monotonic()))
    path.unblock()
    # What a kernel repeats comes late.
    is_right_in_the_end(owners, others, path.content, 12)


@pytest.mark.parametrize("kind, way", [("named", "wait"), *[(kind, way) for kind in ("named", "knot", "pdns")
                                                           for way in ("reload", "kill")]])
def test_server_stands_still(lab, kind, way):
    server = getattr(lab, kind)(ZONE).start()
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE, timeout="1s", tsig_fudge="2s"))},
                        limits=PLENTY).start()
    owners, others = owners_of(nsregd)
    for label in ("cc", "cr", "ce", "ck"):
        owners[label].has("10.0.0.1")
    server.pause()

    def between():
        time.sleep(0.5)
        if way == "kill":
            nsregd.kill()
            nsregd.start()
        elif way == "reload":
            nsregd.reload()

    trouble(owners, between)
    time.sleep(5)
    server.resume()
    if way == "kill":
        nsregd.kill()
        nsregd.start()
    elif way == "reload":
        nsregd.reload()
    is_right_in_the_end(owners, others, lambda: content(server), 3)


def claims(nsregd, labels):
    for label in labels:
        reply = nsregd.client(ZONE).claim(label, "10.0.0.1", ttl=300)
        assert reply.rcode == "NOERROR", reply


def test_server_comes_back_with_its_journal_lost(lab):
    """Its serial has gone back: all that is published is looked at, and written again, at the next connection."""
    server = lab.named(ZONE).start()
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE))}, limits=PLENTY).start()
    server.stop()
    empty = server.save()
    server.start()
    labels = [f"n{number}" for number in range(5)]
    claims(nsregd, labels)
    server.kill()
    server.set_back(empty)
    server.start()
    assert content(server) == set()
    claims(nsregd, ["later"])
    eventually(lambda: content(server) == {(label, "10.0.0.1") for label in [*labels, "later"]}, 30)


def test_server_comes_back_without_the_last_update(lab):
    """The serial is asked before anything else that may move it: a change of another name hides nothing."""
    server = lab.named(ZONE).start()
    nsregd = lab.nsregd(zones={ZONE: zone(server.upstream(ZONE))}, limits=PLENTY).start()
    owner = nsregd.client(ZONE)
    assert owner.claim("first", "10.0.0.1", ttl=300).rcode == "NOERROR"
    server.stop()
    saved = server.save()
    server.start()
    claims(nsregd, ["last"])
    server.kill()
    server.set_back(saved)
    server.start()
    assert content(server) == {("first", "10.0.0.1")}
    # One update: the serial is what it was.
    assert owner.send(owner.original("first", ["10.0.0.2"], ["10.0.0.1"], ttl=300)).rcode == "NOERROR"
    eventually(lambda: content(server) == {("first", "10.0.0.2"), ("last", "10.0.0.1")}, 30)


def test_trouble_is_told_once(lab):
    """The journal says when it began and when it ended, not at every retry between."""
    server = lab.named(ZONE).start()
    relay = lab.relay(server, "silent")
    nsregd = lab.nsregd(zones={ZONE: zone(relay.upstream(ZONE, timeout="100ms"))}, limits=PLENTY).start()
    client = nsregd.client(ZONE)
    for number in range(20):
        assert client.claim(f"n{number}", "10.0.0.1", ttl=300).rcode == "SERVFAIL"
    tried = relay.n_messages
    eventually(lambda: relay.n_messages >= tried + 3, 60)
    relay.mode = "pass"
    eventually(lambda: len(content(server)) == 20, 60)
    eventually(lambda: client.claim("more", "10.0.0.1", ttl=300).rcode == "NOERROR", 60, interval=0.3)
    assert nsregd.log().count(" fails: ") == 1, nsregd.log()
    assert nsregd.log().count(" works again") == 1
