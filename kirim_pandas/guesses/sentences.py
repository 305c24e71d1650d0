"""What was found, in a sentence for people."""

from __future__ import annotations

from collections.abc import Sequence

from kirim_pandas.grouptesting.outcomes import Outcome
from kirim_pandas.guesses.columns import CONNECTED_NUMBER, EARLIER_RUNS
from kirim_pandas.guesses.search import Finding

_ARE = {
    Outcome.APPLIED: "of the label's team",
    Outcome.CROSS_ORG: "not in your organisation",
    Outcome.TEAM_MISMATCH: "not of the label's team",
    Outcome.NOT_COUNTED: "not known to the service",
}

_NOT_LISTED = (CONNECTED_NUMBER, Outcome.CROSS_ORG)
"""Contacts that the list does not show are of no number."""


def findings_text(findings: Sequence[Finding], requests: int, *, is_resumed: bool = False) -> str:
    """Say what skips follow and what it took to confirm it; nothing where nothing was found.

    Parameters
    ----------
    findings
        What was found, the first first.
    requests
        Requests that it took to name all skipped contacts.
    is_resumed
        Whether some of them were made before the run was gone on with.

    Examples
    --------
    >>> from kirim_pandas.guesses.search import Finding
    >>> team = Finding(Outcome.TEAM_MISMATCH, "city", 3, 8, 1200, exact=True)
    >>> findings_text([team], 12)
    "Skips follow city: 3 of 8 values are not of the label's team. Confirmed with 12 requests."
    """
    by_column: dict[str, list[Finding]] = {}
    for finding in findings:
        by_column.setdefault(finding.column, []).append(finding)
    told = [f"Skips follow {_what(column, found)}." for column, found in by_column.items()]
    if told:
        when = ", those before the resume included" if is_resumed else ""
        told.append(f"Confirmed with {_many(requests, 'request')}{when}.")
    return " ".join(told)


def _what(column: str, found: Sequence[Finding]) -> str:
    if all((finding.column, finding.outcome) == _NOT_LISTED for finding in found):
        # No number decides here, so none is named.
        missing = sum(finding.contacts for finding in found)
        are = "is" if missing == 1 else "are"
        return f"your organisation's contact list: {_many(missing, 'contact')} {are} not in it"
    return f"{column}: {'; '.join(map(_part, found))}"


def _part(finding: Finding) -> str:
    number, whom = _whom(finding)
    exceptions = "" if finding.exact else ", with exceptions"
    return f"{whom} {'is' if number == 1 else 'are'} {_ARE[finding.outcome]}{exceptions}"


def _whom(finding: Finding) -> tuple[int, str]:
    contacts = _many(finding.contacts, "contact")
    if not finding.of:
        return 1, f"a stretch of {contacts}"
    if finding.column == EARLIER_RUNS or (finding.column, finding.outcome) == _NOT_LISTED:
        return finding.contacts, contacts
    noun = {CONNECTED_NUMBER: "numbers"}.get(finding.column, "values")
    return finding.chosen, f"{finding.chosen} of {finding.of} {noun}"


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
