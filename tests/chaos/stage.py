# SPDX-License-Identifier: LGPL-2.1-or-later
"""One round: a registrar, DNS servers, clients; the eyes that watch them, and the judge."""

import collections
import math
import os
import random
import subprocess
import threading
import time

import dns.exception
import dns.message
import dns.query
import dns.rdatatype

from lab import Knot, Lab, Named, Pdns, Unbound, Zone
from lab.bus import BusError
from clients import Machine
from machine import ERROR, Clock, Daemon, Disturbance, Elsewhere, preload
from model import Broken, Model
from relay import Path

MAIN, SECOND = "d.example", "e.example"
REVERSE = "10.in-addr.arpa"
# At these the administrator has data; at most of them the one address that somebody else will ask for.
FOREIGN = {f"taken{number}": f"10.0.8.{number + 1}" for number in range(8)}
STATIC = ("static A 192.0.2.1\n" 'm3 TXT "a note"\nm4 TXT "another"\nsub NS static\nwide A 192.0.2.9\n'
          "taken0 CNAME static\ntaken1 AAAA fd00:8::2\n"
          + "".join(f"{label} A {address}\n" for label, address in FOREIGN.items() if label != "taken0"))
STATIC_REVERSE = "1.8.0 PTR static.d.example.\n7.7.7 PTR static.d.example."
FILTERED = "10.0.7.0/24"
MAKERS = {"named": Named, "knot": Knot, "pdns": Pdns, "unbound": Unbound}


class Site:
    """One DNS server, the path to it, and what is known of it."""

    def __init__(self, stage, kind, number, far):
        self.stage = stage
        self.kind = kind
        self.name = f"{kind}{number}"
        self.number = number
        self.far = far
        self.netns = None
        self.lock = threading.Lock()
        self.orphans = set()  # records that came back with an old copy, at names that have none
        self.trusted = True  # it has what was acknowledged
        self.quiet_since = 0.0  # since when nothing disturbs it or the path to it
        self.troubles = 0
        directory = stage.lab.subdirectory(kind)
        disturbance = Disturbance(os.path.join(directory, "disturbance"))
        self.clock = stage.clock.follow(disturbance)
        options = {"environment": {"LD_PRELOAD": preload()[1], "NSREG_DISTURB": disturbance.path}}
        if far:
            self.netns = stage.lab.netns()
            options.update(netns=self.netns, address=self.far_address(0))
            self._lay_cable()
        zones = [Zone(MAIN, records=STATIC), Zone(SECOND, records="static A 192.0.2.1"),
                 Zone(REVERSE, records=STATIC_REVERSE)]
        if kind == "unbound":
            taken = "".join(f"{label}.{MAIN}. A {address}\n" for label, address in FOREIGN.items())
            zones = [Zone(MAIN, records=f"static.{MAIN}. A 192.0.2.1\n{taken}"), Zone(SECOND),
                     Zone(REVERSE, records="1.8.0.10.in-addr.arpa. PTR static.d.example.")]
            options["control"] = stage.random.choice(("tls", "unix"))
        self.server = stage.lab.keep(MAKERS[kind](directory, *zones, **options)).start()
        self.path = None
        if kind != "unbound" and not far:
            self.path = stage.lab.keep(Path(self.server, stage.random.random()))
        self.static = {zone: self.zone(zone) for zone in (MAIN, SECOND, REVERSE)}
        self.moves = 0

    # -- a cable to a server elsewhere

    def far_address(self, which):
        return f"10.77.{self.number}.{2 + which}"

    def _lay_cable(self):
        run = lambda *words: subprocess.run(["ip", *words], check=True, stderr=subprocess.PIPE)
        self.cable = f"far{self.number}"
        run("link", "add", self.cable, "type", "veth", "peer", "name", "near", "netns", self.netns.name)
        run("address", "add", f"10.77.{self.number}.1/24", "dev", self.cable)
        run("link", "set", self.cable, "up")
        for which in range(4):
            # None is another's secondary: each is the source of what is sent from it to itself.
            mask = 32 if which else 24
            self.netns.ip("address", "add", f"{self.far_address(which)}/{mask}", "dev", "near")
        self.netns.ip("link", "set", "near", "up")

    def drop(self, dropping):
        """Packets towards the server, and back, go to nobody."""
        for which in range(4):
            words = ["neighbour", "replace", self.far_address(which), "dev", self.cable, "nud", "permanent", "lladdr"]
            if dropping:
                subprocess.run(["ip", *words, "02:00:00:00:00:99"], check=True)
            else:
                subprocess.run(["ip", "neighbour", "del", self.far_address(which), "dev", self.cable], check=False,
                               stderr=subprocess.DEVNULL)
        if dropping:
            self.netns.ip("neighbour", "replace", f"10.77.{self.number}.1", "dev", "near", "nud", "permanent",
                          "lladdr", "02:00:00:00:00:99")
        else:
            self.netns.ip("neighbour", "del", f"10.77.{self.number}.1", "dev", "near", check=False)

    # -- what it has

    def zone(self, zone):
        """{(owner, type, rdata)} without the SOA."""
        with Elsewhere(self.netns):
            return self.server.records(zone)

    def serial(self, zone):
        with Elsewhere(self.netns):
            return dns.query.tcp(dns.message.make_query(zone, "SOA"), self.server.address, port=self.server.port,
                                 timeout=5).answer[0][0].serial

    def upstream(self, **options):
        """The configuration's entry; the zone is put in by who makes it."""
        through = self.path or self.server
        return through.upstream(reverse=[REVERSE], **options)

    @property
    def is_nsupdate(self):
        return self.kind != "unbound"

    def disturbed(self):
        self.troubles += 1
        self.quiet_since = float("inf")

    def calmed(self):
        self.troubles -= 1
        if not self.troubles:
            self.quiet_since = time.monotonic()


class Stage:
    def __init__(self, seed, options):
        self.seed = seed
        self.options = options
        self.random = random.Random(seed)
        self.lab = Lab()
        self.clock = Clock()
        self.now = self.clock.now
        self.lock = threading.RLock()
        self.patient_until = 0.0
        self.up = threading.Event()
        self.stop = threading.Event()
        self.counts = collections.Counter()
        self.violations = []
        self.spoiled = set()
        self.happened = []
        self.last_cut = -1.0
        self.stalls = collections.deque(maxlen=400)
        self.grace = 600 if options.shipped else options.grace
        self.model = Model(self.grace)
        self.sites = []
        self.switches = {"second": True, "ttl": 60, "moved": {}, "removed": set(), "filtered": set(), "note": 0}
        self.second_unstable = False
        self.foreign_moot = False  # a server with data of its own was not configured for a while
        self.threads = []
        self.machines = []
        self.n_looks = collections.Counter()
        self.built = None

    def build(self):
        kinds = [kind for kind in self.options.servers if kind in MAKERS]
        self.random.shuffle(kinds)
        count = min(len(kinds), self.random.choice((0, 1, 1, 2, 2)) if self.options.mixed else len(kinds))
        if "builtin" not in self.options.servers:
            count = max(count, 1)
        chosen = kinds[:count]
        self.builtin = "builtin" in self.options.servers and (not chosen or self.random.random() < 0.6)
        self.bus = self.lab.bus().start()
        for number, kind in enumerate(chosen):
            far = kind in ("named", "knot") and self.random.random() < self.options.far
            self.sites.append(Site(self, kind, number, far))
        # As under a unit with ProcSubset=pid, which passes the boot's identity in the environment.
        hidden = self.random.random() < 0.5
        self.daemon = self.lab.keep(Daemon(self.lab.subdirectory("nsregd"), self.clock, self.bus, hidden))
        self.configure()
        self.log(f"servers: {[site.name + ('(far)' if site.far else '') for site in self.sites]}"
                 f"{' builtin' if self.builtin else ''}, grace {self.grace}")
        self.daemon.start()
        self.started(None)
        for number in range(self.options.names):
            self.machines.append(Machine(self, number, f"m{number}", MAIN, self.random.random()))
        for number in range(self.options.names // 4):
            self.machines.append(Machine(self, 40 + number, f"s{number}", SECOND, self.random.random()))
        if self.sites:
            for number, (label, address) in enumerate(FOREIGN.items()):
                machine = Machine(self, 60 + number, label, MAIN, self.random.random(), address)
                # A claim that was refused is not asked about again for a while: so the first counts, at any time.
                machine.due = self.now() + self.random.uniform(0, 2 + self.options.faults_per_round)
                self.machines.append(machine)
        self.by_name = {machine.full: machine for machine in self.machines}
        self.built = True

    # -- the configuration

    def configure(self):
        entries = {MAIN: [], SECOND: []}
        for site in self.sites:
            if site.name in self.switches["removed"]:
                continue
            for zone in (MAIN, SECOND):
                entry = site.upstream()
                if site.is_nsupdate:
                    entry = {**entry, "zone": zone, "timeout": self.options.timeout}
                    if self.options.fudge and not self.options.shipped:
                        entry["tsig-fudge"] = self.options.fudge
                else:
                    entry["timeout"] = "2s"
                entry["record-ttl"] = f"{self.switches['ttl']}s"
                if site.name in self.switches["filtered"]:
                    entry["exclude-nets"] = [FILTERED]
                entries[zone].append(entry)
        if self.builtin:
            entries[MAIN].append({"type": "builtin", "reverse-zones": [REVERSE]})
        # Twice the same reverse zones would be another matter.
        if not entries[SECOND]:
            entries[SECOND].append({"type": "builtin"})
        if not entries[MAIN]:
            entries[MAIN].append({"type": "builtin", "reverse-zones": [REVERSE]})
        common = {"allowed-nets": ["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"], "min-addr-ttl": "1s",
                  "max-records-per-name": 64, "max-names-per-source": 0}
        zones = {MAIN: {**common, "upstreams": entries[MAIN]}}
        if self.switches["second"]:
            zones[SECOND] = {**common, "upstreams": entries[SECOND]}
        config = {**self.daemon.config, "zones": zones,
                  "limits": {"new-names-per-minute-per-source": 10 ** 6, "updates-per-second-per-source": 10 ** 6,
                             "verifications-per-second": 20000, "unknown-name-share": 90}}
        config.pop("restart-grace", None)
        if self.options.settings and not self.options.shipped:
            config["restart-grace"] = f"{int(self.grace)}s"
        self.daemon.write_configuration(config)

    # -- what is told

    def log(self, text):
        line = f"{self.now():.2f} {text}"
        self.happened.append(line)
        if self.options.verbose:
            print(line, flush=True)

    def count(self, what):
        self.counts[what] += 1

    def violation(self, sentence, name, text, spoil=True):
        with self.lock:
            if sentence in self.options.without or (spoil and name in self.spoiled):
                return
            if len(self.violations) >= self.options.enough and sentence in {one[0] for one in self.violations}:
                return
            if spoil:
                self.spoiled.add(name)
            trace = []
            if name in self.model.names:
                trace = [f"{when:.2f} {what}" for when, what in self.model.names[name].trace[-30:]]
            self.violations.append((sentence, name, f"{self.now():.2f} {text}", trace))
            self.log(f"VIOLATION {sentence} {name} {text}")
        if len(self.violations) >= self.options.enough:
            self.stop.set()

    def judge(self, machine, change, rcode, sent, answered, text=""):
        self.up.wait(120)
        with self.lock:
            state = machine.state
            state.note(answered, f"{change.client[-1:]} {describe(change)} sent {sent:.2f}: {rcode} {text}")
            if machine.foreign and rcode == "NOERROR":
                if not change.release and not self.foreign_moot:
                    self.violation("foreign", machine.full, f"{change} got NOERROR over foreign data")
                return
            if rcode in ("NOTAUTH", "NOTZONE") and machine.zone == SECOND and self.second_unstable:
                rcode = None if state.worlds else rcode
            if state.foreign and change.claims() and rcode == "NOERROR" and not self.is_orphaned(machine.full):
                state.foreign = False
            try:
                state.answer(change, rcode, sent, answered, self.model.events, self.model.grace_until)
            except Broken as broken:
                self.violation(broken.sentence, machine.full, broken.text)

    def came_back(self, site):
        """A server was set back. What it has of a type that had nothing published at the name, and so no row, or was not
        acknowledged yet, looks like anybody's data: it stays, and may refuse a claim until an administrator sees to it."""
        records = site.zone(MAIN) | site.zone(SECOND) | site.zone(REVERSE)
        now = self.now()
        with self.lock:
            for machine in self.machines:
                state = machine.state
                # Of a zone that is configured no more nothing is left to be known by.
                away = machine.zone == SECOND and not self.switches["second"]
                known = {"AAAA" if ":" in address else "A" for address in state.must_show(now + 5)
                         if state.published and not state.busy and not away}
                theirs = {record for record in records
                          if record[0] == machine.full and record[1] in {"A", "AAAA"} - known}
                if theirs and not machine.foreign:
                    state.became_foreign()
                    site.orphans |= theirs
            site.orphans |= {record for record in records if record[1] == "PTR"} - site.static[REVERSE]

    def is_orphaned(self, name, sites=None):
        """At one of these, by default at any, are records at the name that nobody can know to be ours."""
        return any(owner == name for site in sites or self.sites for owner, _, _ in site.orphans)

    # -- what faults do to what is known; clients and eyes look at it meanwhile

    def late_until(self, when, since=-math.inf):
        with self.lock:
            self.model.late_until(when, since)

    def early_from(self, when):
        with self.lock:
            self.model.early_from(when)

    # -- the registrar's life

    def going_down(self, clean):
        self.up.clear()

    def went_down(self, clean):
        now = self.now()
        with self.lock:
            self.down_at = now
            if not clean:
                self.last_cut = now
                self.model.cut(now)
            for machine in self.machines:
                machine.state.note(now, "registrar stopped" if clean else "registrar killed")
        finding = self.daemon.check_database()
        if finding:
            self.violation("database", "registry.db", finding, spoil=False)
        for finding in self.daemon.process.sanitizer_findings():
            self.violation("sanitizer", "nsregd", finding)

    def started(self, spawned):
        with self.lock:
            if spawned is not None:
                self.model.started(self.down_at, spawned, self.daemon.ready_at)
                for machine in self.machines:
                    machine.state.note(self.daemon.ready_at, "registrar ready")
        self.up.set()

    def start_daemon(self):
        self.configure()
        # A disk that answers with errors is seen to before anybody starts; a full one is none.
        self.daemon.disturbance[ERROR] = 0
        spawned = self.now()
        try:
            self.daemon.start()
        except (RuntimeError, AssertionError) as error:
            self.violation("start", "nsregd", str(error)[-1500:])
            self.stop.set()
            raise
        self.started(spawned)

    def kill_daemon(self):
        self.going_down(False)
        dead = not self.daemon.running
        self.daemon.kill()
        self.went_down(False)
        if dead:
            self.died()

    def died(self):
        self.violation("died", "nsregd", f"status {self.daemon.process.popen.returncode}: "
                       f"{self.daemon.log()[-2500:]}", spoil=False)

    def stop_daemon(self, expect_clean=True):
        self.going_down(True)
        if not self.daemon.running:
            self.daemon.kill()
            self.went_down(False)
            self.died()
            return
        try:
            status = self.daemon.term()
        except AssertionError as error:
            self.violation("exit", "nsregd", f"{error}: {self.daemon.log()[-1500:]}", spoil=False)
            self.went_down(False)
            return
        if status != 0 and expect_clean:
            self.violation("exit", "nsregd", f"status {status} on TERM: {self.daemon.log()[-1500:]}", spoil=False)
        self.went_down(expect_clean and status == 0)

    def revive(self):
        """After a death that nobody caused: told once, and started again."""
        if self.up.is_set() and not self.daemon.running:
            self.going_down(False)
            self.daemon.kill()
            self.went_down(False)
            self.died()
            self.start_daemon()

    # -- eyes

    def slack(self):
        """How long this machine let nobody run, of late."""
        return sum(self.stalls)

    def watch_stalls(self):
        while not self.stop.is_set():
            begin = time.monotonic()
            time.sleep(0.02)
            over = time.monotonic() - begin - 0.05
            self.stalls.append(max(0.0, over))

    def snapshot(self):
        with self.lock:
            return self.model.generation, {name: state.version for name, state in self.model.names.items()
                                           if not state.busy}

    def _settled(self, versions):
        """What can be judged: names that nothing has moved since, and that are ours to judge. Under the lock."""
        for name, version in versions.items():
            machine, state = self.by_name.get(name), self.model.names[name]
            if machine is None or state.busy or state.version != version or state.unclear or name in self.spoiled:
                continue
            if not machine.foreign and not (machine.zone == SECOND and self.second_unstable):
                yield name, machine, state

    def look(self, where, shown, before, begin, site=None, names=None):
        """Compares {name: addresses} with the model; what moved meanwhile is left out."""
        end = self.now()
        generation, versions = before
        late_too = site is None or (site.trusted and time.monotonic() - site.quiet_since > 20)
        with self.lock:
            if generation != self.model.generation or not self.up.is_set():
                return
            for name, _, state in self._settled(versions):
                if names is not None and name not in names:
                    continue
                if site and not (site.trusted and state.published):
                    continue
                if site and self.is_orphaned(name, [site]):
                    continue
                self._compare(where, state, shown.get(name, set()), begin, end, site, late_too)
                self.n_looks[where] += 1

    def _compare(self, where, state, addresses, begin, end, site, late_too):
        missing = {address for address in state.must_show(end) - addresses
                   if not (site and address.startswith("10.0.7."))}
        if missing:
            self.violation("kept", state.name, f"{where} has {sorted(addresses)}, not {sorted(missing)} "
                           f"(looked {begin:.2f} to {end:.2f}); known {state.worlds}")
        extra = addresses - state.mentioned()
        if extra:
            self.violation("undone", state.name, f"{where} has {sorted(extra)}, which was taken away "
                           f"(looked {begin:.2f} to {end:.2f}); known {state.worlds}")
        # A server is told when it ends, and may be slow.
        late = addresses - extra - state.may_show(begin, self.slack() + (5 if site else 0))
        if late and late_too:
            self.violation("late", state.name, f"{where} has {sorted(late)} still "
                           f"(looked {begin:.2f} to {end:.2f}); known {state.worlds}")

    def watch_registry(self):
        while not self.stop.wait(0.6):
            before, begin = self.snapshot(), self.now()
            if not self.up.is_set():
                continue
            try:
                found = self.daemon.registrations()
            except (BusError, subprocess.TimeoutExpired):
                continue
            shown = {name: set(entry[2]) for name, entry in found.items()}
            self.look("the registry", shown, before, begin)
            self.look_owners(found, before, begin)

    def look_owners(self, found, before, begin):
        generation, versions = before
        end = self.now()
        with self.lock:
            if generation != self.model.generation or not self.up.is_set():
                return
            for name, machine, state in self._settled(versions):
                owners, free = state.owners(begin, end)
                if name not in found:
                    if not free:
                        self.violation("owner-lost", name, f"nobody owns it in the registry; known {state.worlds}")
                    continue
                tags = {machine.by_label[owner].key.tag for owner in owners}
                if found[name][0] not in tags and owners:
                    self.violation("owner-change", name, f"key tag {found[name][0]}, not {tags}")
                self._compare_told(state, found[name], end)

    def _compare_told(self, state, entry, end):
        """What is told is kept: an end in the registry lies within what was granted."""
        for address, moment in entry[2].items():
            leases = [world.leases[address] for world in state.worlds if address in world.leases]
            if leases and moment < min(self.clock.to_wall(lease.granted) for lease in leases) - 2:
                self.violation("told", state.name, f"{address} is to end {moment}; known {state.worlds}")

    def ask(self, name, kind):
        message = dns.message.make_query(name, kind)
        answer = dns.query.udp(message, self.daemon.address, port=self.daemon.port, timeout=2)
        return {rdata.to_text() for rrset in answer.answer for rdata in rrset}

    def watch_builtin(self):
        names = [machine.full for machine in self.machines if machine.zone == MAIN]
        while not self.stop.wait(0.05):
            chosen = random.sample(names, min(6, len(names)))
            before, begin = self.snapshot(), self.now()
            if not self.up.is_set():
                continue
            try:
                shown = {name: self.ask(name, "A") | self.ask(name, "AAAA") for name in chosen}
            except (OSError, dns.exception.DNSException):
                continue
            self.look("the builtin zone", shown, before, begin, names=set(chosen))

    def watch_site(self, site):
        while not self.stop.wait(0.35):
            before, begin = self.snapshot(), self.now()
            if site.name in self.switches["removed"]:
                continue
            try:
                records = site.zone(MAIN)
                both = records | site.zone(SECOND)
            except (OSError, dns.exception.DNSException, subprocess.SubprocessError, EOFError):
                continue
            shown = collections.defaultdict(set)
            for owner, kind, rdata in both:
                if kind in ("A", "AAAA"):
                    shown[owner].add(rdata)
            self.look(site.name, shown, before, begin, site)
            self.look_static(site, records)

    def look_static(self, site, records):
        if not site.trusted:
            return
        missing = site.static[MAIN] - records
        if missing:
            self.violation("foreign", min(missing)[0], f"{sorted(missing)} is gone from {site.name}")
        ours = {machine.full for machine in self.machines if not machine.foreign}
        extra = {record for record in records - site.static[MAIN]
                 if record[0] not in ours or record[1] not in ("A", "AAAA")}
        extra = {record for record in extra if record[0] not in {f"{label}.{MAIN}." for label in FOREIGN}
                 and not record[0].endswith("nsregd.invalid.")}
        if extra:
            self.violation("foreign", min(extra)[0], f"{sorted(extra)} is new at {site.name}")

    # -- those who work

    def work(self, worker, of):
        generator = random.Random(f"{self.seed}-{worker}")
        mine = self.machines[worker::of]
        while not self.stop.is_set() and not self.resting.is_set():
            now = self.now()
            due = [machine for machine in mine if machine.due <= now]
            if not due:
                self.stop.wait(0.01)
                continue
            machine = generator.choice(due)
            if not (machine.foreign and self.switches["removed"]):
                with machine.lock:
                    self.guarded(machine.step)
            machine.due = self.now() + generator.uniform(0.05, 1.0 if machine.short else 0.7) + machine.silent
            machine.silent = 0.0

    def attack(self):
        generator = random.Random(f"{self.seed}-attack")
        while not self.stop.is_set() and not self.resting.is_set():
            machine = generator.choice(self.machines)
            self.guarded(lambda: machine.forge(generator))
            self.stop.wait(generator.uniform(0.02, 0.25))

    def replay(self):
        generator = random.Random(f"{self.seed}-replay")
        while not self.stop.is_set() and not self.resting.is_set():
            machine = generator.choice(self.machines)
            with machine.lock:
                self.guarded(machine.replay)
            self.stop.wait(generator.uniform(0.05, 0.3))

    def guarded(self, step):
        """A program that answers nonsense must not end the test without a word."""
        try:
            step()
        except (RuntimeError, AssertionError, ValueError, KeyError, IndexError, TypeError) as error:
            import traceback
            self.violation("harness", "a client", traceback.format_exc()[-1500:])
            del error

    def spawn(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        thread.start()
        self.threads.append(thread)
        return thread

    def begin(self):
        self.resting = threading.Event()
        workers = self.options.workers
        self.workers = [self.spawn(self.work, worker, workers) for worker in range(workers)]
        self.workers += [self.spawn(self.attack), self.spawn(self.replay)]
        self.spawn(self.watch_stalls)
        self.spawn(self.watch_registry)
        if self.builtin:
            self.spawn(self.watch_builtin)
        for site in self.sites:
            self.spawn(self.watch_site, site)

    def rest(self):
        """The clients pause; what they asked is answered."""
        self.resting.set()
        for thread in self.workers:
            thread.join(60)

    def teardown(self):
        self.stop.set()
        self.up.set()
        for thread in self.threads:
            thread.join(5)
        return self.lab.teardown()


def describe(change):
    if change.release:
        return "release"
    text = f"{'set' if change.absolute else 'add'} {list(change.adds)}"
    if change.deletes:
        text += f" delete {list(change.deletes)}"
    return f"{text} lease {change.lease:g}/{change.key_lease:g}"


__all__ = ["FOREIGN", "MAIN", "REVERSE", "SECOND", "Site", "Stage"]
