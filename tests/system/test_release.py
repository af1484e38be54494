# SPDX-License-Identifier: LGPL-2.1-or-later
"""All of this again on another release of Debian, with its systemd (257) and its libraries.

The root is NSREG_TRIXIE_ROOT, or /var/cache/nsreg-test/trixie; with NSREG_LONG set it is made there if it is missing.
It is not written to: build and tests happen in an overlay."""

import os
import shutil
import subprocess

import pytest

from lab.isolate import why_not

pytestmark = pytest.mark.outside

ROOT = os.environ.get("NSREG_TRIXIE_ROOT", "/var/cache/nsreg-test/trixie")
SOURCE = os.environ.get("NSREG_SOURCE", "")
FILES = ("test_units.py", "test_admin.py", "test_client.py", "test_many.py")

# pivot_root, not chroot: below a chroot the kernel makes no user namespaces, and no hardened service runs.
ENTER = """
set -e
mount --rbind "$1" "$1"
mount -t proc proc "$1/proc"
mount -t sysfs sysfs "$1/sys"
mount --rbind /sys/fs/cgroup "$1/sys/fs/cgroup"
mount --bind /dev "$1/dev"
mkdir -p "$1/old" "$1/nsreg"
mount --bind -o ro "$2" "$1/nsreg"
cd "$1"
pivot_root . old
umount -l /old
cd /
shift 2
exec "$@"
"""
OVERLAY = """
set -e
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o "lowerdir=$1,upperdir=/mnt/upper,workdir=/mnt/work" /mnt/root
mkdir -p /mnt/root/build
shift
set -- /mnt/root "$@"
"""


def enter(script, root, *command):
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root", "NSREG_BUILD": "/build",
                   "NSREG_SOURCE": "/nsreg", "PYTHONPATH": "/nsreg/tests", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(["unshare", "-m", "-p", "-f", "--kill-child", "bash", "-c", script, "enter", root, SOURCE,
                           *command],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
                          check=False, timeout=1500, env=environment)


def make_root():
    part = ROOT + ".part"
    shutil.rmtree(part, ignore_errors=True)
    os.makedirs(os.path.dirname(part), exist_ok=True)
    done = subprocess.run(["debootstrap", "--variant=minbase", "trixie", part], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=1500)
    if done.returncode:
        pytest.skip(f"debootstrap: {done.stdout[-300:]}")
    shutil.copy("/etc/resolv.conf", os.path.join(part, "etc/resolv.conf"))
    done = enter(ENTER, part, "/nsreg/tools/packages", "test")
    assert done.returncode == 0, done.stdout[-3000:]
    os.rename(part, ROOT)


def test_trixie():
    reason = why_not()
    if reason:
        pytest.skip(reason)
    if not os.path.isdir(ROOT):
        if not os.environ.get("NSREG_LONG") or not shutil.which("debootstrap"):
            pytest.skip(f"there is no {ROOT}")
        make_root()
    done = enter(OVERLAY + ENTER, ROOT, "/nsreg/tests/lab/isolate.py", "pytest-3", "-p", "no:cacheprovider", "-q", "-rs",
                 "--tb=short", "--rootdir", "/nsreg/tests", *[f"/nsreg/tests/system/{name}" for name in FILES])
    assert done.returncode == 0, done.stdout[-8000:]
    assert " passed" in done.stdout and "skipped" not in done.stdout, done.stdout[-3000:]
