# SPDX-License-Identifier: LGPL-2.1-or-later
"""What happens to a registrar in the course of its life. Every fault is a method of Faults; what it does is drawn when
the round is planned, so that a seed says it all. A fault that lasts returns what ends it."""

import os
import shutil
import signal
import time

from machine import DELAY, ERROR


class Faults:
    def __init__(self, stage):
        self.stage = stage
        self.daemon = stage.daemon

    # -- plan: (delay before it, name, parameters)

    def plan(self, count, generator, only=None):
        deck, plan = [], []
        while len(plan) < count:
            if not deck:
                deck = [card for card in self.deck(generator) if not only or card[0] in only]
            if not deck:
                break
            name, parameters = deck.pop()
            plan.append((generator.choice((0.05, 0.2, 0.5, 1.0, 1.5)), name, parameters))
        return plan

    def deck(self, generator):
        """Each kind once, in a new order; those of servers for each server."""
        draw = generator.uniform
        cards = [
            ("kill", {"pause": generator.choice((0, 0, 0.5))}),
            ("kill", {"pause": 0, "times": 3}),
            ("restart", {"pause": generator.choice((0, 0.3))}),
            ("restart", {"pause": 0}),
            ("off", {"seconds": generator.choice((9, 60, 900, 7200)), "cut": generator.random() < 0.5,
                     "linger": generator.choice((0, 0, 3))}),
            ("reboot", {"seconds": generator.choice((0, 5, 60, 3600)), "cut": generator.random() < 0.6,
                        "linger": generator.choice((0, 0, 3))}),
            ("reload", {"times": 1, "change": False}),
            ("reload", {"times": generator.randrange(3, 12), "change": False}),
            ("reload", {"times": generator.randrange(3, 12), "change": True}),
            ("reload", {"times": 2, "change": True}),
            ("bad_configuration", {"how": generator.choice(("garbage", "empty", "absent"))}),
            ("second_zone", {"seconds": draw(0.2, 3)}),
            ("slow_disk", {"usec": generator.choice((20000, 150000)), "seconds": draw(1, 4)}),
            ("full_disk", {"leave": generator.choice((0, 0, 65536)), "seconds": draw(0.5, 3)}),
            ("failing_disk", {"seconds": draw(0.3, 2)}),
            ("step", {"seconds": generator.choice((-40, -5, 30, 200, 3600))}),
            ("refresh_unwritten", {"how": generator.choice(("full", "failing")), "kill": generator.random() < 0.3}),
            ("kill_reload", {"pause": draw(0, 1)}),
            ("slow_stop", {"usec": generator.choice((50000, 150000)), "kind": generator.choice(("restart", "reload"))}),
        ]
        for site in self.stage.sites:
            where = {"site": site.name}
            late = generator.choice((0.8, 1.5, 2.5))
            cards += [
                ("server_kill", {**where, "seconds": draw(0, 2)}),
                ("server_pause", {**where, "seconds": draw(0.5, 5)}),
                ("server_old_copy", {**where, "seconds": draw(1, 4)}),
                ("server_skew", {**where, "by": generator.choice((-60, 60)), "seconds": draw(1, 5)}),
                ("upstream_away", {**where, "seconds": draw(0.5, 3)}),
                ("filter", where),
                ("ttl", {"ttl": generator.choice((30, 60, 120))}),
            ]
            if site.path:
                for kind in ("hold", "hold", "late", "cut", "twice", "deaf"):
                    cards.append(("path", {**where, "kind": kind, "share": generator.choice((0.3, 1.0)),
                                           "late": late, "seconds": draw(0.5, 4),
                                           "then": generator.choice((None, "kill", "restart", "reload"))}))
                cards.append(("move", {**where, "how": generator.choice(self.stage.options.moves)}))
            if site.far:
                cards += [("drop", {**where, "seconds": draw(1, 8),
                                    "then": generator.choice((None, "kill", "reload"))})] * 2
                cards.append(("move", {**where, "how": generator.choice(self.stage.options.moves)}))
        generator.shuffle(cards)
        return cards

    def run(self, name, parameters):
        self.stage.log(f"fault {name} {parameters}")
        parameters = dict(parameters)
        if "site" in parameters:
            parameters["site"] = next(site for site in self.stage.sites if site.name == parameters["site"])
        return getattr(self, name)(**parameters)

    # -- the registrar

    def kill(self, pause=0.0, times=1):
        for _ in range(times):
            self.stage.kill_daemon()
            time.sleep(pause)
            self.stage.start_daemon()
            if times > 1:
                time.sleep(0.3)

    def restart(self, pause=0.0):
        self.stage.stop_daemon(expect_clean=not self.disk_is_bad)
        time.sleep(pause)
        self.stage.start_daemon()

    def _down(self, cut):
        if cut:
            self.stage.kill_daemon()
        else:
            self.stage.stop_daemon(expect_clean=not self.disk_is_bad)

    def _jump(self, seconds):
        self.stage.clock.jumped += seconds
        self.stage.clock.tell()

    def _linger(self, seconds):
        """Until what ends now has ended."""
        if seconds:
            self.stage.stop.wait(seconds + min(self.stage.grace, 10))

    def off(self, seconds, cut, linger):
        """The machine was suspended or the service off: the clocks went on."""
        self._down(cut)
        self._jump(seconds)
        self.stage.start_daemon()
        self._linger(linger)

    def reboot(self, seconds, cut, linger):
        self._down(cut)
        self._jump(seconds)
        self.daemon.reboot()
        if self.forward_step and cut:
            # What was written in the old time of the wall looks ended.
            self.stage.early_from(self.stage.now())
        self.stage.start_daemon()
        self._linger(linger)

    def reload(self, times, change):
        for turn in range(times):
            if change:
                # Something that makes no difference to what is published.
                self.stage.switches["note"] += 1
                self.daemon.config["server-name"] = f"registrar{self.stage.switches['note']}.lab.test"
                self.stage.configure()
            self._hup()
            time.sleep((0.01, 0.05, 0.2)[turn % 3])
        self._reloaded()

    def _hup(self):
        if self.daemon.running:
            self.daemon.process.send_signal(signal.SIGHUP)

    def _reloaded(self):
        error = self.daemon.reload_by_bus() if self.daemon.running else None
        if error and self.daemon.running and not self.disk_is_bad:
            self.stage.violation("reload", "nsregd", f"a good configuration was not taken: {error}", spoil=False)

    def bad_configuration(self, how):
        path = self.daemon.config_path
        if how == "absent":
            os.unlink(path)
        else:
            with open(path, "w", encoding="ascii") as out:
                out.write("zones: [\n" if how == "garbage" else "")
        if how == "garbage":
            if self.daemon.reload_by_bus() is None and self.daemon.running:
                self.stage.violation("reload", "nsregd", "a bad configuration was taken", spoil=False)
        else:
            self.daemon.reload_by_bus()
        self.stage.configure()
        self._reloaded()

    def second_zone(self, seconds):
        """A zone is removed, and comes back."""
        self.stage.second_unstable = True
        self.stage.switches["second"] = False
        self.stage.configure()
        self._reloaded()

        def back():
            self.stage.switches["second"] = True
            self.stage.configure()
            self._reloaded()
        return seconds, back

    def step(self, seconds):
        if seconds < 0 and self.stage.clock.step < -60:
            seconds = -seconds
        # At once for whoever looks: what was told by the clock of before is not judged by the one of after.
        with self.stage.lock:
            self.stage.clock.step += seconds
            self.stage.clock.tell()
            now = self.stage.now()
            if seconds > 0:
                self.forward_step = True
                self.stage.late_until(now + self.stage.grace, since=now)
                self.stage.model.grace_until = max(self.stage.model.grace_until, now + self.stage.grace)
            else:
                # Behind another boot ends are counted on the wall.
                self.stage.late_until(now - seconds, since=now)

    # -- the disk

    disk_is_bad = False
    forward_step = False

    def slow_disk(self, usec, seconds):
        self.daemon.disturbance[DELAY] = usec
        self.stage.late_until(self.stage.now() + seconds + 3)
        return seconds, lambda: self.daemon.disturbance.__setitem__(DELAY, 0)

    def _bad(self, seconds):
        self.disk_is_bad = True
        self.bad_since = self.stage.now()
        self.stage.late_until(self.bad_since + seconds + 15, since=self.bad_since)

    def _good(self):
        self.disk_is_bad = False
        self.stage.late_until(self.stage.now() + 10, since=self.bad_since)

    def full_disk(self, leave, seconds):
        self._bad(seconds)
        self.daemon.fill_disk(leave)

        def free():
            self.daemon.free_disk()
            self._good()
        return seconds, free

    def failing_disk(self, seconds):
        self._bad(seconds)
        self.daemon.disturbance[ERROR] = 5

        def free():
            self.daemon.disturbance[ERROR] = 0
            self._good()
        return seconds, free

    def refresh_unwritten(self, how, kill):
        """Refreshes that cannot be written, a reload on top, and perhaps the power goes."""
        _, free = self.full_disk(0, 2) if how == "full" else self.failing_disk(2)
        time.sleep(1)
        self.reload(2, False)
        time.sleep(1)
        free()
        if kill:
            self.kill()

    def kill_reload(self, pause):
        """What a start makes longer has to outlive a reload."""
        self.kill()
        time.sleep(pause)
        self.reload(1, True)

    def slow_stop(self, usec, kind):
        """Changes are in their commit when it happens."""
        self.daemon.disturbance[DELAY] = usec
        self.stage.late_until(self.stage.now() + 5)
        time.sleep(0.4)
        if kind == "restart":
            self.restart()
        else:
            self.reload(3, True)
        self.daemon.disturbance[DELAY] = 0

    # -- servers, and the path to them

    def server_kill(self, site, seconds):
        site.disturbed()
        if site.kind == "unbound":
            site.trusted = False
        site.server.kill()

        def back():
            site.server.start()
            site.calmed()
        return seconds, back

    def server_pause(self, site, seconds):
        site.disturbed()
        site.server.pause()

        def back():
            site.server.resume()
            site.calmed()
        return seconds * (4 if self.stage.options.long else 1), back

    def server_old_copy(self, site, seconds):
        """Set back to what it had some seconds ago."""
        if site.kind == "unbound":
            return self.server_kill(site, seconds)
        site.disturbed()
        copy = site.server.directory + ".old"
        site.server.stop()
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(site.server.directory, copy, symlinks=True,
                        ignore=shutil.ignore_patterns("disturbance", "*.sock", "*.log", "*.controlsocket"))
        site.server.start()

        def back():
            site.trusted = False
            site.server.stop()
            self._clear(site.server.directory)
            shutil.copytree(copy, site.server.directory, dirs_exist_ok=True)
            site.server.start()
            self.stage.came_back(site)
            site.calmed()
        return seconds, back

    @staticmethod
    def _clear(directory):
        """No journal that is newer than the zone."""
        for name in os.listdir(directory):
            path = os.path.join(directory, name)
            if name in ("disturbance", "pdns_server", "named", "knotd") or name.endswith(".log"):
                continue
            if os.path.isdir(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)

    def server_skew(self, site, by, seconds):
        def turn(to):
            went_back = site.clock[1] - to
            site.clock[1] = to
            self.stage.clock.tell()
            # What was signed for its clock of before is good for so much longer, and in doubt for as long.
            self.stage.patient_until = max(self.stage.patient_until, self.stage.now() + went_back)
        site.disturbed()
        turn(by)

        def back():
            turn(0.0)
            site.calmed()
        return seconds, back

    def path(self, site, kind, share, late, seconds, then):
        """Messages are lost or late; and while nobody knows, something happens to the registrar."""
        site.disturbed()
        site.path.set(kind, share, late)

        def back():
            if then == "kill":
                self.kill()
            elif then == "restart":
                self.restart()
            elif then == "reload":
                self.reload(1, False)
            site.path.clear()
            site.calmed()
        return seconds, back

    def drop(self, site, seconds, then):
        site.disturbed()
        site.drop(True)

        def back():
            if then == "kill":
                self.kill()
            elif then == "reload":
                self.reload(1, False)
            site.drop(False)
            site.calmed()
        return seconds * (2.5 if self.stage.options.long else 1), back

    def move(self, site, how):
        """The server gets another address, and the configuration follows."""
        site.moves += 1
        if site.far:
            with site.lock:
                site.server.stop()
                site.server.address = site.far_address(site.moves % 4)
                site.server.write_configuration()
                site.server.start()
        else:
            site.path.move(f"127.0.0.{20 + site.number * 20 + site.moves}")
        self.stage.configure()
        if how == "reload":
            self._reloaded()
        elif how == "restart":
            self.restart()
        else:
            self.kill()

    def upstream_away(self, site, seconds):
        """It is configured no more, and comes back."""
        site.disturbed()
        site.trusted = False
        self.stage.foreign_moot = True
        self.stage.switches["removed"].add(site.name)
        self.stage.configure()
        self._reloaded()

        def back():
            self.stage.switches["removed"].discard(site.name)
            self.stage.configure()
            self._reloaded()
            site.calmed()
        return seconds, back

    def filter(self, site):
        self.stage.switches["filtered"] ^= {site.name}
        self.stage.configure()
        self._reloaded()

    def ttl(self, ttl):
        self.stage.switches["ttl"] = ttl
        self.stage.configure()
        self._reloaded()


__all__ = ["Faults"]
