"""schedule_delivery_time and validity_period: read once, refused when they make no sense. SMPP 3.4 §5.2.15, §5.2.16."""

from __future__ import annotations

from gateway.smpp.constants import CommandStatus, TlvTag
from gateway.smpp.pdu import DataSm, tlv_int
from simulator.behaviours.base import Submission
from simulator.smpp_time import parse_time

_QOS_TIME_TO_LIVE = int(TlvTag.QOS_TIME_TO_LIVE)


class Times:
    """Writes the two times into the submission. A past validity_period is none that the SMSC could keep."""

    name = "times"
    refuses_at_once = False

    def judge(self, submission: Submission) -> int:
        pdu = submission.pdu
        if isinstance(pdu, DataSm):
            # 5.3.2.9: data_sm has a time to live in seconds in place of a validity_period.
            seconds = tlv_int(pdu, _QOS_TIME_TO_LIVE) if pdu.tlvs else None
            if seconds is not None:
                submission.expires_at = submission.at + seconds
            return 0
        if pdu.schedule_delivery_time:
            try:
                submission.scheduled_at = parse_time(pdu.schedule_delivery_time, submission.at)
            except ValueError:
                return CommandStatus.ESME_RINVSCHED
        if pdu.validity_period:
            try:
                submission.expires_at = parse_time(pdu.validity_period, submission.at)
            except ValueError:
                return CommandStatus.ESME_RINVEXPIRY
            if submission.expires_at <= max(submission.at, submission.scheduled_at):
                return CommandStatus.ESME_RINVEXPIRY
        return 0
