"""What a run would cost: counts, requests, minutes, and how they are shown."""

from __future__ import annotations

import io

import pandas as pd
import pytest

import kirim_pandas as kp
from kirim_pandas.api.pacing import Pacer, RateHeaders
from kirim_pandas.frames.ids import collect_ids
from kirim_pandas.frames.plan import Plan, minutes_for, plan_frame


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
    assert plan.minutes == 0  # a full bucket lets so few go at once
    nothing_skipped = plan.table[plan.table["skipped_share"] == 0]
    assert nothing_skipped["requests"].tolist() == [batches, batches]


def test_table_of_shares_and_hints() -> None:
    """Each share of skips has its expected requests and minutes, with and without a hint."""
    plan = make([contact(i) for i in range(2000)])
    assert list(plan.table.columns) == ["skipped_share", "hint", "requests", "minutes"]
    assert plan.table["skipped_share"].unique().tolist() == [0.0, 0.01, 0.05, 0.20]
    no_hint = plan.table[plan.table["hint"] == "none"]
    assert no_hint["requests"].tolist() == [2, 2 + 30, 2 + 150, 2 + 600]
    assert no_hint["minutes"].tolist() == pytest.approx([0, 0, 98 / 60, 548 / 60])
    hinted = plan.table[plan.table["hint"] == "perfect"]
    assert hinted["requests"].tolist() == [2, 8, 8, 8]


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
    for part in ("6 rows, 2 contacts", "column 'who'", "1 row without an id", "attach"):
        assert part in repr(plan)
    page = plan._repr_html_()
    assert "<b>" not in page
    assert "<i>" not in page
    assert "\x1b" not in page


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (60, "25 requests (seconds) at least. The limit is 60"),
        (24, "(8 s)"),
        (1, "(24 min)"),
        (6, "3.3 min"),
        (0.1, "4.0 h"),
    ],
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
    assert "The segment is empty. Nothing would be sent." in repr(plan)
    assert "empty" not in repr(make([None]))
    assert "request" not in repr(plan)


def test_each_kind_of_malformed_id_is_named() -> None:
    """Malformed ids are told by kind, with counts, advice, and nothing that names a customer."""
    phones = [f"+62 812 5551 {n:04d}" for n in range(3)]
    broken = ["ctc_" + "u" * 26, contact(3)[:-1]]
    plan = make([contact(1), *phones, *broken, "siti@example.com", "Budi Santoso", None])
    assert [(kind.shape, kind.rows) for kind in plan.malformed_kinds] == [
        ("phone numbers", 3),
        ("contact ids in the wrong case", 1),
        ("contact ids with characters missing, added or changed", 1),
        ("e-mail addresses", 1),
        ("text", 1),
    ]
    assert sum(len(kind.examples) for kind in plan.malformed_kinds) <= 3
    assert "- phone numbers: 3 rows, such as '+62…00'. Look the contacts up" in repr(plan)
    for shown in (repr(plan), plan._repr_html_()):
        for secret in ("5551", "Budi", "siti"):
            assert secret not in shown


def test_names_the_hint() -> None:
    """The plan names the columns it was given as a hint, and how many values they have."""
    frame = pd.DataFrame({"who": [contact(i) for i in range(9)], "<team>": [1, 2, 3] * 3})
    ids = collect_ids(frame, hint="<team>")
    plan = plan_frame(ids, requests_for=lambda n, share: 7.2, write_per_minute=60)
    assert "Hint: '<team>' (3 values)." in repr(plan)
    assert "least where the hint decides it, most where nothing does" in repr(plan)
    assert "least requests   most requests" in repr(plan)
    assert "&lt;team&gt;" in plan._repr_html_()
    assert "Hint" not in repr(make([contact(1)]))


def test_how_far_and_the_cap_count() -> None:
    """A run that asks nothing is planned without probes, and no plan is above its cap."""
    values = [contact(i) for i in range(2500)]
    quiet = make(values, resolve="batches")
    assert quiet.table["requests"].eq(3).all()
    assert "stay unknown" in repr(quiet)
    assert "skipped   " not in repr(quiet)
    assert make(values, max_requests=50).table["requests"].max() == 50
    assert "too few for all contacts" in repr(make(values, max_requests=2))


@pytest.mark.parametrize("encoding", ["ascii", "cp437", "latin-1", "cp1252", "utf-8"])
def test_a_plan_prints_anywhere(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the output can encode, printing a plan never fails."""
    plan = make(
        [contact(1), "ctc_1234567890123456789", "+62 812 5551 0001"], operation="Pëlanggan 客"
    )
    output = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr("sys.stdout", output)
    print(plan)
    output.flush()
    shown = output.buffer.getvalue().decode(encoding)
    assert "1 contact" in shown
    assert ("…" if encoding == "utf-8" else "...") in shown


@pytest.mark.parametrize(("requests", "limit"), [(10, 60), (54, 60), (200, 60), (390, 240), (9, 1)])
def test_minutes_are_those_of_the_pace(requests: int, limit: int) -> None:
    """The minutes are what the pacing lets so many requests take, from a full bucket."""
    pacer, now = Pacer(limit), 0.0
    for number in range(requests):
        seconds = pacer.wait_seconds(now, share=0.9)
        now += seconds
        ticket = pacer.start(now)
        headers = RateHeaders(limit, limit - 1) if number == 0 else None
        pacer.finish(ticket, now, headers)
    assert minutes_for(requests, limit) == pytest.approx(now / 60, abs=2 / limit)


def test_a_call_and_its_plan_agree() -> None:
    """How far a run goes and its cap reach the plan from the verb."""
    contacts = kp.sandbox.sample_contacts(2500, seed=1)
    label_id = "lbl_01HXYZABCDEFGHJKMNPQRSTVWX"
    assert contacts.kirim.plan(label_id, "attach", max_requests=5).table["requests"].max() == 5
    assert "stay unknown" in repr(contacts.kirim.plan(label_id, "attach", resolve="batches"))
    assert "Hint: 'team'" in repr(contacts.kirim.plan(label_id, "attach", hint="team"))


def test_says_whether_the_limit_is_known() -> None:
    """A limit that the service has not told yet is not called its limit."""
    label_id = "lbl_01HXYZABCDEFGHJKMNPQRSTVWX"
    with kp.sandbox.start(contacts=100, write_per_minute=300) as box, box.client() as client:
        plan = box.contacts.kirim.plan(label_id, "attach", client=client)
        assert "Reckoned with 60 a minute, as the service has not told" in repr(plan)
        client.me()
        plan = box.contacts.kirim.plan(label_id, "attach", client=client)
        assert "The limit is 300 a minute" in repr(plan)
