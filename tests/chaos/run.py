#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rounds of disorder, each judged by the model in model.py.

    run.py --rounds N [--seed S] [--faults-per-round K] [--short | --long] [--servers named,knot,...] [--shipped]
    run.py --replay SEED

A round's seed decides its servers, its clients and its faults. A broken promise is told with the seed, its sentence
and what happened to that name; the logs are kept. NSREG_BUILD is the build directory, NSREG_CHAOS_BINARY another
nsregd than the one in it.

Sentences: kept (what a NOERROR said is there), undone (what a NOERROR took away is gone), late (ends are not late),
owner-change, owner-lost, owner-refused (a name is its owner's, and free to all when it is nobody's), forged, replay,
told (what is granted is what was asked and what is kept), foreign (what others have put there stays), upstream (when
it is quiet, servers have what the registry has), stuck (an owner is served in the end), serial, database, sanitizer,
died, exit, start, reload."""

import argparse
import collections
import heapq
import os
import random
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

# Of the short form: without a DNS server, with each of them, with two, and two that are set back to an old copy.
SEEDS = (4, 5, 10, 6, 7, 11)
LONG_ROUNDS = 40


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=None, help="of the first round (by default a random one)")
    parser.add_argument("--seeds", type=lambda text: [int(one) for one in text.split(",")], default=None)
    parser.add_argument("--replay", type=int, default=None, metavar="SEED")
    parser.add_argument("--faults-per-round", type=int, default=None)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--shipped", action="store_true", help="fudge and grace as they are shipped")
    parser.add_argument("--servers", default="builtin,named,knot,pdns,unbound", type=lambda text: text.split(","))
    parser.add_argument("--all-servers", dest="mixed", action="store_false", help="all of them in every round")
    parser.add_argument("--only", default=None, type=lambda text: text.split(","), help="faults of these kinds")
    parser.add_argument("--without", default=[], type=lambda text: text.split(","), help="sentences not judged")
    parser.add_argument("--no-settings", dest="settings", action="store_false",
                        help="for a registrar that knows neither restart-grace nor tsig-fudge")
    parser.add_argument("--grace", type=float, default=4.0)
    parser.add_argument("--fudge", default="3s", help="tsig-fudge; empty for none")
    parser.add_argument("--timeout", default="2s", help="of DNS servers")
    parser.add_argument("--names", type=int, default=24)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--far", type=float, default=0.3, help="how often a server is at the end of a cable")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--enough", type=int, default=5, help="broken promises that end a round")
    parser.add_argument("--warm", type=float, default=1.5, help="seconds before the first fault")
    parser.add_argument("--moves", default="reload,restart,kill", type=lambda text: text.split(","),
                        help="how the registrar learns of a server's new address")
    parser.add_argument("--tame", action="store_true", help="no request takes back what it adds")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    if options.short and os.environ.get("NSREG_LONG"):
        options.short, options.long, options.rounds = False, True, max(options.rounds, LONG_ROUNDS)
        options.jobs = max(options.jobs, 2)
    if options.short:
        options.seeds = options.seeds or list(SEEDS)
        options.jobs = max(options.jobs, 2)
    if options.faults_per_round is None:
        options.faults_per_round = 25 if options.long else 7
    if not options.settings:
        options.fudge = ""
    if options.replay is not None:
        options.seeds = [options.replay]
    if options.seeds is None:
        first = random.SystemRandom().randrange(10 ** 8) if options.seed is None else options.seed
        options.seeds = list(range(first, first + options.rounds))
    return options


class Round:
    def __init__(self, seed, options):
        from stage import Stage
        self.options = options
        self.stage = Stage(seed, options)
        self.n_faults = 0
        self.ends = []

    def run(self):
        from faults import Faults
        stage = self.stage
        stage.build()
        self.faults = Faults(stage)
        generator = random.Random(f"{stage.seed}-faults")
        count = self.options.faults_per_round
        plan = self.faults.plan(count, generator, self.options.only)
        stage.begin()
        stage.stop.wait(self.options.warm)
        for delay, name, parameters in plan:
            self.wait(delay)
            if stage.stop.is_set():
                break
            stage.revive()
            if self.conflicts(parameters):
                self.end_all(parameters["site"])
            if name in ("full_disk", "failing_disk", "refresh_unwritten") and self.faults.disk_is_bad:
                continue
            lasting = self.faults.run(name, parameters)
            self.n_faults += 1
            if lasting:
                heapq.heappush(self.ends, (stage.now() + lasting[0], len(self.ends), time.monotonic() + lasting[0],
                                           name, parameters.get("site"), lasting[1]))
        self.wait(1)
        stage.revive()
        self.end_all()
        if not stage.stop.is_set():
            self.quiet()

    def conflicts(self, parameters):
        return any(end[4] and end[4] == parameters.get("site") for end in self.ends)

    def _end(self, entry):
        self.ends.remove(entry)
        heapq.heapify(self.ends)
        self.stage.revive()
        self.stage.log(f"over {entry[3]} {entry[4] or ''}")
        entry[5]()

    def end_all(self, site=None):
        for entry in sorted(self.ends, key=lambda end: end[2]):
            if site is None or entry[4] == site:
                self._end(entry)

    def wait(self, seconds):
        until = time.monotonic() + seconds
        while not self.stage.stop.is_set():
            now = time.monotonic()
            due = [entry for entry in self.ends if entry[2] <= now]
            if due:
                self._end(min(due, key=lambda end: end[2]))
                continue
            if now >= until:
                return
            self.stage.revive()
            time.sleep(min(0.05, until - now))

    # -- once quiet

    def until(self, check, seconds, sentence, name):
        """Waits for what must come to be; check() returns what is still wrong, or nothing."""
        stage = self.stage
        deadline = time.monotonic() + seconds
        pushed = 0.0
        while True:
            stage.revive()
            wrong = check()
            if not wrong or stage.stop.is_set():
                return not wrong
            if time.monotonic() > deadline:
                stage.violation(sentence, name, f"not within {seconds:g} s of quiet: {str(wrong)[:2500]}",
                                spoil=False)
                return False
            if time.monotonic() - pushed > 5:
                pushed = time.monotonic()
                for method in ("Flush", "Reconcile"):
                    self.call(method)
            time.sleep(0.2)

    def call(self, method):
        from machine import BusError
        try:
            self.stage.daemon.call(method)
        except (BusError, subprocess.TimeoutExpired) as error:
            self.stage.log(f"{method}: {error}")

    def quiet(self):
        stage = self.stage
        stage.log("quiet")
        stage.rest()
        stage.second_unstable = False
        bound = (60 if not self.options.shipped else 700) + max(0, stage.patient_until - stage.now())
        self.until(lambda: [site.name for site in stage.sites if site.path and not site.path.settled()], 30,
                   "harness", "a path")
        for method in ("Flush", "Reconcile"):
            self.call(method)
        # Every owner says once more what it wants; some give their names up, some are not heard of again.
        left = []
        for machine in stage.machines:
            machine.last_wish = machine.random.random()
            if machine.foreign or machine.last_wish > 0.85:
                continue
            left.append(machine)

        def settle():
            for machine in list(left):
                step = machine.give_up if machine.last_wish > 0.7 else machine.settle
                if stage.stop.is_set() or step() == "NOERROR" or machine.full in stage.spoiled:
                    left.remove(machine)
            stage.stop.wait(1 if left else 0)
            return [(machine.full, machine.state.trace[-1:]) for machine in left]
        self.until(settle, bound, "stuck", "owners")
        for site in stage.sites:
            if not self.until(lambda: self.difference(site), bound, "upstream", site.name):
                return
            site.trusted = True
        if stage.stop.is_set():
            return
        stage.log("equal")
        self.serials()
        for site in stage.sites:
            for zone, static in site.static.items():
                missing = static - site.zone(zone)
                if missing:
                    stage.violation("foreign", site.name, f"{sorted(missing)} is gone")
        # And over a restart: nothing is lost, nothing comes back.
        stage.stop_daemon()
        stage.start_daemon()
        for site in stage.sites:
            self.until(lambda: self.difference(site), bound, "upstream", site.name)
        # Who was not heard of again is gone in time.
        ends = [lease.hi for machine in stage.machines for world in machine.state.worlds
                for _, lease in world.records if lease.hi < stage.now() + 12]
        stage.stop.wait(max([0.7, *(end + 3.2 - stage.now() for end in ends)]))
        self.settled_registry()
        stage.stop_daemon()

    def wanted(self):
        """{name: addresses} of the registry, and nothing where it cannot be asked now."""
        return {name: set(entry[2]) for name, entry in self.stage.daemon.registrations().items() if entry[2]}

    def difference(self, site):
        """What the server has too many and too few, against the registry."""
        import dns.exception
        from machine import BusError
        from stage import FOREIGN, MAIN, REVERSE, SECOND
        stage = self.stage
        try:
            wanted = self.wanted()
            found = {zone: site.zone(zone) - site.static[zone] for zone in (MAIN, SECOND, REVERSE)}
            if {name: set(entry[2]) for name, entry in stage.daemon.registrations().items() if entry[2]} != wanted:
                return "moving"
        except (BusError, OSError, EOFError, dns.exception.DNSException, subprocess.SubprocessError) as error:
            return repr(error)
        # So where an old copy has data at a name that had nothing published.
        orphaned = {owner for owner, _, _ in site.orphans}
        for name in orphaned:
            wanted.pop(name, None)
        filtered = site.name in stage.switches["filtered"]
        # At these the server has data of its own: the registry may own them while it was not configured.
        theirs = {f"{label}.{MAIN}." for label in FOREIGN}
        found[REVERSE] = {record for record in found[REVERSE] if record[2].lower() not in theirs}
        for name in theirs:
            wanted.pop(name, None)
        wanted = {name: {address for address in addresses if not (filtered and address.startswith("10.0.7."))}
                  for name, addresses in wanted.items()}
        expected = {(name, "AAAA" if ":" in address else "A", address)
                    for name, addresses in wanted.items() for address in addresses}
        have = {record for zone in (MAIN, SECOND) for record in found[zone] if "nsregd.invalid" not in record[0]}
        have = {record for record in have if record[0] not in orphaned}
        wrong = [("+", *record) for record in sorted(have - expected)]
        wrong += [("-", *record) for record in sorted(expected - have)]
        wrong += self.pointer_difference(site, wanted, found[REVERSE])
        return [one for one in wrong if not orphaned or "PTR" not in one]

    @staticmethod
    def pointer_difference(site, wanted, found):
        claimants = collections.defaultdict(set)
        for name, addresses in wanted.items():
            for address in addresses:
                if address.startswith("10."):
                    claimants[".".join(reversed(address.split("."))) + ".in-addr.arpa."].add(name)
        wrong = []
        have = collections.defaultdict(set)
        for owner, kind, rdata in found:
            if kind == "PTR":
                have[owner].add(rdata.lower())
        for owner, names in claimants.items():
            ours = have[owner] - {rdata.lower() for name, _, rdata in site.orphans if name == owner} | have[owner] & names
            if len(ours) != 1 or not ours <= names:
                wrong.append((owner, "PTR", sorted(have[owner]), "of", sorted(names)))
        wrong += [("+", owner, "PTR", sorted(names)) for owner, names in have.items() if owner not in claimants
                  and any((owner, "PTR", name) not in site.orphans for name in names)]
        return wrong

    def serials(self):
        """A reload that changes nothing moves no serial."""
        stage = self.stage
        from stage import MAIN
        def read():
            found = {site.name: site.serial(MAIN) for site in stage.sites if site.is_nsupdate}
            if stage.builtin:
                import dns.message
                import dns.query
                answer = dns.query.udp(dns.message.make_query(MAIN, "SOA"), stage.daemon.address,
                                       port=stage.daemon.port, timeout=5).answer
                found["builtin"] = answer[0][0].serial if answer else None
            return found, self.wanted()
        before = read()
        self.faults._reloaded()
        self.call("Reconcile")
        time.sleep(0.5)
        after = read()
        if before[1] == after[1] and before[0] != after[0]:
            stage.violation("serial", "SOA", f"{before[0]} became {after[0]} with a reload that changes nothing",
                            spoil=False)

    def settled_registry(self):
        stage = self.stage
        before, begin = stage.snapshot(), stage.now()
        found = stage.daemon.registrations()
        stage.look("the registry, in the end", {name: set(entry[2]) for name, entry in found.items()}, before, begin)
        stage.look_owners(found, before, begin)


def one_round(seed, options):
    """0 when every promise was kept."""
    begin = time.monotonic()
    one = Round(seed, options)
    stage = one.stage
    try:
        one.run()
    except Exception:  # what is broken below must not hide what was found above
        import traceback
        stage.violation("harness", "round", traceback.format_exc()[-3000:], spoil=False)
    for complaint in stage.teardown():
        stage.violation("exit", "teardown", complaint, spoil=False)
    took = time.monotonic() - begin
    print(f"round {seed}: {one.n_faults} faults, {len(stage.violations)} broken promises, {took:.0f} s, "
          f"{dict(stage.counts)}, looks {dict(stage.n_looks)}", flush=True)
    for line in stage.happened:
        if "fault" in line or "servers" in line or "quiet" in line or stage.violations:
            print(f"  {line[:300]}")
    for sentence, name, text, trace in stage.violations:
        print(f"BROKEN seed {seed}: {sentence}: {name}: {text[:3500]}")
        for line in trace:
            print(f"    {line[:300]}")
    if stage.violations:
        print(f"logs: {stage.lab.directory}; again with: {sys.argv[0]} --replay {seed}", flush=True)
        return 1
    shutil.rmtree(stage.lab.directory, ignore_errors=True)
    return 0


def isolated(seeds, options):
    """Each round in namespaces of its own, so many at a time."""
    words, skip = ["--long"] if options.long else [], False
    for word in sys.argv[1:]:
        if skip or word == "--short" or word.startswith(("--seeds=", "--seed=", "--rounds=", "--replay=", "--jobs=")):
            skip = False
        elif word in ("--seeds", "--seed", "--rounds", "--replay", "--jobs"):
            skip = True
        else:
            words.append(word)
    isolate = os.path.join(os.path.dirname(HERE), "lab", "isolate.py")
    waiting, running, status = list(seeds), {}, 0
    while waiting or running:
        while waiting and len(running) < options.jobs:
            seed = waiting.pop(0)
            command = [sys.executable, isolate, sys.executable, os.path.abspath(__file__), *words, "--seeds", str(seed)]
            running[subprocess.Popen(command)] = seed
        done = [child for child in running if child.poll() is not None]
        for child in done:
            del running[child]
            if child.returncode == 77 and status == 0:
                status = 77
            elif child.returncode not in (0, 77):
                status = 1
        time.sleep(0.05)
    return status


def main():
    options = arguments()
    if os.environ.get("NSREG_ISOLATED"):
        return max(one_round(seed, options) for seed in options.seeds)
    return isolated(options.seeds, options)


if __name__ == "__main__":
    sys.exit(main())
