"""Fixtures of the tests with several daemons."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from nodes_lab import NodesLab


@pytest.fixture
def nodes_lab(tmp_path: Path, postgres_store_url: str) -> Iterator[NodesLab]:
    """A laboratory on a PostgreSQL store of its own; its processes are stopped afterwards."""
    laboratory = NodesLab(tmp_path, postgres_store_url)
    yield laboratory
    laboratory.stop()
