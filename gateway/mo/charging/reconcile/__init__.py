"""Reconciliation (đối soát): the ledger against an operator's file.

layout     how a line of a file is read and written, by its format
importing  a file into the store, whole or not at all
matching   which of our queries is which of their lines: pure
run        a period of the ledger against all lines of an operator, streaming
report     what a run found, for people and programs
export     our own file in an operator's format
"""
