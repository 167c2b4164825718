"""Adds so many finished dossiers to an agency's database: ``python add_dossiers.py DATABASE COUNT``. Scenarios set notices off by it."""

from __future__ import annotations

import sys
from pathlib import Path

from lab import insert_dossiers

if __name__ == "__main__":
    insert_dossiers(Path(sys.argv[1]), [f"0101{number:06d}" for number in range(int(sys.argv[2]))])
