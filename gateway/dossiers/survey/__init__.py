"""Looking over an agency's database before anything depends on it: ``motcua-gateway source check`` and ``source init``.

Each file asks one kind of question; ``overview`` asks them all. Every question has its own connection and time limit, so that one
that is too slow spoils no other.
"""

from gateway.dossiers.survey.draft import draft
from gateway.dossiers.survey.findings import Finding, Level, Survey
from gateway.dossiers.survey.overview import survey

__all__ = ["Finding", "Level", "Survey", "draft", "survey"]
