"""What can go wrong in SMPP, by who must act.

LocalProtocolError: our own code broke a rule; nothing was sent. RemoteProtocolError: the peer broke one;
recoverable ones are answered with a status, unrecoverable ones end the link, because the stream is out of step.
The first docstring line of an error is what an operator reads.
"""

from __future__ import annotations


class SmppError(Exception):
    """The SMPP link cannot do what was asked."""


class LocalProtocolError(SmppError):
    """The gateway tried something that SMPP does not allow; nothing was sent."""


class RemoteProtocolError(SmppError):
    """The other side of the SMPP link broke the protocol."""

    def __init__(self, command_id: int, sequence_number: int, command_status: int, reason: str) -> None:
        """Keep what an answer needs.

        command_id and sequence_number are the faulty PDU's own, 0 where they could not be read;
        command_status is the one to answer with; reason is for people and holds no field's content.
        """
        super().__init__(f"{reason} (command_id 0x{command_id:08X}, sequence_number {sequence_number})")
        self.command_id = command_id
        self.sequence_number = sequence_number
        self.command_status = command_status
        self.reason = reason


class RecoverablePduError(RemoteProtocolError):
    """A PDU from the other side is malformed; it is answered with an error and the link stays up."""


class UnrecoverablePduError(RemoteProtocolError):
    """The octets from the other side are no SMPP stream any more; the link is closed.

    frames: whole PDUs that arrived before the fault, when ``Framer`` raises it; they are still to be handled.
    """

    frames: tuple[bytes, ...] = ()


class CommandStatusError(SmppError):
    """The other side refused a request."""

    def __init__(self, status: int) -> None:
        super().__init__(f"command_status 0x{status:08X}")
        self.status = status
