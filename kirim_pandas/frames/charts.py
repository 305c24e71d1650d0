"""Stacked shares of the outcomes: one bar a group, as a matplotlib plot or as plain SVG.

Colours are fixed per status; its reasons are shades of it.  They stay apart under the three kinds
of colour blindness (a test measures it), and carry dark text as well as stand on a white and on a
dark page.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np
import pandas as pd
from markupsafe import Markup
from numpy.typing import NDArray

from kirim_pandas.errors import ConfigurationError, InvalidInputError
from kirim_pandas.frames.pairing import Source, result_column
from kirim_pandas.frames.results import STATUSES
from kirim_pandas.frames.shapes import described
from kirim_pandas.frames.summary import By, Counted, customers_by, groupings, statuses_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


Split: TypeAlias = Literal["status", "reason"]

COLOURS: Final = {
    "applied": "#2F8FD0",
    "skipped": "#F0B429",
    "failed": "#D9583F",
    "unknown": "#D9A6E0",
    "not_sent": "#8F8F8F",
}
MAX_BARS: Final = 20
"""Groups drawn one by one; the smaller ones become one bar, "other n groups"."""

_SHADES: Final = (0.0, 0.35, 0.6, 0.8)
"""How much white is in the colour of each reason of a status; the last is for all that are left."""

_INK_ON_COLOUR = "#111111"
_GREY = "#7F7F7F"  # legible on white and on black, for pages whose colour is not known
_MAX_NAME = 28  # characters of a group's name


@dataclass(frozen=True, eq=False)
class Bars:
    """Customers by group and outcome, ready to draw.

    Attributes
    ----------
    names : list of str
        One per group, largest first; the last may be "other n groups".
    counts : ndarray of int64, shape (groups, parts)
        Customers: contacts, however many rows they have, and each row without one; those who were
        not meant, with the reason ``no_label``, are left out.
    by : str
        What the groups are; empty for a single bar over everything.
    parts : dict of str to str
        What the parts of a bar are, and their colours: the statuses in their fixed order, or of
        each status its reasons, the most frequent first.
    """

    names: list[str]
    counts: NDArray[np.int64]
    by: str
    parts: dict[str, str] = field(default_factory=COLOURS.copy)


def bars(
    result: pd.DataFrame,
    by: By = None,
    *,
    data: Source | None = None,
    split: Split = "status",
    max_bars: int = MAX_BARS,
    counted: Counted | None = None,
) -> Bars:
    """Count customers by group and outcome.

    Parameters
    ----------
    result, by, data
        As for `summary`.
    split
        What the parts of a bar are.
    max_bars
        Bars at most.
    counted
        As for `summary`.

    Returns
    -------
    Bars
        Groups by number of customers, falling.
    """
    outcome, parts = _OUTCOMES[split](result)
    found = groupings(result, by, data)
    codes = {f"g{number}": group.codes for number, group in enumerate(found)}
    table = customers_by({**codes, "part": outcome}, result, counted)
    part, customers = table["part"].to_numpy(), table["customers"].to_numpy()
    if not found:
        counts = np.zeros(len(parts), dtype=np.int64)
        np.add.at(counts, part, customers)
        return Bars(["all customers"], counts[np.newaxis, :], "", parts)
    keys, numbers = np.unique(table[[*codes]].to_numpy(), axis=0, return_inverse=True)
    names = [
        " · ".join(_name(group.values[code]) for group, code in zip(found, key, strict=True))
        for key in keys
    ]
    counts = np.zeros((len(names), len(parts)), dtype=np.int64)
    np.add.at(counts, (numbers.ravel(), part), customers)
    order = np.argsort(-counts.sum(axis=1), kind="stable")
    names, counts = [names[i] for i in order], counts[order]
    of = " · ".join(_name(group.name) for group in found)
    if len(names) <= max_bars:
        return Bars(names, counts, of, parts)
    kept = max_bars - 1
    other = counts[kept:].sum(axis=0, keepdims=True)
    names = [*names[:kept], f"other {len(names) - kept} groups"]
    return Bars(names, np.concatenate([counts[:kept], other]), of, parts)


def _by_status(result: pd.DataFrame) -> tuple[NDArray[np.int64], dict[str, str]]:
    return statuses_of(result), COLOURS


def _by_reason(result: pd.DataFrame) -> tuple[NDArray[np.int64], dict[str, str]]:
    """Number the reasons of each status by their frequency; the rare ones share a number."""
    codes, reasons = pd.factorize(result_column(result, "reason").astype("string").fillna(""))
    width = max(1, len(reasons))
    keys, outcome, rows = np.unique(
        statuses_of(result) * width + codes, return_inverse=True, return_counts=True
    )
    order = np.lexsort((-rows, keys // width))
    status = keys[order] // width
    shade = np.minimum(np.arange(len(keys)) - np.searchsorted(status, status), len(_SHADES) - 1)
    kinds, part = np.unique(status * len(_SHADES) + shade, return_inverse=True)
    names = np.asarray(reasons, dtype=object)[keys[order] % width]
    parts = {
        _part(STATUSES[kind // len(_SHADES)], names[part == number]): _colour(kind)
        for number, kind in enumerate(kinds.tolist())
    }
    part_of = np.empty(len(keys), dtype=np.int64)
    part_of[order] = part
    return part_of[outcome], parts


_OUTCOMES: Final = {"status": _by_status, "reason": _by_reason}


def _part(status: str, reasons: NDArray[np.object_]) -> str:
    if len(reasons) > 1:
        return f"{status}: {len(reasons)} other reasons"
    return f"{status}: {_name(reasons[0])}" if reasons[0] else status


def _colour(kind: int) -> str:
    """Lighten the colour of a status."""
    status, shade = divmod(kind, len(_SHADES))
    colour = COLOURS[STATUSES[status]]
    parts = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    return "#" + "".join(f"{round(part + (255 - part) * _SHADES[shade]):02X}" for part in parts)


def _name(value: Any) -> str:
    if pd.isna(value):
        return "(missing)"
    text = "".join(c if c.isprintable() else " " for c in str(value))
    return text if len(text) <= _MAX_NAME else f"{text[: _MAX_NAME - 1]}…"


def check_split(split: object) -> None:
    """Refuse what no bar is split by."""
    if not isinstance(split, str) or split not in _OUTCOMES:
        raise InvalidInputError(f"split= is {described(split)}, expected 'status' or 'reason'.")


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
    split: Split = "status",
    data: Source | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the share of each outcome as stacked horizontal bars, one a group.

    Parameters
    ----------
    result, by, data
        As for `summary`.
    split
        ``"status"``, or ``"reason"`` for the reasons of each status.
    ax
        Where to draw; by default a new figure, as high as the bars need, without a background, so
        that it suits a light and a dark page.

    Returns
    -------
    Axes
        The groups on the y axis, largest on top; shares of their customers, 0 to 1, on the x axis.

    Raises
    ------
    InvalidInputError
        It is no result frame, `by` does not fit it, `split` is neither, or `ax` is none.
    ConfigurationError
        matplotlib is not installed.
    """
    check_split(split)
    drawn = bars(result, by, data=data, split=split)
    columns, edge = _LEGEND[split]
    lines = 1.3 + 0.32 * len(drawn.names) + 0.2 * (len(drawn.parts) // columns)
    ax = _given(ax) or _new_axes(height_inches=lines)
    ax.patch.set_alpha(0)
    totals = drawn.counts.sum(axis=1)
    shares = drawn.counts / np.maximum(totals, 1)[:, np.newaxis]
    left = np.zeros(len(totals))
    rows = np.arange(len(totals))
    for number, (part, colour) in enumerate(drawn.parts.items()):
        if not drawn.counts[:, number].any():
            continue
        width = shares[:, number]
        ax.barh(rows, width, left=left, height=0.72, label=part, color=colour, ec=_GREY, lw=edge)
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
    ax.set_xlabel("share of customers", color=_GREY)
    ax.set_ylabel(_plain(drawn.by), color=_GREY)
    ax.tick_params(colors=_GREY)
    for side in ("top", "right", "left", "bottom"):
        ax.spines[side].set_visible(False)
    if totals.any():
        ax.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=columns,
            frameon=False,
            labelcolor=_GREY,
            fontsize=9,
        )
    return ax


_LEGEND: Final = {"status": (len(STATUSES), 0.0), "reason": (3, 0.4)}
"""Columns of the key, and the width of the edge without which a light shade is lost on white."""


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
    split = "status" if set(drawn.parts) == set(STATUSES) else "reason"
    told = f"Share of customers by {split}" + (f", by {drawn.by}" if drawn.by else "")
    parts = list(drawn.parts.items())
    shown = [n for n in range(len(parts)) if drawn.counts[:, n].any()]
    columns, width = _KEY[split]
    top = _TOP + _KEY_STEP * ((len(shown) - 1) // columns if shown else 0)
    key = (
        _svg_key(*parts[n], _NAMES_WIDTH + width * (i % columns), 4 + _KEY_STEP * (i // columns))
        for i, n in enumerate(shown)
    )
    lines = (
        _svg_row(name, [(*parts[n], int(drawn.counts[row, n])) for n in shown], top + _STEP * row)
        for row, name in enumerate(drawn.names)
    )
    return Markup(
        '<svg viewBox="0 0 {} {}" width="100%" role="img" aria-label="{}" '
        'font-family="inherit" font-size="12" fill="currentColor">{}{}</svg>'
    ).format(
        _WIDTH,
        top + _STEP * len(drawn.names),
        told,
        Markup("").join(key),
        Markup("").join(lines),
    )


_KEY: Final = {"status": (6, 92), "reason": (3, 186)}
"""Columns of the key in the SVG, and their width."""

_KEY_STEP: Final = 18


def _svg_key(part: str, colour: str, x: int, y: int) -> Markup:
    """Draw one entry of the key to the colours."""
    return Markup(
        '<rect x="{}" y="{}" width="12" height="12" rx="2" fill="{}"/><text x="{}" y="{}">{}</text>'
    ).format(x, y, colour, x + 17, y + 10, part)


def _svg_row(name: str, counted: list[tuple[str, str, int]], y: int) -> Markup:
    """Draw a group: its name, each part that it has (with colour and count), and its total."""
    total = sum(count for _, _, count in counted)
    room = _WIDTH - _NAMES_WIDTH - _TOTALS_WIDTH
    parts = [
        Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(
            _NAMES_WIDTH - 10, y + 13, name
        )
    ]
    x = float(_NAMES_WIDTH)
    for part, colour, count in counted:
        if count:
            width = room * count / total
            told = f"{name}: {count:,} {part} ({count / total:.1%})"
            parts.append(_svg_part(x, y, width, f"{count:,}", colour, told))
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
