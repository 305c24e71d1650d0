"""What a run would cost: counts, requests, minutes, and how they are shown."""

from __future__ import annotations

import pandas as pd
import pytest

from kirim_pandas.frames.ids import collect_ids
from kirim_pandas.frames.plan import Plan, plan_frame


def contact(number: int) -> str:
    return f"ctc_{number:026d}"


def make(values: list[str | None], **options: object) -> Plan:
    ids = collect_ids(pd.DataFrame({"who": values}, dtype=object), "who" if values else None)
    settings = {"requests_for": lambda n, share: 1.5 * n * share, "write_per_minute": 60}
    return plan_frame(ids, **(settings | options))


@pytest.mark.parametrize(("size", "batches"), [(1, 1), (1000, 1), (1001, 2), (2500, 3)])
def test_least_requests_are_the_batches(size: int, batches: int) -> None:
    """The least number of requests is the contacts by thousands, rounded up."""
    plan = make([contact(i) for i in range(size)])
    assert plan.batches == batches
    assert plan.minutes == pytest.approx(batches / 60)
    nothing_skipped = plan.table[plan.table["skipped_share"] == 0]
    assert nothing_skipped["requests"].tolist() == [batches, batches]


def test_table_of_shares_and_hints() -> None:
    """Each share of skips has its expected requests and minutes, with and without a hint."""
    plan = make([contact(i) for i in range(2000)])
    assert list(plan.table.columns) == ["skipped_share", "hint", "requests", "minutes"]
    assert plan.table["skipped_share"].unique().tolist() == [0.0, 0.01, 0.05, 0.20]
    no_hint = plan.table[plan.table["hint"] == "none"]
    assert no_hint["requests"].tolist() == [2, 2 + 30, 2 + 150, 2 + 600]
    assert no_hint["minutes"].tolist() == pytest.approx([n / 60 for n in no_hint["requests"]])
    hinted = plan.table[plan.table["hint"] == "perfect"]
    assert hinted["requests"].tolist() == [2, 8, 8, 8]
    assert plan.to_frame().equals(plan.table)
    assert plan.to_frame() is not plan.table


def test_hint_never_costs_more() -> None:
    """With few contacts or many hint values the hinted plan is at most the plan without."""
    who = [contact(i) for i in range(30)]
    ids = collect_ids(pd.DataFrame({"who": who, "h": range(30)}), hint="h")
    plan = plan_frame(ids, requests_for=lambda n, share: 7.2, write_per_minute=60)
    assert plan.table["requests"].tolist() == [1, 1] + [9] * 6


def test_tells_what_was_found() -> None:
    """Counts of rows, duplicates and unusable ids by reason stand in the plan and its text."""
    rows = [contact(1), contact(1), f" {contact(2)}", None, "<b>\x1b", contact(3)[:-1] + "u"]
    plan = make(rows, label_id="lbl_<i>", operation="attach")
    found = (plan.rows, plan.contacts, plan.duplicates, plan.missing, plan.malformed, plan.stripped)
    assert found == (6, 2, 1, 1, 2, 1)
    for part in ("6 rows, 2 contacts", "column 'who'", "1 row without an id", "attach", "<U+001B>"):
        assert part in repr(plan)
    page = plan._repr_html_()
    assert "<b>" not in page
    assert "<i>" not in page
    assert "\x1b" not in page


@pytest.mark.parametrize(
    ("rate", "words"), [(60, "25 s at 60"), (1, "25 min at 1 "), (6, "4.2 min"), (0.1, "4.2 h")]
)
def test_says_durations_as_people_do(rate: float, words: str) -> None:
    """Durations are told in seconds, minutes or hours."""
    values = [contact(i) for i in range(25)]
    assert words in repr(make(values, write_per_minute=rate, batch_size=1))


def test_nothing_to_send() -> None:
    """A frame without rows costs nothing and still shows a plan."""
    plan = make([])
    assert plan.table["requests"].eq(0).all()
    assert "0 rows, 0 contacts (no column)" in repr(plan)
