"""Telephone numbers on the command line: masked unless an account that may asks for them in full.

Who may is configured (``reports.full_numbers``); what is asked for in full is recorded in the log.
"""

from __future__ import annotations

import getpass
import os

import click
import structlog

from gateway import log as logging_setup
from gateway.log import mask_number
from gateway.settings import GatewaySettings

log = structlog.get_logger()

full_option = click.option(
    "--full",
    is_flag=True,
    help="Telephone numbers unmasked, for accounts under reports.full_numbers; recorded in the log.",
)


def allow_full(settings: GatewaySettings, command: str, full: bool) -> None:
    """Refuse ``--full`` to an account that may not, and record it for one that may.

    Raises:
        click.UsageError: the account is not named in the configuration.
    """
    if not full:
        return
    account = _account()
    if account not in settings.reports.full_numbers:
        raise click.UsageError(
            f"--full: the account '{account}' may not see telephone numbers in full. Add it to reports.full_numbers"
        )
    logging_setup.configure(settings.log)
    log.warning("numbers_shown_in_full", command=command, account=account)


def _account() -> str:
    """The person's account: behind sudo the one that called it."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


def shown(number: str, full: bool) -> str:
    """A number, or a field in which one stands, as it may be shown: "84905***456"."""
    if full or not number:
        return number
    masked = mask_number(number)
    if masked != number:
        return masked
    return "(text)" if any(letter.isalpha() for letter in number) else number
