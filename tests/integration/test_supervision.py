# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the daemons tell the service manager that watches over them."""

import os
import queue
import socket
import threading

import pytest

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
