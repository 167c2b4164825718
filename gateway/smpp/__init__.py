"""SMPP 3.4, with the additions of 5.0, for both sides of a link. It imports nothing else of the gateway.

Sans-IO core, bytes in and values out: constants and fields (the standard as data), tlv, codec and careful (the rows made
into functions), pdu (values, encode, decode), framing, session, window, timers, text, receipt, connection.
Twisted shell around it: protocol, client (ESME), server (SMSC).
"""
