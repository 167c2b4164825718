"""A first mapping written from the view itself: ``motcua-gateway source init``.

Names of columns and status words are guessed from how Vietnamese software names things, and each guess is marked as one: a person
reads the draft before anything depends on it. Where two readings are possible nothing is guessed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
import yaml
from sqlalchemy.engine import Connection, Engine

from gateway.dossiers import reading
from gateway.dossiers.connect import limited
from gateway.dossiers.contract import BY_NAME, COLUMNS, REQUIRED, VIEW, Presence
from gateway.dossiers.statuses import PROFILES, normalise_word
from gateway.dossiers.survey.columns import types_txn
from gateway.dossiers.values import BadValue, to_text
from gateway.errors import SourceError
from gateway.model import DossierState
from gateway.settings import SourceSettings
from gateway.smpp.text import fold

#: What columns are called in agencies' software, without diacritics, case and separators.
_SYNONYMS: dict[str, tuple[str, ...]] = {
    "receipt_code": (
        "sobiennhan",
        "mabiennhan",
        "masobiennhan",
        "mahoso",
        "masohoso",
        "sohoso",
        "dossierno",
        "dossiercode",
    ),
    "agency_code": ("madonvi", "macoquan", "madonvixuly", "govagencycode", "agencyid"),
    "agency_name": ("tendonvi", "tencoquan", "coquan", "donvi", "govagencyname"),
    "status": ("trangthai", "trangthaihoso", "matrangthai", "tinhtrang", "dossierstatus", "dossierstatustext"),
    "step_name": ("buoc", "tenbuoc", "buochientai", "buocxuly", "buocgiaiquyet", "stepname", "dossiersubstatus"),
    "at_one_stop_shop": ("omotcua", "taimotcua", "obophanmotcua", "taibophanmotcua"),
    "clock_stopped": ("dungtinh", "tamdung", "dungtinhthoihan"),
    "phone": ("dienthoai", "sodienthoai", "sdt", "didong", "sodidong", "contacttelno", "mobile", "tel"),
    "received_at": ("ngaynhan", "ngaytiepnhan", "thoigiantiepnhan", "receivedate"),
    "due_at": ("ngayhen", "ngayhentra", "hentra", "ngayhentraketqua", "hanxuly", "duedate"),
    "updated_at": ("capnhat", "capnhatluc", "ngaycapnhat", "thoigiancapnhat", "modifieddate", "lastmodified"),
    "procedure_code": ("matthc", "mathutuc", "servicecode"),
    "procedure_name": ("tentthc", "tenthutuc", "servicename"),
    "phone_recorded_at": ("ngaykhai", "ngaynhapsdt"),
    "finished_at": ("ngayxong", "ngaytra", "ngayhoanthanh", "ngayketthuc", "ngaycoketqua", "releasedate", "finishdate"),
    "return_by_post": ("quabuudien", "trabuudien", "nhanquabuuchinh", "viapostal"),
    "channel": ("kenh", "kenhtiepnhan", "hinhthucnop", "nguontiepnhan"),
    "reason": ("lydo", "lydotuchoi", "noidungbosung"),
    "supplement_no": ("lanbosung", "solanbosung"),
    "supplement_components": ("thanhphanbosung", "giaytobosung"),
    "supplement_signed": ("dakyso", "kyso"),
}
_S = DossierState
#: Word of a status, without diacritics → state. The first that matches; several different matches are no guess.
_WORDS: tuple[tuple[str, DossierState], ...] = (
    (r"\b(khong|tu choi|bi tu choi)\b.*\btiep nhan\b|\btu choi\b", _S.NOT_ACCEPTED),
    (r"\bda (giao )?tra\b|\bda nhan ket qua\b|\bhoan tat\b", _S.RETURNED),
    (r"\bnghia vu tai chinh\b|\bcho (nop|thanh toan)\b|\bnop (thue|phi)\b", _S.AWAITING_PAYMENT),
    (r"\bbo sung\b", _S.AWAITING_SUPPLEMENT),
    (r"\brut\b|\bhuy\b", _S.WITHDRAWN),
    (r"\bdung (xu ly|giai quyet)\b", _S.STOPPED),
    (r"\b(co|cho tra|cho giao|tra) ket qua\b|\bda (xu ly|giai quyet) xong\b|\bda duyet\b", _S.RESULT_READY),
    (r"\b(moi|cho) (dang ky|tiep nhan|nop)\b|\bdang ky\b", _S.REGISTERED),
    (r"\b(da|duoc|moi) tiep nhan\b", _S.RECEIVED),
    (r"\bdang (xu ly|thu ly|giai quyet|tham dinh)\b|\bxu ly\b", _S.PROCESSING),
)
#: A guess in one of these would announce something or end something: it is written as a comment for a person to confirm.
_CAREFUL = frozenset({_S.RESULT_READY, _S.RETURNED, _S.WITHDRAWN, _S.NOT_ACCEPTED, _S.STOPPED})
_SAMPLE = 500
_NAMED_VIEWS = 10
_ENOUGH_CODES = 5


def draft(engine: Engine, source: str, settings: SourceSettings, env: str) -> str:
    """The lines for ``sources.NAME`` of a configuration, from what the view shows.

    Args:
        env: name of the environment variable that is to hold the URL: the draft holds no password.

    Raises:
        SourceError: there is no such view; says which views there are.
        sqlalchemy.exc.SQLAlchemyError: the database cannot be reached.
    """
    with engine.connect() as conn:
        try:
            present = reading.present_columns_txn(conn, settings)
        except sa.exc.DBAPIError as error:
            conn.rollback()
            raise _no_view(conn, source, settings) from error
        columns, missing = guess_columns(present)
        known = settings.model_copy(update={"columns": columns})
        rows: Sequence[Mapping[Any, Any]] = []
        words: list[str] = []
        zone = ""
        if not missing:
            shape = reading.shape_txn(conn, source, known)
            with limited(conn, settings.poll_timeout_s):
                query = shape.select().limit(_SAMPLE)
                if "updated_at" in shape.columns:
                    query = query.order_by(shape.column("updated_at").desc())
                rows = conn.execute(query).mappings().all()
                words = _words(conn, shape)
            zone = _zone(conn, shape)
    return _write(source, settings, env, present, columns, missing, words, rows, zone)


def guess_columns(present: Iterable[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Contract column → the view's column, for those whose names differ; and required ones that are not found."""
    plain: dict[str, list[str]] = {}
    for name in present:
        plain.setdefault(_plain(name), []).append(name)
    found: dict[str, str] = {}
    missing: list[str] = []
    taken: set[str] = set()
    for column in COLUMNS:
        candidates = [
            own for key in (_plain(column.name), *_SYNONYMS.get(column.name, ())) for own in plain.get(key, ())
        ]
        own = next((name for name in candidates if name not in taken), None)
        if own is None:
            if column.name in REQUIRED:
                missing.append(column.name)
            continue
        taken.add(own)
        if own.casefold() != column.name:
            found[column.name] = own
    return found, tuple(missing)


def guess_profiles(words: Iterable[str]) -> tuple[str, ...]:
    """The fewest shipped profiles that know the most of the words; the default ones when they do as well as others."""
    wanted = {normalise_word(word) for word in words}
    known = {name: {normalise_word(word) for word in profile} & wanted for name, profile in PROFILES.items()}
    chosen: list[str] = []
    covered: set[str] = set()
    while True:
        name = max(known, key=lambda key: len(known[key] - covered))
        if not known[name] - covered:
            return tuple(chosen)
        chosen.append(name)
        covered |= known[name]


def guess_state(word: str) -> DossierState | None:
    """The state that a status word probably means; None when it says nothing, or several things."""
    folded = " ".join(fold(word).casefold().split())
    return next((state for pattern, state in _WORDS if re.search(pattern, folded)), None)


def guess_codes(codes: Iterable[str]) -> tuple[str, ...]:
    """Patterns for ``codes``: what the receipt codes have in common. Empty when that is too little."""
    digits = [code for code in codes if code.isdecimal()]
    national = [code for code in codes if not code.isdecimal() and "-" in code]
    patterns = []
    if len(digits) >= _ENOUGH_CODES and len({len(code) for code in digits}) == 1:
        common = _prefix(digits)
        if len(common) >= 2:
            patterns.append(f"^{common}\\d{{{len(digits[0]) - len(common)}}}$")
    for head, count in Counter(code.split("-")[0] for code in national).most_common(3):
        if count >= _ENOUGH_CODES:
            patterns.append(f"^{re.escape(head)}-")
    return tuple(patterns)


def _prefix(codes: Sequence[str]) -> str:
    first, last = min(codes), max(codes)
    length = next((at for at, (one, other) in enumerate(zip(first, last, strict=True)) if one != other), len(first))
    return first[: min(length, 5)]  # what the newest codes have in common beyond that is their age


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", fold(name).casefold())


def _words(conn: Connection, shape: reading.ViewShape) -> list[str]:
    status = shape.column("status")
    number = sa.func.count()
    rows = conn.execute(sa.select(status, number).group_by(status).order_by(number.desc()).limit(100)).all()
    return [word for raw, _ in rows if (word := to_text("status", raw))]


def _zone(conn: Connection, shape: reading.ViewShape) -> str:
    """ "aware" when updated_at carries an offset, so that ``time_zone`` does not matter."""
    try:
        kind = types_txn(conn, shape).get("updated_at")
    except sa.exc.SQLAlchemyError:
        return ""
    return "aware" if isinstance(kind, sa.types.DateTime) and kind.timezone else ""


def _no_view(conn: Connection, source: str, settings: SourceSettings) -> SourceError:
    inspector = sa.inspect(conn)
    try:
        names = [*inspector.get_view_names(), *inspector.get_table_names()]
    except sa.exc.SQLAlchemyError:
        names = []
    shown = ", ".join(names[:_NAMED_VIEWS]) or "none that this account may see"
    return SourceError(
        source,
        f"there is no view {settings.view}. Views and tables: {shown}",
        f"Create {VIEW} as docs/provincial-database.md shows, or name another with --view",
    )


def _write(
    source: str,
    settings: SourceSettings,
    env: str,
    present: Sequence[str],
    columns: Mapping[str, str],
    missing: Sequence[str],
    words: Sequence[str],
    rows: Sequence[Mapping[Any, Any]],
    zone: str,
) -> str:
    lines = [
        "# Written from the view itself: read it before use. Then: motcua-gateway source check " + source,
        "sources:",
        f"  {_key(source)}:",
        f"    url: {{env: {env}}}          # the URL with its password; never written here",
    ]
    if settings.view != VIEW:
        lines.append(f"    view: {settings.view}")
    lines += _column_lines(present, columns, missing)
    lines += _word_lines(words, rows)
    codes = guess_codes(list(_texts(rows, "receipt_code")))
    if codes:
        lines.append("    codes: [" + ", ".join(f"'{code}'" for code in codes) + "]   # guessed from the newest rows")
    if zone != "aware":
        lines.append(
            "    time_zone: Asia/Ho_Chi_Minh        # of times without an offset; source check tells when it looks wrong"
        )
    return "\n".join(lines) + "\n"


def _column_lines(present: Sequence[str], columns: Mapping[str, str], missing: Sequence[str]) -> list[str]:
    lines = []
    if columns or missing:
        lines.append("    columns:                     # contract column: the view's own name")
        lines += [f"      {name}: {_key(own)}" for name, own in columns.items()]
    used = {columns.get(name, name).casefold() for name in BY_NAME}
    unused = [name for name in present if name.casefold() not in used]
    lines += [f"      # {name}: ???              # REQUIRED and not found: {BY_NAME[name].meaning}" for name in missing]
    if missing:
        lines.append(f"      # columns of the view that are not used: {', '.join(unused) or 'none'}")
        if not columns:
            lines[0] = "    # columns:                   # contract column: the view's own name"
    optional = [
        column.name
        for column in COLUMNS
        if column.presence is not Presence.REQUIRED
        and column.name not in columns
        and column.name not in {name.casefold() for name in present}
    ]
    if optional:
        lines.append(
            f"    # not in the view (docs/provincial-database.md tells what each is for): {', '.join(optional)}"
        )
    return lines


def _word_lines(words: Sequence[str], rows: Sequence[Mapping[Any, Any]]) -> list[str]:
    profiles = guess_profiles(words)
    lines = [f"    status_profiles: [{', '.join(profiles)}]"] if profiles else []
    known = {normalise_word(word) for name in profiles for word in PROFILES[name]}
    own = [word for word in words if normalise_word(word) not in known]
    sure = [(word, state) for word in own if (state := guess_state(word)) is not None and state not in _CAREFUL]
    if sure:
        lines.append("    statuses:                    # the software's own words; GUESSED: confirm each")
        lines += [f"      {_key(word)}: {state.value}" for word, state in sure]
    for word in own:
        state = guess_state(word)
        if state in _CAREFUL or state is None:
            guess = state.value if state else "???"
            header = "" if sure else "    # statuses:\n"
            lines.append(f"{header}      # {_key(word)}: {guess}      # confirm: it decides what citizens are told")
            sure = sure or [("", _S.PROCESSING)]
    steps = Counter(_texts(rows, "step_name"))
    result = [step for step in steps if "tra ket qua" in fold(step).casefold()]
    if result and result != ["Trả kết quả"]:
        lines.append(
            "    result_steps: [" + ", ".join(_key(step) for step in result) + "]   # confirm: the result waits there"
        )
    return lines


def _texts(rows: Sequence[Mapping[Any, Any]], name: str) -> Iterable[str]:
    for row in rows:
        try:
            text = to_text(name, row.get(name))
        except BadValue:
            continue
        if text:
            yield text


def _key(text: str) -> str:
    """A text as YAML writes it, in quotes where it must be."""
    return yaml.safe_dump(text, allow_unicode=True, default_flow_style=True, width=1000).removesuffix("\n...\n").strip()
