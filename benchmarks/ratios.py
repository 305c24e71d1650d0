"""The last lines of each benchmark: its ratios, in one form that a table can be made of.

``RATIO <name> <value> (target <value>)``: the name has no spaces, and the target begins with
``<=`` or ``>=``, or is ``none`` where nothing is promised.
"""

from __future__ import annotations

__all__ = ["print_ratio"]


def print_ratio(
    name: str, value: float, *, at_most: float | None = None, at_least: float | None = None
) -> bool:
    """Print a ratio.

    Parameters
    ----------
    name
        What by what, joined by underscores.
    value
        The ratio.
    at_most, at_least
        What the project promises of it, if anything.

    Returns
    -------
    bool
        Whether the promise is kept.
    """
    target = "none"
    if at_most is not None:
        target = f"<= {at_most:g}"
    if at_least is not None:
        target = f">= {at_least:g}"
    print(f"RATIO {name} {value:.4g} (target {target})", flush=True)
    return (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
