# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the `lab` fixture hands out: makers for all parts, and the one place that ends them."""

import os
import tempfile

from .bus import Bus
from .client import Client
from .disk import Disk
from .netns import Netns
from .process import Process
from .programs import Nsregc, Nsregctl, Nsregd
from .relay import Relay
from .servers import Knot, KnotSecondary, Named, NamedSecondary, Pdns, TsigKey, Unbound


class Lab:
    def __init__(self):
        # Short, because unix socket paths are.
        self.directory = tempfile.mkdtemp(prefix="nsreg-lab-")
        self._parts = []
        self._count = 0

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def subdirectory(self, name):
        self._count += 1
        path = self.path(f"{name}-{self._count}")
        os.makedirs(path)
        return path

    def keep(self, part):
        """Ends the part at teardown, last come first gone."""
        self._parts.append(part)
        return part

    def named(self, *zones, **options):
        return self.keep(Named(self.subdirectory("named"), *zones, **options))

    def knot(self, *zones, **options):
        return self.keep(Knot(self.subdirectory("knot"), *zones, **options))

    def pdns(self, *zones, **options):
        return self.keep(Pdns(self.subdirectory("pdns"), *zones, **options))

    def unbound(self, *zones, **options):
        return self.keep(Unbound(self.subdirectory("unbound"), *zones, **options))

    def secondary(self, kind, primary, **options):
        """A server of this kind that passes updates on to `primary`."""
        make = {"named": NamedSecondary, "knot": KnotSecondary}[kind]
        return self.keep(make(self.subdirectory(f"{kind}-secondary"), primary, **options))

    def relay(self, server, mode="pass"):
        return self.keep(Relay(server, mode))

    def nsregd(self, zones=None, **options):
        return self.keep(Nsregd(self.subdirectory("nsregd"), zones, **options))

    def nsregc(self, name=None, **options):
        return self.keep(Nsregc(self.subdirectory("nsregc"), name, **options))

    def nsregctl(self, **options):
        return self.keep(Nsregctl(self.subdirectory("nsregctl"), **options))

    def bus(self, **options):
        return self.keep(Bus(self.subdirectory("bus"), **options))

    def netns(self, **options):
        return self.keep(Netns(**options))

    def client(self, server, zone, **options):
        """A raw client to anything with an address and a port."""
        return Client(server.address, server.port, zone, **options)

    def disk(self, size="8m"):
        return self.keep(Disk(self.subdirectory("disk"), size))

    def process(self, name, command, **options):
        return self.keep(Process(name, self.subdirectory(name), command, **options))

    def tsig(self, algorithm="hmac-sha256", name="nsreg-key"):
        return TsigKey(name, algorithm)

    def teardown(self):
        """Ends everything, whatever state it is in; returns complaints."""
        complaints = []
        for part in reversed(self._parts):
            try:
                complaints += part.teardown()
            except Exception as error:  # the others must be ended too
                complaints.append(f"{type(part).__name__}: {error!r}")
        self._parts.clear()
        return complaints

    def logs(self):
        """The ends of all logs, for the report of a failed test."""
        parts = []
        for root, _, files in os.walk(self.directory):
            for name in sorted(files):
                if name.endswith(".log"):
                    with open(os.path.join(root, name), encoding="utf-8", errors="replace") as log:
                        parts.append((os.path.join(root, name), log.read()[-8000:]))
        return parts
