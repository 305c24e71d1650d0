"""The pictures of the explanations, drawn by code so that they can be corrected.

Grey and two colours of the Okabe-Ito palette: they can be told apart by people who see no red or
green, and read on a light page and on a dark one; outcomes differ in their sign as well.
"""

from collections.abc import Iterable, Sequence

import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch

TEXT, PASSED, SKIPPED, LINE = "#757d85", "#0072B2", "#D55E00", "#757d85"
WORLD = [1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 0, 1]
"""Who passes, of twelve contacts."""
ANSWER = {
    "passed": [n for n, passes in enumerate(WORLD) if passes],
    "skipped": [n for n, passes in enumerate(WORLD) if not passes],
}

plt.rcParams |= {
    "font.size": 12,
    "text.color": TEXT,
    "savefig.transparent": True,
    "figure.facecolor": "none",
}


def calls(groups: Sequence[tuple[Iterable[int], str | None]], title: str) -> None:
    """Draw calls as frames around contacts, with the counts that the service answers."""
    _, axes = plt.subplots(figsize=(8.4, 2.1))
    left = 0.0
    for members, note in groups:
        members = list(members)
        passed = sum(WORLD[n] for n in members)
        width = len(members)
        axes.add_patch(
            FancyBboxPatch(
                (left + 0.1, 0),
                width - 0.2,
                1,
                boxstyle="round,pad=0.02,rounding_size=0.2",
                fill=False,
                edgecolor=LINE,
                linewidth=1.5,
            )
        )
        is_pure = passed in (0, width)
        for place, n in enumerate(members):
            colour = (PASSED if WORLD[n] else SKIPPED) if is_pure else "#a0a8b0"
            axes.scatter(left + place + 0.5, 0.5, s=420, color=colour)
            sign = ("✓" if WORLD[n] else "✗") if is_pure else "?"
            axes.text(
                left + place + 0.5,
                0.48,
                sign,
                color="white",
                ha="center",
                va="center",
                fontweight="bold",
            )
        told = note or f"{passed} applied, {width - passed} skipped"
        axes.text(left + width / 2, -0.42, told, ha="center", va="center")
        left += width
    axes.set(xlim=(-0.1, left + 0.1), ylim=(-0.75, 1.15))
    axes.set_title(title, color=TEXT, loc="left", fontsize=12)
    axes.axis("off")
    plt.show()


def costs(title: str) -> None:
    """Draw the table of docs/explanation/cost.md."""
    cases = [
        "one call a contact",
        "nothing explains the skips",
        "the connected number decides",
        "not asked (batches)",
    ]
    requests = [10_000, 1116, 21, 10]
    _, axes = plt.subplots(figsize=(8.4, 2.4))
    bars = axes.barh(cases, requests, color=[LINE, SKIPPED, PASSED, PASSED])
    axes.bar_label(bars, [f"{n:,}" for n in requests], padding=4, color=TEXT)
    axes.set(xscale="log", xlim=(1, 60_000))
    axes.set_title(title, color=TEXT, loc="left", fontsize=12)
    axes.tick_params(colors=TEXT, length=0)
    axes.set_xticks([])
    axes.minorticks_off()
    for spine in axes.spines.values():
        spine.set_visible(False)
    plt.show()
