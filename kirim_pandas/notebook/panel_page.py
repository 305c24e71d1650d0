"""A page of the panel: something is picked, planned, confirmed, run, and reported on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import pandas as pd

from kirim_pandas.errors import InvalidInputError, ShortTraceback
from kirim_pandas.notebook.job import LabelJob

if TYPE_CHECKING:
    from kirim_pandas.frames.reports import Report


@dataclass(frozen=True)
class Whom:
    """Where the contacts are: a column of ids, or of phone numbers to look them up by."""

    id_column: Hashable | None = None
    phone: Hashable | None = None

    @property
    def missing(self) -> list[str]:
        """Name what is not picked yet."""
        found = self.id_column is not None or self.phone is not None
        return [] if found else ["the column of contact ids, or of phone numbers"]


class Planned(Protocol):
    """A plan, as a page shows it and asks about it."""

    @property
    def reached(self) -> int:
        """Distinct contacts that would be labeled."""

    def _repr_html_(self) -> str: ...


PlanT = TypeVar("PlanT", bound=Planned)
ChosenT = TypeVar("ChosenT", bound="Whom")
PlanOut = TypeVar("PlanOut", bound=Planned, covariant=True)
ChosenIn = TypeVar("ChosenIn", contravariant=True)


class PageBackend(Protocol[ChosenIn, PlanOut]):
    """What a page is given to work with."""

    def plan(self, chosen: ChosenIn) -> PlanOut:
        """Reckon what a run would cost."""

    def start(self, chosen: ChosenIn) -> LabelJob:
        """Start the run."""

    def report(self, result: pd.DataFrame, chosen: ChosenIn) -> Report:
        """Report on a result."""

    def save_list(self, result: pd.DataFrame, path: str | Path | None) -> tuple[Path, int]:
        """Write who is not applied to a file; tell which, and how many rows."""


class PageView(Protocol):
    """What shows a page."""

    def refresh(self) -> None:
        """Show what is picked."""

    def show_plan(self, plan: Any) -> None:
        """Show a plan, and ask."""

    def watch(self, job: LabelJob) -> None:
        """Show a job, and at its end the report."""


class Page(ABC, Generic[ChosenT, PlanT]):
    """What is picked and confirmed, and the run of it.

    Parameters
    ----------
    backend
        Does the work.
    chosen
        What is picked at first.
    """

    def __init__(self, backend: PageBackend[ChosenT, PlanT], chosen: ChosenT) -> None:
        self._tasks = backend
        self._chosen = chosen
        self._confirmed: ChosenT | None = None
        self._ran: ChosenT | None = None
        self.job: LabelJob | None = None
        self.view: PageView | None = None

    @property
    def chosen(self) -> ChosenT:
        """What was picked so far."""
        return self._chosen

    @abstractmethod
    def question(self, plan: PlanT) -> str:
        """Say what a run would do, and to how many customers."""

    @abstractmethod
    def _missing(self) -> list[str]:
        """Name what is not picked yet."""

    def plan(self) -> PlanT:
        """Reckon what the run would touch and cost; sends nothing but look-ups by phone.

        Returns
        -------
        Plan
            As of ``df.kirim.plan``; of segments with the customers of each label.

        Raises
        ------
        InvalidInputError
            Something is not picked yet, or the frame is not usable.
        """
        if missing := self._missing():
            raise InvalidInputError(f"Choose {' and '.join(missing)} first.")
        plan = self._tasks.plan(self._chosen)
        if self.view is not None:
            self.view.show_plan(plan)
        return plan

    @ShortTraceback()
    def confirm(self) -> str:
        """Allow :meth:`run` for exactly what is picked now.

        Returns
        -------
        str
            What will be done, and to how many customers.

        Raises
        ------
        InvalidInputError
            As for :meth:`plan`.
        """
        sentence = self.question(self.plan())
        self._confirmed = self._chosen
        self._changed()
        return sentence

    def withdraw(self) -> None:
        """Take the confirmation back."""
        self._confirmed = None
        self._changed()

    @property
    def confirmed(self) -> bool:
        """Whether exactly what is picked now was confirmed."""
        return self._confirmed is not None and self._confirmed == self._chosen

    @property
    def running(self) -> bool:
        """Whether a run of this page is under way."""
        return self.job is not None and not self.job.done

    @ShortTraceback()
    def run(self) -> LabelJob:
        """Start the run in the background.

        Returns
        -------
        LabelJob
            Also kept as ``.job``.

        Raises
        ------
        InvalidInputError
            It was not confirmed, or a run of this page is under way.
        ConfigurationError, JournalError
            It could not be started; nothing was sent.
        """
        if self.running:
            raise InvalidInputError("A run is under way; wait for it, or cancel it first.")
        if not self.confirmed:
            raise InvalidInputError(
                "Not confirmed yet: .confirm() says what will be done, and to how many customers."
            )
        job = self._tasks.start(self._chosen)
        self._ran, self._confirmed = self._chosen, None  # one confirmation, one run
        return self._watched(job)

    def resume(self) -> LabelJob:
        """Go on with a run that was cancelled or ended by an error; as ``.job.resume()``.

        Returns
        -------
        LabelJob
            Also kept as ``.job``.
        """
        return self._watched(self._started().resume())

    def result(self, timeout_seconds: float | None = None) -> pd.DataFrame:
        """Wait for the run; as ``.job.result()``."""
        return self._started().result(timeout_seconds)

    @ShortTraceback()
    def report(self) -> Report:
        """Report on the run that has ended, complete or not.

        Raises
        ------
        InvalidInputError
            No run has ended yet.
        """
        ended, ran = self._ended()
        return self._tasks.report(ended, ran)

    def save_list(self, path: str | Path | None = None) -> Path:
        """Write the rows that were to be labeled and are not to a CSV file, with your columns.

        Parameters
        ----------
        path
            A file that is not there yet; None for one in the working folder, called after the run,
            which a later list of the same run replaces.

        Returns
        -------
        Path
            Where it stands.  Text that a spreadsheet would take for a formula is made harmless.

        Raises
        ------
        InvalidInputError
            No run has ended yet, or the file cannot be written.
        """
        return self.listed(path)[0]

    def listed(self, path: str | Path | None = None) -> tuple[Path, int]:
        """Do what :meth:`save_list` does, and tell the number of rows as well."""
        return self._tasks.save_list(self._ended()[0], path)

    def _ended(self) -> tuple[pd.DataFrame, ChosenT]:
        """Give the result of the run that has ended, and what had been picked for it."""
        ending = self._started().ending
        if ending is None or ending.frame is None or self._ran is None:
            raise InvalidInputError("There is no result yet; .result() waits for it.")
        return ending.frame, self._ran

    def _watched(self, job: LabelJob) -> LabelJob:
        self.job = job
        if self.view is not None:
            self.view.watch(job)
        else:
            job.announce()
        return job

    def _started(self) -> LabelJob:
        if self.job is None:
            raise InvalidInputError("Nothing was run yet: .confirm(), then .run().")
        return self.job

    def choose_whom(self, id_column: Hashable | None, phone: Hashable | None) -> None:
        """Say where the contacts are; checked by the panel, whose pages share it."""
        self._choose(id_column=id_column, phone=phone)

    def _choose(self, **changes: Any) -> None:
        self._chosen = replace(self._chosen, **changes)
        self._changed()

    def _changed(self) -> None:
        if self.view is not None:
            self.view.refresh()
