# SPDX-License-Identifier: LGPL-2.1-or-later
"""As whoever packages it builds it: an ordinary release, each program by itself or all together, without a warning,
with what a compiler does against attacks."""

import os
import re
import subprocess

import pytest

SOURCE = os.environ["NSREG_SOURCE"]

LIBRARIES = {"nsregd": "sqlite3", "nsregc": "mnl", "nsregctl": "smartcols"}
# What belongs to no one program: it comes with nsregctl, which both services reload by.
SHARED = {"org.nsreg.policy", "nsreg.catalog"}


def run(*command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **more)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-3000:]}"
    return done.stdout


def build(directory, *options):
    run("meson", "setup", directory, SOURCE, "--buildtype=release", "-Dtests=false", "-Dwerror=true", *options)
    run("ninja", "-C", directory)
    root = directory + "-root"
    run("meson", "install", "-C", directory, "--no-rebuild", env={**os.environ, "DESTDIR": root})
    return {name: os.path.join(where, name) for where, _, names in os.walk(root) for name in names}


def is_of(name, program):
    interface = {"nsregd": "Registry1", "nsregc": "Client1"}.get(program, "no interface")
    # zsh wants an underscore in front.
    return re.search(rf"(?:\b|^_){program}\b", name) or interface in name


@pytest.mark.parametrize("program", sorted(LIBRARIES))
def test_one_program_alone(tmp_path, program):
    others = [other for other in LIBRARIES if other != program]
    installed = build(str(tmp_path / "build"), *[f"-D{other}=false" for other in others])
    for other in others:
        # The completion of nsregctl, or a unit that reloads by it, may speak of others; no file is named after them.
        assert not [name for name in installed if is_of(name, other)], installed
    assert program in installed
    rest = {name for name in installed if not is_of(name, program)} - {"nsregc-keygen", "nsregc-keygen.service"}
    assert rest == (SHARED if program == "nsregctl" else set()), installed
    needed = run("readelf", "-dW", installed[program])
    for other, library in LIBRARIES.items():
        assert (f"lib{library}" in needed) == (other == program), needed
    assert "BIND_NOW" in needed and "PIE" in needed
    headers = run("readelf", "-lW", installed[program])
    assert "GNU_RELRO" in headers and re.search(r"GNU_STACK.* RW ", headers)
    symbols = run("readelf", "-sW", installed[program])
    assert "__stack_chk_fail" in symbols and "_chk@" in symbols.replace("__stack_chk_fail", "")


def test_all_together_and_where_the_units_go(tmp_path):
    installed = build(str(tmp_path / "build"), "-Dsystemd-system-unit-dir=/usr/local/lib/systemd/system", "-Dman=false")
    assert SHARED | {"nsregd", "nsregc", "nsregctl", "nsregd.socket", "nsregc-keygen"} <= set(installed)
    for name, path in installed.items():
        if name.endswith((".service", ".socket")) and not name.startswith("org."):
            assert "/usr/local/lib/systemd/system/" in path
        assert "/man/" not in path


def test_tests_need_all_programs(tmp_path):
    done = subprocess.run(["meson", "setup", str(tmp_path / "build"), SOURCE, "-Dnsregd=false"], check=False,
                          stdout=subprocess.PIPE, text=True)
    assert done.returncode != 0 and "-Dtests=false" in done.stdout
