"""What steps do to the simulator and to programs; each gives what `save` may take of it."""

from __future__ import annotations

from typing import Any

from simulator.account import Account
from simulator.errors import RequestError
from simulator.mo import MoRequest
from simulator.phones import international
from simulator.scenario.feed import Feed
from simulator.scenario.model import BalanceAction, ClearAction, FaultAction, MoAction, OutageAction
from simulator.simulator import Simulator

Saved = dict[str, str]


def send_mo(simulator: Simulator, feed: Feed, action: MoAction, step: str) -> Saved:
    """A handset sends. Raises :class:`RequestError`."""
    request = MoRequest(
        phone=international(action.phone),
        to=action.to,
        text=action.text if action.octets is None else action.octets.hex(),
        coding=action.coding,
        form=action.form,
        copies=action.copies,
        tlvs=tuple(one.tlv() for one in action.tlvs),
        flash=action.flash,
        octets=action.octets,
        data_coding=action.data_coding,
        esm_class=action.esm_class,
        order=action.order,
    )
    mo = simulator.send_mo(request, action.account)
    feed.follow(mo, step)
    return {"id": str(mo.id), "account": mo.account, "message_id": mo.parts[0].message_id, "from": mo.request.phone}


def order_fault(simulator: Simulator, action: FaultAction) -> Saved:
    """Switch a fault on, or do it at once."""
    body = action.body()
    now = simulator.world.schedule.now()
    hit = sum(account.order(body.active(now)) for account in _accounts(simulator, action.account))
    return {"sessions": str(hit)}


def clear_faults(simulator: Simulator, action: ClearAction) -> Saved:
    for account in _accounts(simulator, action.account):
        account.clear_faults(action.kind)
    return {}


def set_balance(simulator: Simulator, action: BalanceAction) -> Saved:
    """Raises :class:`RequestError` where the account does not charge."""
    phone = international(action.phone)
    account = simulator.account(action.account) if action.account else simulator.account_of_phone(phone)
    if account.charging is None:
        raise RequestError(
            f"account {account.name}", "it does not charge", "Give it a section 'charging', or name another account"
        )
    account.charging.set_balance(phone, action.vnd)
    return {"balance_vnd": str(action.vnd)}


def begin_outage(simulator: Simulator, action: OutageAction) -> Saved:
    """The SMSC goes away; it comes back by itself."""
    for account in _accounts(simulator, action.account):
        simulator.interrupt(account, action.during, unbind=action.ending == "unbind")
    return {}


def _accounts(simulator: Simulator, name: str) -> list[Account]:
    return list(simulator.accounts.values()) if name == "all" else [simulator.account(name)]


def take(names: dict[str, str], values: Any) -> Saved:
    """What ``save`` asks for. ``values``: an event, or what an action told. Raises :class:`RequestError`."""
    saved: Saved = {}
    for variable, name in names.items():
        found = _field(values, name)
        if found is None:
            raise RequestError(f"save.{variable}", f"there is no '{name}' to save", f"There is: {_known(values)}")
        saved[variable] = found
    return saved


def _field(values: Any, name: str) -> str | None:
    if isinstance(values, dict):
        return values.get(name)
    attribute = "sender" if name == "from" else name
    for owner in (values, getattr(values, "pdu", None)):
        found = getattr(owner, attribute, None)
        if isinstance(found, str | int | float) and not attribute.startswith("_"):
            return str(found)
    return None


def _known(values: Any) -> str:
    names = values if isinstance(values, dict) else vars(values)
    return ", ".join(sorted(name for name in names if name not in ("claimed_by", "pdu")))
