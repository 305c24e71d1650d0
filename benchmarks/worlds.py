"""Worlds in which skips have a reason, for `requests.py`: outcomes, columns, the perfect hint."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.attribution import Attribution
from kirim_pandas.grouptesting.outcomes import Counts, Outcome, Positions, cut_batches
from kirim_pandas.guesses.columns import CONNECTED_NUMBER, Column
from kirim_pandas.guesses.search import Guesser

__all__ = ["Reasons", "counts_of", "reasons", "search"]


@dataclass(frozen=True)
class Reasons:
    """A world of contacts in random order.

    Attributes
    ----------
    outcomes : int8 array, shape (contacts,)
        The outcome of each.
    columns : list of Column
        What the frame and the reads say of each.
    hint : array, shape (contacts,)
        What decides.
    known : bool
        Whether the hint was known from an earlier run, and the contacts were sent by it.
    """

    outcomes: NDArray[np.int8]
    columns: list[Column]
    hint: np.ndarray
    known: bool = False


def reasons(rng: np.random.Generator, size: int) -> dict[str, Reasons]:
    """Make the worlds in which skips have a reason, and one in which they have none."""
    number, source, city = (rng.integers(0, values, size) for values in (6, 8, 5))
    day = rng.permutation(size) * 1111 // size
    listed = rng.random(size) >= 0.05
    frame = [
        Column("source", source.astype(np.int32)),
        Column("city", city.astype(np.int32)),
        Column("day", day.astype(np.int32), ordered=True),
        Column("the place in the frame", np.arange(size, dtype=np.int32), ordered=True),
    ]

    def account(shown: np.ndarray) -> list[Column]:
        return [*frame, Column(CONNECTED_NUMBER, shown.astype(np.int32))]

    def by(marked: np.ndarray, hint: np.ndarray, columns: list[Column]) -> Reasons:
        outcomes = np.where(marked, Outcome.TEAM_MISMATCH, Outcome.APPLIED).astype(np.int8)
        return Reasons(outcomes, columns, hint)

    exceptions = rng.random(size) < 0.01
    cells = (rng.random((8, 5)) < 0.3)[source, city]
    foreign = by(~listed, listed, account(np.where(listed, number + 1, 0)))
    foreign.outcomes[~listed] = Outcome.CROSS_ORG
    earlier = by(number < 2, number < 2, [])
    sent = np.argsort(earlier.outcomes, kind="stable")
    return {
        "the connected number decides (3 of 6)": by(number < 3, number, account(number)),
        "the same, 1 % exceptions": by((number < 3) ^ exceptions, number, account(number)),
        "5 % foreign, list read": foreign,
        "the source decides (3 of 8)": by(source < 3, source, frame),
        "two columns together": by(cells, source * 5 + city, frame),
        "a cut in a date (27 %)": by(day < 300, day < 300, frame),
        "second label of a team, first known": Reasons(
            earlier.outcomes[sent], [], earlier.hint[sent], known=True
        ),
        "no reason, 5 %": by(rng.random(size) < 0.05, np.zeros(size, dtype=int), frame),
        "no reason, 20 %": by(rng.random(size) < 0.20, np.zeros(size, dtype=int), frame),
    }


def counts_of(outcomes: NDArray[np.int8], positions: Positions) -> Counts:
    """Return the counts of a call about these contacts."""
    return Counts(*(int(n) for n in np.bincount(outcomes[positions], minlength=4)[1:]))


def search(
    outcomes: NDArray[np.int8], columns: list[Column] | None, groups: np.ndarray | None = None
) -> int:
    """Name all contacts, and return the probes; with columns guesses are made and checked."""
    ask = partial(counts_of, outcomes)
    attribution, probes = Attribution(len(outcomes), groups=groups), 0
    for batch in cut_batches(len(outcomes)):
        attribution.add_batch(batch, ask(batch))
    guesser = Guesser(columns or [])
    while True:
        if columns and not guesser.suppose(attribution):
            guesser.explore(attribution)
        asked = attribution.next_round()
        if not asked:
            break
        probes += len(asked)
        attribution.tell([ask(probe) for probe in asked])
    assert (attribution.confirmed() == outcomes).all(), "a wrong outcome"
    return probes
