"""Supervision of supplement requests (Công văn 252/UBND-HCC of 2024, annex; F36-F45). Pure.

A request needs a content, its components, and a signed file; from the second on it is compared with the earlier ones. A request that
breaks these rules is recorded and the agency's contacts are told. Further supplement notices of the dossier are then blocked, until a
supervisor releases them in the source system: the view's column ``supplement_released_no`` names the last request that is released, so
that a release counts for what was seen and not for what comes later.

Whether a repeated request is justified by what the citizen sent in between (F42) only a person can judge, from the log of the source
system: that is what the release is for.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.model import Dossier, DossierState
from gateway.settings_notices import SupervisionSettings
from gateway.store.decisions import StoredDossier, SupplementRequest

NO_REASON, NO_COMPONENTS, UNSIGNED, REPEATED = "no_reason", "no_components", "unsigned", "repeated"
#: What contacts read.
WORDS = {
    NO_REASON: "thiếu nội dung yêu cầu",
    NO_COMPONENTS: "chưa chọn thành phần hồ sơ",
    UNSIGNED: "tệp yêu cầu chưa ký số",
    REPEATED: "trùng nội dung lần trước",
}
_TRUE = frozenset({"1", "t", "true", "y", "yes", "c", "có", "x", "đúng"})


@dataclass(frozen=True, slots=True)
class Supervised:
    """What supervision makes of a row."""

    requests: tuple[SupplementRequest, ...]  # all of this dossier
    violation: SupplementRequest | None = None  # the request that breaks the rules, when it is new
    blocked: bool = False  # the present request's notice must not go out
    again: bool = False  # a further request has come: it is announced anew


def is_true(text: str) -> bool:
    """A boolean of the view that travels as text."""
    return text.strip().casefold() in _TRUE


def released_no(dossier: Dossier) -> int:
    """The last request that a supervisor has released; 0 for none."""
    return _number(dict(dossier.extra).get("supplement_released_no", ""))


def is_request(dossier: Dossier, settings: SupervisionSettings) -> bool:
    """Whether a dossier's row shows a supplement request, or guidance on completing it (F44)."""
    if dossier.state is DossierState.AWAITING_SUPPLEMENT:
        return True
    extra = dict(dossier.extra)
    asked = any(extra.get(name) for name in ("reason", "supplement_components", "supplement_no"))
    return settings.guidance and dossier.state is DossierState.REGISTERED and asked


def supervise(old: StoredDossier | None, new: Dossier, settings: SupervisionSettings, *, judge: bool) -> Supervised:
    """Judge the supplement request of a row.

    Args:
        judge: False for history, which is taken note of and not judged.
    """
    earlier = old.requests if old else ()
    if not settings.enabled or not is_request(new, settings):
        return Supervised(earlier)
    fresh = old is None or not is_request(old.dossier, settings)
    request = _request(new, earlier, fresh)
    known = next((item for item in earlier if item.number == request.number), None)
    if known is not None and replace(request, violations=known.violations) == known:
        return Supervised(earlier, blocked=_blocked(request.number, earlier, new, settings))
    if judge:
        before = [item for item in earlier if item.number < request.number]
        found = (*_faults(request, before, settings), *(known.violations if known else ()))
        request = replace(request, violations=tuple(dict.fromkeys(found)))
    requests = (*(item for item in earlier if item.number != request.number), request)
    news = bool(request.violations) and (known is None or known.violations != request.violations)
    return Supervised(
        requests,
        request if news else None,
        _blocked(request.number, requests, new, settings),
        again=known is None and bool(earlier) and not fresh,
    )


def _request(new: Dossier, earlier: Sequence[SupplementRequest], fresh: bool) -> SupplementRequest:
    """The row's request; numbered by the view, or by counting entries and changes of content."""
    extra = dict(new.extra)
    reason = _plain(extra.get("reason", ""))
    components = tuple(
        sorted({part for text in extra.get("supplement_components", "").split(";") if (part := _plain(text))})
    )
    signed = is_true(extra.get("supplement_signed", ""))
    number = _number(extra.get("supplement_no", ""))
    if not number:
        last = max((item.number for item in earlier), default=0)
        same = next((item for item in earlier if item.number == last), None)
        changed = same is not None and (same.reason, same.components) != (reason, components)
        number = last + 1 if fresh or changed or same is None else last
    return SupplementRequest(number, reason, components, signed)


def _faults(
    request: SupplementRequest, before: Sequence[SupplementRequest], settings: SupervisionSettings
) -> list[str]:
    found = []
    if settings.require_reason and not request.reason:
        found.append(NO_REASON)
    if settings.require_components and not request.components:
        found.append(NO_COMPONENTS)
    if settings.require_signed and not request.signed:
        found.append(UNSIGNED)
    content = (request.reason, request.components)
    if settings.compare and content != ("", ()) and any((item.reason, item.components) == content for item in before):
        found.append(REPEATED)
    return found


def _blocked(number: int, requests: Sequence[SupplementRequest], new: Dossier, settings: SupervisionSettings) -> bool:
    if settings.block == "nothing":
        return False
    last = number if settings.block == "present_too" else number - 1
    released = released_no(new)
    return any(item.violations and released < item.number <= last for item in requests)


def _number(text: str) -> int:
    try:
        return max(int(float(text)), 0) if text else 0
    except (ValueError, OverflowError):
        return 0


def _plain(text: str) -> str:
    """Texts that say the same are the same: without regard to case, blanks and final points."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split()).strip(" .,;:-")
