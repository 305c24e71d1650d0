"""What a run would cost, before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
from markupsafe import Markup
from numpy.typing import NDArray

from kirim_pandas.frames.ids import ContactIds
from kirim_pandas.frames.shapes import Kind, printable, remedy_for
from kirim_pandas.grouptesting.outcomes import MAX_CONTACTS_PER_CALL

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

_Table: TypeAlias = tuple[list[str], list[list[str]]]
"""Head and body of a table that people read."""


@dataclass(frozen=True)
class PlannedRun:
    """A run of some contacts of a frame.

    Attributes
    ----------
    contacts : int
        Distinct contacts.
    hint_values : int
        Distinct values of the hint among them; 0 without one.
    asks : bool
        Whether who is skipped is found out by probes.
    batch_size : int
        Contacts of one call.
    """

    contacts: int
    hint_values: int = 0
    asks: bool = True
    batch_size: int = MAX_CONTACTS_PER_CALL

    @property
    def batches(self) -> int:
        """The least it costs."""
        return ceil(self.contacts / self.batch_size)


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
    reached : int
        Contacts that the question is about: all, or of several labels those that would get one.
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
    reached: int = 0

    @property
    def minutes(self) -> float:
        """Minutes the pace holds the batches back, 0 if not at all; `table` has probes as well."""
        return minutes_for(self.batches, self.write_per_minute)

    def _blocks(self) -> list[str | _Table]:
        """What people read: lines, and tables."""
        rows = self._rows_in_words()
        if not self.batches:
            return [*rows, f"{'' if self.rows else 'The segment is empty. '}Nothing would be sent."]
        return [*rows, *self._cost_in_words(), *([self._cells()] if self._has_table else ())]

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
        return self.batches > 0 and self.resolve != "batches"

    def _title(self) -> str:
        what = " ".join(part for part in (self.operation, self.label_name or self.label_id) if part)
        return f"Plan: {what} (nothing was sent)" if what else "Plan (nothing was sent)"

    def _cells(self) -> _Table:
        """One line a share, from the least to the most."""
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
        blocks = (_text_of(block) for block in self._blocks())
        return printable("\n".join([self._title(), *blocks]))

    def _repr_html_(self) -> str:
        blocks = Markup("").join(map(_html_of, self._blocks()))
        return str(
            Markup('<div class="kirim-plan"><strong>{}</strong><br>{}</div>').format(
                self._title(), blocks
            )
        )


@dataclass(frozen=True, eq=False, repr=False)
class SegmentsPlan(Plan):
    """What several runs would do as one: a label for each segment, or one kept in step.

    All attributes of :class:`Plan` are there, of all runs together: `batches`, and in `table` the
    requests and minutes, from the least to the most.

    Attributes
    ----------
    labels : DataFrame
        One row for each label and operation, in the order of sending: ``label_id`` (string, NA
        for a label that would be made), ``label``, ``operation`` (string), ``contacts``,
        ``requests`` (int64; the least).
    new : tuple of str
        Labels that would be made.
    changes : Series or None
        Of a sync the contacts that ``entered``, ``stayed`` and ``left``, and of those who left
        the ``absent``, who are in no row of the frame (int64).
    notes : tuple of str
        What may not be expected, and what cannot be known, a sentence each.
    """

    labels: pd.DataFrame = field(default_factory=pd.DataFrame)
    new: tuple[str, ...] = ()
    changes: pd.Series[Any] | None = None
    notes: tuple[str, ...] = ()

    @property
    def customers(self) -> dict[str, int]:
        """How many contacts would get each label, by its id; a label to be made goes by name."""
        attached = self.labels[self.labels["operation"] == "attach"]
        ids = attached["label_id"].fillna(attached["label"])
        return dict(zip(ids, attached["contacts"].tolist(), strict=True))

    def _title(self) -> str:
        what = "a label for each segment"
        if self.changes is not None:
            what = f"keep {self.label_name or 'a label'} in step"
        return f"Plan: {what} (nothing was sent)"

    def _blocks(self) -> list[str | _Table]:
        blocks = super()._blocks()
        place = len(self._rows_in_words())
        table = [self._label_cells()] if len(self.labels) else []
        changes = [] if self.changes is None else [_changes_in_words(self.changes)]
        return [*blocks[:place], *changes, *table, *self.notes, *blocks[place:]]

    def _label_cells(self) -> _Table:
        named = self.labels[["operation", "label", "contacts", "requests"]]
        body = [
            [op, f"{label} (to be made)" if label in self.new else label, f"{n:,}", f"{sent:,}"]
            for op, label, n, sent in named.itertuples(index=False)
        ]
        return ["run", "label", "contacts", "least requests"], body


def _changes_in_words(changes: pd.Series[Any]) -> str:
    entered, stayed, left, absent = changes[["entered", "stayed", "left", "absent"]].tolist()
    told = f"{entered:,} entered, {stayed:,} stayed, {left:,} left"
    return f"{told} ({absent:,} of them are in no row of the frame)." if absent else f"{told}."


def _text_of(block: str | _Table) -> str:
    if isinstance(block, str):
        return block
    head, body = block
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    return "\n".join(
        "  " + "   ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True))
        for line in [head, *body]
    )


def _html_of(block: str | _Table) -> Markup:
    if isinstance(block, str):
        return Markup("{}<br>").format(block)
    head, body = block
    rows = [Markup("").join(map(Markup("<td>{}</td>").format, line)) for line in body]
    return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(
        Markup("").join(map(Markup("<th>{}</th>").format, head)),
        Markup("").join(map(Markup("<tr>{}</tr>").format, rows)),
    )


def plan_frame(
    ids: ContactIds,
    *,
    requests_for: Callable[[int, float], float],
    write_per_minute: int,
    batch_size: int = MAX_CONTACTS_PER_CALL,
    resolve: str = "rows",
    max_requests: int | None = None,
    **about: Any,
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
    about
        The other attributes of `Plan`.

    Returns
    -------
    Plan
        Shows itself as text and in a notebook; ``.table`` is its frame.
    """
    hint_values, asks = hint_values_of(ids.groups), resolve != "batches"
    run = PlannedRun(ids.contacts, hint_values, asks, batch_size)
    costs = _costs([run], requests_for, write_per_minute, max_requests)
    return Plan(
        batches=run.batches,
        reached=ids.contacts,
        table=costs,
        write_per_minute=write_per_minute,
        resolve=resolve,
        max_requests=max_requests,
        **about,
        **_found(ids),
    )


def plan_runs(
    ids: ContactIds,
    runs: Sequence[PlannedRun],
    *,
    requests_for: Callable[[int, float], float],
    write_per_minute: int,
    max_requests: int | None,
    **about: Any,
) -> SegmentsPlan:
    """Work out what several runs over a frame would cost together.

    Parameters
    ----------
    ids
        What was found in the frame.
    runs
        In the order of sending.
    requests_for, write_per_minute, max_requests
        As for `plan_frame`.
    about
        The other attributes of `SegmentsPlan`.
    """
    return SegmentsPlan(
        batches=sum(run.batches for run in runs),
        table=_costs(runs, requests_for, write_per_minute, max_requests),
        write_per_minute=write_per_minute,
        max_requests=max_requests,
        **about,
        **_found(ids),
    )


def least_probes(
    contacts: int, batch_size: int = MAX_CONTACTS_PER_CALL, hint_values: int = 0
) -> int:
    """Reckon the probes that name the skipped where a column or the connected number decides."""
    # What decides has two values at least: of those skipped and the others.
    by_value = PROBES_PER_HINT_VALUE * max(2, hint_values)
    return max(by_value, ceil(contacts / batch_size) + PROBES_OF_A_PATTERN)


def hint_values_of(groups: NDArray[np.int64] | None) -> int:
    """Count the values of a hint; 0 without one."""
    return 0 if groups is None else len(np.unique(groups))


def _costs(
    runs: Sequence[PlannedRun],
    requests_for: Callable[[int, float], float],
    write_per_minute: int,
    max_requests: int | None,
) -> pd.DataFrame:
    """Add the requests of all runs up, for each share of skipped contacts and hint."""
    lines: list[tuple[float, str, int, float]] = []
    for share in SKIP_SHARES:
        sums = np.sum([_expected(run, share, requests_for) for run in runs] or [(0, 0)], axis=0)
        for hint, total in zip((_NO_HINT, _PERFECT_HINT), sums.tolist(), strict=True):
            requests = min(total, max_requests or total)
            minutes = minutes_for(requests, write_per_minute)
            lines.append((float(share), hint, requests, minutes))
    table = pd.DataFrame(lines, columns=["skipped_share", "hint", "requests", "minutes"])
    return table.astype({"hint": "string", "requests": np.int64})


def _expected(
    run: PlannedRun, share: float, requests_for: Callable[[int, float], float]
) -> tuple[int, int]:
    """Reckon the requests of a run: without a hint, and with one that decides the skips."""
    asks = run.contacts > 0 and run.asks and share > 0
    probes = ceil(requests_for(run.contacts, share)) if asks else 0
    explained = least_probes(run.contacts, run.batch_size, run.hint_values)
    return run.batches + probes, run.batches + min(probes, explained)


_AS_FOUND: Final = (
    *("rows", "contacts", "duplicates", "missing", "malformed", "stripped", "source"),
    *("malformed_kinds", "hint", "looked_up", "reads", "not_found", "ambiguous"),
)


def _found(ids: ContactIds) -> dict[str, Any]:
    """Give what was found in a frame, which a plan calls by the same names."""
    found = {name: getattr(ids, name) for name in _AS_FOUND}
    return found | {"hint_values": hint_values_of(ids.groups)}


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
