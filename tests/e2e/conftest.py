"""Fixtures of the end-to-end tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A laboratory on the embedded store; its processes are stopped afterwards."""
    laboratory = Lab(tmp_path)
    yield laboratory
    laboratory.stop()


@pytest.fixture
def lab_on(tmp_path: Path) -> Iterator[Callable[[str], Lab]]:
    """Makes a laboratory on a store with this URL."""
    made: list[Lab] = []

    def make(store_url: str) -> Lab:
        made.append(Lab(tmp_path, store_url))
        return made[-1]

    yield make
    for laboratory in made:
        laboratory.stop()
