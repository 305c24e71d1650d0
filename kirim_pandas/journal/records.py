"""How runs and calls stand in the journal: rows with checksums, read in full or refused."""

from __future__ import annotations

import json
import operator
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.outcomes import Counts
from kirim_pandas.run.calls import Call, CallState, PastCall, Reply
from kirim_pandas.run.spec import Column

RecordState: TypeAlias = Literal["open", "finished", "capped", "stopped", "failed"]
Row: TypeAlias = tuple[Any, ...]

AT_START = -1
"""Before every round: the columns of the frame."""

STAYS, KEPT, LEFT, GONE, TAKEN = range(5)
"""Kinds of `Stayed`."""

REPLAY_SECONDS = 23 * 3600
"""The service keeps a reply for 24 h under its key; an older call needs a new key."""

CLOCK_SLACK_SECONDS = 300.0
"""A call from further in the future than this was dated by a clock that cannot be trusted."""


PACKED_TOGETHER = 1 << 16
"""Ids of a run that are made one text at a time; all of a large run would take much room."""


class DamagedRow(ValueError):  # noqa: N818 - the journal turns it into its own error
    """A row does not match its checksum."""


@dataclass(frozen=True, slots=True, eq=False)
class RunRecord:
    """A run as the journal keeps it.

    Attributes
    ----------
    run_id, label_id, operation, target : str
        What was asked, and the full address it is asked of (without any key).
    contact_ids : sequence of str
        The distinct ids in sending order.
    groups : int64 array or None
        The hint's codes.
    columns : tuple of Column
        What the frame says of each contact, as numbers.
    learnt : dict of int to tuple of Column
        What was read on the way, by the round of probes before which it was.
    resolve : str
        How far the run resolves.
    max_requests : int or None
        The cap on its calls.
    rows : int
        Rows of the frame.
    started_at : float
        Unix seconds.
    state : {"open", "finished", "capped", "stopped", "failed"}
        ``open`` while it runs, and for ever after if its process died;
        ``capped`` where ``max_requests`` left rows open.
    summary : dict of str to int or str
        Rows by status at its end, ``requests``, and ``found``, what the skips follow; empty while
        it is open.
    organization : list of str, or None
        Id and name of the organisation, where they were known at the start.
    key_mark : str or None
        Tells the key that the run was started with from others; the key cannot be read off it.
    label_name : str or None
        The label's name, where it was known at the start.
    sequence : int
        Its place in the journal, from 1, given when it is written down; clocks may be set back.
        0 in journals of earlier versions, which did not number runs.
    undoes : str or None
        The run that this one takes back.
    series : str or None
        The id that the runs of one series share.
    """

    run_id: str
    label_id: str
    operation: str
    target: str
    contact_ids: Sequence[str]
    groups: Any
    resolve: str
    max_requests: int | None
    rows: int
    started_at: float
    state: RecordState = "open"
    summary: dict[str, Any] | None = None
    organization: list[str] | None = None
    key_mark: str | None = None
    label_name: str | None = None
    sequence: int = 0
    undoes: str | None = None
    series: str | None = None
    columns: tuple[Column, ...] = ()
    learnt: dict[int, tuple[Column, ...]] = field(default_factory=dict)

    @property
    def order(self) -> tuple[int, float]:
        """Sorts runs by when they were written down."""
        return self.sequence, self.started_at


@dataclass(frozen=True, slots=True, eq=False)
class Stayed:
    """Of whom a sync of a label knew before it sent anything.

    Attributes
    ----------
    since : str or None
        The run or series that it was compared with, if any.
    contact_ids : list of str
        Who was to have the label before; in the order of the frame, and after them who is gone
        from it.
    outcomes : int8 array
        An `Outcome` for each, as far as earlier runs show it.
    kinds : int8 array
        `STAYS`: a member still. `KEPT`: gone from the frame, and left with the label. `LEFT`: no
        member any more, and without the label already. `GONE`: likewise, and gone from the frame.
        `TAKEN`: gone from the frame, and the label is taken off.
    probed : bool array
        Of whom probes told it.
    """

    since: str | None
    contact_ids: list[str]
    outcomes: NDArray[np.int8]
    kinds: NDArray[np.int8]
    probed: NDArray[np.bool_]

    @property
    def had(self) -> NDArray[np.bool_]:
        """Who is to have the label after it, as far as it was not sent."""
        return np.isin(self.kinds, (STAYS, KEPT))

    @property
    def absent(self) -> NDArray[np.bool_]:
        """Who is in no row of the frame."""
        return np.isin(self.kinds, (KEPT, GONE, TAKEN))


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """How the rows of a frame mean the runs of a series, so that its result can be given again.

    Attributes
    ----------
    operation : str
        That of the rows; a label is taken off others by other runs.
    others : str
        A checksum of the contacts of the frame that no run sends.
    order : str or None
        Where a contact has rows of several labels, a checksum of which contact each row means.
    label_ids : list of str
        Then the labels.
    codes : int32 array
        Then the label of each row, -1 for none.
    """

    operation: str
    others: str
    order: str | None
    label_ids: list[str]
    codes: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """What is to be written of one call; `at` is in Unix seconds."""

    call: Call
    state: CallState
    answer: list[Any] | None
    at: float


def run_row(record: RunRecord) -> Row:
    """Give the row of table ``run``."""
    detail: dict[str, Any] = {
        "label_id": record.label_id,
        "operation": record.operation,
        "target": record.target,
        "resolve": record.resolve,
        "max_requests": record.max_requests,
        "rows": record.rows,
        "started_at": record.started_at,
    }
    for name in ("organization", "key_mark", "label_name", "sequence", "undoes", "series"):
        if (known := getattr(record, name)) not in (None, 0):
            detail[name] = known
    return end_row(record.run_id, json.dumps(detail, default=_plain), "open", {}, None)


def end_row(
    run_id: str, detail: str, state: RecordState, summary: dict[str, Any], ended_at: float | None
) -> Row:
    """Give the row of table ``run`` for a run in another state."""
    return _sealed(run_id, detail, state, json.dumps(summary, default=_plain), ended_at)


def read_run(row: Row) -> RunRecord:
    """Read a row of table ``run``, without the contacts."""
    run_id, text, state, summary, _ended_at = _opened(row)
    detail = json.loads(text)
    if detail["resolve"] == "certified":  # of an earlier version, which confirmed names at the end
        detail["resolve"] = "rows"
    return RunRecord(
        run_id=run_id,
        contact_ids=[],
        groups=None,
        state=state,
        summary=json.loads(summary),
        **detail,
    )


def contacts_row(record: RunRecord) -> Row:
    """Give the row of table ``contacts``."""
    # Ids are random: to look for repeats takes most of the time and saves a fiftieth of the room.
    packer = zlib.compressobj(1, strategy=zlib.Z_HUFFMAN_ONLY)
    ids = bytearray()
    for start in range(0, len(record.contact_ids), PACKED_TOGETHER):
        text = "\n" + "\n".join(record.contact_ids[start : start + PACKED_TOGETHER])
        ids += packer.compress(text[start == 0 :].encode("ascii"))
    ids += packer.flush()
    groups = None if record.groups is None else record.groups.astype("<i8").tobytes()
    return _sealed(record.run_id, bytes(ids), groups)


def read_contacts(row: Row) -> tuple[list[str], Any]:
    """Read a row of table ``contacts``: ids and groups."""
    _run_id, ids, groups = _opened(row)
    codes = None if groups is None else np.frombuffer(groups, "<i8").astype(np.int64)
    return zlib.decompress(ids).decode("ascii").split("\n"), codes


def columns_row(run_id: str, before_round: int, columns: Sequence[Column]) -> Row:
    """Give a row of table ``columns``: what is known before a round, `AT_START` for the frame's."""
    heads = json.dumps([[column.name, column.ordered] for column in columns])
    codes = b"".join(column.codes.astype("<i4").tobytes() for column in columns)
    return _sealed(run_id, before_round, heads, zlib.compress(codes, 1))


def read_columns(row: Row) -> tuple[int, tuple[Column, ...]]:
    """Read a row of table ``columns``: the round, and what is known before it."""
    _run_id, before_round, heads, packed = _opened(row)
    named = json.loads(heads)
    codes = np.frombuffer(zlib.decompress(packed), "<i4").astype(np.int32)
    parts = codes.reshape(max(1, len(named)), -1)
    return before_round, tuple(
        Column(name, part, ordered) for (name, ordered), part in zip(named, parts, strict=False)
    )


def setting_row(name: str, value: float | None) -> Row:
    """Give the row of table ``setting``."""
    return _sealed(name, None if value is None else float(value))


def read_setting(row: Row) -> float | None:
    """Read a row of table ``setting``: its value."""
    _name, value = _opened(row)
    return value  # type: ignore[no-any-return]


def stayed_row(run_id: str, stayed: Stayed) -> Row:
    """Give a row of table ``stayed``."""
    ids = zlib.compress("\n".join(stayed.contact_ids).encode("ascii"), 1)
    told = (stayed.outcomes, stayed.kinds, stayed.probed)
    codes = b"".join(part.astype(np.int8).tobytes() for part in told)
    return _sealed(run_id, stayed.since, ids, zlib.compress(codes, 1))


def read_stayed(row: Row) -> Stayed:
    """Read a row of table ``stayed``."""
    _run_id, since, packed, codes = _opened(row)
    ids = zlib.decompress(packed).decode("ascii").split()
    told = np.frombuffer(zlib.decompress(codes), np.int8)
    if len(told) < 3 * len(ids):
        # An earlier version knew only whom it left as they were, and who was gone of them.
        outcomes, absent = told.reshape(2, len(ids))
        kinds, probed = np.where(absent, KEPT, STAYS).astype(np.int8), np.zeros_like(absent)
    else:
        outcomes, kinds, probed = told.reshape(3, len(ids))
    return Stayed(since, ids, outcomes, kinds, probed.astype(np.bool_))


def layout_row(run_id: str, layout: Layout) -> Row:
    """Give a row of table ``layout``."""
    detail = json.dumps([layout.operation, layout.others, layout.order, layout.label_ids])
    return _sealed(run_id, detail, zlib.compress(layout.codes.astype("<i4").tobytes(), 1))


def read_layout(row: Row) -> Layout:
    """Read a row of table ``layout``."""
    _run_id, detail, codes = _opened(row)
    operation, others, order, label_ids = json.loads(detail)
    labels = np.frombuffer(zlib.decompress(codes), "<i4").astype(np.int32)
    return Layout(operation, others, order, label_ids, labels)


def outcomes_row(run_id: str, outcomes: NDArray[np.int8]) -> Row:
    """Give a row of table ``outcomes``."""
    return _sealed(run_id, zlib.compress(outcomes.tobytes(), 1))


def read_outcomes(row: Row) -> NDArray[np.int8]:
    """Read a row of table ``outcomes``: an `Outcome` for each contact."""
    _run_id, codes = _opened(row)
    return np.frombuffer(zlib.decompress(codes), np.int8)


def call_row(run_id: str, entry: Entry, planned_at: float) -> Row:
    """Give the row of table ``call``."""
    call = entry.call
    place: list[Any] = [call.phase, call.batch, call.round, call.slot, call.budget]
    if call.planners > 1:  # else as in earlier versions, which knew one search alone
        place += [call.planner, call.planners]
    positions = call.positions.astype("<i4").tobytes()
    answer = None if entry.answer is None else json.dumps(entry.answer)
    at = json.dumps(place)
    return _sealed(run_id, call.number, at, positions, call.key, planned_at, entry.state, answer)


def read_call(row: Row, run_id: str, now: float) -> PastCall | None:
    """Read a row of table ``call`` if it is `run_id`'s; `now` tells whether its key is stale."""
    whose, number, place, positions, key, planned_at, state, answer = _opened(row)
    if whose != run_id:
        return None
    if state == "sent" and not -CLOCK_SLACK_SECONDS <= now - planned_at <= REPLAY_SECONDS:
        state = "stale"
    phase, *at = json.loads(place)
    where = np.frombuffer(positions, "<i4").astype(np.int64)
    call = Call(number, phase, where, key, *at)
    match state, json.loads(answer or "null"):
        case "answered", [applied, cross_org, team_mismatch, request_id]:
            counts = Counts(applied, cross_org, team_mismatch)
            return PastCall(call, state, reply=Reply(counts, request_id))
        case "refused" | "unsent", [code, request_id]:
            return PastCall(call, state, code=code, request_id=request_id)
    return PastCall(call, state)


def is_whole(row: Row) -> bool:
    """Whether the checksum of a row is that of its values."""
    *values, checksum = row
    return bool(checksum == checksum_of(values))


def checksum_of(values: Sequence[Any], start: int = 0) -> int:
    """Add values up behind what was added up before."""
    for value in values:
        start = added(value if isinstance(value, bytes) else repr(value).encode(), start)
    return start


def added(piece: bytes, start: int = 0) -> int:
    """Add a piece up behind what was added up before."""
    return zlib.crc32(piece, zlib.crc32(b"%d:" % len(piece), start))


def _sealed(*values: Any) -> Row:
    plain = tuple(map(_plain, values))
    return (*plain, checksum_of(plain))


def _opened(row: Row) -> Row:
    if not is_whole(row or ("", None)):
        raise DamagedRow
    return row[:-1]


def _plain(value: Any) -> Any:
    """Make plain what is almost a text or a number: what is read again is nothing else."""
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    return float(value) if isinstance(value, float) else operator.index(value)
