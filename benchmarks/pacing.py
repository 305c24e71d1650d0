"""How much of the organisation's bucket a run uses when nobody else is there, and its 429s.

Run ``python benchmarks/pacing.py``.  The sandbox has a fast bucket, so a minute of the service is
a few seconds here.  A bucket begins full, and the run may use `share` of it: what it could have
sent in its time is the tokens it may take at the start and those that came back meanwhile.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from ratios import print_ratio

import kirim_pandas as kp
from kirim_pandas.grouptesting.outcomes import Counts
from kirim_pandas.run.calls import Call, Reply
from kirim_pandas.run.pool import CallPool, Done
from kirim_pandas.verbs.execution import pace_of

LEAST_SHARE = 0.97
"""What the project promises of the bucket."""


def measure(write_per_minute: int, seconds: float, share: float) -> tuple[float, int, int, float]:
    """Label contacts for about `seconds` with the bucket as the only limit.

    Returns
    -------
    tuple
        Share of what could have been sent, calls, 429s, seconds.
    """
    per_second = write_per_minute / 60
    reserve = (1 - share) * write_per_minute
    calls = int(write_per_minute - reserve + per_second * seconds)
    with kp.sandbox.start(contacts=calls, write_per_minute=write_per_minute) as box:
        label_id = box.labels["id"].iloc[0]
        ids = box.contacts["contact_id"].tolist()
        client = box.client(share=share)
        sent_by = _in_flight(client, ids, label_id)
        log = box.requests()
        times = log["seconds"].to_numpy()
        # The clock runs from the first request, which goes alone, to the last.
        elapsed = times[-1] - times[0]
        possible = write_per_minute - reserve + per_second * elapsed
        return sent_by / possible, sent_by, int((log["status"] == 429).sum()), elapsed


def _in_flight(client: kp.Client, ids: list[str], label_id: str) -> int:
    """Send one call a contact through the run's own pool."""

    def send(call: Call, *_: object) -> Reply:
        reply = client.bulk_label([ids[call.number]], label_id, "attach", idempotency_key=call.key)
        return Reply(Counts(reply.applied, reply.cross_org, reply.team_mismatch), None)

    pool = CallPool(send, max_in_flight=lambda: pace_of(client).in_flight)
    waiting = iter(range(len(ids)))
    done = 0
    left = True
    while left or pool.in_flight:
        while left and pool.room():
            number = next(waiting, None)
            if number is None:
                left = False
                break
            pool.submit(Call(number, "apply", np.array([number]), f"key-{number}"))
        news = pool.take(0.5)
        if isinstance(news, Done):
            if news.error is not None:
                raise news.error
            done += 1
    pool.close()
    return done


def main() -> int:
    """Print the figures; the exit status is 1 if a promise is broken."""
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    made.add_argument("--per-minute", type=int, nargs="*", default=[600, 1500, 3000])
    given = made.parse_args()
    least, refused = 1.0, 0
    print(
        f"{'writes/min':>10} {'share':>6} {'calls':>6} {'seconds':>8} {'of bucket':>9} {'429s':>5}"
    )
    for write_per_minute in given.per_minute:
        for share in (0.9, 1.0):
            used, calls, limited, elapsed = measure(write_per_minute, given.seconds, share)
            least, refused = min(least, used), refused + limited
            print(
                f"{write_per_minute:>10,} {share:>6} {calls:>6,} {elapsed:>8.1f} {used:>9.1%} "
                f"{limited:>5}"
            )
    kept = print_ratio("least_share_of_bucket", least, at_least=LEAST_SHARE)
    return int(not (print_ratio("calls_refused_429", refused, at_most=0) and kept))


if __name__ == "__main__":
    sys.exit(main())
