"""Between Dask and the verbs: contacts out of a Dask DataFrame, outcomes back into one."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import dask
import pandas as pd
from dask.delayed import delayed

from kirim_pandas.dask.joining import Answers, answered
from kirim_pandas.dask.reading import Once, Seen, Sought, look, merged
from kirim_pandas.errors import InvalidInputError, KirimError, RunInterrupted
from kirim_pandas.frames.id_errors import no_candidate, no_id_among, no_text_in, several_candidates
from kirim_pandas.frames.shapes import held_by
from kirim_pandas.verbs.lookups.matching import check_column

if TYPE_CHECKING:
    import dask.dataframe as dd


AT_ONCE = 8
"""Parts that are put together in one step, so that no worker holds many of them."""


@dataclass(frozen=True, eq=False)
class Read:
    """The contacts of a Dask DataFrame, read by its workers.

    Attributes
    ----------
    ddf : dask.dataframe.DataFrame
        Where they stand.
    sought : Sought
        What says which contact a row means.
    seen : Seen
        What was found.
    """

    ddf: dd.DataFrame
    sought: Sought
    seen: Seen

    @property
    def once(self) -> Once:
        """Each contact once."""
        assert self.seen.once is not None  # the column that was chosen was read
        return self.seen.once

    @property
    def named(self) -> dict[str, Any]:
        """What tells a verb of pandas which column of these contacts is theirs."""
        name = "id_column" if self.sought.by == "id" else self.sought.by
        return {name: self.once.frame.columns[0]}

    @property
    def own(self) -> str | None:
        """The column of a result that each row has in itself."""
        return "contact_id" if self.sought.by == "id" else None

    def joined(self, known: pd.DataFrame, nobody: pd.DataFrame, *, own: str | None) -> dd.DataFrame:
        """Give each row of the Dask DataFrame what is known of its contact; lazy.

        Parameters
        ----------
        known
            A row for each contact, in their order.
        nobody, own
            As for `Answers`.
        """
        answers = Answers.of(self.once.frame, known, nobody, sought=self.sought, own=own)
        told: dict[str, Any] = {"sought": self.sought, "own": own}
        meta = answered(self._narrow._meta, answers, **told)
        return self._narrow.map_partitions(
            answered, delayed(answers, traverse=False), meta=meta, **told
        )

    def carried_out(
        self, act: Callable[[], pd.DataFrame], nobody: pd.DataFrame, *, own: str | None
    ) -> dd.DataFrame:
        """Do what tells the outcome of each contact, and join it; also what an error carries."""
        try:
            known = act()
        except (KirimError, RunInterrupted) as error:
            if error.result is not None:
                error.result = self.joined(error.result, nobody, own=own)
            raise
        return self.joined(known, nobody, own=own)

    @property
    def _narrow(self) -> dd.DataFrame:
        """The frame with no more columns than are needed to find the contacts."""
        return narrow(self.ddf, [self.sought.column, self.sought.segment])


def narrow(ddf: dd.DataFrame, labels: list[Hashable]) -> dd.DataFrame:
    """Take some columns only, so that no others are read; index levels come with them."""
    return ddf[[name for name in dict.fromkeys(labels) if name is not None and name in ddf.columns]]


def read(ddf: dd.DataFrame, sought: Sought) -> Read:
    """Let the workers read the contacts.

    Parameters
    ----------
    ddf
        Has the columns that are named; only read.
    sought
        What says which contact a row means.

    Raises
    ------
    InvalidInputError
        The column holds no contacts, or no column does, or more than one.
    """
    if sought.by != "id":
        seen = _only(_seen(ddf, sought))
        check_column(pd.Series(seen.odd), seen.present, seen.usable, sought.by)
        return Read(ddf, sought, seen)
    if sought.column is not None:
        return Read(ddf, sought, _checked(_only(_seen(ddf, sought))))
    return _found(ddf, sought)


def _seen(ddf: dd.DataFrame, sought: Sought) -> dict[Any, Seen]:
    """Read all partitions, and put together what is in them, on the workers."""
    if sought.column is not None and sought.beside is not None:
        ddf = narrow(ddf, [sought.column, *sought.beside])
    parts = [delayed(look)(part, sought) for part in ddf.to_delayed()]
    while len(parts) > 1:
        parts = [
            delayed(merged)(parts[first : first + AT_ONCE], sought)
            for first in range(0, len(parts), AT_ONCE)
        ]
    (found,) = dask.compute(parts[0])
    return found  # type: ignore[no-any-return]  # Dask is not annotated


def _only(found: dict[Any, Seen]) -> Seen:
    (seen,) = found.values()
    return seen


def _checked(seen: Seen) -> Seen:
    """Refuse a column that was named and can only be the wrong one."""
    held = held_by(seen.place.array.dtype)
    if held is not None and seen.present:
        raise no_text_in(seen.place, held)
    if seen.present and not seen.usable:
        raise no_id_among(seen.place, seen)
    return seen


def _found(ddf: dd.DataFrame, sought: Sought) -> Read:
    """Find the one column or level that holds contact ids."""
    found = list(_seen(ddf, sought).values())
    # A partition without an id in a sample may hold some: what is to be compared is counted.
    exact = [
        _only(_seen(ddf, replace(sought, column=one.place.label)))
        if one.unread and one.usable
        else one
        for one in found
    ]
    candidates = [one for one in exact if one.is_mostly_ids]
    if not any(one.rows for one in found):  # nothing is sent, whichever it is
        candidates = found[:1]
    if len(candidates) == 1:
        return _chosen(ddf, sought, candidates[0])
    if candidates:
        raise several_candidates([one.place for one in candidates])
    raise no_candidate([one.found for one in exact])


def _chosen(ddf: dd.DataFrame, sought: Sought, seen: Seen) -> Read:
    if seen.place.label is None:
        raise InvalidInputError(
            "The contact ids stand in an index without a name, by which the workers cannot find "
            "them. Give it one: ddf.rename_axis('contact_id')."
        )
    sought = replace(sought, column=seen.place.label)
    return Read(ddf, sought, seen if seen.once else _only(_seen(ddf, sought)))
