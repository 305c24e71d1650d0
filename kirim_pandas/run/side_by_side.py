"""How many calls and searches go side by side, so that neither limit nor latency is left unused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

LEAST_IN_FLIGHT, MAX_IN_FLIGHT = 8, 64
"""Calls under way together: as many as limit and latency ask for, within these bounds. 600 a
minute at 0.8 s take 10, 6000 at 0.2 s take 24; more than 64 threads gain nothing."""

MARGIN = 1.2
"""Latency varies: with just as many as the mean takes, the limit would be missed half the time."""

BURST_PER_SECOND = 320.0
"""While tokens are at hand calls leave at this rate: more a second one process cannot prepare."""

MOST_BATCHES = 100
"""Of one search: planning takes longer than in proportion to what is open."""

# Measured in memory, 1 to 100 batches with 0.1 % to 20 % skipped at random; see
# benchmarks/rounds.py.  A search asks one probe a round at first, and several once it is large.

SINGLE_ROUNDS = 150
"""So many probes go about one a round."""

PROBES_A_ROUND = 1 / 7
"""Probes of each later round, by the probes that a batch takes."""
MOST_A_ROUND = 9.0

OWN_PROBES, OWN_SHARE, MOST_SHARED = 8.0, 0.1, 40.0
"""What a search costs more than its share of one for all: so many probes, and this part of its
own, up to so many."""

PLANNING_SECONDS = 0.003
"""CPU time of a round: the searches of one run share one thread."""

WORTH_SHARE, WORTH_SECONDS = 0.03, 2.0
"""What more searches must save of the time of fewer, to be worth their probes."""

ChooseWidth: TypeAlias = Callable[[int, float], int]
"""``choose(batches, probes)``: batches to be searched, probes that one search expects to take."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What was seen of the service.

    Attributes
    ----------
    per_second
        Calls that it takes for good.
    latency_seconds
        From the leaving of a call to its reply.
    tokens
        Calls that may leave at once.
    """

    per_second: float
    latency_seconds: float
    tokens: float

    @property
    def in_flight(self) -> int:
        """How many calls under way together use limit and tokens at this latency."""
        burst = min(self.tokens, BURST_PER_SECOND * self.latency_seconds)
        steady = MARGIN * self.per_second * self.latency_seconds
        return min(MAX_IN_FLIGHT, max(LEAST_IN_FLIGHT, math.ceil(max(burst, steady))))


def least_width(batches: int, _probes: float = 0.0) -> int:
    """Return the fewest searches that none has too many batches of."""
    return -(-batches // MOST_BATCHES)


def quick_width(batches: int, probes: float, pace: Pace) -> int:
    """Return how many searches side by side are over soonest, the fewest of about as quick ones.

    Parameters
    ----------
    batches
        To be searched.
    probes
        That one search for all expects to take.
    pace
        What is known of limit and latency, and the tokens at hand.
    """
    seconds = partial(seconds_of, batches, probes, pace)
    best = least = least_width(batches)
    for width in range(least + 1, batches + 1):
        if seconds(width) < (1 - WORTH_SHARE) * seconds(best):
            best = width
    return best if seconds(least) - seconds(best) > WORTH_SECONDS else least


def seconds_of(batches: int, probes: float, pace: Pace, width: int) -> float:
    """Return how long so many searches take: as tokens come, or as rounds follow each other."""
    own = probes / width
    asked = probes + width * (OWN_PROBES + min(OWN_SHARE * own, MOST_SHARED))
    a_round = min(MOST_A_ROUND, max(1.0, PROBES_A_ROUND * probes / batches))
    rounds = min(own, SINGLE_ROUNDS) + max(0.0, own - SINGLE_ROUNDS) / a_round
    paced = max(0.0, asked - pace.tokens) / pace.per_second
    in_line = rounds * max(pace.latency_seconds, PLANNING_SECONDS * width)
    return max(paced, in_line, pace.latency_seconds * asked / MAX_IN_FLIGHT)
