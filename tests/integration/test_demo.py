# SPDX-License-Identifier: LGPL-2.1-or-later
"""The demonstration goes through, and leaves nothing behind."""

import os
import re
import subprocess

import pytest

from lab.programs import SANITIZERS

SOURCE = os.environ.get("NSREG_SOURCE", os.path.join(os.path.dirname(__file__), "..", ".."))


def test_demo(lab):
    lab.netns()  # skips where namespaces cannot be made
    run = subprocess.run([os.path.join(SOURCE, "tools", "demo")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True, check=False, timeout=300, env={**os.environ, **SANITIZERS})
    assert run.returncode == 0, run.stdout
    assert "192.168.77.10" in run.stdout and "NXDOMAIN" in run.stdout and "Done." in run.stdout
    assert re.search(r"^printer\.home\.test +192\.168\.77\.10 +in ", run.stdout, re.M) and "0 names." in run.stdout
    # This is a pipe.
    assert "\x1b" not in run.stdout
    assert not os.path.exists(re.search(r"/tmp/nsreg-demo-\w+", run.stdout).group())


@pytest.mark.parametrize("tool", ("check", "packages"))
def test_usage_is_told(tool):
    run = subprocess.run([os.path.join(SOURCE, "tools", tool), "--nonsense"], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, check=False, timeout=60)
    assert run.returncode == 2 and "usage" in run.stdout
