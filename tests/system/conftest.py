# SPDX-License-Identifier: LGPL-2.1-or-later
"""Booted containers as fixtures; skipped where there can be none."""

import pytest

from lab.container import Container, is_possible


def pytest_configure(config):
    config.addinivalue_line("markers", "outside: makes its own namespaces")


def pytest_runtest_setup(item):
    if not is_possible() and not item.get_closest_marker("outside"):
        pytest.skip("run this by tests/lab/isolate.py, as root")


@pytest.fixture
def container(request):
    """With nsreg installed; not booted yet, so that a test can put its files there first."""
    yield from _container(request, lambda: Container().install())


@pytest.fixture
def container_of_its_own(request):
    """As the machine is, without nsreg."""
    yield from _container(request, Container)


def _container(request, make):
    box = make()
    yield box
    report = getattr(request.node, "report_call", None)
    if report is None or report.failed:
        try:
            entries = box.journal("-n", "150", "-p", "info")
            print("\n".join(f"{entry.get('SYSLOG_IDENTIFIER')}: {entry.get('MESSAGE')}" for entry in entries))
            print(box.log()[-3000:])
        except Exception as error:  # only a help for whoever reads the report
            print(f"no journal: {error!r}")
    box.teardown()
