"""The service as attribution sees it: counts of contacts in memory, of which some move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kirim_pandas.grouptesting.attribution import Attribution
from kirim_pandas.grouptesting.outcomes import Counts, Outcome, Positions, cut_batches

LARGE = 10**6


@dataclass
class CountingService:
    """Counts by outcome.

    Attributes
    ----------
    truth
        The outcome of each contact, as it is now.
    changes
        Whether `applied` counts only contacts that had no label yet.
    moves
        Before which call (from 1) which contact gets which outcome.
    detaches
        Before which call (from 1) somebody else takes the label off which contacts.
    refused
        Contacts with which no probe is answered.
    log
        Round, contacts and skips of every call that was answered.
    """

    truth: np.ndarray
    changes: bool = False
    moves: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    detaches: dict[int, Sequence[int]] = field(default_factory=dict)
    refused: frozenset[int] = frozenset()
    calls: int = 0
    round: int = 0
    log: list[tuple[int, Positions, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.truth = self.truth.astype(np.int8)
        self.attached = np.zeros(len(self.truth), dtype=bool)

    def ask(self, positions: Positions) -> Counts:
        """Carry a call out."""
        self.calls += 1
        for contact, outcome in self.moves.get(self.calls, ()):
            self.truth[contact] = outcome
        self.attached[list(self.detaches.get(self.calls, ()))] = False
        assert len(np.unique(positions)) == len(positions)
        found = self.truth[positions]
        passing = positions[found == Outcome.APPLIED]
        new = int((~self.attached[passing]).sum())
        self.attached[passing] = True
        cross, team = (int((found == kind).sum()) for kind in (2, 3))
        self.log.append((self.round, positions, cross + team))
        return Counts(new if self.changes else len(passing), cross, team)

    def probe(self, positions: Positions) -> Counts | None:
        """Carry a probe out, unless it holds a contact that is refused by now."""
        if self.refused.intersection(positions.tolist()):
            self.calls += 1
            return None
        return self.ask(positions)


def attribute(service: CountingService, *, budget: int = LARGE, **settings: object) -> Attribution:
    """Send all contacts in batches, and probe to the end."""
    size = len(service.truth)
    attribution = Attribution(size, **settings)
    probe_size = settings.get("probe_size", 1000)
    for batch in cut_batches(size, probe_size):
        attribution.add_batch(batch, service.ask(batch))
    while probes := attribution.next_round(budget):
        assert all(0 < len(probe) <= probe_size for probe in probes)
        assert len(probes) <= budget
        budget -= len(probes)
        service.round += 1
        attribution.tell([service.probe(probe) for probe in probes])
    return attribution
