"""Every small world: contacts move at any instants, and nothing untrue may be said of anybody.

    python benchmarks/small_worlds.py --contacts 4 --batch 2 --sort "some deleted" --seconds 600
    python benchmarks/small_worlds.py --contacts 4 --batch 2 --caps 6

A search that is exhausted says so. With ``--few 6`` four and five contacts take seconds a sort, as
they are asked about one by one; without, four take a minute or two.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from support.reply_tree import SORTS, ReplyTree


def search(tree: ReplyTree, seconds: float) -> bool:
    """Follow a tree for at most so long; tell whether all of it was followed."""
    end = time.monotonic() + seconds
    return all(time.monotonic() <= end for _ in tree.follow())


def main() -> int:
    """Print a line for each search; return how many found something untrue."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contacts", type=int, default=3)
    parser.add_argument("--batch", type=int, help="contacts of a call; all, unless it is given")
    parser.add_argument("--sort", choices=SORTS, action="append")
    parser.add_argument("--moves", type=int, default=2)
    parser.add_argument("--caps", type=int, default=0, help="also all caps below this")
    parser.add_argument("--stops", action="store_true", help="judge after each round, too")
    parser.add_argument("--few", type=int, default=0, help="so many are asked about one by one")
    parser.add_argument("--seconds", type=float, default=600.0, help="for each search")
    given = parser.parse_args()
    size = given.batch or given.contacts
    bad = 0
    for sort in given.sort or SORTS:
        for cap in [None, *range(given.caps)]:
            tree = ReplyTree(given.contacts, size, sort, given.moves, cap, given.stops, given.few)
            began = time.process_time()
            whole = search(tree, given.seconds)
            print(
                f"{sort}: {given.contacts} contacts, {size} a call, cap {cap}: "
                f"{tree.sequences:,} sequences{'' if whole else ' (not all)'}, "
                f"{len(tree.untrue)} untrue, {time.process_time() - began:.0f} s",
                flush=True,
            )
            for found in tree.untrue[:3]:
                print("   ", *found)
            bad += bool(tree.untrue)
    return bad


if __name__ == "__main__":
    sys.exit(main())
