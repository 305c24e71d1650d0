"""A report on a result: one self-contained HTML page, for the notebook and for colleagues.

No script, no font, no file from anywhere: styles and the chart stand in the page.  Everything that
comes from the data or from the service is escaped.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd
from markupsafe import Markup, escape

from kirim_pandas.errors import InvalidInputError, ShortTraceback
from kirim_pandas.frames.charts import Bars, Split, bars, check_split, plot, svg_chart
from kirim_pandas.frames.exports import place_of, spreadsheet_safe
from kirim_pandas.frames.ids import NO_CONTACT
from kirim_pandas.frames.pairing import Source, checked_source
from kirim_pandas.frames.reasons import (
    NO_LABEL,
    REASONS,
    STATUS_MEANINGS,
    Reason,
    reason_for,
)
from kirim_pandas.frames.results import RUN_ID_ATTR, STATUSES
from kirim_pandas.frames.shapes import printable
from kirim_pandas.frames.summary import By, compare, people, summary

__all__ = [
    "REASONS",
    "STATUS_MEANINGS",
    "By",
    "Reason",
    "Report",
    "RunFacts",
    "compare",
    "not_applied",
    "people",
    "plot",
    "report",
    "spreadsheet_safe",
    "summary",
    "written",
]

_NOTHING: Final = Markup("")


_SHOWN_PEOPLE: Final = 100
"""Rows of the list of people that are drawn; a page of thousands is slow, and nobody reads it."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a report tells of the run beside its rows; what is None is left out.

    Attributes
    ----------
    run_id : str or None
        By default the one in the result's ``attrs``.
    label_id, label_name, operation : str or None
        What was asked for; `operation` is ``"attach"`` or ``"detach"``.
    started : datetime or None
        Shown with its time zone, if it has one.
    requests : int or None
        Requests the run has used.
    found : str
        What the skips follow, in a sentence; empty where nothing was found.
    counted : (int, int) or None
        How many contacts the service counted as passing and as skipped.
    note : str or None
        How the run was found, or what is not known of it, in a sentence.
    """

    run_id: str | None = None
    label_id: str | None = None
    label_name: str | None = None
    operation: str | None = None
    started: datetime | None = None
    requests: int | None = None
    found: str = ""
    counted: tuple[int, int] | None = None
    note: str | None = None


@dataclass(frozen=True, eq=False)
class Report:
    """A finished report; shows itself in a notebook.

    Attributes
    ----------
    title : str
        One line.
    headline : str
        One sentence with the most important numbers.
    fragment : str
        The report as an HTML element with its own, scoped style.
    """

    title: str
    headline: str
    fragment: str

    @property
    def html(self) -> str:
        """The report as a whole HTML page."""
        return str(_PAGE.format(title=_visible(self.title), fragment=Markup(self.fragment)))  # noqa: S704 - built of escaped parts

    @ShortTraceback()
    def save(self, path: str | Path) -> Path:
        """Write the page to a file.

        Parameters
        ----------
        path
            Such as ``"report.html"``; ``~`` is the home folder.  A web page that is there is
            replaced; any other file, such as the data, is not.

        Returns
        -------
        Path
            Where it stands.

        Raises
        ------
        InvalidInputError
            The folder does not exist, the path is a folder or a file of another kind, or the file
            cannot be written.
        """
        try:
            target = place_of(path)
            if target.is_dir():
                raise InvalidInputError(
                    f"{target} is a folder, expected a file: for example "
                    f"{str(target / 'report.html')!r}. Nothing was written."
                )
            if not target.parent.is_dir():
                raise InvalidInputError(
                    f"The folder {target.parent} does not exist, so {target.name} was not written. "
                    f"Make it first, with Path({str(target.parent)!r}).mkdir(parents=True), or "
                    "choose another."
                )
            if target.exists() and not _is_page(target):
                raise InvalidInputError(
                    f"{target} is there already and is no web page, so it is left as it is. "
                    "Choose another path, such as 'report.html'."
                )
            target.write_text(self.html, encoding="utf-8")
        except InvalidInputError:
            raise
        except (OSError, RuntimeError, TypeError, ValueError) as error:  # no home, NUL, full disk
            raise InvalidInputError(
                f"The report was not written: {error}. Choose another path, such as 'report.html'."
            ) from error
        return target

    def _repr_html_(self) -> str:
        return self.fragment

    def __repr__(self) -> str:
        return printable(f"{self.title}\n{self.headline}\nSave it with .save('report.html').")


def report(
    result: pd.DataFrame,
    run: RunFacts | None = None,
    *,
    by: By = None,
    split: Split = "status",
    data: Source | None = None,
    people: bool = False,
    columns: list[Hashable] | None = None,
) -> Report:
    """Write a report on a result.

    Parameters
    ----------
    result
        What bulk_label returned.
    run
        Label, operation, time and requests, where they are known.
    by
        A column name of `data`, an aligned Series or array, or a list of these.
    split
        What the bars are split by: ``"status"``, or ``"reason"`` for the reasons of each status.
    data
        The original frame, for column names in `by` and `columns`.
    people
        Whether to list the rows that were to be done and are not applied: the first hundred are
        shown, all of them stand in a CSV file inside of the page.
    columns
        Columns of `data` in that list; by default all.

    Returns
    -------
    Report
        Shows itself in a notebook; ``.save("report.html")`` writes it, ``.html`` is the page.

    Raises
    ------
    InvalidInputError
        It is no result frame, or `by` does not fit it.
    """
    facts = run or RunFacts()
    data = checked_source(data)
    _check_listed(people, columns)
    check_split(split)
    groups = bars(result, by, data=data) if by is not None else None
    listed = _people(result, columns, data) if people else Markup("")
    facts = replace(facts, run_id=facts.run_id or result.attrs.get(RUN_ID_ATTR))
    whole = bars(result, split=split)
    drawn = None if groups is None else bars(result, by, data=data, split=split)
    return written(facts, summary(result), whole, groups, drawn=drawn, people=listed)


def written(
    facts: RunFacts,
    counts: pd.DataFrame,
    whole: Bars,
    groups: Bars | None,
    *,
    drawn: Bars | None = None,
    people: Markup = _NOTHING,
) -> Report:
    """Write a report of what was counted.

    Parameters
    ----------
    facts
        As of `report`.
    counts
        The summary.
    whole, groups
        The bar to draw of all customers, and those of the groups by status, if any.
    drawn
        The bars to draw of the groups, where their parts are others.
    people
        The list of people.
    """
    title = _title(facts)
    headline = _headline(counts, facts.operation) + _counted(counts, facts)
    sections = [
        Markup("<h2>{}</h2>").format(_visible(title)),
        Markup('<p class="headline">{}</p>').format(_visible(headline)),
        _facts(facts, _people_told(counts)),
        *(
            Markup("<p>{}</p>").format(_visible(text))
            for text in (facts.found, facts.note, _unit(counts))
            if text
        ),
        svg_chart(whole),
        _what_happened(counts),
        "" if groups is None else _by_group(groups, groups if drawn is None else drawn),
        people,
    ]
    fragment = Markup('<div class="kirim-report"><style>{}</style>{}</div>').format(
        _STYLE, Markup("").join(sections)
    )
    return Report(title, headline, str(fragment))


def _is_page(path: Path) -> bool:
    """Whether a file is empty or a web page, and no device or pipe."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _PAGE_START.match(file.read(_HEAD_BYTES)) is not None


_HEAD_BYTES: Final = 100
_PAGE_START: Final = re.compile(rb"\s*(<!doctype html|<html|\Z)", re.IGNORECASE)


def _check_listed(people: bool, columns: object) -> None:
    if columns is not None and not people:
        raise InvalidInputError("columns= is of the list of people: pass people=True with it.")


_PAGE: Final = Markup(
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="color-scheme" content="light dark">'
    # Nothing may be loaded or run, whatever a cell of the data says.
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    "style-src 'unsafe-inline'\">"
    "<title>{title}</title><style>body {{ margin: 0; background: Canvas; }}</style>"
    "</head><body>{fragment}</body></html>\n"
)


def _visible(value: object) -> str:
    """Turn control characters, such as terminal colours, into visible marks."""
    return "".join(c if c.isprintable() else "\ufffd" for c in str(value))


def _title(facts: RunFacts) -> str:
    label = facts.label_name or facts.label_id
    done = {"attach": "attached to", "detach": "detached from"}.get(facts.operation or "")
    if not done:
        return f"Label {label}" if label else "Labels in Kirim"
    several = facts.label_id is None and ", " in (label or "")
    return f"Label{'s' * several} {label or ''} {done} contacts".replace("  ", " ")


_STATES: Final = {
    "attach": ("have the label", "have the label"),
    "detach": ("are without the label", "be without the label"),
}
"""What applied means, of customers who are so and who are known to be so."""


def _headline(counts: pd.DataFrame, operation: str | None) -> str:
    """Count customers, not rows: a contact is one, however many rows it has."""
    if not counts["rows"].sum():
        return "The segment is empty: the frame had no rows, and nothing was sent."
    customers, not_meant = _customers(counts), _is(counts, NO_LABEL)
    nobody = counts["reason"].isin(NO_CONTACT.values())
    known = customers[~nobody & ~not_meant].groupby(counts["status"], observed=False).sum()
    parts = [f"{int(known[s]):,} {s.replace('_', ' ')}" for s in STATUSES[1:] if known[s]]
    for which, words in ((nobody, "without a contact"), (not_meant, "in no segment")):
        parts += [f"{customers[which].sum():,} {words}"] if which.any() else []
    total = int(customers[~not_meant].sum())
    told = _share_told(int(known["applied"]), total, operation, is_known=not known["unknown"])
    return f"{'; '.join([told, ', '.join(parts)] if parts else [told])}."


def _customers(counts: pd.DataFrame) -> pd.Series[int]:
    """Count a summary's contacts, and each row without one."""
    return counts["contacts"].where(counts["contacts"] != 0, counts["rows"])


def _is(counts: pd.DataFrame, reason: str) -> pd.Series[bool]:
    return counts["reason"].eq(reason).fillna(value=False).astype(bool)


def _people_told(counts: pd.DataFrame) -> dict[str, str]:
    """Count the customers; the rows where they are not as many."""
    customers = int(_customers(counts)[~_is(counts, NO_LABEL)].sum())
    rows = int(counts["rows"].sum())
    told = {"Customers": f"{customers:,}"}
    return told if rows == customers else told | {"Rows": f"{rows:,}"}


def _unit(counts: pd.DataFrame) -> str:
    """Say what is counted, where it is not plain."""
    rows, customers = counts["rows"], _customers(counts)
    nobody = counts["reason"].isin(NO_CONTACT.values()).any()
    told = ["A customer with several rows counts once."] if (rows != customers).any() else []
    return " ".join(told + ["A row without a contact counts as one customer."] * bool(nobody))


def _counted(counts: pd.DataFrame, facts: RunFacts) -> str:
    """Say what the service counted, where it is not known of whom."""
    if facts.counted is None or not counts["reason"].eq("undetermined").any():
        return ""
    passing, skipped = facts.counted
    return (
        f" The service counted {passing:,} contacts as passing and {skipped:,} as skipped; not of "
        "all it is known which."
    )


def _share_told(applied: int, total: int, operation: str | None, *, is_known: bool) -> str:
    """Say how many are done; where some are unknown, a share would say that they are without."""
    are, be = _STATES.get(operation or "", ("are done", "be done"))
    customers = f"{total:,} customer{'s' * (total != 1)}"
    if is_known:
        return f"{applied:,} of {customers} ({applied / max(total, 1):.1%}) {are}"
    if applied:
        return f"At least {applied:,} of {customers} are known to {be}"
    return f"None of {customers} is known yet to {be}"


def _label_told(facts: RunFacts) -> str | None:
    if facts.label_name and facts.label_id:
        return f"{facts.label_name} ({facts.label_id})"
    return facts.label_name or facts.label_id


def _facts(facts: RunFacts, people: dict[str, str]) -> Markup:
    when = facts.started.strftime("%Y-%m-%d %H:%M %Z").strip() if facts.started else None
    entries: dict[str, Any] = {
        "Label": _label_told(facts),
        "Operation": facts.operation,
        "When": when,
        "Run": facts.run_id,
        **people,
        "Requests": None if facts.requests is None else f"{facts.requests:,}",
    }
    cells = (
        Markup("<div><span>{}</span>{}</div>").format(name, _visible(value))
        for name, value in entries.items()
        if value is not None
    )
    return Markup('<div class="facts">{}</div>').format(Markup("").join(cells))


def _table(caption: str, head: Iterable[str], rows: Iterable[Iterable[str]]) -> Markup:
    """Build a table; text in cells is escaped, markup is taken as it is."""
    header = _each('<th scope="col">{}</th>', head)
    body = _each("<tr>{}</tr>", (_each("<td>{}</td>", cells) for cells in rows))
    return Markup(
        '<div class="scroll"><table><caption>{}</caption>'
        "<thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>"
    ).format(_visible(caption), header, body)


def _each(template: str, values: Iterable[str]) -> Markup:
    filled = Markup(template).format  # noqa: S704 - templates are written in this module
    return Markup("").join(filled(escape(value)) for value in values)


def _number(text: str) -> Markup:
    return Markup('<span class="num">{}</span>').format(text)


def _what_happened(counts: pd.DataFrame) -> Markup:
    rows = []
    reasons, customers = counts["reason"].fillna("").tolist(), _customers(counts)
    are_rows_told = (counts["rows"] != customers).any()
    for line, reason, number in zip(counts.to_dict("records"), reasons, customers, strict=True):
        status = str(line["status"])
        words = reason_for(status, reason)
        code = Markup("<br><code>{}</code>").format(_visible(reason)) if reason else ""
        rows.append(
            [
                Markup('<span class="{0}">●</span> {0}{1}').format(status, code),
                _number(f"{number:,}"),
                _number("–" if pd.isna(line["share"]) else f"{line['share']:.1%}"),
                *([_number(f"{line['rows']:,}")] if are_rows_told else []),
                _visible(words.meaning),
                _visible(words.action),
            ]
        )
    head = ["Status and reason", "Customers", "Share", *["Rows"] * bool(are_rows_told)]
    return _table("What happened", [*head, "What it means", "What to do"], rows)


def _by_group(groups: Bars, drawn: Bars) -> Markup:
    totals = groups.counts.sum(axis=1)
    shown = [n for n in range(len(STATUSES)) if groups.counts[:, n].any()]
    unknown = STATUSES.index("unknown")
    rows = [
        [
            _visible(name),
            _number(f"{totals[i]:,}"),
            *(_number(f"{groups.counts[i, n]:,}") for n in shown),
            # Where some are unknown, nobody knows the share.
            _number("–" if groups.counts[i, unknown] else f"{applied / max(totals[i], 1):.1%}"),
        ]
        for i, (name, applied) in enumerate(zip(groups.names, groups.counts[:, 0], strict=True))
    ]
    by = _visible(groups.by)
    head = [by, "Customers", *(STATUSES[n] for n in shown), "Applied share"]
    title = Markup("<h3>By {}</h3>").format(by)
    return title + svg_chart(drawn) + _table(f"Customers by {by} and status", head, rows)


def not_applied(
    result: pd.DataFrame, *, columns: list[Hashable] | None = None, data: Source | None = None
) -> pd.DataFrame:
    """List the rows that were to be done and are not; the arguments and columns of `people`."""
    found = people(result, columns=columns, data=data)
    return found[(found["status"] != "applied") & found["reason"].ne(NO_LABEL).fillna(value=True)]


def _people(result: pd.DataFrame, columns: list[Hashable] | None, data: Source | None) -> Markup:
    """List who is not applied: a table that stays short, and all of them in a CSV file."""
    found = not_applied(result, columns=columns, data=data)
    file = spreadsheet_safe(found).to_csv(index=False)
    content = base64.b64encode(file.encode("utf-8-sig")).decode()  # the mark is for Excel
    link = Markup(
        '<p><a download="people.csv" href="data:text/csv;base64,{}">Save all {} as CSV</a>, with '
        "the words for each reason</p>"
    ).format(content, f"{len(found):,} rows")
    # One line a row: what a reason means stands once, in the table of what happened.
    shown = found.drop(columns=["why", "what_to_do"]).head(_SHOWN_PEOPLE).astype(object)
    rows = shown.where(shown.notna(), "").to_numpy().tolist()
    table = _table(
        f"{len(rows):,} of {len(found):,} rows that are not applied",
        map(_visible, shown.columns),
        (map(_visible, row) for row in rows),
    )
    return Markup("<h3>Who is not among the applied</h3>") + table + link


# Scoped to .kirim-report, so that nothing leaks into the notebook.  Colours come from JupyterLab's
# or VS Code's theme where there is one, else from the reader's light or dark preference.
_STYLE: Final = Markup("""
.kirim-report { --ink: #1b1b1b; --paper: #ffffff; --line: #d5d5d5; --soft: #5c5c5c; }
@media (prefers-color-scheme: dark) {
  .kirim-report { --ink: #ececec; --paper: #171717; --line: #444444; --soft: #a9a9a9; }
}
.kirim-report {
  color: var(--jp-content-font-color1, var(--vscode-editor-foreground, var(--ink)));
  background: var(--jp-layout-color0, var(--vscode-editor-background, var(--paper)));
  font-family: var(--jp-content-font-family, system-ui, sans-serif); font-size: 14px;
  line-height: 1.45; max-width: 900px; margin: 0 auto; padding: 16px; box-sizing: border-box;
}
.kirim-report h2 { font-size: 20px; margin: 0 0 6px; overflow-wrap: anywhere; }
.kirim-report h3 { font-size: 16px; margin: 22px 0 6px; }
.kirim-report p.headline { font-size: 16px; margin: 0 0 12px; }
.kirim-report .facts { display: flex; flex-wrap: wrap; gap: 8px 26px; margin: 0 0 14px; }
.kirim-report .facts div { overflow-wrap: anywhere; }
.kirim-report .facts span {
  display: block;
  font-size: 12px; font-weight: normal;
  color: var(--jp-content-font-color2, var(--vscode-descriptionForeground, var(--soft)));
}
.kirim-report .scroll { overflow-x: auto; margin-top: 14px; }
.kirim-report table {
  border-collapse: collapse; table-layout: auto; width: 100%; font-size: 13px; margin: 0;
}
.kirim-report caption { text-align: left; font-weight: 600; padding: 4px 0; }
.kirim-report th, .kirim-report td {
  text-align: left; vertical-align: top; padding: 6px 10px 6px 0; background: none;
  color: inherit; border: 0; border-bottom: 1px solid var(--jp-border-color2, var(--line));
  white-space: normal;
}
.kirim-report .num { font-variant-numeric: tabular-nums; white-space: nowrap; }
.kirim-report code { font-size: 12px; background: none; color: inherit; padding: 0; }
.kirim-report .applied { color: #2F8FD0; } .kirim-report .skipped { color: #F0B429; }
.kirim-report .failed { color: #D9583F; } .kirim-report .unknown { color: #D9A6E0; }
.kirim-report .not_sent { color: #8F8F8F; }
""").replace(
    # Said twice, the class outweighs the notebook's own rules for tables.
    ".kirim-report",
    ".kirim-report.kirim-report",
)
