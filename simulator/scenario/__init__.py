"""Scenarios: a file that says what handsets and the SMSC do, and what the ESME must do; run by ``motcua-simulator scenario``.

``model`` and ``expectations`` say what a file may hold, ``load`` reads it, ``play`` plays it against one simulator, ``report`` and
``junit`` tell what came of it. docs/simulator.md has the reference.
"""
