# SPDX-License-Identifier: LGPL-2.1-or-later
"""A message bus of the test's own, in the place of the system bus."""

import json
import os
import subprocess
import xml.etree.ElementTree
from itertools import count

from .process import Process
from .wait import eventually

_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>{address}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
  </policy>
</busconfig>
"""
_numbers = count()
NOBODY = 65534


class BusError(Exception):
    """`text` is what busctl says."""

    def __init__(self, text):
        super().__init__(text)
        self.text = text


class Monitor:
    """Everything that one service says on its own account: a list of (member, arguments, path)."""

    def __init__(self, bus, service, directory):
        self._process = Process("monitor", directory, ["busctl", "--json=short", "--match",
                                                       f"type='signal',sender='{service}'", "monitor"],
                                bus.environment)
        # The bus says when it is one; busctl says so in some releases only.
        before = len(bus.process.log())
        self._process.spawn()
        bus.process.wait_log(f"pid={self._process.pid} .*became a monitor", after=before)

    def signals(self, *members):
        found = []
        for line in self._process.log().splitlines():
            if not line.startswith("{"):
                continue
            try:
                message = json.loads(line)
            except ValueError:
                continue  # not written to its end yet
            if message["type"] == "signal" and (not members or message["member"] in members):
                found.append((message["member"], message["payload"].get("data", []), message["path"]))
        return found

    def wait(self, member, *arguments, timeout=20):
        return eventually(lambda: [one for one in self.signals(member) if one[1][:len(arguments)] == list(arguments)],
                          timeout, f"signal {member}{arguments}")

    def teardown(self):
        return self._process.teardown()


class Bus:
    def __init__(self, directory, in_namespaces=False):
        self.directory = str(directory)
        # Abstract, so that other users reach it too; but such an address is a network namespace's own.
        self.address = (f"unix:path={self.directory}/bus" if in_namespaces else
                        f"unix:abstract=nsreg-lab-{os.getpid()}-{next(_numbers)}")
        self.environment = {"DBUS_SYSTEM_BUS_ADDRESS": self.address}
        self.process = None
        self._monitors = []

    def start(self):
        path = os.path.join(self.directory, "bus.conf")
        with open(path, "w", encoding="utf-8") as config:
            config.write(_CONFIG.format(address=self.address))
        self.process = Process("dbus-daemon", self.directory, ["dbus-daemon", f"--config-file={path}", "--nofork",
                                                               "--nopidfile", "--nosyslog"])
        self.process.spawn()
        eventually(lambda: self.run("busctl", "list").returncode == 0, what="the bus answers")
        return self

    def stop(self):
        self.process.stop()

    def teardown(self):
        for monitor in self._monitors:
            monitor.teardown()
        return self.process.teardown() if self.process else []

    def run(self, *command, user=None, **environment):
        if user is not None:
            command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]
        return subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, stdin=subprocess.DEVNULL, timeout=60, check=False,
                              env={**os.environ, **self.environment, **environment})

    def _busctl(self, *words, user=None):
        done = self.run("busctl", "--json=short", *words, user=user)
        if done.returncode:
            raise BusError(done.stderr.strip())
        return json.loads(done.stdout) if done.stdout.strip() else None

    def has(self, service):
        answer = self._busctl("call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "NameHasOwner", "s", service)
        return answer["data"][0]

    def wait_for(self, service):
        eventually(lambda: self.process.running and self.has(service), 30, f"{service} is on the bus")

    def call(self, service, path, interface, method, signature="", *arguments, user=None):
        """The arguments of the answer; BusError otherwise."""
        words = [signature, *[str(argument) for argument in arguments]] if signature else []
        answer = self._busctl("call", service, path, interface, method, *words, user=user)
        return answer["data"] if answer else []

    def error(self, *arguments, **options):
        """The error's text of a call that must fail."""
        try:
            answer = self.call(*arguments, **options)
        except BusError as error:
            return error.text
        raise AssertionError(f"{arguments} succeeded: {answer}")

    def error_name(self, service, path, interface, method, signature="", *arguments):
        """The error's name, which busctl does not say."""
        words = [f"{kind_of(letter)}:{value}" for letter, value in zip(signature, arguments)]
        done = self.run("dbus-send", f"--bus={self.address}", "--print-reply", f"--dest={service}", path,
                        f"{interface}.{method}", *words)
        assert done.returncode != 0, done.stdout
        return done.stderr.split()[1].rstrip(":")

    def get(self, service, path, interface, name):
        return self._busctl("get-property", service, path, interface, name)["data"]

    def get_all(self, service, path, interface):
        found = self.call(service, path, "org.freedesktop.DBus.Properties", "GetAll", "s", interface)[0]
        return {name: value["data"] for name, value in found.items()}

    def managed(self, service, path):
        return self.call(service, path, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")[0]

    def introspect(self, service, path):
        text = self.call(service, path, "org.freedesktop.DBus.Introspectable", "Introspect")[0]
        return xml.etree.ElementTree.fromstring(text)

    def monitor(self, service):
        directory = os.path.join(self.directory, f"monitor-{len(self._monitors)}")
        os.makedirs(directory)
        self._monitors.append(Monitor(self, service, directory))
        return self._monitors[-1]


def kind_of(letter):
    return {"s": "string", "b": "boolean", "u": "uint32"}[letter]


def interfaces(node):
    """An interface by name as plain values, from XML: what two descriptions must have in common."""
    emits = "org.freedesktop.DBus.Property.EmitsChangedSignal"
    found = {}
    for interface in node.iter("interface"):
        parts = {}
        for method in interface.iter("method"):
            parts["method", method.get("name")] = [(argument.get("name"), argument.get("type"),
                                                    argument.get("direction", "in"))
                                                   for argument in method.iter("arg")]
        for signal in interface.iter("signal"):
            parts["signal", signal.get("name")] = [(argument.get("name"), argument.get("type"))
                                                   for argument in signal.iter("arg")]
        for prop in interface.iter("property"):
            notes = {note.get("name"): note.get("value") for note in prop.iter("annotation")}
            parts["property", prop.get("name")] = (prop.get("type"), prop.get("access"), notes.get(emits, "true"))
        found[interface.get("name")] = parts
    return found
