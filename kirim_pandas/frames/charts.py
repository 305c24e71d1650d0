"""Stacked shares of the statuses: one bar a group, as a matplotlib plot or as plain SVG.

Colours are fixed per status.  They stay apart under the three kinds of colour blindness (a test
measures it), and carry dark text as well as stand on a white and on a dark page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from markupsafe import Markup
from numpy.typing import NDArray

from kirim_pandas.errors import ConfigurationError, InvalidInputError
from kirim_pandas.frames.pairing import Source
from kirim_pandas.frames.results import STATUSES
from kirim_pandas.frames.shapes import described
from kirim_pandas.frames.summary import By, groupings, statuses_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COLOURS", "MAX_BARS", "Bars", "bars", "plot", "svg_chart"]

COLOURS: Final = {
    "applied": "#2F8FD0",
    "skipped": "#F0B429",
    "failed": "#D9583F",
    "unknown": "#D9A6E0",
    "not_sent": "#8F8F8F",
}
MAX_BARS: Final = 20
"""Groups drawn one by one; the smaller ones become one bar, "other n groups"."""

_INK_ON_COLOUR = "#111111"
_GREY = "#7F7F7F"  # legible on white and on black, for pages whose colour is not known
_MAX_NAME = 28  # characters of a group's name


@dataclass(frozen=True, eq=False)
class Bars:
    """Rows by group and status, ready to draw.

    Attributes
    ----------
    names : list of str
        One per group, largest first; the last may be "other n groups".
    counts : ndarray of int64, shape (groups, 5)
        Rows, columns in the fixed order of the statuses.
    by : str
        What the groups are; empty for a single bar over everything.
    """

    names: list[str]
    counts: NDArray[np.int64]
    by: str


def bars(
    result: pd.DataFrame,
    by: By = None,
    *,
    data: Source | None = None,
    max_bars: int = MAX_BARS,
) -> Bars:
    """Count rows by group and status.

    Parameters
    ----------
    result, by, data
        As for `summary`.
    max_bars
        Bars at most.

    Returns
    -------
    Bars
        Groups by number of rows, falling.
    """
    status = statuses_of(result)
    found = groupings(result, by, data)
    if not found:
        counts = np.bincount(status, minlength=len(STATUSES))
        return Bars(["all rows"], counts[np.newaxis, :], "")
    codes = np.column_stack([group.codes for group in found])
    keys, numbers = np.unique(codes, axis=0, return_inverse=True)
    names = [
        " · ".join(_name(group.values[code]) for group, code in zip(found, key, strict=True))
        for key in keys
    ]
    counts = np.zeros((len(names), len(STATUSES)), dtype=np.int64)
    np.add.at(counts, (numbers.ravel(), status), 1)
    order = np.argsort(-counts.sum(axis=1), kind="stable")
    names, counts = [names[i] for i in order], counts[order]
    of = " · ".join(_name(group.name) for group in found)
    if len(names) <= max_bars:
        return Bars(names, counts, of)
    kept = max_bars - 1
    other = counts[kept:].sum(axis=0, keepdims=True)
    names = [*names[:kept], f"other {len(names) - kept} groups"]
    return Bars(names, np.concatenate([counts[:kept], other]), of)


def _name(value: Any) -> str:
    if pd.isna(value):
        return "(missing)"
    text = "".join(c if c.isprintable() else " " for c in str(value))
    return text if len(text) <= _MAX_NAME else f"{text[: _MAX_NAME - 1]}…"


def _given(ax: Axes | None) -> Axes | None:
    if not callable(getattr(ax, "barh", print if ax is None else None)):
        raise InvalidInputError(f"ax= is {described(ax)}, expected one of matplotlib's Axes.")
    return ax


def _new_axes(*, height_inches: float) -> Axes:
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise ConfigurationError(
            "plot() needs matplotlib, which is not installed. Install it with "
            "pip install matplotlib, or use report(), which draws without it."
        ) from error
    figure, ax = plt.subplots(figsize=(8, height_inches), layout="constrained")
    figure.patch.set_alpha(0)
    return ax


def plot(
    result: pd.DataFrame,
    by: By = None,
    *,
    data: Source | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the share of each status as stacked horizontal bars, one a group.

    Parameters
    ----------
    result, by, data
        As for `summary`.
    ax
        Where to draw; by default a new figure, as high as the bars need, without a background, so
        that it suits a light and a dark page.

    Returns
    -------
    Axes
        The groups on the y axis, largest on top; shares of their rows, 0 to 1, on the x axis.

    Raises
    ------
    InvalidInputError
        It is no result frame, `by` does not fit it, or `ax` is none.
    ConfigurationError
        matplotlib is not installed.
    """
    drawn = bars(result, by, data=data)
    ax = _given(ax) or _new_axes(height_inches=1.3 + 0.32 * len(drawn.names))
    ax.patch.set_alpha(0)
    totals = drawn.counts.sum(axis=1)
    shares = drawn.counts / np.maximum(totals, 1)[:, np.newaxis]
    left = np.zeros(len(totals))
    rows = np.arange(len(totals))
    for number, status in enumerate(STATUSES):
        if not drawn.counts[:, number].any():
            continue
        width = shares[:, number]
        ax.barh(rows, width, left=left, height=0.72, color=COLOURS[status], label=status)
        for row in np.flatnonzero(width >= 0.08):  # narrower ones have no room for a count
            ax.text(
                float(left[row] + width[row] / 2),
                float(row),
                f"{drawn.counts[row, number]:,}",
                ha="center",
                va="center",
                fontsize=8,
                color=_INK_ON_COLOUR,
            )
        left = left + width
    ax.set_yticks(rows, [_plain(f"{n} ({t:,})") for n, t in zip(drawn.names, totals, strict=True)])
    ax.set_ylim(len(totals) - 0.4, -0.6)  # the first on top
    ax.set_xlim(0, 1)
    ax.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    ax.set_xlabel("share of rows", color=_GREY)
    ax.set_ylabel(_plain(drawn.by), color=_GREY)
    ax.tick_params(colors=_GREY)
    for side in ("top", "right", "left", "bottom"):
        ax.spines[side].set_visible(False)
    if totals.any():
        ax.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=len(STATUSES),
            frameon=False,
            labelcolor=_GREY,
            fontsize=9,
        )
    return ax


def _plain(text: str) -> str:
    """Keep matplotlib from reading ``$`` in a customer's data as mathematics."""
    return text.replace("$", r"\$")


_WIDTH, _NAMES_WIDTH, _TOTALS_WIDTH = 760, 200, 70  # user units of the SVG, about pixels
_BAR, _STEP, _TOP = 18, 25, 30


def svg_chart(drawn: Bars) -> Markup:
    """Draw the bars as one SVG element without scripts, fonts or files.

    Parameters
    ----------
    drawn
        From `bars`.

    Returns
    -------
    Markup
        ``<svg …>…</svg>``; text takes the colour of the page around it.
    """
    told = "Share of rows by status" + (f", by {drawn.by}" if drawn.by else "")
    shown = [n for n in range(len(STATUSES)) if drawn.counts[:, n].any()]
    lines = (
        _svg_row(name, drawn.counts[row], shown, _TOP + _STEP * row)
        for row, name in enumerate(drawn.names)
    )
    return Markup(
        '<svg viewBox="0 0 {} {}" width="100%" role="img" aria-label="{}" '
        'font-family="inherit" font-size="12" fill="currentColor">{}{}</svg>'
    ).format(
        _WIDTH,
        _TOP + _STEP * len(drawn.names),
        told,
        Markup("").join(_svg_key(*entry) for entry in enumerate(shown)),
        Markup("").join(lines),
    )


def _svg_key(place: int, number: int) -> Markup:
    """Draw one entry of the key to the colours."""
    x, status = _NAMES_WIDTH + 92 * place, STATUSES[number]
    return Markup(
        '<rect x="{}" y="4" width="12" height="12" rx="2" fill="{}"/><text x="{}" y="14">{}</text>'
    ).format(x, COLOURS[status], x + 17, status)


def _svg_row(name: str, counts: NDArray[np.int64], shown: list[int], y: int) -> Markup:
    """Draw a group: its name, a part for each status that it has, and its total."""
    total = int(counts.sum())
    room = _WIDTH - _NAMES_WIDTH - _TOTALS_WIDTH
    parts = [
        Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(
            _NAMES_WIDTH - 10, y + 13, name
        )
    ]
    x = float(_NAMES_WIDTH)
    for number in shown:
        count = int(counts[number])
        if count:
            width = room * count / total
            told = f"{name}: {count:,} {STATUSES[number]} ({count / total:.1%})"
            parts.append(_svg_part(x, y, width, f"{count:,}", COLOURS[STATUSES[number]], told))
            x += width
    end = Markup('<text x="{}" y="{}">{}</text>').format(
        _WIDTH - _TOTALS_WIDTH + 8, y + 13, f"{total:,}"
    )
    return Markup("").join([*parts, end])


def _svg_part(x: float, y: int, width: float, count: str, colour: str, told: str) -> Markup:
    """Draw a part of a bar, with its count if there is room."""
    part = Markup(
        '<rect x="{:.1f}" y="{}" width="{:.1f}" height="{}" fill="{}"><title>{}</title></rect>'
    ).format(x, y, width, _BAR, colour, told)
    if width < 8 * len(count) + 6:
        return part
    return part + Markup(
        '<text x="{:.1f}" y="{}" text-anchor="middle" fill="{}" pointer-events="none">{}</text>'
    ).format(x + width / 2, y + 13, _INK_ON_COLOUR, count)
