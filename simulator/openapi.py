"""The control interface for programs: OpenAPI 3.1, served at ``/openapi.json``.

Data, longer than most files because every member of every answer is in it. The tests hold it against the routes and
against real answers, which may have no member that is not described here.
"""

from __future__ import annotations

from typing import Any

from gateway import __version__

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_INTEGER: Json = {"type": "integer"}
_NUMBER: Json = {"type": "number"}
_FLAG: Json = {"type": "boolean"}
_TIME: Json = {"type": "number", "description": "Unix seconds"}
_HEX: Json = {"type": "string", "pattern": "^([0-9a-fA-F]{2})*$"}
_PHONE: Json = {"type": "string", "description": "international digits: 84905123456"}


def _or_null(schema: Json) -> Json:
    return {**schema, "type": [schema["type"], "null"]}


def _of(schema: Json, says: str) -> Json:
    return {**schema, "description": says}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def _map(values: Json) -> Json:
    return {"type": "object", "additionalProperties": values}


def _object(says: str = "", optional: tuple[str, ...] = (), **members: Json) -> Json:
    """An object with these members and no others. A trailing underscore makes a name out of a Python keyword."""
    properties = {name.rstrip("_"): schema for name, schema in members.items()}
    required = [name for name in properties if name not in optional]
    about = {"description": says} if says else {}
    return {"type": "object", **about, "properties": properties, "required": required, "additionalProperties": False}


_SCHEMAS: dict[str, Json] = {
    "Error": _object(
        "Why a request was refused",
        error=_object(where=_TEXT, what=_TEXT, remedy=_TEXT),
    ),
    "Bind": _object(
        "A bound session",
        account=_TEXT,
        system_id=_TEXT,
        mode={"enum": ["transmitter", "receiver", "transceiver"]},
        version=_of(_TEXT, "interface_version: 0x34"),
        peer=_of(_TEXT, "address:port"),
        state={"enum": ["bound", "silent"], "description": "silent: the fault 'silence' is on"},
        since=_TIME,
        submits_open=_of(_COUNT, "submit_sm of the ESME that wait for their answer"),
        delivers_open=_of(_COUNT, "deliver_sm that the ESME has not answered"),
        delivers_window=_of(_COUNT, "how many may be open; 0: this bind receives nothing"),
        pdus_received=_COUNT,
        pdus_sent=_COUNT,
    ),
    "ActiveFault": _object(
        "A fault that is on",
        ("status",),
        fault=_TEXT,
        seconds_left=_or_null(_NUMBER),
        count_left=_or_null(_COUNT),
        status=_of(_TEXT, "of the fault 'status': ESME_…"),
    ),
    "Account": _object(
        "One ESME's contract, at work",
        account=_TEXT,
        port=_COUNT,
        system_id=_of(_TEXT, "* takes any"),
        charging=_of(_FLAG, "the operator keeps books of it"),
        limits=_object(window=_COUNT, tps=_or_null(_COUNT), max_binds=_COUNT),
        binds=_list(_ref("Bind")),
        waiting=_of(_COUNT, "MO and receipts without a final answer"),
        under_way=_of(_COUNT, "accepted messages without a final state"),
        counters={
            "type": "object",
            "description": "since the start; 'refused' by command_status",
            "properties": {"refused": _map(_COUNT)},
            "required": ["submits", "accepted", "refused", "receipts_answered", "mo_sent", "binds"],
            "additionalProperties": _NUMBER,
        },
        faults=_list(_ref("ActiveFault")),
    ),
    "Status": _object(
        "The state of everything",
        seed=_INTEGER,
        uptime_s=_NUMBER,
        control_port=_COUNT,
        page_port=_COUNT,
        record=_object(path=_or_null(_TEXT), entries=_COUNT),
        handsets=_COUNT,
        accounts=_list(_ref("Account")),
    ),
    "History": _object(
        "Rates in each of the last seconds, oldest first",
        series=_list(_of(_TEXT, "what the numbers of each account are, in this order")),
        samples=_list(_object(at=_TIME, rates=_map(_list(_NUMBER)))),
    ),
    "InboxMessage": _object(
        "A message as the handset shows it",
        at=_of(_NUMBER, "of its last part, Unix seconds"),
        number=_PHONE,
        sender=_TEXT,
        text=_TEXT,
        parts=_COUNT,
        missing=_list(_of(_COUNT, "number of a part that has not come")),
        copy=_of(_COUNT, "1; 2 and above: the same text from the same sender again"),
        account=_TEXT,
        message_ids=_list(_TEXT),
        data_coding=_COUNT,
    ),
    "Handset": _object(
        "A handset in the list",
        number=_PHONE,
        last_at=_TIME,
        received_parts=_COUNT,
        sent=_of(_COUNT, "MO in memory"),
    ),
    "ReceivedMessage": _object(
        "In a conversation: what the handset received",
        kind={"const": "received"},
        at=_TIME,
        sender=_TEXT,
        text=_TEXT,
        parts=_COUNT,
        missing=_list(_COUNT),
        copy=_COUNT,
        account=_TEXT,
        message_ids=_list(_TEXT),
        data_coding=_COUNT,
    ),
    "SentMessage": _object(
        "In a conversation: what the handset sent",
        kind={"const": "sent"},
        at=_TIME,
        id=_COUNT,
        to=_TEXT,
        text=_TEXT,
        parts=_COUNT,
        copies=_COUNT,
        account=_TEXT,
        state=_ref("MoState"),
        status_name=_of(_or_null(_TEXT), "why it was refused"),
        answered_after_s=_or_null(_NUMBER),
    ),
    "Conversation": _object(
        "One handset, oldest message first",
        number=_PHONE,
        account=_of(_TEXT, "its operator"),
        balance_vnd=_of(_or_null(_INTEGER), "null: this operator keeps no books"),
        messages=_list({"oneOf": [_ref("ReceivedMessage"), _ref("SentMessage")]}),
    ),
    "MoState": {
        "enum": ["kept", "delivered", "refused", "given_up", "not_charged"],
        "description": "kept: no final answer yet. not_charged: the operator did not take it, the balance is too low",
    },
    "RawTlv": _object(
        "An optional parameter, as octets",
        ("value",),
        tag={"type": "integer", "minimum": 0, "maximum": 0xFFFF},
        value=_HEX,
    ),
    "MoRequest": _object(
        "What a handset is told to send",
        (
            "text",
            "account",
            "coding",
            "form",
            "copies",
            "tlvs",
            "flash",
            "octets",
            "data_coding",
            "esm_class",
            "order",
            "wait_s",
        ),
        from_=_of(_TEXT, "84905123456 or 0905123456"),
        to={"type": "string", "minLength": 1, "maxLength": 20, "description": "the shortcode: 8083"},
        text={"type": "string", "maxLength": 40_000},
        account=_of(_or_null(_TEXT), "default: by the handset's prefix"),
        coding={"enum": ["auto", "gsm7", "ucs2", "ascii", "latin1"], "default": "auto"},
        form={
            "enum": ["udh8", "udh16", "sar", "payload", None],
            "description": "of a long text; default: the account's",
        },
        copies={"type": "integer", "minimum": 1, "maximum": 100, "default": 1},
        flash={"type": "boolean", "default": False},
        octets=_or_null(_of(_HEX, "in place of the text: one part of exactly these")),
        data_coding={"type": ["integer", "null"], "minimum": 0, "maximum": 255},
        esm_class={"type": ["integer", "null"], "minimum": 0, "maximum": 255},
        order=_of(_list({"type": "integer", "minimum": 1}), "parts in the order they leave; left out: never sent"),
        tlvs=_of(_list(_ref("RawTlv")), "beside the SMSC's own"),
        wait_s={
            "type": "number",
            "minimum": 0,
            "maximum": 600,
            "default": 10,
            "description": "for the ESME's answer",
        },
    ),
    "Mo": _object(
        "What became of an MO",
        id=_COUNT,
        account=_TEXT,
        from_=_PHONE,
        to=_TEXT,
        text=_TEXT,
        state=_ref("MoState"),
        at=_TIME,
        parts=_list(
            _object(
                message_id=_TEXT,
                status=_of(_or_null(_COUNT), "command_status of the ESME's answer"),
                status_name=_or_null(_TEXT),
                attempts=_COUNT,
                answered_at=_or_null(_TIME),
            )
        ),
    ),
    "FaultKind": _object(
        "A fault that can be ordered",
        fault=_TEXT,
        at_once=_of(_FLAG, "it happens and is over"),
        takes=_list({"enum": ["seconds", "count", "status", "by_s"]}),
    ),
    "FaultRequest": _object(
        "Without seconds and count a fault stays until it is cleared",
        ("seconds", "count", "status", "by_s"),
        fault=_of(_TEXT, "GET /faults lists them"),
        seconds={"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 86_400},
        count={"type": ["integer", "null"], "minimum": 1, "description": "so many submit_sm"},
        status={"type": ["integer", "string"], "description": "a command_status: 88, 0x58, ESME_RTHROTTLED"},
        by_s={
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 3600,
            "default": 1,
            "description": "of delay-answers, hold-answers, slow-reader",
        },
    ),
    "FaultOrdered": _object(
        fault=_TEXT, accounts=_map(_object(sessions=_of(_COUNT, "bound when the fault was ordered")))
    ),
    "Cleared": _object(cleared=_list(_TEXT)),
    "Pdu": _object(
        "One PDU in short; what does not apply is null",
        n=_of(_COUNT, "1, 2, 3 … since the start"),
        at=_TIME,
        direction={"enum": ["in", "out"], "description": "in: the ESME sent it"},
        account=_of(_TEXT, "empty before the bind"),
        system_id=_TEXT,
        peer=_TEXT,
        octets=_COUNT,
        command=_or_null(_TEXT),
        status=_or_null(_COUNT),
        status_name=_or_null(_TEXT),
        sequence_number=_or_null(_COUNT),
        source=_or_null(_TEXT),
        destination=_or_null(_TEXT),
        message_id=_or_null(_TEXT),
        text=_or_null(_TEXT),
        part={
            "type": ["array", "null"],
            "items": _COUNT,
            "minItems": 3,
            "maxItems": 3,
            "description": "[reference, total, part]",
        },
        receipt=_FLAG,
        fault=_of(_or_null(_TEXT), "why it is malformed"),
    ),
    "PduField": _object(name=_TEXT, value={"type": ["string", "integer"]}, meaning=_TEXT),
    "PduTlv": _object(tag=_COUNT, name=_TEXT, hex=_HEX, value=_of(_TEXT, "as its row says; empty: octets only")),
    "Capture": _object(
        "PDUs that go into files",
        id=_COUNT,
        account=_of(_or_null(_TEXT), "null: all accounts"),
        pcap=_or_null(_TEXT),
        log=_or_null(_TEXT),
        full=_of(_FLAG, "telephone numbers and passwords as they are"),
        pdus=_of(_COUNT, "written so far"),
        failed=_of(_TEXT, "why it ended by itself; empty: it did not"),
    ),
    "CaptureRequest": _object(
        "Files of the simulator's own machine that are not there yet; a relative path begins where the simulator was started",
        ("account", "pcap", "log", "full", "rotate_octets", "keep"),
        account=_of(_or_null(_TEXT), "default: all"),
        pcap=_of(_or_null(_TEXT), "for Wireshark"),
        log=_of(_or_null(_TEXT), "one decoded PDU a line"),
        full={"type": "boolean", "default": False, "description": "telephone numbers and passwords as they are"},
        rotate_octets={"type": "integer", "minimum": 10_000, "default": 100_000_000},
        keep={"type": "integer", "minimum": 1, "maximum": 1000, "default": 3, "description": "older files that stay"},
    ),
    "RecordEntry": {
        "type": "object",
        "description": "docs/simulator.md, 'The record', lists the members of each event",
        "properties": {"n": _COUNT, "event": _TEXT, "at": _TIME},
        "required": ["n", "event", "at"],
    },
    "ChargeEntry": _object(
        "One line of an operator's books",
        at=_TIME,
        mo_id=_TEXT,
        phone=_PHONE,
        shortcode=_TEXT,
        decision=_of(_TEXT, "empty: taken when the handset sent"),
        outcome=_TEXT,
        amount_vnd=_of(_INTEGER, "above 0: taken; below: given back"),
        balance_vnd=_INTEGER,
        status=_COUNT,
    ),
    "Balance": _object(phone=_TEXT, balance_vnd=_INTEGER),
}
_SCHEMAS["PduDetail"] = _object(
    "Everything about one PDU",
    **_SCHEMAS["Pdu"]["properties"],
    mode=_TEXT,
    hex=_HEX,
    fields=_list(_ref("PduField")),
    tlvs=_list(_ref("PduTlv")),
)


def _parameter(name: str, where: str, says: str, schema: Json = _TEXT) -> Json:
    return {"name": name, "in": where, "required": where == "path", "description": says, "schema": schema}


_IN_PATH = {
    "number": _parameter("number", "path", "a handset's number; 0905123456 is 84905123456"),
    "id": _parameter("id", "path", "as POST /mo or POST /capture gave it", _COUNT),
    "account": _parameter("account", "path", "an account's name; for faults 'all' is every one"),
    "fault": _parameter("fault", "path", "as GET /faults lists it"),
    "n": _parameter("n", "path", "as GET /pdus gives it", _COUNT),
    "file": _parameter("file", "path", "of the page"),
}
_LIMIT = _parameter("limit", "query", "at most so many", _COUNT)
_AFTER = _parameter("after", "query", "only what has a higher number; ask again with 'next'", _COUNT)
_OF_ACCOUNT = _parameter("account", "query", "only this account")


def _operation(
    name: str, says: str, answer: Json | str, *, path: str = "", query: tuple[Json, ...] = (), body: str = ""
) -> Json:
    """One method of one path. ``answer``: a schema of JSON, or another media type."""
    media = {answer: {"schema": _TEXT}} if isinstance(answer, str) else {"application/json": {"schema": answer}}
    refused = {"description": "refused", "content": {"application/json": {"schema": _ref("Error")}}}
    operation: Json = {
        "operationId": name,
        "summary": says,
        "responses": {"200": {"description": "done", "content": media}, "4XX": refused},
    }
    parameters = [_IN_PATH[part] for part in path.split()] + list(query)
    if parameters:
        operation["parameters"] = parameters
    if body:
        schema = _ref(body) if body in _SCHEMAS else {"type": "object"}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


_PAGE_OF_RECORD = _object(
    entries=_list(_ref("RecordEntry")),
    next=_COUNT,
    first_in_memory=_COUNT,
    count=_COUNT,
    path=_or_null(_TEXT),
)
_PAGE_OF_PDUS = _object(pdus=_list(_ref("Pdu")), next=_COUNT, first_in_memory=_COUNT, count=_COUNT)
_BOOKS = _object(
    accounts=_map(
        _object(balances=_of(_map(_INTEGER), "those that are not the default"), entries=_list(_ref("ChargeEntry")))
    )
)
_INBOXES = _object(handsets=_list(_object(number=_PHONE, messages=_COUNT)))

_PATHS: Json = {
    "/": {"get": _operation("start", "The paths, as text; for a browser, the page", "text/plain")},
    "/page": {"get": _operation("page", "The live page", "text/html")},
    "/page/{file}": {"get": _operation("pageFile", "A file of the page", "text/javascript", path="file")},
    "/events": {
        "get": _operation(
            "events",
            "Server-Sent Events: hello, state (each second), pdus, handsets, charging",
            "text/event-stream",
        )
    },
    "/openapi.json": {"get": _operation("openapi", "This description", {"type": "object"})},
    "/metrics": {"get": _operation("metrics", "Counters for Prometheus", "text/plain")},
    "/status": {"get": _operation("status", "Accounts, binds, counters, faults", _ref("Status"))},
    "/history": {"get": _operation("history", "Rates of the last 300 seconds", _ref("History"))},
    "/inbox": {"get": _operation("inboxAll", "Handsets that received something", _INBOXES)},
    "/inbox/{number}": {
        "get": _operation(
            "inbox",
            "What a handset received",
            _object(number=_PHONE, messages=_list(_ref("InboxMessage"))),
            path="number",
        )
    },
    "/handsets": {
        "get": _operation(
            "handsets", "Handsets with the newest messages", _object(handsets=_list(_ref("Handset"))), query=(_LIMIT,)
        )
    },
    "/handsets/{number}": {
        "get": _operation(
            "handset", "What a handset sent and received", _ref("Conversation"), path="number", query=(_LIMIT,)
        )
    },
    "/mo": {
        "post": _operation(
            "sendMo", "A handset sends; answers when the ESME has, or after wait_s", _ref("Mo"), body="MoRequest"
        )
    },
    "/mo/{id}": {"get": _operation("mo", "What became of an MO", _ref("Mo"), path="id")},
    "/faults": {"get": _operation("faultKinds", "The faults that there are", _object(faults=_list(_ref("FaultKind"))))},
    "/fault/{account}": {
        "post": _operation("fault", "Order a fault", _ref("FaultOrdered"), path="account", body="FaultRequest"),
        "delete": _operation("clearFaults", "End every fault", _ref("Cleared"), path="account"),
    },
    "/fault/{account}/{fault}": {
        "delete": _operation("clearFault", "End one fault", _ref("Cleared"), path="account fault")
    },
    "/pdus": {
        "get": _operation(
            "pdus",
            "With 'after' the next PDUs from there; without, the newest. Oldest first",
            _PAGE_OF_PDUS,
            query=(
                _AFTER,
                _LIMIT,
                _OF_ACCOUNT,
                _parameter("command", "query", "submit_sm, deliver_sm_resp …"),
                _parameter("contains", "query", "every one of these words occurs in it"),
            ),
        )
    },
    "/pdus/{n}": {"get": _operation("pdu", "One PDU: fields, TLVs, octets", _ref("PduDetail"), path="n")},
    "/capture": {
        "get": _operation("captures", "Captures that run", _object(captures=_list(_ref("Capture")))),
        "post": _operation("startCapture", "PDUs into files from now on", _ref("Capture"), body="CaptureRequest"),
    },
    "/capture/{id}": {
        "delete": _operation("stopCapture", "End a capture; its files are complete", _ref("Capture"), path="id")
    },
    "/record": {
        "get": _operation(
            "record",
            "What passed: the newest entries, from memory",
            _PAGE_OF_RECORD,
            query=(_AFTER, _LIMIT, _OF_ACCOUNT, _parameter("event", "query", "submit, receipt, mo, bind …")),
        )
    },
    "/record/flush": {
        "post": _operation("flushRecord", "Write what is buffered to its file", _object(entries=_COUNT), body="object")
    },
    "/charging": {"get": _operation("charging", "The operators' books", _BOOKS, query=(_LIMIT,))},
    "/charging/{account}/balance": {
        "post": _operation("balance", "Set a handset's balance", _ref("Balance"), path="account", body="Balance")
    },
}

DESCRIPTION: Json = {
    "openapi": "3.1.0",
    "info": {
        "title": "motcua-simulator",
        "version": __version__,
        "license": {"name": "MIT", "identifier": "MIT"},
        "description": "Control interface of an SMSC simulator. On loopback, without a password; a request by a host name "
        "that is not localhost, an IP address or in control.names is refused, and so is one from another site's page.",
    },
    "servers": [{"url": "/"}],
    "paths": _PATHS,
    "components": {"schemas": _SCHEMAS},
}
