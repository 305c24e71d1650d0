"""The service against what is known of it."""

import builtins

import pytest
from support.scripted_server import ScriptedServer, reply

import kirim_pandas as kp
from kirim_pandas import session
from kirim_pandas.sandbox import Faults, Switches

KEY = "kdv_live_" + "Zx9" * 8


@pytest.fixture
def say(monkeypatch):
    """Let somebody be there who answers, and remember what was asked."""
    asked = []

    def answers(text):
        def answer(question):
            asked.append(question)
            if isinstance(text, BaseException):
                raise text
            return text

        monkeypatch.setattr(builtins, "input", answer)
        monkeypatch.setattr(session, "somebody_is_there", lambda: True)
        return asked

    return answers


def facts_of(frame):
    assert frame.columns.tolist() == ["fact", "expected", "found", "ok"]
    return frame.set_index("fact")


def play(**switches):
    settings = {"write_per_minute": 60_000, "skipped_share": 0.0, "seed": 2}
    return kp.sandbox.start(20, switches=Switches(**switches), **settings)


@pytest.mark.parametrize("rule", ["optional", "required"])
def test_the_sandbox_is_as_expected(rule):
    """Four reads, no write, and everything is as the pages say, on both path shapes."""
    with play(phone_number_path=rule) as box:
        frame = kp.check(client=box.client())
        assert frame["ok"].all()
        assert set(box.requests()["method"]) == {"GET"}
        assert len(box.requests()) == 4


def test_differences_are_told():
    """Missing fields, other ids and missing headers are not ok; additional fields are told."""
    odd = {"id": "contact-7", "object": "contact", "team": "x", "name": "Ayu Barawi"}
    page = {"data": [odd], "has_more": False, "next_cursor": None}
    pages = [reply(200, {**page, "request_id": f"req_{number:026d}"}) for number in range(3)]
    with ScriptedServer([reply(404, b"no"), *pages]) as server:
        frame = kp.check(client=kp.Client(KEY, base_url=server.base_url, max_tries=1))
    facts = facts_of(frame)
    assert not facts.loc["GET /me", "ok"]
    assert "besides: team" in facts.loc["fields in /contacts", "found"]
    assert "without phone_number" in facts.loc["fields in /contacts", "found"]
    assert not facts.loc[["fields in /contacts", "id in /contacts"], "ok"].any()
    assert facts.loc["id in /contacts", "found"] == "0 of 1 so"
    assert not facts.loc["headers of GET /labels", "ok"]
    assert facts.loc["list of /contacts", "ok"]
    assert "Ayu" not in frame.to_string()


def test_nothing_to_look_at_is_no_fault():
    """An organisation without contacts is not found fault with."""
    with play() as box:
        client = box.client(api_key=box.add_key(organization="other"))
        facts = facts_of(kp.check(client=client))
        assert facts.loc["fields in /contacts", "found"] == "nothing to look at"
        assert facts["ok"].dropna().all()


@pytest.mark.parametrize(
    ("switches", "fact", "found"),
    [
        ({"applied": "contacts"}, "applied, where all have the label", "counts contacts"),
        ({"applied": "changes"}, "applied, where all have the label", "counts changes"),
        (
            {"unknown_ids": "cross_org"},
            "an id that nobody has",
            "counted (applied 0, skipped_cross",
        ),
        ({"unknown_ids": "uncounted"}, "an id that nobody has", "counted nowhere"),
        ({"unknown_ids": "404"}, "an id that nobody has", "refused: HTTP 404"),
        ({"duplicates": "once"}, "an id twice in a call", "counted once"),
        ({"duplicates": "each"}, "an id twice in a call", "counted each time"),
        ({"duplicates": "refused"}, "an id twice in a call", "refused: HTTP 400"),
        ({"applied": "changes"}, "an id twice in a call", "cannot be told"),
    ],
)
def test_open_questions_are_answered(say, switches, fact, found):
    """Each switch of the sandbox is told from outside; afterwards nobody has the label."""
    asked = say("yes")
    with play(**switches) as box:
        label, ids = box.labels["id"].iloc[0], box.contacts["contact_id"].head(3).tolist()
        facts = facts_of(kp.check(label_id=label, contacts=ids, client=box.client()))
        assert facts.loc[fact, "found"].startswith(found)
        assert box.members(label) == set()
        assert (box.requests()["method"] == "POST").sum() == 5
        (question,) = asked
        assert label in question
        assert "3 of your contacts" in question


@pytest.mark.parametrize("answer", ["", "no", "y", EOFError(), OSError()])
def test_nothing_is_written_without_a_yes(say, answer):
    """Any other answer, and none, sends nothing."""
    say(answer)
    with play() as box:
        label, ids = box.labels["id"].iloc[0], box.contacts["contact_id"].head(3).tolist()
        with pytest.raises(kp.InvalidInputError, match="Nothing was sent"):
            kp.check(label_id=label, contacts=ids, client=box.client())
        assert len(box.requests()) == 0


def test_nobody_there_is_a_no(monkeypatch):
    """Where nobody can answer nothing is asked and nothing sent."""
    monkeypatch.setattr(session, "somebody_is_there", lambda: False)
    with play() as box:
        label, ids = box.labels["id"].iloc[0], box.contacts["contact_id"].head(3).tolist()
        with pytest.raises(kp.InvalidInputError, match="Nobody is there"):
            kp.check(label_id=label, contacts=ids, client=box.client())
        assert len(box.requests()) == 0


@pytest.mark.parametrize("stop", [KeyboardInterrupt()])
def test_the_label_is_taken_off_whatever_happens(say, monkeypatch, stop):
    """A stop in the middle takes the label off again."""
    say("yes")
    with play() as box:
        label, ids = box.labels["id"].iloc[0], box.contacts["contact_id"].head(3).tolist()
        client = box.client()
        bulk_label, calls = client.bulk_label, []

        def interrupted(*arguments, **options):
            calls.append(arguments)
            if len(calls) == 2:
                raise stop
            return bulk_label(*arguments, **options)

        monkeypatch.setattr(client, "bulk_label", interrupted, raising=False)
        with pytest.raises(KeyboardInterrupt):
            kp.check(label_id=label, contacts=ids, client=client)
        assert box.members(label) == set()
        assert calls[-1][2] == "detach"


def test_an_unknown_label_is_told(say):
    """A label that is none is a row, not an error."""
    say("yes")
    with play() as box:
        ids = box.contacts["contact_id"].head(3).tolist()
        facts = facts_of(kp.check(label_id="lbl_" + "0" * 26, contacts=ids, client=box.client()))
        assert not facts.loc["attach", "ok"]
        assert facts.loc["attach", "found"].startswith("HTTP 404")


@pytest.mark.parametrize(
    ("label_id", "contacts", "words"),
    [
        (None, ["ctc_" + "0" * 26], "go together"),
        ("lbl_" + "0" * 26, None, "go together"),
        ("lbl_" + "0" * 26, [], "expected 1 to 10"),
        ("lbl_" + "0" * 26, [f"ctc_{n:026d}" for n in range(11)], "expected 1 to 10"),
        ("lbl_" + "0" * 26, ["ctc_" + "0" * 26] * 2, "each once"),
        ("lbl_" + "0" * 26, ["me"], "no contact ids"),
        ("lbl_" + "0" * 26, [{}], "no contact ids"),
        *(("lbl_" + "0" * 26, one, "a list of contact ids") for one in (5, "ctc_" + "0" * 26, {})),
        ("VIP", ["ctc_" + "0" * 26], "label id"),
    ],
)
def test_unusable_arguments_are_refused(say, label_id, contacts, words):
    """What cannot be tried is said before anybody is asked."""
    asked = say("yes")
    with play() as box, pytest.raises(kp.InvalidInputError, match=words):
        kp.check(label_id=label_id, contacts=contacts, client=box.client())
    assert asked == []


def test_a_failing_read_is_a_row():
    """A page that cannot be read does not keep the others from being looked at."""
    with kp.sandbox.start(10, faults=Faults(script={1: "error_403"}, on="reads")) as box:
        facts = facts_of(kp.check(client=box.client(max_tries=1)))
        assert not facts.loc["GET /labels", "ok"]
        assert facts.loc["fields in /contacts", "ok"]
