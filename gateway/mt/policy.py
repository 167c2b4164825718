"""What to do with a command_status of submit_sm_resp: the table, and the bind's exceptions to it.

Status numbers are not portable between operators, so a bind's ``status_actions`` come first. The built-in table reads the
standard (SMPP 3.4 §5.1.3, 5.0 §4.7.6) as most SMSCs do:

- THROTTLE: too fast. The message did nothing wrong and keeps its place.
- DELAY: the SMSC could not now; the same message may pass later.
- FAIL: this message will never pass.
- ALERT: no message of ours will ever pass in this form: somebody must correct the configuration or the contract.
- PARK: the bind itself is not what it should be; other binds may do.

Vendor numbers (0x0400-0x04FF) are FAIL until the bind says otherwise: trying again what may have been charged is
worse than not trying. Numbers that nobody has defined are ALERT: somebody should look.
"""

from __future__ import annotations

from gateway.settings import BindSettings, StatusAction
from gateway.smpp.constants import STATUS_VENDOR_FIRST, STATUS_VENDOR_LAST, CommandStatus

THROTTLE, DELAY, FAIL, ALERT, PARK = (
    StatusAction.THROTTLE,
    StatusAction.DELAY,
    StatusAction.FAIL,
    StatusAction.ALERT,
    StatusAction.PARK,
)

_S = CommandStatus
TABLE: dict[int, StatusAction] = {
    # too fast
    _S.ESME_RTHROTTLED: THROTTLE,
    _S.ESME_RMSGQFUL: THROTTLE,
    # not now
    _S.ESME_RSYSERR: DELAY,
    _S.ESME_RX_T_APPN: DELAY,
    _S.ESME_RUNKNOWNERR: DELAY,
    _S.ESME_RSERTYPUNAVAIL: DELAY,
    # this message
    _S.ESME_RINVMSGLEN: FAIL,
    _S.ESME_RINVDSTADR: FAIL,
    _S.ESME_RSUBMITFAIL: FAIL,
    _S.ESME_RINVEXPIRY: FAIL,
    _S.ESME_RX_P_APPN: FAIL,
    _S.ESME_RX_R_APPN: FAIL,
    _S.ESME_RDELIVERYFAILURE: FAIL,
    _S.ESME_RINVCMDLEN: FAIL,
    _S.ESME_RINVNUMDESTS: FAIL,
    _S.ESME_RCNTSUBDL: FAIL,
    # every message of this form
    _S.ESME_RINVCMDID: ALERT,
    _S.ESME_RINVPRTFLG: ALERT,
    _S.ESME_RINVREGDLVFLG: ALERT,
    _S.ESME_RINVSRCADR: ALERT,
    _S.ESME_RINVSERTYP: ALERT,
    _S.ESME_RINVESMCLASS: ALERT,
    _S.ESME_RINVSRCTON: ALERT,
    _S.ESME_RINVSRCNPI: ALERT,
    _S.ESME_RINVDSTTON: ALERT,
    _S.ESME_RINVDSTNPI: ALERT,
    _S.ESME_RINVREPFLAG: ALERT,
    _S.ESME_RINVSCHED: ALERT,
    _S.ESME_RINVDFTMSGID: ALERT,
    _S.ESME_RINVOPTPARSTREAM: ALERT,
    _S.ESME_ROPTPARNOTALLWD: ALERT,
    _S.ESME_RINVPARLEN: ALERT,
    _S.ESME_RMISSINGOPTPARAM: ALERT,
    _S.ESME_RINVOPTPARAMVAL: ALERT,
    _S.ESME_RINVDCS: ALERT,
    _S.ESME_RSERTYPUNAUTH: ALERT,
    _S.ESME_RPROHIBITED: ALERT,
    _S.ESME_RSERTYPDENIED: ALERT,
    # the bind
    _S.ESME_RINVBNDSTS: PARK,
    _S.ESME_RINVPASWD: PARK,
    _S.ESME_RINVSYSID: PARK,
    _S.ESME_RINVSYSTYP: PARK,
    _S.ESME_RBINDFAIL: PARK,
}

#: The longest wait between two tries of a message that is put off, in seconds: one still passes within an hour of the
#: SMSC's recovery.
LONGEST_DELAY_S = 3600.0
#: A message that was put off so often ends. With waits from a minute to an hour that is two days.
MOST_ATTEMPTS = 50
#: A message may be tried again at once so often; then it is put off, or it would go round for ever at full speed.
MOST_IMMEDIATE_RETRIES = 3


def action_for(bind: BindSettings, status: int) -> StatusAction:
    """What this bind does on this status of a submit. Any number has an answer."""
    chosen = bind.status_actions.get(status) or TABLE.get(status)
    if chosen is not None:
        return chosen
    return FAIL if STATUS_VENDOR_FIRST <= status <= STATUS_VENDOR_LAST else ALERT


def delay_s(bind: BindSettings, attempts: int) -> float:
    """How long a message waits that is put off after its ``attempts``-th try: doubling, up to an hour."""
    doublings = min(max(attempts - 1, 0), 20)
    return float(min(bind.retry_delay_s * 2**doublings, max(bind.retry_delay_s, LONGEST_DELAY_S)))
