"""The error tree. The first docstring line of an error is what an operator reads.

SMPP's own errors live in ``gateway.smpp.errors`` (the protocol imports nothing else of the gateway).
"""

from __future__ import annotations


class GatewayError(Exception):
    """The gateway cannot do what was asked."""


class ConfigError(GatewayError):
    """The configuration has a fault."""

    def __init__(self, path: str, what: str, remedy: str) -> None:
        super().__init__(f"{path}: {what}. {remedy}")
        self.path = path
        self.what = what
        self.remedy = remedy


class StoreError(GatewayError):
    """The gateway's own database refused or is not reachable."""


class StaleStateError(StoreError):
    """A row was not in the state that its change requires."""


class SourceError(GatewayError):
    """An agency's database cannot be read."""

    def __init__(self, source: str, what: str, remedy: str) -> None:
        super().__init__(f"{source}: {what}. {remedy}")
        self.source = source
        self.what = what
        self.remedy = remedy


class RoutingError(GatewayError):
    """No operator takes messages to this number."""


class TemplateError(GatewayError):
    """A message text cannot be made from its template."""
