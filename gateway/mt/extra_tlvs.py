"""TLVs that an operator wants on every submit_sm: a bind's ``tlvs``, filled in for one part of one message."""

from __future__ import annotations

import structlog

from gateway.model import ClaimedMessage
from gateway.settings import BindSettings
from gateway.settings_smpp import tlv_octets
from gateway.smpp.pdu import Tlv

log = structlog.get_logger()


def extra_tlvs(bind: BindSettings, message: ClaimedMessage, part: int) -> tuple[Tlv, ...]:
    """The bind's own TLVs for one part, in the order of the configuration.

    A value that does not fit its type after all (a name where a number must stand) is left out and told: the citizen's message
    matters more than the operator's statistics.
    """
    if not bind.tlvs:
        return ()
    values = {
        "message": message.id,
        "part": part,
        "parts": message.parts,
        "source": message.source_addr,
        "destination": message.destination_addr,
        "kind": message.kind.value,
    }
    found = []
    for name, field in bind.tlvs.items():
        try:
            found.append(Tlv(field.tag, tlv_octets(field, field.filled(values))))
        except ValueError as error:
            log.warning("tlv_not_written", bind=bind.name, tlv=name, message=message.id, reason=str(error))
    return tuple(found)
