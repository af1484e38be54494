# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real name servers on free ports of the loopback."""

import base64
import os
import re
import secrets
import shutil
import sqlite3
import subprocess

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rdatatype
import dns.tsig
import dns.tsigkeyring
import dns.zone

from .process import Process, free_port
from .wait import eventually

TSIG_ALGORITHMS = ("hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512")
LOOPBACK = "127.0.0.1"


def fqdn(name):
    return name if name.endswith(".") else name + "."


class TsigKey:
    def __init__(self, name="nsreg-key", algorithm="hmac-sha256", secret=None):
        self.name = name
        self.algorithm = algorithm
        self.secret = secret or base64.b64encode(secrets.token_bytes(32)).decode()

    def bind_text(self):
        return f'key "{self.name}" {{\n\talgorithm {self.algorithm};\n\tsecret "{self.secret}";\n}};\n'

    def write(self, path):
        """A key file as tsig-keygen writes it, readable for its owner only."""
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(self.bind_text())
        return path

    def wrong(self):
        """The same name and algorithm with another secret."""
        return TsigKey(self.name, self.algorithm)

    def keyring(self):
        return dns.tsigkeyring.from_text({fqdn(self.name): (self.algorithm, self.secret)})

    def nsregd_options(self):
        return {"tsig-name": self.name, "tsig-secret": self.secret, "tsig-algorithm": self.algorithm}


class Zone:
    """What a server serves: SOA and NS are made, `records` is zone file text for the rest. `keys` may update;
    without `update_policy` (BIND's grammar) they may update everything."""

    def __init__(self, name, records="", keys=None, update_policy=None, serial=1):
        self.name = fqdn(name)
        self.records = records
        self.keys = keys
        self.update_policy = update_policy
        self.serial = serial

    @property
    def file_name(self):
        return self.name.replace("/", "_") + "zone"

    def text(self):
        return (f"$ORIGIN {self.name}\n$TTL 300\n"
                f"@ SOA ns.lab.test. hostmaster.lab.test. {self.serial} 3600 600 86400 30\n"
                f"@ NS ns.lab.test.\n{self.records}\n")


def unconfined(binary, directory):
    """Where AppArmor is on, Debian confines these servers to their system directories, by path: a copy is free."""
    path = shutil.which(binary, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    assert path, f"{binary} is not installed"
    try:
        with open("/sys/module/apparmor/parameters/enabled", encoding="ascii") as enabled:
            confined = enabled.read().strip() == "Y"
    except OSError:
        confined = False
    if not confined:
        return path
    return shutil.copy(path, os.path.join(directory, binary))


class Server:
    """Common to all servers: life, queries, zone content."""

    binary = None

    def __init__(self, directory, *zones, key=None, netns=None, address=LOOPBACK, port=None, environment=None):
        self.environment = environment
        self.directory = str(directory)
        os.makedirs(self.directory, exist_ok=True)
        self.key = key or TsigKey()
        self.zones = [zone if isinstance(zone, Zone) else Zone(zone) for zone in zones]
        for zone in self.zones:
            if zone.keys is None:
                zone.keys = [self.key]
        self.address = address
        self.port = port or free_port()
        self.process = None
        self.netns = netns

    # -- life

    def write_configuration(self):
        raise NotImplementedError

    def command(self):
        raise NotImplementedError

    def prepare(self):
        """Done once, before the first start: a restart finds its old data."""

    def all_keys(self):
        keys = {key.name: key for zone in self.zones for key in zone.keys}
        return list(keys.values())

    def start(self):
        if self.process is None:
            self.prepare()
            self.write_configuration()
            self.process = Process(self.binary, self.directory, self.command(), self.environment, self.netns)
        self.process.spawn()
        eventually(self._ready, 30, f"{self.binary} answers")
        return self

    def _ready(self):
        if not self.process.running:
            raise RuntimeError(f"{self.binary} ended: {self.process.log()[-3000:]}")
        return self.is_up()

    def is_up(self):
        try:
            return all(self.query(zone.name, "SOA", tcp=True, timeout=2).answer for zone in self.zones)
        except (dns.exception.DNSException, OSError):
            return False

    def stop(self):
        return self.process.stop()

    def kill(self):
        self.process.kill()

    def pause(self):
        self.process.pause()

    def resume(self):
        self.process.resume()

    def restart(self):
        self.stop()
        return self.start()

    def log(self):
        return self.process.log()

    def teardown(self):
        # Debian's servers are not ours to judge: only their end matters.
        if self.process is not None:
            self.process.kill()
        return []

    # -- what it holds

    def query(self, name, kind="A", tcp=False, timeout=5.0):
        message = dns.message.make_query(fqdn(name), kind)
        message.flags &= ~dns.flags.RD
        ask = dns.query.tcp if tcp else dns.query.udp
        if self.netns:
            with self.netns:
                return ask(message, self.address, timeout=timeout, port=self.port)
        return ask(message, self.address, timeout=timeout, port=self.port)

    def addresses(self, name):
        """The A and AAAA records of a name, as a set of texts."""
        found = set()
        for kind in ("A", "AAAA"):
            for rrset in self.query(name, kind).answer:
                found |= {rdata.to_text() for rdata in rrset}
        return found

    def transfer(self, zone=None):
        zone = fqdn(zone) if zone else self.zones[0].name
        return [rrset
                for message in dns.query.xfr(self.address, zone, port=self.port, relativize=False, timeout=10,
                                             lifetime=20)
                for rrset in message.answer]

    def records(self, zone=None, soa=False):
        """A zone's whole content by AXFR: a set of (owner, type, rdata), lower case. Without the SOA: its
        serial is another matter."""
        return {(rrset.name.to_text().lower(), dns.rdatatype.to_text(rrset.rdtype), rdata.to_text())
                for rrset in self.transfer(zone) for rdata in rrset
                if soa or rrset.rdtype != dns.rdatatype.SOA}

    def ttl(self, name, kind):
        for rrset in self.query(name, kind).answer:
            return rrset.ttl
        return None

    def serial(self, zone=None):
        zone = fqdn(zone) if zone else self.zones[0].name
        return self.query(zone, "SOA").answer[0][0].serial

    # -- how others reach it

    def upstream(self, zone=None, reverse=(), key=None, **options):
        """The entry for nsregd's `upstreams` list."""
        entry = {"type": "nsupdate", "hostname": self.address, "port": self.port}
        if zone:
            entry["zone"] = zone
        if reverse:
            entry["reverse-zones"] = list(reverse)
        entry.update((key or self.key).nsregd_options())
        entry.update({name.replace("_", "-"): value for name, value in options.items()})
        return entry

    def nsupdate(self, *lines, key=None, zone=None):
        """The administrator's hand: runs nsupdate with a TSIG key; returns (exit status, output)."""
        key = key or self.key
        script = [f"server {self.address} {self.port}"]
        if zone:
            script.append(f"zone {fqdn(zone)}")
        script += [*lines, "send"]
        inside = self.netns.command() if self.netns else []
        run = subprocess.run([*inside, "nsupdate", "-y", f"{key.algorithm}:{key.name}:{key.secret}", "-t", "10"],
                             input="\n".join(script) + "\n", text=True, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, check=False, timeout=60)
        return run.returncode, run.stdout


class Named(Server):
    binary = "named"

    def prepare(self):
        for zone in self.zones:
            with open(os.path.join(self.directory, zone.file_name), "w", encoding="ascii") as out:
                out.write(zone.text())

    def write_configuration(self):
        parts = [key.bind_text() for key in self.all_keys()]
        parts.append(f"""options {{
    directory "{self.directory}";
    listen-on port {self.port} {{ {self.address}; }};
    listen-on-v6 {{ none; }};
    pid-file none;
    session-keyfile none;
    recursion no;
    notify no;
    dnssec-validation no;
    empty-zones-enable no;
    allow-transfer {{ any; }};
    allow-query {{ any; }};
    version none;
}};
controls {{ }};
""")
        for zone in self.zones:
            keys = " ".join(f'key "{key.name}";' for key in zone.keys)
            if zone.update_policy:
                allow = f"update-policy {{ {zone.update_policy} }};"
            else:
                allow = f"allow-update {{ {keys} }};" if keys else "allow-update { none; };"
            parts.append(f'zone "{zone.name}" {{ type primary; file "{zone.file_name}"; {allow} }};\n')
        with open(os.path.join(self.directory, "named.conf"), "w", encoding="ascii") as out:
            out.write("".join(parts))

    def save(self):
        """Everything it has at the moment, as a copy to go back to; it must be stopped."""
        return {name: open(os.path.join(self.directory, name), "rb").read() for zone in self.zones
                for name in (zone.file_name, zone.file_name + ".jnl")
                if os.path.exists(os.path.join(self.directory, name))}

    def set_back(self, saved):
        """To an earlier copy, as a disk that forgot what was written last; it must be stopped."""
        for zone in self.zones:
            for name in (zone.file_name, zone.file_name + ".jnl"):
                if os.path.exists(os.path.join(self.directory, name)):
                    os.unlink(os.path.join(self.directory, name))
        for name, content in saved.items():
            with open(os.path.join(self.directory, name), "wb") as out:
                out.write(content)

    def command(self):
        return [unconfined("named", self.directory), "-g", "-n", "1", "-c", os.path.join(self.directory, "named.conf")]


def knot_version():
    told = subprocess.run(["knotd", "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return tuple(int(number) for number in re.search(r"(\d+)\.(\d+)", told).groups())


class Knot(Server):
    binary = "knotd"

    def prepare(self):
        for name in ("db", "run"):
            os.makedirs(os.path.join(self.directory, name), exist_ok=True)
        for zone in self.zones:
            with open(os.path.join(self.directory, zone.file_name), "w", encoding="ascii") as out:
                out.write(zone.text())

    def write_configuration(self):
        lines = ["server:", f"  rundir: {self.directory}/run", f"  listen: {self.address}@{self.port}",
                 "  udp-workers: 1", "  tcp-workers: 1", "  background-workers: 1", "  identity: lab",
                 "control:", f"  listen: {self.directory}/run/knot.sock",
                 "database:", f"  storage: {self.directory}/db",
                 "log:", "  - target: stderr", "    any: info"]
        keys = self.all_keys()
        if keys:
            lines.append("key:")
            for key in keys:
                lines += [f"  - id: {key.name}", f"    algorithm: {key.algorithm}", f"    secret: {key.secret}"]
        lines += ["acl:", "  - id: transfer", f"    address: {self.address}", "    action: [transfer]"]
        for key in keys:
            lines += [f"  - id: update-{key.name}", f"    key: {key.name}", "    action: [transfer, update]"]
        lines.append("zone:")
        for zone in self.zones:
            acl = ", ".join(["transfer"] + [f"update-{key.name}" for key in zone.keys])
            lines += [f"  - domain: {zone.name}", f"    storage: {self.directory}",
                      f"    file: {zone.file_name}", "    zonefile-sync: 0", "    semantic-checks: off",
                      f"    acl: [{acl}]"]
        with open(os.path.join(self.directory, "knot.conf"), "w", encoding="ascii") as out:
            out.write("\n".join(lines) + "\n")

    def command(self):
        return [unconfined("knotd", self.directory), "-c", os.path.join(self.directory, "knot.conf")]


class Pdns(Server):
    """`settings` are lines of pdns.conf beside the usual ones."""

    binary = "pdns_server"

    def __init__(self, *arguments, settings=(), **options):
        super().__init__(*arguments, **options)
        self.settings = settings

    _SCHEMAS = ("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql",
                "/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql")

    def prepare(self):
        schema = next(path for path in self._SCHEMAS if os.path.exists(path))
        database = sqlite3.connect(os.path.join(self.directory, "pdns.db"))
        with open(schema, encoding="utf-8") as text:
            database.executescript(text.read())
        for key in self.all_keys():
            database.execute("insert into tsigkeys (name, algorithm, secret) values (?, ?, ?)",
                             (key.name, key.algorithm, key.secret))
        for zone in self.zones:
            self._insert_zone(database, zone)
        database.commit()
        database.close()

    @staticmethod
    def _insert_zone(database, zone):
        origin = zone.name.rstrip(".")
        cursor = database.execute("insert into domains (name, type) values (?, 'NATIVE')", (origin,))
        domain = cursor.lastrowid
        parsed = dns.zone.from_text(zone.text(), origin=zone.name, relativize=False)
        for name, ttl, rdata in parsed.iterate_rdatas():
            content = rdata.to_text()
            if rdata.rdtype in (dns.rdatatype.NS, dns.rdatatype.CNAME, dns.rdatatype.PTR, dns.rdatatype.SOA):
                content = " ".join(part.rstrip(".") if part != "." else part for part in content.split(" "))
            database.execute("insert into records (domain_id, name, type, content, ttl, auth) "
                             "values (?, ?, ?, ?, ?, 1)",
                             (domain, name.to_text().rstrip("."), dns.rdatatype.to_text(rdata.rdtype), content, ttl))
        for key in zone.keys:
            database.execute("insert into domainmetadata (domain_id, kind, content) values (?, ?, ?)",
                             (domain, "TSIG-ALLOW-DNSUPDATE", key.name))
        database.execute("insert into domainmetadata (domain_id, kind, content) values (?, ?, ?)",
                         (domain, "SOA-EDIT-DNSUPDATE", "INCREASE"))

    def write_configuration(self):
        with open(os.path.join(self.directory, "pdns.conf"), "w", encoding="ascii") as out:
            out.write(f"""launch=gsqlite3
gsqlite3-database={self.directory}/pdns.db
local-address={self.address}
local-port={self.port}
socket-dir={self.directory}
daemon=no
guardian=no
disable-axfr=no
allow-axfr-ips={self.address}
dnsupdate=yes
allow-dnsupdate-from={self.address}
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
zone-cache-refresh-interval=0
security-poll-suffix=
receiver-threads=1
distributor-threads=1
retrieval-threads=1
loglevel=5
log-dns-details=yes
""" + "".join(f"{line}\n" for line in self.settings))

    def command(self):
        return [unconfined("pdns_server", self.directory), f"--config-dir={self.directory}"]


class NamedSecondary(Named):
    """A secondary of another server for all its zones, which passes updates on to it as they are."""

    def __init__(self, directory, primary, **options):
        super().__init__(directory, *primary.zones, key=primary.key, **options)
        self.primary = primary

    def prepare(self):
        """Everything is transferred."""

    def write_configuration(self):
        super().write_configuration()
        path = os.path.join(self.directory, "named.conf")
        with open(path, encoding="ascii") as text:
            parts = text.read().split('zone "')
        with open(path, "w", encoding="ascii") as out:
            out.write(parts[0])
            for zone in self.zones:
                out.write(f'zone "{zone.name}" {{ type secondary; file "{zone.file_name}"; '
                          f"primaries {{ {self.primary.address} port {self.primary.port}; }}; "
                          "allow-update-forwarding { any; }; };\n")


class KnotSecondary(Knot):
    """The same."""

    def __init__(self, directory, primary, **options):
        super().__init__(directory, *primary.zones, key=primary.key, **options)
        self.primary = primary

    def prepare(self):
        super().prepare()
        for zone in self.zones:
            os.unlink(os.path.join(self.directory, zone.file_name))

    def write_configuration(self):
        super().write_configuration()
        path = os.path.join(self.directory, "knot.conf")
        with open(path, encoding="ascii") as text:
            head, zones = text.read().split("\nzone:\n")
        remote = f"\nremote:\n  - id: primary\n    address: {self.primary.address}@{self.primary.port}\n"
        # From 3.4 on it passes updates on in its own name.
        if knot_version() >= (3, 4):
            remote += f"    key: {self.key.name}\n"
        with open(path, "w", encoding="ascii") as out:
            out.write(head + remote + "zone:\n" +
                      zones.replace("    zonefile-sync: 0\n", "    zonefile-sync: 0\n    master: primary\n"))


_unbound_certificates = None


class Unbound(Server):
    """`zones` become local zones of this type. `control` is "tls" or "unix"."""

    binary = "unbound"

    def __init__(self, directory, *zones, control="tls", local_zone_type="transparent", configure_zones=True,
                 **options):
        super().__init__(directory, *zones, **options)
        self.control = control
        self.control_port = free_port() if control == "tls" else None
        self.control_socket = os.path.join(self.directory, "control.sock") if control == "unix" else None
        self.local_zone_type = local_zone_type
        self.configure_zones = configure_zones

    def path(self, name):
        return os.path.join(self.directory, name)

    def prepare(self):
        global _unbound_certificates
        if self.control != "tls":
            return
        if _unbound_certificates is None:
            # Two RSA keys take seconds: made once for all servers of a test program.
            subprocess.run([shutil.which("unbound-control-setup") or "/usr/sbin/unbound-control-setup", "-d",
                            self.directory], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                           timeout=120)
            _unbound_certificates = {}
            for part in ("server.key", "server.pem", "control.key", "control.pem"):
                name = f"unbound_{part}"
                with open(self.path(name), "rb") as text:
                    _unbound_certificates[name] = text.read()
            return
        for name, content in _unbound_certificates.items():
            with open(self.path(name), "wb") as out:
                out.write(content)

    def write_configuration(self):
        lines = ["server:", f"  interface: {self.address}", f"  port: {self.port}", "  num-threads: 1",
                 "  access-control: 127.0.0.0/8 allow", "  do-daemonize: no", '  chroot: ""', '  username: ""',
                 '  pidfile: ""', f'  directory: "{self.directory}"', "  use-syslog: no", '  logfile: ""',
                 '  module-config: "iterator"', "  do-not-query-localhost: no", "  outgoing-range: 16",
                 "  so-reuseport: no", "  verbosity: 1"]
        if self.configure_zones:
            for zone in self.zones:
                lines.append(f'  local-zone: "{zone.name}" {self.local_zone_type}')
                for line in zone.records.splitlines():
                    if line.strip():
                        lines.append(f"  local-data: '{line.strip()}'")
        lines += ["remote-control:", "  control-enable: yes"]
        if self.control == "tls":
            lines += [f"  control-interface: {self.address}", f"  control-port: {self.control_port}",
                      "  control-use-cert: yes"]
            for option, name in (("server-key-file", "unbound_server.key"),
                                 ("server-cert-file", "unbound_server.pem"),
                                 ("control-key-file", "unbound_control.key"),
                                 ("control-cert-file", "unbound_control.pem")):
                lines.append(f'  {option}: "{self.path(name)}"')
        else:
            lines += [f'  control-interface: "{self.control_socket}"', "  control-use-cert: no"]
        with open(self.path("unbound.conf"), "w", encoding="ascii") as out:
            out.write("\n".join(lines) + "\n")

    def command(self):
        return [unconfined("unbound", self.directory), "-d", "-p", "-c", self.path("unbound.conf")]

    def is_up(self):
        return self.command_status("status") == 0

    def command_status(self, *words):
        return subprocess.run(self._control(words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              check=False, timeout=30).returncode

    def _control(self, words):
        binary = shutil.which("unbound-control") or "/usr/sbin/unbound-control"
        return [binary, "-c", self.path("unbound.conf"), *words]

    def control_command(self, *words):
        """unbound-control; returns its output."""
        run = subprocess.run(self._control(words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             check=True, timeout=30)
        return run.stdout

    def records(self, zone=None, soa=False):
        """All local data below a zone; Unbound has no transfer."""
        zone = fqdn(zone) if zone else (self.zones[0].name if self.zones else ".")
        found = set()
        for line in self.control_command("list_local_data").splitlines():
            fields = line.split(None, 4)
            if len(fields) < 5:
                continue
            owner, kind = fields[0].lower(), fields[3]
            if kind == "SOA" and not soa:
                continue
            if zone == "." or owner == zone.lower() or owner.endswith("." + zone.lower()):
                found.add((owner, kind, fields[4]))
        return found

    def upstream(self, zone=None, reverse=(), key=None, **options):
        entry = {"type": "unbound"}
        if self.control == "tls":
            entry.update({"hostname": self.address, "port": self.control_port, "server-name": "unbound",
                          "client-cert": self.path("unbound_control.pem"),
                          "client-key": self.path("unbound_control.key"),
                          "server-cert": self.path("unbound_server.pem")})
        else:
            entry["control-socket"] = self.control_socket
        if reverse:
            entry["reverse-zones"] = list(reverse)
        entry.update({name.replace("_", "-"): value for name, value in options.items()})
        return entry
