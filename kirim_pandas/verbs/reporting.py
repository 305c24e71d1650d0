"""Reports on a result frame, with what this process still knows of its run."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from kirim_pandas import session
from kirim_pandas.errors import InvalidInputError, KirimError
from kirim_pandas.frames import reports
from kirim_pandas.frames.columns import listed
from kirim_pandas.frames.pairing import Source, result_column
from kirim_pandas.frames.reports import Report, RunFacts
from kirim_pandas.frames.results import RUN_ID_ATTR, STATUSES
from kirim_pandas.frames.shapes import expect
from kirim_pandas.frames.summary import By
from kirim_pandas.journal.store import Journal
from kirim_pandas.run.calls import counted_in
from kirim_pandas.verbs.argument_checks import ShortTraceback, flag_problems, refuse
from kirim_pandas.verbs.segments.prepared import ABOUT
from kirim_pandas.verbs.segments.resume_and_result import recalled
from kirim_pandas.verbs.segments.series import facts_of, runs_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


Named = TypeVar("Named")

_UNKNOWN_HERE = "Label and operation are not known here: this journal does not have the run."
_FOUND = "The result carries no run id; the run was found by its contacts and outcomes."
_NOT_FOUND = (
    "Label, operation and run cannot be told: the result carries no run id (it is lost in "
    "pd.concat and in files), and this journal has no run of these contacts and outcomes."
)


def summary(result: pd.DataFrame, by: By = None, *, data: Source | None = None) -> pd.DataFrame:
    """Count; documented at ``result.kirim.summary``."""
    return reports.summary(result, by, data=_data(result, data))


def compare(
    result_a: pd.DataFrame | str, result_b: pd.DataFrame | str, *, unchanged: bool = False
) -> pd.DataFrame:
    """List the contacts that differ between two results: another outcome, or in one of them only.

    Parameters
    ----------
    result_a, result_b
        Two results of one label and operation, or the ids of their runs, the earlier one first;
        of a sync its members, those who entered and those who stayed, are compared.
        Rows without a usable id are no contacts and are left out.
    unchanged
        True lists the contacts with the same outcome, too; then every contact of either result
        has its row, so that ``["change"].value_counts()`` adds up.

    Returns
    -------
    DataFrame
        One row per contact, those of `result_a` in its order, then those of `result_b` alone, with
        a RangeIndex: contact_id (string), change (category: changed, only_before where
        `result_b` does not have the contact, only_after where `result_a` does not, unchanged),
        status_a (category), reason_a (string), status_b (category), reason_b (string).  Status and
        reason are missing on the side that does not have the contact.

    Raises
    ------
    InvalidInputError
        One of them is no result frame and no run of this journal, or tells two outcomes of one
        contact; or they are known, in this process or the journal, to be of different labels or
        operations, so that ``applied`` does not mean the same.  A result from a file names no run;
        it is looked for by its contacts and outcomes.
    JournalError
        A run that is named is at work, or the journal cannot be read.

    Examples
    --------
    >>> import kirim_pandas as kp
    >>> with kp.sandbox.start(contacts=30, write_per_minute=6000) as sandbox:
    ...     label_id = sandbox.labels["id"].iloc[0]
    ...     settings = {"client": sandbox.client(), "progress": False}
    ...     first = sandbox.contacts.kirim.bulk_label(label_id, "attach", **settings)
    ...     again = sandbox.contacts.kirim.bulk_label(label_id, "attach", **settings)
    >>> len(kp.compare(first, again)), len(kp.compare(first, again, unchanged=True))
    (0, 30)
    >>> len(kp.compare(first.attrs["kirim_run_id"], again))
    0
    """
    with ShortTraceback():
        refuse(flag_problems(unchanged=unchanged))
        result_a, result_b = (
            recalled(given) if isinstance(given, str) else given for given in (result_a, result_b)
        )
        result_a, result_b = map(_of_one_label, (result_a, result_b))
        _check_same_meaning(run_of(result_a), run_of(result_b))
        return reports.compare(result_a, result_b, unchanged=unchanged)


def _of_one_label(result: pd.DataFrame) -> pd.DataFrame:
    """Take of a sync its members, and refuse a result of several labels or operations."""
    if not isinstance(result, pd.DataFrame) or not set(ABOUT) <= set(result.columns):
        return result
    if "change" in result.columns:
        return result[result_column(result, "change").isin(["entered", "stayed"])]
    several = [name for name in ABOUT if result_column(result, name).nunique() > 1]
    if several:
        raise InvalidInputError(
            f"One of the results tells several {listed(several)}, so a contact's outcomes are not "
            "of the same. Choose one, such as result[result['label'] == 'Gold']."
        )
    return result


def _check_same_meaning(first: RunFacts, second: RunFacts) -> None:
    for what in ("operation", "label_id"):
        a, b = getattr(first, what), getattr(second, what)
        if a and b and a != b:
            raise InvalidInputError(
                f"The first result is of {what} {a}, the second of {b}, so applied does not "
                "mean the same in both: compare two results of one label and operation."
                + _which(first)
                + _which(second)
            )


def _which(run: RunFacts) -> str:
    """Say that a result's run is known by its contacts alone, for that may be another."""
    if not run.note:
        return ""
    return f" {run.note} If it is of another run, say so: result.attrs[{RUN_ID_ATTR!r}] = run_id."


def plot(
    result: pd.DataFrame, by: By = None, *, data: Source | None = None, **options: Any
) -> Axes:
    """Draw; documented at ``result.kirim.plot``."""
    return reports.plot(result, by, data=_data(result, data), **options)


def people(result: pd.DataFrame, *, data: Source | None = None, **options: Any) -> pd.DataFrame:
    """List who is meant; documented at ``result.kirim.people``."""
    return reports.people(result, data=_data(result, data), **options)


def not_applied(result: pd.DataFrame) -> pd.DataFrame:
    """List the rows that were to be done and are not, with all columns of the frame."""
    return reports.not_applied(result, data=_data(result, None))


def report(
    result: pd.DataFrame,
    by: By = None,
    *,
    data: Source | None = None,
    label_name: str | None = None,
    people: bool = False,
    **options: Any,
) -> Report:
    """Write a report; documented at ``result.kirim.report``."""
    refuse(flag_problems(people=people))
    expect(label_name, str | None, argument="label_name", expected="text, or None")
    facts = run_of(result)
    facts = replace(facts, label_name=label_name or facts.label_name)
    source = _data(result, data)
    return reports.report(result, facts, by=by, data=source, people=people, **options)


def _data(result: pd.DataFrame, data: Source | None) -> Source | None:
    """Find the frame the result was made from, unless the caller names one."""
    if data is not None or not isinstance(result, pd.DataFrame):
        return data
    known = session.recall(result.attrs.get(RUN_ID_ATTR))
    return known.source if known else None


# -- which run a result is of --------------------------------------------------------------


def run_of(result: pd.DataFrame) -> RunFacts:
    """Find what is known of the run of a result, in this process, else in the journal.

    Parameters
    ----------
    result
        A result frame.  ``attrs`` name its run; they are lost in ``pd.concat`` and in CSV files,
        and then the run is found again by its contacts.

    Returns
    -------
    RunFacts
        What cannot be told for certain is None, and ``note`` says so.
    """
    return _as_told(_found_run(result), result)


def _as_told(facts: RunFacts, result: pd.DataFrame) -> RunFacts:
    """Add what the result of a series tells itself, where all its rows tell the same."""
    if not set(ABOUT) <= set(result.columns):
        return facts
    label_id, label, operation = (_of_all(result, column) for column in ABOUT)
    if result_column(result, "operation").isna()[_is_applied(result)].any():
        operation = None  # some are as they are by earlier runs, of either operation
    return replace(
        facts,
        label_id=facts.label_id or label_id,
        label_name=facts.label_name or (None if label == label_id else label),
        operation=facts.operation or operation,
    )


def _is_applied(result: pd.DataFrame) -> pd.Series[bool]:
    return result_column(result, "status").eq("applied").fillna(value=False).astype(bool)


def _of_all(result: pd.DataFrame, column: str) -> str | None:
    return _only(set(result_column(result, column).dropna().astype(str)))


def _found_run(result: pd.DataFrame) -> RunFacts:
    contacts = set(result_column(result, "contact_id").dropna())
    run_id = result.attrs.get(RUN_ID_ATTR)
    if run_id is not None:
        return known_facts(run_id)
    figures = Counter(result_column(result, "status").dropna().astype(str))
    known = _known_runs()
    runs = [run for run in known if run.may_be_of(figures, contacts)]
    runs = [run for run in runs if run.figures == figures] or runs
    parts = [run for run in known if run.is_part_of(figures, contacts)]
    told = [run.facts() for run in runs] + _together(parts, contacts)
    return _in_common(list(dict.fromkeys(told)))


def _together(parts: list[_Run], contacts: set[str]) -> list[RunFacts]:
    """Find the runs of one label and operation that make up a result which pd.concat made."""
    alike: defaultdict[tuple[str | None, str | None], set[str]] = defaultdict(set)
    told = [(part, part.facts()) for part in parts]
    for part, facts in told:
        alike[facts.label_id, facts.operation].update(part.contacts())
    return [run for _, run in told if alike[run.label_id, run.operation] == contacts]


@dataclass(frozen=True, eq=False)
class _Run:
    """A run that a result may be of: its rows by status, and ways to its contacts and its facts."""

    figures: Counter[str]
    contacts: Callable[[], Iterable[str]]
    facts: Callable[[], RunFacts]

    def may_be_of(self, figures: Counter[str], contacts: set[str]) -> bool:
        """Whether a result of these rows by status and these contacts may be a part of it."""
        return bool(contacts) and figures <= self.figures and contacts <= set(self.contacts())

    def is_part_of(self, figures: Counter[str], contacts: set[str]) -> bool:
        """Whether a result of these rows by status and these contacts may hold all of it."""
        return self.figures <= figures and contacts.issuperset(self.contacts())


def _known_runs() -> list[_Run]:
    """List the runs of the journal, and those of this process, which may not be written down."""
    runs = {
        run_id: _Run(Counter(known.figures), known.source.contact_id.dropna, partial(_told, known))
        for run_id, known in session.recent().items()
        if known.source is not None
    }
    with _journal() as journal:
        for record in journal.runs() if journal else ():
            figures = Counter({name: (record.summary or {}).get(name, 0) for name in STATUSES})
            contacts = partial(_contacts, record.run_id)
            facts = partial(known_facts, record.run_id)
            runs.setdefault(record.run_id, _Run(figures, contacts, facts))
    return list(runs.values())


def _told(known: session.Remembered) -> RunFacts:
    return known.facts


def _contacts(run_id: str) -> list[str]:
    with _journal() as journal:
        return journal.contact_ids(run_id) if journal else []


def known_facts(run_id: str) -> RunFacts:
    """Find what is known of a run: in this process, else in the journal, else that it is not."""
    known = session.recall(run_id)
    if known is not None:
        return known.facts
    with _journal() as journal:
        if journal is None:
            return RunFacts(run_id=run_id, note=_UNKNOWN_HERE)
        try:
            if runs := runs_of(run_id, None):
                return facts_of(
                    runs, [past for run in runs for past in journal.load(run.run_id)[1]]
                )
            record, past = journal.load(run_id)
        except KirimError:  # of another machine, or damaged
            return RunFacts(run_id=run_id, note=_UNKNOWN_HERE)
    return RunFacts(
        run_id=run_id,
        label_id=record.label_id,
        operation=record.operation,
        started=datetime.fromtimestamp(record.started_at, UTC).astimezone(),
        requests=len(past),
        found=(record.summary or {}).get("found", ""),
        counted=counted_in(past),
    )


@contextmanager
def _journal() -> Iterator[Journal | None]:
    """Open the usual journal to look something up; None where it cannot be read."""

    try:
        journal = Journal()
    except KirimError:  # a report does not need it
        yield None
        return
    with closing(journal):
        yield journal


def _in_common(runs: list[RunFacts]) -> RunFacts:
    """Say what all the runs that a result may be of have in common."""
    if not runs:
        return RunFacts(note=_NOT_FOUND)
    if len(runs) == 1:
        return replace(runs[0], note=_FOUND)
    return RunFacts(
        label_id=_only({run.label_id for run in runs}),
        operation=_only({run.operation for run in runs}),
        note=f"The result carries no run id, and {len(runs)} runs have its contacts and outcomes: "
        f"{listed([str(run.run_id) for run in runs])}.",
    )


def _only(values: set[Named]) -> Named | None:
    return values.pop() if len(values) == 1 else None
