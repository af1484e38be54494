# SPDX-License-Identifier: LGPL-2.1-or-later
"""nsregd, nsregc and nsregctl as they were built."""

import os
import signal
import socket
import subprocess

import dns.flags
import dns.message
import dns.query

from . import yaml
from .client import Client
from .process import Process, free_port
from .wait import eventually

# Any finding of a sanitizer is in the log, and the log is looked at when the test ends.
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:exitcode=98",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=0",
    "TSAN_OPTIONS": "exitcode=98",
}


def program(name):
    """The path of a built program."""
    root = os.environ.get("NSREG_BUILD")
    assert root, "NSREG_BUILD must name the build directory"
    return os.path.join(os.path.abspath(root), "src", name, name)


class Program:
    binary = None

    def __init__(self, directory, config=None, arguments=(), netns=None, environment=None):
        self.directory = str(directory)
        os.makedirs(self.directory, exist_ok=True)
        self.config = config if config is not None else {}
        self.config_path = os.path.join(self.directory, f"{self.binary}.yaml")
        self.arguments = [str(argument) for argument in arguments]
        self.netns = netns
        self.environment = {**SANITIZERS, **(environment or {})}
        self.process = None

    def write_configuration(self, config=None):
        """Writes a dict, or text as it is."""
        if config is not None:
            self.config = config
        text = self.config if isinstance(self.config, str) else yaml.dump(self.config) + "\n"
        with os.fdopen(os.open(self.config_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(text)

    def command(self):
        return [program(self.binary), "-c", self.config_path]

    def spawn(self, *arguments):
        self.write_configuration()
        if self.process is None:
            self.process = Process(self.binary, self.directory, self.command(), self.environment, self.netns)
        self.process.environment = self.environment
        self.process.spawn([*self.arguments, *arguments])
        return self

    def run(self, *arguments, timeout=60):
        """Runs it to its end, with its configuration; returns (exit status, stdout, stderr)."""
        self.write_configuration()
        command = [*self.command(), *self.arguments, *[str(argument) for argument in arguments]]
        if self.netns:
            command = self.netns.command() + command
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.directory,
                              env={**os.environ, **self.environment}, stdin=subprocess.DEVNULL, timeout=timeout,
                              check=False)
        with open(os.path.join(self.directory, f"{self.binary}.log"), "a", encoding="utf-8") as log:
            log.write(done.stderr)
        return done.returncode, done.stdout, done.stderr

    @property
    def running(self):
        return self.process is not None and self.process.running

    def log(self):
        return self.process.log()

    def wait_log(self, pattern, **options):
        return self.process.wait_log(pattern, **options)

    def reload(self, config=None):
        """SIGHUP, after the configuration was written anew."""
        self.write_configuration(config)
        self.process.send_signal(signal.SIGHUP)

    def term(self):
        """Ends it politely; returns its exit status."""
        return self.process.stop()

    stop = term

    def kill(self):
        self.process.kill()

    def pause(self):
        self.process.pause()

    def resume(self):
        self.process.resume()

    def teardown(self):
        if self.process is None:
            self.process = Process(self.binary, self.directory, [])
        return self.process.teardown()


class Nsregd(Program):
    """`zones` and the further settings of the configuration, by keyword. The data directory and the port are the
    same over restarts."""

    binary = "nsregd"

    def __init__(self, directory, zones=None, arguments=(), netns=None, environment=None, address="127.0.0.1",
                 config=None, **settings):
        self.address = address
        self.port = free_port()
        data = os.path.join(str(directory), "data")
        if config is None:
            # No grace after a start, unless a test is about it: leases end while it looks.
            config = {"listen-addr": address, "listen-port": self.port, "data-dir": data, "restart-grace": "0s"}
            config.update({name.replace("_", "-"): value for name, value in settings.items()})
            if zones is not None:
                config["zones"] = zones
                for options in zones.values():
                    # One address plays many machines, unless a test is about that.
                    if isinstance(options, dict):
                        options.setdefault("max-names-per-source", 0)
        super().__init__(directory, config, arguments, netns, environment)
        self.data_dir = data
        os.makedirs(data, exist_ok=True)

    def start(self, *arguments):
        self.spawn(*arguments)
        eventually(self._ready, 30, "nsregd listens")
        return self

    def _ready(self):
        if not self.running:
            raise RuntimeError(f"nsregd ended: {self.log()[-4000:]}")
        return self.accepts()

    def accepts(self):
        if self.netns:
            with self.netns:
                return self._accepts()
        return self._accepts()

    def _accepts(self):
        with socket.create_connection((self.address, self.port), timeout=1):
            return True

    def restart(self):
        self.term()
        return self.start()

    def client(self, zone=None, key=None, source=None):
        if zone is None:
            zone = next(iter(self.config["zones"]))
        return Client(self.address, self.port, zone, key, source)

    def query(self, name, kind="A", tcp=False, payload=1232, timeout=5.0, rd=False):
        message = dns.message.make_query(name if name.endswith(".") else name + ".", kind,
                                         use_edns=0 if payload else False, payload=payload or 0)
        if not rd:
            message.flags &= ~dns.flags.RD
        ask = dns.query.tcp if tcp else dns.query.udp
        if self.netns:
            with self.netns:
                return ask(message, self.address, port=self.port, timeout=timeout)
        return ask(message, self.address, port=self.port, timeout=timeout)

    def addresses(self, name):
        """The A and AAAA records of a name, as a set of texts."""
        found = set()
        for kind in ("A", "AAAA"):
            for rrset in self.query(name, kind).answer:
                found |= {rdata.to_text() for rdata in rrset}
        return found

    def alive(self, zone=None):
        """It answers: the question every hostile test ends with."""
        zone = zone or next(iter(self.config["zones"]))
        assert self.running, f"nsregd ended: {self.log()[-4000:]}"
        return self.query(zone, "SOA", tcp=True).rcode() == 0


class Nsregc(Program):
    binary = "nsregc"

    def __init__(self, directory, name=None, zones=None, server=None, arguments=(), netns=None, environment=None,
                 config=None, **settings):
        state = os.path.join(str(directory), "state")
        if config is None:
            config = {"key-file": os.path.join(state, "nsregc.key"),
                      "private-key-file": os.path.join(state, "nsregc.private")}
            if name:
                config["name"] = name
            if zones is not None:
                config["zones"] = zones
                config["discover-zones"] = False
            if server is not None:
                config["dns-server"] = f"{server.address}@{server.port}"
                config["dns-tcp"] = True
            config.update({key.replace("_", "-"): value for key, value in settings.items()})
        super().__init__(directory, config, arguments, netns,
                         {"STATE_DIRECTORY": state, **(environment or {})})
        self.state_dir = state
        os.makedirs(state, exist_ok=True)

    def start(self, *arguments):
        return self.spawn(*arguments)


class Nsregctl(Program):
    binary = "nsregctl"

    def command(self):
        return [program(self.binary)]
