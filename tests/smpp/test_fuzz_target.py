"""The fuzz target itself, without atheris: a bounded run of seeded mutations, and proof that its laws can fail."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gateway.smpp.pdu import DeliverSm

PROGRAM = Path(__file__).parents[2] / "fuzz" / "fuzz_smpp.py"


@pytest.fixture(scope="module")
def target() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_smpp", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def breaks(law: Callable[[bytes], None], inputs: Iterable[bytes]) -> bool:
    """Whether some input breaks the law."""
    for data in inputs:
        try:
            law(data)
        except (AssertionError, ZeroDivisionError):
            return True
    return False


def test_every_seed_holds_the_laws(target: ModuleType) -> None:
    assert len(target.seeds()) == 35
    for seed in target.seeds():
        target.check(seed)


def test_no_mutation_breaks_a_law(target: ModuleType) -> None:
    for data in target.mutations(seed=20170701, runs=3000):
        target.check(data)


def test_the_same_seed_gives_the_same_mutations(target: ModuleType) -> None:
    assert list(target.mutations(5, 50)) == list(target.mutations(5, 50))
    assert list(target.mutations(5, 50)) != list(target.mutations(6, 50))


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("decode", lambda frame: DeliverSm()),  # not what was sent
        ("parse_receipt", lambda pdu: 1 / 0),  # escapes
        ("encode", lambda pdu: b""),
    ],
)
def test_a_broken_codec_is_found(target: ModuleType, name: str, broken: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = list(target.mutations(seed=1, runs=200))
    monkeypatch.setattr(target, name, broken)
    assert breaks(target.check_decode, inputs)


def test_a_framer_that_depends_on_the_cutting_is_found(target: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(target.Framer):  # type: ignore[misc,name-defined]
        def feed(self, data: bytes) -> list[bytes]:
            frames = super().feed(data)
            self._rest.clear()
            return frames  # type: ignore[no-any-return]

    monkeypatch.setattr(target, "Framer", Forgetful)
    assert breaks(target.check_framing, target.mutations(seed=1, runs=500))


def test_a_session_that_loses_a_token_is_found(target: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target.Connection, "connection_lost", lambda self, detail="": [])
    assert breaks(lambda data: target.check_session(target.Role.ESME, data), [b""])


def test_the_program_runs_without_atheris() -> None:
    without = "import sys; sys.modules['atheris'] = None; import runpy; sys.argv = sys.argv[1:]; "
    program = without + f"runpy.run_path({str(PROGRAM)!r}, run_name='__main__')"
    command = [sys.executable, "-c", program, "fuzz_smpp.py", "-runs=20", "-seed=3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "atheris is not installed" in done.stderr
    assert "20 inputs, nothing found" in done.stdout
