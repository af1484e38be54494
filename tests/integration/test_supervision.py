# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the daemons tell the service manager that watches over them."""

import os
import queue
import re
import socket
import threading

import pytest

from lab import eventually

ZONE = "d.example"


class ServiceManager(threading.Thread):
    """Hears everything, else a daemon waits. It wants to be told every second that a daemon lives."""

    def __init__(self, directory):
        super().__init__(daemon=True)
        path = os.path.join(str(directory), "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)
        self.environment = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "1000000"}
        self._words = queue.Queue()
        self.start()

    def run(self):
        while True:
            self._words.put(self._socket.recv(4096).decode())

    def wait(self, word):
        while word not in self._words.get(timeout=60):
            pass

    def wait_status(self, pattern):
        """The first status that is like this; in the next minute, however much else it hears."""
        def next_one():
            line = re.search("^STATUS=(.*)", self._words.get(timeout=60), re.M)
            return line and re.search(pattern, line.group(1)) and line.group(1)
        return eventually(next_one, 60)

    def is_silent(self, seconds):
        try:
            while True:
                assert "WATCHDOG=1" not in self._words.get(timeout=seconds)
        except queue.Empty:
            return True


@pytest.fixture
def service_manager(tmp_path):
    return ServiceManager(tmp_path)


def lives(service_manager, daemon):
    """Idle, it tells again and again that it lives; stopped, it does not."""
    service_manager.wait("READY=1")
    for _ in range(3):
        service_manager.wait("WATCHDOG=1")
    daemon.pause()
    # What it said before it was stopped may be under way.
    while not service_manager._words.empty():
        service_manager._words.get()
    assert service_manager.is_silent(3)
    daemon.resume()
    service_manager.wait("WATCHDOG=1")


def test_the_registrar_tells_that_it_lives(lab, service_manager):
    nsregd = lab.nsregd({ZONE: {}}, environment=service_manager.environment).start()
    lives(service_manager, nsregd)


def test_the_client_tells_that_it_lives(lab, service_manager):
    nsregd = lab.nsregd({ZONE: {}}).start()
    nsregc = lab.nsregc("box", server=nsregd, zones=[ZONE])
    nsregc.environment.update(service_manager.environment)
    nsregc.spawn()
    lives(service_manager, nsregc)


def test_the_client_counts_its_zones(lab, service_manager):
    """As a person would: one zone is no zones."""
    nsregd = lab.nsregd({ZONE: {}, "e.example": {}}).start()
    for zones, told in (([ZONE], "registered in 1 zone"), ([ZONE, "e.example"], "registered in 2 zones")):
        nsregc = lab.nsregc(f"box{len(zones)}", server=nsregd, zones=zones, interfaces=["none*"], extra_addresses=["10.0.0.9"])
        nsregc.environment.update(service_manager.environment)
        nsregc.spawn()
        text = service_manager.wait_status(rf"registered in {len(zones)} zones?$")
        assert text.endswith(told), text
        nsregc.stop()
