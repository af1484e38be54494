# SPDX-License-Identifier: LGPL-2.1-or-later
"""The fixture every test against real parts begins with."""

import shutil

import pytest

from lab import Lab


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    setattr(item, f"report_{report.when}", report)
    stage = getattr(item, "funcargs", {}).get("lab")
    if report.failed and stage is not None and report.when == "call":
        for path, text in stage.logs():
            report.sections.append((path, text))


@pytest.fixture
def lab(request):
    """Real parts in a temporary directory, which is kept when the test fails."""
    stage = Lab()
    yield stage
    complaints = stage.teardown()
    report = getattr(request.node, "report_call", None)
    if report is not None and not report.failed and not complaints:
        shutil.rmtree(stage.directory, ignore_errors=True)
    else:
        print(f"kept: {stage.directory}")
    if complaints:
        pytest.fail("\n".join(complaints))


def pytest_sessionfinish(session, exitstatus):
    """A file of which every test was skipped is skipped as a whole, as meson knows it."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    stats = reporter.stats if reporter else {}
    if exitstatus == 0 and stats.get("skipped") and not stats.get("passed"):
        session.exitstatus = 77
