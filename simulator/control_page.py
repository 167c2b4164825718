"""The page's own files, read once from the package. No other file can be asked for."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from simulator.control_http import Content, NotFound

INDEX = "index.html"
_MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json; charset=utf-8",
    "svg": "image/svg+xml",
}


@cache
def page_files() -> dict[str, Content]:
    """File name: its content."""
    found = {}
    for file in (files("simulator") / "page").iterdir():
        media_type = _MEDIA_TYPES.get(file.name.rpartition(".")[2])
        if media_type is not None:
            octets = file.read_bytes()
            found[file.name] = Content(octets, media_type, f'"{hashlib.sha256(octets).hexdigest()[:16]}"')
    return found


def page_file(name: str) -> Content:
    """Raises :class:`NotFound`."""
    content = page_files().get(name)
    if content is None:
        raise NotFound(f"/page/{name}", "there is no such file", "The page is at /page")
    return content
