"""Counters for Prometheus, read from the accounts when they are asked for. Text format 0.0.4."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from gateway.smpp.constants import status_name
from simulator.control_http import Content
from simulator.counters import Counters

if TYPE_CHECKING:
    from simulator.simulator import Simulator

_PREFIX = "motcua_simulator_"
_HELP = {
    "submits": "submit_sm and data_sm received",
    "accepted": "submit_sm and data_sm accepted",
    "answers_dropped": "accepted and never answered, on demand",
    "requests_dropped": "ignored altogether, on demand",
    "links_cut": "connections cut, on demand",
    "reached_handsets": "messages that reached their handset",
    "receipts_answered": "receipts that an ESME answered",
    "receipts_lost": "receipts never sent, on demand",
    "receipts_given_up": "receipts that no ESME took in time",
    "mo_sent": "messages sent by handsets",
    "binds": "sessions bound",
    "binds_refused": "binds refused",
}
_NOT_COUNTERS = {"submits_last_s", "submits_peak_s"}


class AccountsCollector(Collector):
    """Every whole number in :class:`Counters` is a counter; what can fall is a gauge."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def collect(self) -> Iterator[Metric]:
        """Asked by the registry for each answer."""
        accounts = self._simulator.accounts.values()
        for name in _counter_names():
            family = CounterMetricFamily(_PREFIX + name, _HELP.get(name, name.replace("_", " ")), labels=["account"])
            for account in accounts:
                family.add_metric([account.name], getattr(account.counters, name))
            yield family
        refused = CounterMetricFamily(
            _PREFIX + "refused", "submit_sm and data_sm refused, by command_status", labels=["account", "status"]
        )
        binds = GaugeMetricFamily(_PREFIX + "bound_sessions", "sessions bound now", labels=["account", "mode"])
        waiting = GaugeMetricFamily(_PREFIX + "waiting", "MO and receipts without a final answer", labels=["account"])
        under_way = GaugeMetricFamily(
            _PREFIX + "under_way", "accepted messages without a final state", labels=["account"]
        )
        faults = GaugeMetricFamily(_PREFIX + "fault_active", "1 while this fault is on", labels=["account", "fault"])
        for account in accounts:
            for status, count in sorted(account.counters.refused.items()):
                refused.add_metric([account.name, status_name(status)], count)
            for mode in ("transmitter", "receiver", "transceiver"):
                binds.add_metric([account.name, mode], sum(one.mode == mode for one in account.sessions))
            waiting.add_metric([account.name], account.waiting())
            under_way.add_metric([account.name], account.delivery.under_way)
            for fault in account.faults.active():
                faults.add_metric([account.name, fault.kind.value], 1)
        charges = CounterMetricFamily(
            _PREFIX + "charges", "entries in the operator's books", labels=["account", "outcome"]
        )
        for account in accounts:
            if account.charging is not None:
                for outcome, count in sorted(account.charging.outcomes.items()):
                    charges.add_metric([account.name, outcome], count)
        yield from (refused, binds, waiting, under_way, faults, charges)
        world = self._simulator.world
        yield CounterMetricFamily(_PREFIX + "pdus", "PDUs on all connections, both ways", value=world.pdus.count)
        yield CounterMetricFamily(_PREFIX + "record_entries", "entries in the record", value=world.record.count)
        yield GaugeMetricFamily(_PREFIX + "captures", "captures that run", value=len(world.captures.running))
        yield GaugeMetricFamily(
            _PREFIX + "uptime_seconds", "since the start", value=world.schedule.now() - self._simulator.started_at
        )


def _counter_names() -> list[str]:
    return [
        field.name
        for field in fields(Counters)
        if field.type in ("int", int) and not field.name.startswith("_") and field.name not in _NOT_COUNTERS
    ]


class Metrics:
    """The answer to ``GET /metrics``."""

    def __init__(self, simulator: Simulator) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(AccountsCollector(simulator))

    def content(self) -> Content:
        """Numbers of this moment."""
        return Content(generate_latest(self._registry), CONTENT_TYPE_LATEST)
