"""All benchmarks, one after the other, and one table of their ratios.

    python benchmarks/all.py                fewer rounds and smaller columns, or not at all: minutes
    python benchmarks/all.py --full         all that each of them does, an hour
    python benchmarks/all.py ids pacing     only these

Each runs in a process of its own, and nothing runs beside it.  The exit status is 1 where one
breaks a promise or ends with an error.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
QUICK: dict[str, tuple[str, ...] | None] = {
    "import_time": ("--rounds", "9"),
    "ids": ("200000",),
    "memory": ("1000000",),
    "overhead": ("100",),
    "pacing": ("--seconds", "5", "--per-minute", "1500"),
    "sandbox_speed": (),
    "growth": ("1000", "10000", "30000"),
    "hints": (),
    "rounds": ("--quick",),
    "requests": ("--seeds", "1", "--only", "random"),
    "chaos": ("--runs", "3", "--seconds", "60"),
    "mutants": ("Retry-After",),
}
"""Each benchmark, with the arguments of a short turn; without arguments it does all it does, and
what has None takes too long for a short turn."""

RATIO = re.compile(r"^RATIO (\S+) (\S+) \(target (.+)\)$", flags=re.MULTILINE)
COLUMNS = ("benchmark", "ratio", "value", "target", "kept")


@dataclass(frozen=True)
class Ratio:
    """One line of the table."""

    benchmark: str
    name: str
    value: str
    target: str

    @property
    def kept(self) -> str:
        """Whether the promise is kept; nothing where there is none."""
        sign, _, number = self.target.partition(" ")
        if not number:
            return ""
        value, promised = float(self.value), float(number)
        return "yes" if (value <= promised if sign == "<=" else value >= promised) else "NO"

    @property
    def cells(self) -> tuple[str, ...]:
        """The line, column by column."""
        return self.benchmark, self.name, self.value, self.target, self.kept


def ratios_in(benchmark: str, said: str) -> list[Ratio]:
    """Find the ratios among all that a benchmark printed."""
    return [Ratio(benchmark, *found) for found in RATIO.findall(said)]


def table(ratios: list[Ratio]) -> str:
    """Write a table that is read in a terminal and as Markdown."""
    lines = [COLUMNS, *(ratio.cells for ratio in ratios)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(f"| {' | '.join(map(str.ljust, line, widths))} |" for line in lines)


def run(benchmark: str, arguments: tuple[str, ...]) -> tuple[list[Ratio], int]:
    """Run one benchmark, show what it prints, and return its ratios and its exit status."""
    print(f"\n== {benchmark} {' '.join(arguments)}", flush=True)
    start = time.monotonic()
    command = [sys.executable, str(HERE / f"{benchmark}.py"), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout, end="")
    print(f"== {time.monotonic() - start:.0f} s, exit status {done.returncode}", flush=True)
    return ratios_in(benchmark, done.stdout), done.returncode


def main() -> int:
    """Run those that were asked for; print the table; tell whether all went well."""
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("names", nargs="*", metavar="benchmark", help=", ".join(QUICK))
    made.add_argument("--full", action="store_true", help="all that each of them does")
    given = made.parse_args()
    unknown = sorted(set(given.names) - set(QUICK))
    if unknown:
        made.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(QUICK)}")
    ratios, failed = [], []
    short = [name for name, arguments in QUICK.items() if arguments is not None]
    for name in given.names or (list(QUICK) if given.full else short):
        found, status = run(name, () if given.full else QUICK[name] or ())
        ratios += found
        failed += [name] if status or not found else []
    print(f"\n{table(ratios)}")
    if failed:
        print(f"\nNot as promised: {', '.join(failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
