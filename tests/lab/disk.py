# SPDX-License-Identifier: LGPL-2.1-or-later
"""A small disk of the test's own, seen by the processes that are started on it, and by nobody else."""

import os
import subprocess

from .process import Process


class Disk:
    """A tmpfs at `path` in a mount namespace. Handed to a program as its `netns`."""

    def __init__(self, directory, size):
        self.path = os.path.join(str(directory), "disk")
        os.makedirs(self.path)
        self._process = Process("disk", directory, [
            "unshare", "--mount", "--propagation", "private", "sh", "-c",
            f"mount -t tmpfs -o size={size} tmpfs '{self.path}' && echo mounted && exec sleep infinity"])
        self._process.spawn()
        self._process.wait_log("mounted")

    def command(self):
        return ["nsenter", f"--mount=/proc/{self._process.pid}/ns/mnt", f"--wdns={os.getcwd()}"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def run(self, *command):
        return subprocess.run([*self.command(), *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              check=False)

    def fill(self):
        """Until nothing goes in any more."""
        done = self.run("sh", "-c", f"cat /dev/zero > '{self.path}/filler'")
        assert "No space left" in done.stderr, done.stderr

    def free(self):
        assert self.run("rm", "-f", f"{self.path}/filler").returncode == 0

    def teardown(self):
        return self._process.teardown()
