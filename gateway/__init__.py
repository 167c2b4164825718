"""Motcua Gateway: tells citizens about their dossiers over SMPP."""

__version__ = "0.1.0"
