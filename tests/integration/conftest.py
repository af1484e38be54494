# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fixtures that several files of integration tests begin with."""

import pytest

from lab.house import House


@pytest.fixture
def house(lab):
    return House(lab)


@pytest.fixture
def street(lab):
    """A house with a real name server behind its registrar."""
    return House(lab, named=True)
