"""What must be in order before the daemon starts: faults that the YAML schema cannot see, the store's schema, the clock."""

from __future__ import annotations

import sqlalchemy as sa
import structlog

from gateway.app.tls import tls_faults
from gateway.clock import Clock, FileClock, SystemClock
from gateway.errors import ConfigError, StoreError
from gateway.mo.charging.validate import charging_faults
from gateway.model import MessageKind
from gateway.settings import GatewaySettings
from gateway.store import migrate
from gateway.templates.registry import Registry
from gateway.templates.rendering import measure

log = structlog.get_logger()


def make_clock(settings: GatewaySettings) -> Clock:
    """Real time, or business time from a file where an exercise asks for it (loudly)."""
    if settings.clock.business_file is None:
        return SystemClock()
    log.warning("business_time_from_file", file=str(settings.clock.business_file), remedy="for exercises only")
    return FileClock(settings.clock.business_file)


def startup_faults(settings: GatewaySettings) -> list[ConfigError]:
    """Faults of the configuration that need more than its own schema: templates that cannot fit, charging
    profiles, certificates."""
    return [
        *charging_faults(settings),
        *template_faults(settings),
        *reply_template_faults(settings),
        *tls_faults(settings),
    ]


def template_faults(settings: GatewaySettings) -> list[ConfigError]:
    """Templates that are enabled, now or by a dated rule set, and cannot be rendered within their limits."""
    registry = Registry.load()
    found: dict[str, ConfigError] = {}
    days = [rules.start for rules in settings.notices.rule_sets]
    for notices in (settings.notices, *(settings.notices.on(day) for day in days)):
        wanted = [kind.value for kind in notices.enabled]
        if notices.supervision.enabled:
            wanted.append(MessageKind.SUPERVISION_NOTICE.value)
        for fault in registry.faults(
            wanted, notices.template_version, accents=notices.accents, max_parts=notices.max_parts
        ):
            found.setdefault(str(fault), fault)
    return list(found.values())


def reply_template_faults(settings: GatewaySettings) -> list[ConfigError]:
    """Templates of services' own that do not exist, or never fit the one segment of a reply."""
    registry, version = Registry.load(), settings.notices.template_version
    faults = []
    for number, service in enumerate(settings.queries.services):
        for kind, template in service.templates.items():
            for fault in registry.faults([template], version, accents="fold", max_parts=1):
                path = f"queries.services.{number}.templates.{kind.value}"
                faults.append(ConfigError(path, fault.what, "Name a template of one segment that exists"))
    return faults


def agency_name_faults(settings: GatewaySettings) -> list[ConfigError]:
    """Configured names of agencies that are longer than the operators' registered texts allow.

    Their notices are refused with that reason; the other agencies' go on, so that the daemon starts nevertheless.
    """
    registry = Registry.load()
    limits = [
        (placeholder.max, template)
        for template in registry
        if template.id in {kind.value for kind in settings.notices.enabled}
        for name in template.names
        if (placeholder := template.placeholder(name)) is not None
        and placeholder.field == "agency_name"
        and placeholder.overflow != "shorten"
    ]
    if not limits:
        return []
    most, template = min(limits, key=lambda found: found[0])
    faults = []
    for code, agency in settings.agencies.items():
        names = {"name": agency.name or "", **{f"names.{at}.name": dated.name for at, dated in enumerate(agency.names)}}
        for key, name in names.items():
            length = measure(name, settings.notices.accents)
            if length > most:
                what = f"the name has {length} characters, the text of {template.id} allows {most}"
                faults.append(ConfigError(f"agencies.{code}.{key}", what, "Write a shorter name"))
    return faults


def prepare_store(url: str) -> None:
    """Bring the store to this program's schema where that is safe: a new database, or the embedded one.

    Raises:
        StoreError: it cannot be reached, its folder does not exist, or it is a shared database with another schema version.
    """
    file = migrate.sqlite_file(url)
    if file is not None and not file.parent.is_dir():
        # A mistyped path must not become a second, empty store in which everything would be announced anew.
        raise StoreError(
            f"the folder '{file.parent}' of the store does not exist. Correct store.url, or make it with 'motcua-gateway db upgrade'"
        )
    revision = migrate.current(url)
    if revision == migrate.head():
        return
    embedded = sa.make_url(url).get_backend_name() == "sqlite"
    if revision is not None and not embedded:
        raise StoreError(
            f"the store has schema {revision}, this program needs {migrate.head()}. Run 'motcua-gateway db upgrade'"
        )
    log.info("store_upgraded", before=revision or "(empty)", after=migrate.upgrade(url))
