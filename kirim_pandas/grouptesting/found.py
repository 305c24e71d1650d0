"""What is found of each contact: one set of arrays for all who search, with running counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.outcomes import Outcome, Positions

Mask = NDArray[np.bool_]


class Found:
    """What is found of each of `contact_count` contacts.

    Attributes
    ----------
    outcomes : ndarray of int8
        An `Outcome` for each position.
    probed, known, confirmed, given_up : ndarray of bool
        Where probes were needed to know it, where the search is over, where a pure call has
        proved it since, and what is left undetermined for good.
    batch_of : ndarray of int32
        The number of the batch of each position, -1 for none.
    known_count, confirmed_count : int
        Contacts that are `known` and `confirmed`: to count them anew each round would take most
        of the time of a large run.
    """

    def __init__(self, contact_count: int) -> None:
        self.outcomes: NDArray[np.int8] = np.zeros(contact_count, dtype=np.int8)
        self.probed: Mask = np.zeros(contact_count, dtype=np.bool_)
        self.known: Mask = np.zeros(contact_count, dtype=np.bool_)
        self.confirmed: Mask = np.zeros(contact_count, dtype=np.bool_)
        self.given_up: Mask = np.zeros(contact_count, dtype=np.bool_)
        self.batch_of: NDArray[np.int32] = np.full(contact_count, -1, dtype=np.int32)
        self.known_count = self.confirmed_count = 0

    def name(self, positions: Positions, outcome: Outcome) -> None:
        """Take in what the search has found of contacts."""
        self.known_count += len(positions) - int(np.count_nonzero(self.known[positions]))
        self.known[positions] = True
        self.outcomes[positions] = outcome

    def reopen(self, positions: Positions) -> None:
        """Forget what was found of contacts."""
        self.known_count -= int(np.count_nonzero(self.known[positions]))
        self.known[positions] = False
        self.outcomes[positions] = Outcome.UNDETERMINED

    def give_up(self, positions: Positions) -> None:
        """Leave contacts undetermined for good."""
        self.given_up[positions] = True
        self.reopen(positions)

    def vouch(self, positions: Positions) -> None:
        """Take in that a pure call has proved what was found of these contacts."""
        self.confirmed_count += len(positions) - int(np.count_nonzero(self.confirmed[positions]))
        self.confirmed[positions] = True

    def forget_applied(self) -> None:
        """Have who was found applied proved anew, for `applied` is read otherwise from now on."""
        self.confirmed &= self.outcomes != Outcome.APPLIED
        self.confirmed_count = int(np.count_nonzero(self.confirmed))

    def open(self, among: Positions) -> Positions:
        """Return the contacts of which the search is neither over nor given up."""
        return among[~self.known[among] & ~self.given_up[among]]
