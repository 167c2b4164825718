"""What we tell the operator to do with the subscriber's purse, by what became of the query."""

from __future__ import annotations

from gateway.model import ChargeDecision, ReplyKind
from gateway.settings import ChargingProfile, DecisionSettings

#: Replies that answer the question with what a source says of the dossier.
FOUND_REPLIES = frozenset(
    {
        ReplyKind.STATUS,
        ReplyKind.RESULT_READY,
        ReplyKind.FINISHED,
        ReplyKind.WITHDRAWN,
        ReplyKind.REFUSED,
        ReplyKind.CLOCK_STOPPED,
    }
)


def decide(kind: ReplyKind, decisions: DecisionSettings, profile: ChargingProfile, *, late: bool) -> ChargeDecision:
    """The decision that goes out with a reply.

    A late reply is never charged, whatever it says, and neither is the reply that refuses to look anything up.
    """
    if kind in FOUND_REPLIES:
        decision = decisions.found
    elif kind is ReplyKind.UNKNOWN_CODE:
        decision = decisions.unknown_code
    elif kind is ReplyKind.BAD_SYNTAX:
        decision = decisions.bad_syntax
    elif kind is ReplyKind.TEMPORARY_FAILURE:
        decision = decisions.temporary_failure
    else:
        decision = ChargeDecision.NO_CHARGE
    if late and decision is ChargeDecision.CHARGE:
        decision = ChargeDecision.NO_CHARGE
    return told(decision, profile)


def told(decision: ChargeDecision, profile: ChargingProfile) -> ChargeDecision:
    """The decision in the operator's terms: where it has taken the money with the MO, no charge means a refund."""
    if decision is ChargeDecision.NO_CHARGE and profile.charged_on == "mo":
        return ChargeDecision.REFUND
    return decision


def reachable(decisions: DecisionSettings, profile: ChargingProfile) -> frozenset[ChargeDecision]:
    """Every decision that a reply under this profile can carry."""
    possible = {decide(kind, decisions, profile, late=late) for kind in ReplyKind for late in (False, True)}
    return frozenset(possible)
