"""The second page of the panel: a column, a label for each of its values, one run for all."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.columns import check_label, segment_columns, told_values, values_in
from kirim_pandas.frames.plan import SegmentsPlan
from kirim_pandas.frames.shapes import expect, shorten
from kirim_pandas.notebook.panel_labels import KnownLabels, PanelLabel, check_choice
from kirim_pandas.notebook.panel_page import Page, PageBackend, Whom
from kirim_pandas.notebook.texts import many


@dataclass(frozen=True)
class SegmentChoices(Whom):
    """What was picked so far for segments: a column, and of its values those with a label."""

    column: Hashable | None = None
    labels: tuple[tuple[Hashable, PanelLabel], ...] = ()
    exclusive: bool = False


class SegmentsPage(Page[SegmentChoices, SegmentsPlan]):
    """A label for each value of a column; ``panel.segments``.

    Parameters
    ----------
    frame
        The contacts.
    backend
        Does the work.
    known
        The labels, which both pages share.
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        backend: PageBackend[SegmentChoices, SegmentsPlan],
        known: KnownLabels,
    ) -> None:
        super().__init__(backend, SegmentChoices())
        self.columns = segment_columns(frame)
        self.known = known
        self._frame = frame
        self._counts = pd.Series(dtype="int64")

    # -- pick ------------------------------------------------------------------------------

    @property
    def values(self) -> pd.DataFrame:
        """The values of the column: ``value``, ``rows`` (int64), ``label`` (string)."""
        names = {value: self.known.named(label) for value, label in self._chosen.labels}
        labels = [names.get(value) for value in self._counts.index]
        return pd.DataFrame(
            {
                "value": self._counts.index,
                "rows": self._counts.array,
                "label": pd.array(labels, "string"),
            }
        )

    @property
    def without_value(self) -> int:
        """Rows in which the column is missing."""
        return len(self._frame) - int(self._counts.sum())

    def choose_column(self, label: Hashable) -> None:
        """Choose the column whose values are the segments.

        A value that is called as just one label is given that label at first.
        """
        check_choice(label, self.columns, argument="column", what="of few values")
        self._counts = values_in(self._frame, label)
        self._choose(column=label, labels=self._of_the_same_name())

    def choose_label(self, value: Hashable, label: str | None) -> None:
        """Choose the label of a value, by its name or id; None for no label."""
        labels = dict(self._chosen.labels)
        labels.pop(self._value(value), None)
        if label is not None:
            labels[self._value(value)] = self.known.find(label)
        self._choose(
            labels=tuple((one, labels[one]) for one in self._counts.index if one in labels)
        )

    def choose_exclusive(self, exclusive: bool) -> None:
        """Say whether each label is also taken off the customers of the other segments."""
        expect(exclusive, (bool, np.bool_), argument="exclusive", expected="True or False")
        self._choose(exclusive=bool(exclusive))

    def labels_changed(self) -> None:
        """Take notice of labels that are loaded."""
        self._choose(labels=self._chosen.labels or self._of_the_same_name())

    def question(self, plan: SegmentsPlan) -> str:
        """Say what a run would do, and to how many customers of each label."""
        labels = {label.id: self.known.named(label) for _, label in self._chosen.labels}
        told = [
            f"{labels[label_id]} to {many(number, 'customer')}"
            for label_id, number in plan.customers.items()
        ]
        others = ", and take each off the others" if self._chosen.exclusive else ""
        return f"attach {_together(told)}{self.known.of_whom}{others}"

    def _missing(self) -> list[str]:
        chosen = self._chosen
        column = ["a column of segments"] * (chosen.column is None)
        labels = ["a label for at least one value"] * (not chosen.labels)
        return [*column, *labels, *chosen.missing]

    def _of_the_same_name(self) -> tuple[tuple[Hashable, PanelLabel], ...]:
        called = [(value, self.known.called(str(value))) for value in self._counts.index]
        return tuple((value, found[0]) for value, found in called if len(found) == 1)

    def _value(self, given: Hashable) -> Hashable:
        """Find the value that is meant: equal, or, such as an interval, written alike."""
        values: list[Hashable] = list(self._counts.index)
        check_label(given, argument="value")
        found = [value for value in values if (value == given) is True]
        found += [value for value in values if str(value) == str(given)]
        if not found:
            raise InvalidInputError(
                f"{shorten(given)} is no value of the column; "
                f"{told_values(values, int(self._counts.sum()))}."
            )
        return found[0]


def _together(told: list[str]) -> str:
    return " and ".join([", ".join(told[:-1]), *told[-1:]] if len(told) > 1 else told)
