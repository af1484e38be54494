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
    arguments = getattr(item, "funcargs", {})
    stage = arguments.get("lab") or arguments.get("lab_of_module")
    if report.failed and stage is not None and report.when == "call":
        for path, text in stage.logs():
            report.sections.append((path, text))


def finish(stage, failed):
    complaints = stage.teardown()
    if failed or complaints:
        print(f"kept: {stage.directory}")
    else:
        shutil.rmtree(stage.directory, ignore_errors=True)
    if complaints:
        pytest.fail("\n".join(complaints))


@pytest.fixture
def lab(request):
    """Real parts in a temporary directory, which is kept when the test fails."""
    stage = Lab()
    yield stage
    report = getattr(request.node, "report_call", None)
    finish(stage, report is None or report.failed)


@pytest.fixture(scope="module")
def lab_of_module(request):
    """The same, shared by the tests of one file."""
    stage = Lab()
    failed_before = request.session.testsfailed
    yield stage
    finish(stage, request.session.testsfailed > failed_before)


def pytest_sessionfinish(session, exitstatus):
    """A file of which every test was skipped is skipped as a whole, as meson knows it."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    stats = reporter.stats if reporter else {}
    if exitstatus == 0 and stats.get("skipped") and not stats.get("passed"):
        session.exitstatus = 77
