# SPDX-License-Identifier: LGPL-2.1-or-later
"""Waiting for events instead of sleeping."""

import time

import dns.exception


def eventually(check, timeout=20.0, what=None, interval=0.015):
    """Calls check() until it returns something true, and returns that. An AssertionError or OSError inside
    counts as "not yet", and so does a question that nobody answered. The timeout is a safety net for a broken
    program, never a measure of speed."""
    deadline = time.monotonic() + timeout
    last = None
    while True:
        try:
            last = check()
            if last:
                return last
        except (AssertionError, OSError, dns.exception.Timeout) as error:
            last = error
        if time.monotonic() >= deadline:
            name = what or getattr(check, "__name__", "the condition")
            raise AssertionError(f"not within {timeout:g} s: {name} (last: {last!r})")
        time.sleep(interval)


def never(check, during, what=None, interval=0.015):
    """Asserts that check() stays false for this many seconds: for things that must not happen."""
    deadline = time.monotonic() + during
    while time.monotonic() < deadline:
        result = check()
        assert not result, f"{what or 'it'} happened: {result!r}"
        time.sleep(interval)
