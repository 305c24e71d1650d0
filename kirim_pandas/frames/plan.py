"""What a run would cost, before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np
import pandas as pd
from markupsafe import Markup

from kirim_pandas.frames.ids import ContactIds
from kirim_pandas.frames.shapes import Kind, printable, remedy_for
from kirim_pandas.grouptesting.outcomes import MAX_CONTACTS_PER_CALL

__all__ = ["SKIP_SHARES", "Plan", "SegmentsPlan", "minutes_for", "plan_frame"]

SKIP_SHARES: Final = (0.0, 0.01, 0.05, 0.20)
"""Shares of skipped contacts a plan is worked out for."""

PROBES_PER_HINT_VALUE: Final = 3
"""Probes that a hint which decides the skips may cost for each of its values: batches change from
one outcome to the other where the hint's value changes, and nowhere else."""

PROBES_OF_A_PATTERN: Final = 3
"""Probes beside one for each batch, which confirm what a column or a connected number explains."""

BUCKET_SHARE: Final = 0.9
"""Part of the organisation's bucket that a run uses; a client leaves the rest to others."""

_NO_HINT, _PERFECT_HINT = "none", "perfect"

_SEGMENTS_TITLE = "Plan: a label for each segment (nothing was sent)"


@dataclass(frozen=True, eq=False, repr=False)
class Plan:
    """What a run would send and how long it would take; nothing was sent.

    Attributes
    ----------
    rows, contacts, duplicates, missing, malformed, stripped : int
        What was found in the frame: `missing` and `malformed` rows would not be sent.
    source : str
        Where the ids were found.
    batches : int
        Requests that put the label on (or off): the least a run costs.
    write_per_minute : int
        The rate the minutes are reckoned with, from a bucket that is full at the start.
    table : DataFrame
        One row for each share of skipped contacts and hint: skipped_share (float64, 0 to 1),
        hint (string, ``none`` where nothing explains who is skipped, ``perfect`` where a hint, a
        column or the connected number does), requests (int64, expected, batches and probes),
        minutes (float64).
    malformed_kinds : tuple of Kind
        What the malformed ids look like.
    hint : tuple of str
        The columns of the hint, as they are shown; empty without one.
    hint_values : int
        Distinct values of the hint; 0 without one.
    resolve : str
        How far the run would go: ``rows`` or ``batches``.
    max_requests : int or None
        Its cap.
    limit_is_known : bool
        Whether the service has told its limit; else the free plan's is reckoned with.
    label_id, label_name, operation : str or None
        What would be done.
    looked_up : str
        ``"phone"`` or ``"email"`` where the contacts were looked up by it; else empty.
    reads : int
        Read requests that the look-up took; they were made for this plan.
    not_found, ambiguous : int
        Rows for which it found nobody, or several contacts; not to be sent.
    """

    rows: int
    contacts: int
    duplicates: int
    missing: int
    malformed: int
    stripped: int
    source: str
    batches: int
    write_per_minute: int
    table: pd.DataFrame
    malformed_kinds: tuple[Kind, ...]
    hint: tuple[str, ...] = ()
    hint_values: int = 0
    resolve: str = "rows"
    max_requests: int | None = None
    limit_is_known: bool = True
    label_id: str | None = None
    label_name: str | None = None
    operation: str | None = None
    looked_up: str = ""
    reads: int = 0
    not_found: int = 0
    ambiguous: int = 0

    @property
    def minutes(self) -> float:
        """Minutes the batches wait for the given rate, without probes; 0 if they need not."""
        return minutes_for(self.batches, self.write_per_minute)

    def _facts(self) -> list[str]:
        lines = [*self._rows_in_words(), *(self._cost_in_words() if self.contacts else ())]
        if self.contacts:
            return lines
        return [*lines, f"{'' if self.rows else 'The segment is empty. '}Nothing would be sent."]

    def _rows_in_words(self) -> list[str]:
        padded, twice = _count(self.stripped, "row"), _count(self.duplicates, "row")
        what = {"phone": "phone number", "email": "e-mail address"}.get(self.looked_up, "id")
        # What was asked for is told also where it cost nothing: the list had been read.
        reads = f"Looked up with {_count(self.reads, 'read request')}, of a limit of their own."
        lines = {
            reads: bool(self.looked_up),
            f"{_count(self.not_found, 'row')} whose {what} no contact has, not to be "
            "sent.": self.not_found,
            f"{_count(self.ambiguous, 'row')} whose {what} several contacts have, not to be "
            "sent.": self.ambiguous,
            f"{padded} with white space around the id, which is taken off.": self.stripped,
            f"{_count(self.malformed, 'row')} with a malformed {what}, not to be sent"
            f"{':' if self.malformed_kinds else '.'}": self.malformed,
            **{f"- {_told(kind)}": kind.rows for kind in self.malformed_kinds},
            f"{_count(self.missing, 'row')} without {_an(what)}, not to be sent.": self.missing,
            f"{twice} of a contact that an earlier row has: "
            "sent once, all its rows share the outcome.": self.duplicates,
        }
        found = f"{_count(self.rows, 'row')}, {_count(self.contacts, 'contact')} ({self.source})."
        return [found, *(line for line, rows in lines.items() if rows)]

    def _cost_in_words(self) -> list[str]:
        lines = []
        if self.hint:
            lines.append(f"Hint: {', '.join(self.hint)} ({_count(self.hint_values, 'value')}).")
        limit = f"The limit is {self.write_per_minute:,} a minute"
        if not self.limit_is_known:
            limit = (
                f"Reckoned with {self.write_per_minute:,} a minute, as the service has not told "
                "its limit yet"
            )
        lines.append(
            f"{_cost(self.batches, self.minutes)} at least. {limit}; after a quiet minute "
            f"{_burst(self.write_per_minute):,.0f} go at once."
        )
        if self.max_requests is not None:
            short = self.max_requests < self.batches
            lines.append(
                f"{_count(self.max_requests, 'request')} at most (max_requests)"
                f"{', too few for all contacts' * short}."
            )
        if self.resolve == "batches":
            told = (
                "Who was skipped is not asked (resolve='batches'): the rows of a batch that is "
                "skipped in part stay unknown."
            )
        else:
            what = "the hint" if self.hint else "a column or the connected number"
            told = (
                "Finding out who was skipped takes more, by the share that is skipped; least where "
                f"{what} decides it, most where nothing does:"
            )
        return [*lines, told]

    @property
    def _has_table(self) -> bool:
        return self.contacts > 0 and self.resolve != "batches"

    def _title(self) -> str:
        what = " ".join(part for part in (self.operation, self.label_name or self.label_id) if part)
        return f"Plan: {what} (nothing was sent)" if what else "Plan (nothing was sent)"

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Head and body of the table people read: one line a share, from the least to the most."""
        shares = self.table["skipped_share"].unique()
        by_hint = {
            hint: self.table[self.table["hint"] == hint].set_index("skipped_share")
            for hint in (_PERFECT_HINT, _NO_HINT)
        }
        body = []
        for share in shares:
            cells = [f"{100 * share:g} %"]
            for frame in by_hint.values():
                line = frame.loc[share]
                cells.append(_cost(int(line["requests"]), line["minutes"], noun=""))
            body.append(cells)
        return ["skipped", "least requests", "most requests"], body

    def __repr__(self) -> str:
        lines = [self._title(), *self._facts()]
        if self._has_table:
            head, body = self._cells()
            widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
            lines += [
                "  " + "   ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True))
                for line in [head, *body]
            ]
        return printable("\n".join(lines))

    def _repr_html_(self) -> str:
        facts = Markup("<br>").join(self._facts())
        return str(
            Markup('<div class="kirim-plan"><strong>{}</strong><br>{}{}</div>').format(
                self._title(), facts, self._html_table() if self._has_table else ""
            )
        )

    def _html_table(self) -> Markup:
        head, body = self._cells()
        rows = [Markup("").join(map(Markup("<td>{}</td>").format, line)) for line in body]
        return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(
            Markup("").join(map(Markup("<th>{}</th>").format, head)),
            Markup("").join(map(Markup("<tr>{}</tr>").format, rows)),
        )


@dataclass(frozen=True, eq=False, repr=False)
class SegmentsPlan:
    """What labels would be attached to whom, and detached from whom; nothing was sent.

    Attributes
    ----------
    rows, contacts : int
        Of the frame; and distinct contacts that would get a label.
    table : DataFrame
        One row for each label and operation, in the order of sending: ``label_id``, ``label``,
        ``operation`` (string), ``contacts``, ``requests`` (int64; the least).
    notes : tuple of str
        What may not be expected, a sentence each.
    write_per_minute : int
        The rate that the minutes are reckoned with.
    """

    rows: int
    contacts: int
    table: pd.DataFrame
    notes: tuple[str, ...]
    write_per_minute: int

    @property
    def customers(self) -> dict[str, int]:
        """How many contacts would get each label, by its id."""
        attached = self.table[self.table["operation"] == "attach"]
        return dict(zip(attached["label_id"], attached["contacts"].tolist(), strict=True))

    def _facts(self) -> list[str]:
        requests = int(self.table["requests"].sum())
        cost = _cost(requests, minutes_for(requests, self.write_per_minute))
        return [
            f"{_count(self.rows, 'row')}, {_count(self.contacts, 'contact')} to get a label.",
            f"{cost} at least; finding out who was skipped takes more. The limit is "
            f"{self.write_per_minute:,} a minute.",
            *self.notes,
        ]

    def _lines(self) -> list[list[str]]:
        to = {"attach": "to", "detach": "from"}
        named = self.table[["operation", "label", "contacts"]].itertuples(index=False)
        return [[f"{op} {label} {to[op]}", f"{contacts:,}"] for op, label, contacts in named]

    def __repr__(self) -> str:
        lines = [f"  {what} {contacts} contacts" for what, contacts in self._lines()]
        return printable("\n".join([_SEGMENTS_TITLE, *self._facts(), *lines]))

    def _repr_html_(self) -> str:
        row = Markup("<tr><td>{}</td><td>{}</td></tr>")
        table = Markup("<table><thead>{}</thead><tbody>{}</tbody></table>").format(
            Markup("<tr><th>run</th><th>contacts</th></tr>"),
            Markup("").join(row.format(*line) for line in self._lines()),
        )
        facts = Markup("<br>").join(self._facts())
        return str(
            Markup('<div class="kirim-plan"><strong>{}</strong><br>{}{}</div>').format(
                _SEGMENTS_TITLE, facts, table
            )
        )


def plan_frame(
    ids: ContactIds,
    *,
    requests_for: Callable[[int, float], float],
    write_per_minute: int,
    batch_size: int = MAX_CONTACTS_PER_CALL,
    resolve: str = "rows",
    max_requests: int | None = None,
    limit_is_known: bool = True,
    label_id: str | None = None,
    label_name: str | None = None,
    operation: str | None = None,
) -> Plan:
    """Work out what a run over these ids would cost.

    Parameters
    ----------
    ids
        What was found in the frame.
    requests_for
        ``requests_for(contacts, share)``: expected probes for so many contacts, of which that
        share (0 to 1) is skipped in random order.
    write_per_minute
        The known or the documented limit of write requests.
    batch_size
        Contacts of one call.
    resolve
        With ``"batches"`` no probes are reckoned.
    max_requests
        Cap on the requests; None for none.
    limit_is_known
        Whether the service has told its limit.
    label_id, label_name, operation
        Shown in the plan.

    Returns
    -------
    Plan
        Shows itself as text and in a notebook; ``.table`` is its frame.
    """
    batches = ceil(ids.contacts / batch_size)
    # A hint that decides the skips has two values at least: of those skipped and the others.
    hint_values = 0 if ids.groups is None else len(np.unique(ids.groups))
    asks = ids.contacts > 0 and resolve != "batches"
    lines: list[tuple[float, str, int, float]] = []
    for share in SKIP_SHARES:
        probes = ceil(requests_for(ids.contacts, share)) if asks and share > 0 else 0
        explained = max(PROBES_PER_HINT_VALUE * max(2, hint_values), batches + PROBES_OF_A_PATTERN)
        hinted = min(probes, explained)
        for hint, extra in ((_NO_HINT, probes), (_PERFECT_HINT, hinted)):
            requests = min(batches + extra, max_requests or batches + extra)
            minutes = minutes_for(requests, write_per_minute)
            lines.append((float(share), hint, requests, minutes))
    table = pd.DataFrame(lines, columns=["skipped_share", "hint", "requests", "minutes"])
    return Plan(
        rows=ids.rows,
        contacts=ids.contacts,
        duplicates=ids.duplicates,
        missing=ids.missing,
        malformed=ids.malformed,
        stripped=ids.stripped,
        source=ids.source,
        batches=batches,
        write_per_minute=write_per_minute,
        table=table.astype({"hint": "string", "requests": np.int64}),
        malformed_kinds=ids.malformed_kinds,
        hint=ids.hint,
        hint_values=hint_values,
        resolve=resolve,
        max_requests=max_requests,
        limit_is_known=limit_is_known,
        label_id=label_id,
        label_name=label_name,
        operation=operation,
        looked_up=ids.looked_up,
        reads=ids.reads,
        not_found=ids.not_found,
        ambiguous=ids.ambiguous,
    )


def minutes_for(requests: float, write_per_minute: float) -> float:
    """Reckon how long the pace holds so many requests back, from a full bucket.

    Parameters
    ----------
    requests
        To be made.
    write_per_minute
        Size of the bucket, and tokens that come back a minute.

    Returns
    -------
    float
        Minutes until the last one leaves; 0 where all may leave at once.
    """
    return max(0.0, requests - _burst(write_per_minute)) / write_per_minute


def _burst(write_per_minute: float) -> float:
    """Requests that a full bucket lets go at once; the reserve stays in it."""
    return max(BUCKET_SHARE * write_per_minute, 1.0)


def _told(kind: Kind) -> str:
    such = f", such as {', '.join(kind.examples)}" if kind.examples else ""
    return f"{kind.shape}: {_count(kind.rows, 'row')}{such}. {remedy_for(kind.shape)}".rstrip()


def _cost(requests: int, minutes: float, noun: str = "request") -> str:
    """Say how many requests and how long; without waits the service's speed counts."""
    number = _count(requests, noun) if noun else f"{requests:,}"
    if not requests:
        return number
    return f"{number} ({_duration(minutes) if minutes else 'seconds'})"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _an(noun: str) -> str:
    return f"{'an' if noun[0] in 'aei' else 'a'} {noun}"


def _duration(minutes: float) -> str:
    """Say a duration the way people do."""
    if minutes < 1:
        return f"{max(1, round(minutes * 60))} s"
    if minutes < 10:
        return f"{minutes:.1f} min"
    if minutes < 90:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h"
