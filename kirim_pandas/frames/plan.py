"""What a run would cost, before anything is sent."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

import numpy as np
import pandas as pd

from kirim_pandas.frames.ids import ContactIds
from kirim_pandas.frames.shapes import remedy_for
from kirim_pandas.labeling.batches import MAX_CONTACTS_PER_CALL

__all__ = ["SKIP_SHARES", "Plan", "plan_frame"]

SKIP_SHARES: Final = (0.0, 0.01, 0.05, 0.20)
"""Shares of skipped contacts a plan is worked out for."""

PROBES_PER_HINT_VALUE: Final = 3
"""Probes that a hint which decides the skips may cost for each of its values: batches change from
one outcome to the other where the hint's value changes, and nowhere else."""

_NO_HINT, _PERFECT_HINT = "none", "perfect"


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
        The rate the minutes are reckoned with.
    table : DataFrame
        One row for each share of skipped contacts and hint: skipped_share (float64, 0 to 1),
        hint (string, ``none`` or ``perfect``: one that decides who is skipped), requests (int64,
        expected, batches and probes), minutes (float64).
    examples : tuple of str
        Up to three malformed values, shortened.
    malformed_shape : str
        What they look like; empty if there are none.
    label_id, operation : str or None
        What would be done.
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
    examples: tuple[str, ...]
    malformed_shape: str
    label_id: str | None = None
    operation: str | None = None

    @property
    def minutes(self) -> float:
        """Minutes the batches take at the given rate, without probes."""
        return self.batches / self.write_per_minute

    def to_frame(self) -> pd.DataFrame:
        """Return a copy of `table`."""
        return self.table.copy()

    def _facts(self) -> list[str]:
        lines = [f"{_count(self.rows, 'row')}, {_count(self.contacts, 'contact')} ({self.source})."]
        if self.stripped:
            lines.append(f"{_count(self.stripped, 'id')} with white space around, to be removed.")
        if self.malformed:
            lines.append(
                f"{_count(self.malformed, 'row')} with a malformed id, not to be sent "
                f"({self.malformed_shape}, such as {', '.join(self.examples)}). "
                f"{remedy_for(self.malformed_shape)}".strip()
            )
        if self.missing:
            lines.append(f"{_count(self.missing, 'row')} without an id, not to be sent.")
        if self.duplicates:
            lines.append(
                f"{_count(self.duplicates, 'row')} of a contact that an earlier row has: "
                "sent once, all its rows share the outcome."
            )
        lines.append(
            f"{_count(self.batches, 'request')} at least, {_duration(self.minutes)} at "
            f"{self.write_per_minute:,} a minute; finding out who was skipped takes more:"
        )
        return lines

    def _title(self) -> str:
        what = " ".join(part for part in (self.operation, self.label_id) if part)
        return f"Plan: {what} (nothing was sent)" if what else "Plan (nothing was sent)"

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Head and body of the table people read: one line a share, with and without a hint."""
        shares = self.table["skipped_share"].unique()
        by_hint = {
            hint: self.table[self.table["hint"] == hint].set_index("skipped_share")
            for hint in (_NO_HINT, _PERFECT_HINT)
        }
        body = []
        for share in shares:
            cells = [f"{100 * share:g} %"]
            for frame in by_hint.values():
                line = frame.loc[share]
                cells.append(f"{int(line['requests']):,} ({_duration(line['minutes'])})")
            body.append(cells)
        return ["skipped", "requests", "with a hint that decides the skips"], body

    def __repr__(self) -> str:
        head, body = self._cells()
        widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]
        table = (
            "  " + "   ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True))
            for line in [head, *body]
        )
        return "\n".join([self._title(), *self._facts(), *table])

    def _repr_html_(self) -> str:
        head, body = self._cells()
        facts = "<br>".join(html.escape(line) for line in self._facts())
        rows = "".join(f"<tr>{''.join(f'<td>{c}</td>' for c in line)}</tr>" for line in body)
        return (
            f'<div class="kirim-plan"><strong>{html.escape(self._title())}</strong><br>{facts}'
            f"<table><thead><tr>{''.join(f'<th>{c}</th>' for c in head)}</tr></thead>"
            f"<tbody>{rows}</tbody></table></div>"
        )


def plan_frame(
    ids: ContactIds,
    *,
    requests_for: Callable[[int, float], float],
    write_per_minute: int,
    batch_size: int = MAX_CONTACTS_PER_CALL,
    skip_shares: Sequence[float] = SKIP_SHARES,
    label_id: str | None = None,
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
    skip_shares
        Shares to reckon with.
    label_id, operation
        Shown in the plan.

    Returns
    -------
    Plan
        Shows itself as text and in a notebook; ``.table`` is its frame.
    """
    batches = ceil(ids.contacts / batch_size)
    # A hint that decides the skips has two values at least: of those skipped and the others.
    hint_values = 2 if ids.groups is None else max(2, int(ids.groups.max(initial=0)) + 1)
    lines: list[dict[str, Any]] = []
    for share in skip_shares:
        probes = ceil(requests_for(ids.contacts, share)) if share and ids.contacts else 0
        hinted = min(probes, PROBES_PER_HINT_VALUE * hint_values)
        for hint, extra in ((_NO_HINT, probes), (_PERFECT_HINT, hinted)):
            requests = batches + extra
            lines.append(
                {
                    "skipped_share": float(share),
                    "hint": hint,
                    "requests": requests,
                    "minutes": requests / write_per_minute,
                }
            )
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
        examples=ids.examples,
        malformed_shape=ids.malformed_shape,
        label_id=label_id,
        operation=operation,
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _duration(minutes: float) -> str:
    """Say a duration the way people do."""
    if minutes < 1:
        return f"{max(1, round(minutes * 60))} s" if minutes else "0 s"
    if minutes < 10:
        return f"{minutes:.1f} min"
    if minutes < 90:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h"
