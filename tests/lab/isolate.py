#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs a command in mount, network and process namespaces of its own, which die with it, and it with us.

    isolate.py COMMAND...

The exit status is the command's; 77 where there are no such namespaces to be had."""

import ctypes
import glob
import os
import shutil
import signal
import subprocess
import sys
import time

PREFIX = "nsreg-test."
MOUNTED = "NSREG_CGROUPS_MOUNTED"
INSIDE = "NSREG_ISOLATED"
TOOLS = ("systemd-nspawn", "nsenter", "unshare", "setpriv", "ip", "dbus-daemon", "busctl")


def cgroup_roots():
    """Of whichever layout there is: version 1, 2, or both."""
    roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"]
    return [root for root in roots if os.path.exists(os.path.join(root, "cgroup.procs"))]


def make_cgroup(name):
    for root in cgroup_roots():
        try:
            os.mkdir(os.path.join(root, name))
        except OSError:
            pass


def enter_cgroup(name):
    for root in cgroup_roots():
        try:
            with open(os.path.join(root, name, "cgroup.procs"), "w", encoding="ascii") as procs:
                procs.write(str(os.getpid()))
        except OSError:
            pass


def _is_alive(pid):
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def remove_cgroups(own):
    """Ours, and those that a killed run left. A group is busy for a moment after its last process."""
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        left = False
        for root in cgroup_roots():
            for group in glob.glob(os.path.join(root, PREFIX + "*")):
                pid = group.rpartition(".")[2]
                if pid != str(own) and (not pid.isdigit() or _is_alive(int(pid))):
                    continue
                for directory, _, _ in os.walk(group, topdown=False):
                    try:
                        os.rmdir(directory)
                    except OSError:
                        left = left or pid == str(own)
        if not left:
            return
        time.sleep(0.02)


def why_not():
    """What is missing here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    for tool in TOOLS:
        if not shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            return f"needs {tool}"
    with open("/proc/filesystems", encoding="ascii") as systems:
        if "overlay" not in systems.read():
            return "needs overlayfs"
    if not any(os.access(root, os.W_OK) for root in cgroup_roots()):
        return "needs cgroups that can be written to"
    done = subprocess.run(["unshare", "-m", "-n", "-p", "-f", "--mount-proc", "true"], stderr=subprocess.DEVNULL,
                          check=False)
    return "may not make namespaces" if done.returncode else None


def inside(group, command):
    enter_cgroup(group)
    # What nspawn keeps below /run is not to be seen by, or left to, the machine.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/mnt"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    os.execvp(command[0], command)


def mount_cgroups():
    """In a bare root nobody has mounted them: begins again where they are, out of sight of everybody else."""
    if MOUNTED in os.environ:
        print("skipped: needs control groups", file=sys.stderr)
        sys.exit(77)
    os.environ[MOUNTED] = "1"
    script = 'mount -t cgroup2 cgroup2 /sys/fs/cgroup; exec "$@"'
    os.execvp("unshare", ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, os.path.abspath(__file__),
                          *sys.argv[1:]])


def main():
    if len(sys.argv) > 3 and sys.argv[1] == "--inside":
        inside(sys.argv[2], sys.argv[3:])
    reason = why_not()
    if reason:
        print(f"skipped: {reason}", file=sys.stderr)
        return 77
    if not cgroup_roots():
        mount_cgroups()
    group = f"{PREFIX}{os.getpid()}"
    remove_cgroups(os.getpid())
    make_cgroup(group)
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    child = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", "-m", "-n", "-p", "-f", "--kill-child",
                              "--mount-proc", sys.executable, os.path.abspath(__file__), "--inside", group,
                              *sys.argv[1:]],
                             env={**os.environ, INSIDE: "1"})
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: child.kill())
    status = child.wait()
    remove_cgroups(os.getpid())
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
