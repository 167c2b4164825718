"""A driver's error in an engineer's words: what, and what to do. Pure."""

from __future__ import annotations

from gateway.errors import SourceError
from gateway.settings import SourceSettings

_NO_VIEW = ("no such table", "undefinedtable", "doesn't exist", "invalid object name", "ora-00942")
_NO_COLUMN = ("no such column", "undefinedcolumn", "unknown column", "invalid column name", "ora-00904")
_DENIED = ("permission denied", "insufficientprivilege", "command denied", "access denied for user", "ora-01031")
_LOGIN = ("password authentication failed", "access denied", "login failed", "ora-01017", "no password supplied")
_NO_FILE = ("unable to open database file",)
_SLOW = ("interrupted", "querycanceled", "statement timeout", "timed out", "locked")
_GUIDE = "docs/provincial-database.md"


def explain(source: str, settings: SourceSettings, error: BaseException) -> SourceError:
    """What an error of the driver (as its StoreError or itself) says about a source."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    origin = getattr(cause, "orig", None) or cause
    line = _first_line(origin)
    words = f"{type(origin).__name__} {line}".casefold()

    def fault(what: str, remedy: str) -> SourceError:
        return SourceError(source, what, remedy)

    if _any(_NO_FILE, words):
        return fault(f"the database file cannot be opened ({line})", f"Check the path in sources.{source}.url")
    if _any(_NO_COLUMN, words):
        return fault(f"the view {settings.view} has lost a column ({line})", f"Restore it as {_GUIDE} describes")
    if _any(_LOGIN, words):
        return fault(f"the database refuses the account ({line})", f"Check user and password in sources.{source}.url")
    if _any(_DENIED, words):
        return fault(
            f"the account may not read {settings.view} ({line})", f"Grant SELECT on the view to it, see {_GUIDE}"
        )
    if _any(_NO_VIEW, words):
        return fault(
            f"there is no view {settings.view} ({line})",
            f"Create it as {_GUIDE} shows, or name it in sources.{source}.view",
        )
    if _any(_SLOW, words):
        return fault(
            f"a query took too long ({line})",
            "Add the indexes that docs/provincial-database.md names, or free the lock",
        )
    return fault(f"cannot be read ({line})", f"Check the server, the network and sources.{source}.url")


def timed_out(source: str, seconds: float) -> SourceError:
    """Nothing came back in time."""
    return SourceError(
        source,
        f"did not answer within {seconds:g} s",
        "Check the server and the network; the gateway tries again by itself",
    )


def _any(signs: tuple[str, ...], words: str) -> bool:
    return any(sign in words for sign in signs)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]
