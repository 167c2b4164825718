"""Golden PDUs: octets written down by hand from the tables of the standard, with the value that each must be.

In the hex, "#" begins a comment; the groups follow the fields in wire order.
"""

from __future__ import annotations

import re

from gateway.smpp.pdu import (
    AlertNotification,
    BindReceiver,
    BindReceiverResp,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    BindTransmitterResp,
    BroadcastSm,
    BroadcastSmResp,
    CancelBroadcastSm,
    CancelBroadcastSmResp,
    CancelSm,
    CancelSmResp,
    DataSm,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    DistributionList,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Outbind,
    Pdu,
    QueryBroadcastSm,
    QueryBroadcastSmResp,
    QuerySm,
    QuerySmResp,
    ReplaceSm,
    ReplaceSmResp,
    SmeAddress,
    SubmitMulti,
    SubmitMultiResp,
    SubmitSm,
    SubmitSmResp,
    Tlv,
    Unbind,
    UnbindResp,
    UnsuccessSme,
)


def octets(commented_hex: str) -> bytes:
    return bytes.fromhex(re.sub(r"#.*", "", commented_hex))


GOLDEN: list[tuple[str, Pdu]] = [
    (
        """
        0000002f 00000002 00000000 00000001   # the example of SMPP 3.4 and 5.0, "PDU layout"
        534d50503354455354 00                 # system_id "SMPP3TEST"
        7365637265743038 00                   # password "secret08"
        5355424d495431 00                     # system_type "SUBMIT1"
        50 01 01 00                           # interface_version 5.0, ton, npi, address_range
        """,
        BindTransmitter(1, 0, "SMPP3TEST", "secret08", "SUBMIT1", 0x50, 1, 1),
    ),
    (
        """
        00000020 80000002 00000000 00000001
        534d5343303100                        # system_id "SMSC01"
        0210 0001 34                          # sc_interface_version 3.4
        00000000                              # an empty TLV of tag 0: kept
        """,
        BindTransmitterResp(1, 0, "SMSC01", (Tlv(0x0210, b"\x34"), Tlv(0, b""))),
    ),
    (
        """
        00000023 00000001 00000000 00000002
        6d6f7463756100                        # system_id "motcua"
        7000                                  # password "p"
        00 33 00 00                           # system_type, interface_version 3.3, ton, npi
        5e3830383300                          # address_range "^8083"
        """,
        BindReceiver(2, 0, "motcua", "p", "", 0x33, 0, 0, "^8083"),
    ),
    ("00000011 80000001 0000000e 00000002  00  # ESME_RINVPASWD", BindReceiverResp(2, 0x0E)),
    (
        """
        0000001e 00000009 00000000 00000003
        6d6f7463756100 7000 00 34 00 00 00    # a transceiver of 3.4
        """,
        BindTransceiver(3, 0, "motcua", "p", "", 0x34),
    ),
    ("00000010 80000009 00000005 00000003  # ESME_RALYBND, no body", BindTransceiverResp(3, 5)),
    ("00000018 0000000b 00000000 00000001  534d534300 707700  # outbind SMSC, pw", Outbind(1, 0, "SMSC", "pw")),
    ("00000010 00000006 00000000 00000004", Unbind(4)),
    ("00000010 80000006 00000000 00000004", UnbindResp(4)),
    ("00000010 80000000 00000003 00000000  # ESME_RINVCMDID for what has no number", GenericNack(0, 3)),
    ("00000010 00000015 00000000 7fffffff  # the last sequence_number", EnquireLink(0x7FFFFFFF)),
    ("00000010 80000015 00000000 7fffffff", EnquireLinkResp(0x7FFFFFFF)),
    (
        """
        00000047 00000004 00000000 00000005
        00 05 00 4d6f74637561534d5300         # service_type; source: alphanumeric "MotcuaSMS"
        01 01 383439303531323334353600        # destination: international, E.164, "84905123456"
        00 00 00 00                           # esm_class, protocol_id, priority_flag, schedule_delivery_time
        30303030303130303030303030303052 00   # validity_period "000001000000000R": one day from now
        01 00 00 00                           # receipt wanted, no replacement, data_coding 0, no canned message
        02 4f4b                               # "OK"
        """,
        SubmitSm(5, 0, "", 5, 0, "MotcuaSMS", 1, 1, "84905123456", 0, 0, 0, "", "000001000000000R", 1, 0, 0, 0, b"OK"),
    ),
    (
        """
        00000049 00000004 00000000 00000006
        00 05 00 4d6f74637561534d5300
        01 01 383439303531323334353600
        40 00 00 00 00 01 00 08 00            # UDHI, receipt, UCS-2
        0e 050003a70201                       # 14 octets: UDH, part 1 of 2 of message 0xa7
        0048 1ed3 0020 0073                   # "Hồ s" in UTF-16-BE
        0204 0002 0000                        # user_message_reference 0: two octets, both zero
        """,
        SubmitSm(
            6,
            0,
            "",
            5,
            0,
            "MotcuaSMS",
            1,
            1,
            "84905123456",
            0x40,
            registered_delivery=1,
            data_coding=8,
            short_message=b"\5\0\3\xa7\2\1" + "Hồ s".encode("utf-16-be"),
            tlvs=(Tlv(0x0204, b"\0\0"),),
        ),
    ),
    ("00000013 80000004 00000000 00000005  613100  # message_id a1", SubmitSmResp(5, 0, "a1")),
    (
        "0000001a 80000004 00000058 00000006  00 0428 0001 64 14010000  # throttled, congestion_state 100, a vendor's TLV",
        SubmitSmResp(6, 0x58, "", (Tlv(0x0428, b"\x64"), Tlv(0x1401, b""))),
    ),
    (
        """
        0000005f 00000005 00000000 00000007
        00 01 01 383439303531323334353600     # from 84905123456
        03 00 3830383300                      # to the shortcode 8083
        04 00 00 00 00 00 00 00 00            # esm_class: delivery receipt
        1c 69643a613120737461743a44454c49565244206572723a303030 2121
        0427 0001 02                          # message_state DELIVERED
        001e 0003 613100                      # receipted_message_id "a1"
        0423 0003 030000                      # network_error_code GSM, 0
        """,
        DeliverSm(
            7,
            0,
            "",
            1,
            1,
            "84905123456",
            3,
            0,
            "8083",
            4,
            short_message=b"id:a1 stat:DELIVRD err:000!!",
            tlvs=(Tlv(0x0427, b"\2"), Tlv(0x001E, b"a1\0"), Tlv(0x0423, b"\3\0\0")),
        ),
    ),
    ("00000011 80000005 00000000 00000007  00", DeliverSmResp(7)),
    (
        """
        00000046 00000021 00000000 00000008
        00 05 00 4d6f74637561534d5300
        03                                    # number_of_dests
        01 01 01 383439303531323334353600     # dest_flag 1: an address
        02 7374616666 00                      # dest_flag 2: the list "staff"
        01 00 00 393000                       # an address of unknown type, "90"
        00 00 00 00 00 00 00 00 00 02 4f4b
        """,
        SubmitMulti(
            8,
            0,
            "",
            5,
            0,
            "MotcuaSMS",
            (SmeAddress(1, 1, "84905123456"), DistributionList("staff"), SmeAddress(0, 0, "90")),
            short_message=b"OK",
        ),
    ),
    (
        """
        0000001d 80000021 00000000 00000008
        613200                                # message_id "a2"
        01 00 00 393000 0000000b              # one failed: "90", ESME_RINVDSTADR
        """,
        SubmitMultiResp(8, 0, "a2", (UnsuccessSme(0, 0, "90", 0x0B),)),
    ),
    (
        """
        0000003e 00000103 00000000 00000009
        434d5400                              # service_type "CMT"
        01 01 383439303531323334353600
        03 00 3830383300
        04 00 00                              # esm_class receipt, registered_delivery, data_coding
        001e 0003 613100
        0427 0001 05                          # UNDELIVERABLE
        0424 0002 6f6b                        # message_payload "ok"
        """,
        DataSm(
            9,
            0,
            "CMT",
            1,
            1,
            "84905123456",
            3,
            0,
            "8083",
            4,
            tlvs=(Tlv(0x001E, b"a1\0"), Tlv(0x0427, b"\5"), Tlv(0x0424, b"ok")),
        ),
    ),
    (
        "00000018 80000103 000000fe 00000009  613300 0425 0001 01 # failed: destination invalid",
        DataSmResp(9, 0xFE, "a3", (Tlv(0x0425, b"\1"),)),
    ),
    (
        "0000001f 00000003 00000000 0000000a  613100 05 00 4d6f74637561534d5300",
        QuerySm(10, 0, "a1", 5, 0, "MotcuaSMS"),
    ),
    (
        """
        00000026 80000003 00000000 0000000a
        613100 3236303530313037333030303032382b 00 02 00   # final_date "260501073000028+" (UTC+7), DELIVERED, no error
        """,
        QuerySmResp(10, 0, "a1", "260501073000028+", 2, 0),
    ),
    (
        """
        0000002e 00000008 00000000 0000000b
        00 613100 05 00 4d6f74637561534d5300 01 01 383439303531323334353600
        """,
        CancelSm(11, 0, "", "a1", 5, 0, "MotcuaSMS", 1, 1, "84905123456"),
    ),
    ("00000010 80000008 00000011 0000000b  # ESME_RCANCELFAIL", CancelSmResp(11, 0x11)),
    (
        """
        00000026 00000007 00000000 0000000c
        613100 05 00 4d6f74637561534d5300     # message a1 of MotcuaSMS
        00 00 01 00 02 4f4b                   # times unchanged, receipt, no canned message, "OK"
        """,
        ReplaceSm(12, 0, "a1", 5, 0, "MotcuaSMS", "", "", 1, 0, b"OK"),
    ),
    ("00000010 80000007 00000013 0000000c  # ESME_RREPLACEFAIL", ReplaceSmResp(12, 0x13)),
    (
        """
        0000002a 00000102 00000000 0000000d
        01 01 383439303531323334353600
        03 00 3830383300
        0422 0001 00                          # ms_availability_status: available
        """,
        AlertNotification(13, 0, 1, 1, "84905123456", 3, 0, "8083", (Tlv(0x0422, b"\0"),)),
    ),
    (
        """
        00000047 00000111 00000000 0000000e
        00 05 00 4d6f74637561534d5300         # 5.0: broadcast_sm from MotcuaSMS
        00 00 00 00 00 00 00                  # message_id, priority, schedule, validity, replace, coding, canned
        0606 0005 00 4e544857                 # broadcast_area_identifier: alias "NTHW"
        0601 0003 00 0001                     # broadcast_content_type
        0604 0002 0001                        # broadcast_rep_num
        0605 0003 09 0005                     # broadcast_frequency_interval: 5 minutes
        0424 0002 4f4b                        # message_payload
        """,
        BroadcastSm(
            14,
            0,
            "",
            5,
            0,
            "MotcuaSMS",
            tlvs=(
                Tlv(0x0606, b"\0NTHW"),
                Tlv(0x0601, b"\0\0\1"),
                Tlv(0x0604, b"\0\1"),
                Tlv(0x0605, b"\x09\0\5"),
                Tlv(0x0424, b"OK"),
            ),
        ),
    ),
    (
        "0000001b 80000111 00000000 0000000e  623100 0607 0004 00000109  # one area refused: its format",
        BroadcastSmResp(14, 0, "b1", (Tlv(0x0607, b"\0\0\1\x09"),)),
    ),
    (
        "0000001f 00000112 00000000 0000000f  623100 05 00 4d6f74637561534d5300",
        QueryBroadcastSm(15, 0, "b1", 5, 0, "MotcuaSMS"),
    ),
    (
        "0000001d 80000112 00000000 0000000f  623100 0427 0001 02 0608 0001 64  # delivered, in 100 % of the area",
        QueryBroadcastSmResp(15, 0, "b1", (Tlv(0x0427, b"\2"), Tlv(0x0608, b"\x64"))),
    ),
    (
        "00000020 00000113 00000000 00000010  00 623100 05 00 4d6f74637561534d5300",
        CancelBroadcastSm(16, 0, "", "b1", 5, 0, "MotcuaSMS"),
    ),
    ("00000010 80000113 0000010f 00000010  # ESME_RBCASTCANCELFAIL", CancelBroadcastSmResp(16, 0x10F)),
]
