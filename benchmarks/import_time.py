"""What `import kirim_pandas` costs, as a ratio to `import pandas`, in one run.

Each import happens in a fresh interpreter; the two take turns, so that whatever else the machine
does hits both.  The median of the ratios of neighbours counts.

    python benchmarks/import_time.py [--rounds 21]
"""

import argparse
import statistics
import subprocess
import sys

from ratios import print_ratio

MOST = 1.05
"""What the project promises."""

TIMER = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


def seconds(module: str) -> float:
    """Import a module in a fresh interpreter."""
    command = [sys.executable, "-c", TIMER.format(module)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> int:
    """Print the ratio; the exit status is 1 if the promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    rounds = parser.parse_args().rounds
    seconds("kirim_pandas")  # writes the byte code, once
    pairs = [(seconds("pandas"), seconds("kirim_pandas")) for _ in range(rounds)]
    pandas, kirim = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(b / a for a, b in pairs)
    print(f"import pandas        {pandas * 1000:7.1f} ms")
    print(f"import kirim_pandas  {kirim * 1000:7.1f} ms, which imports pandas")
    print(f"ratio                {ratio:7.3f}   (median of {rounds} pairs)")
    return int(not print_ratio("import_by_import_of_pandas", ratio, at_most=MOST))


if __name__ == "__main__":
    sys.exit(main())
