"""Every public verb and method refuses what it cannot use, before it sends anything."""

import re
from decimal import Decimal
from itertools import product

import numpy as np
import pandas as pd
import pytest

import kirim_pandas as kp

pytest.importorskip("matplotlib")

SECRET = "Budi Santoso"


class Unprintable:
    """What raises wherever it is looked at."""

    def __repr__(self):
        raise RuntimeError

    __str__ = __bool__ = __repr__


FOREIGN = {
    "NA": pd.NA,
    "NaT": pd.NaT,
    "Decimal": Decimal(5),
    "Series": pd.Series([SECRET, SECRET]),
    "Index": pd.Index([SECRET, SECRET]),
    "frame": pd.DataFrame({"a": [SECRET]}),
    "array": np.array([SECRET, SECRET]),
    "array without a length": np.array(5),
    "categorical": pd.Categorical([SECRET]),
    "dict": {SECRET: 1},
    "set": {SECRET},
    "list of lists": [[SECRET]],
    "bytes": b"attach",
    "unprintable": Unprintable(),
}


@pytest.fixture(scope="module")
def world():
    with kp.sandbox.start(contacts=30, seed=1, write_per_minute=60_000) as box:
        client, label = box.client(), box.labels["id"].iloc[0]
        settings = {"client": client, "journal": False}
        job = box.contacts.kirim.bulk_label_job(label, "attach", **settings)
        result = job.result()
        panel = box.contacts.kirim.panel(client=client)
        panel.load_labels()
        yield box, client, label, job, result, panel


def doors(world):
    """Give each verb as a function of its wrong arguments."""
    box, client, label, job, result, panel = world
    frame, people = box.contacts, box.contacts.drop(columns="contact_id")
    usual = {"client": client, "progress": False}

    segments = {"by": [True] * 30, "labels": {True: label}}
    sync = {"label": label, "members": [True] * 30}

    def label_with(verb, **wrong):
        return verb(**{"label_id": label, "op": "attach", "client": client, **wrong})

    return {
        "bulk_label": lambda **wrong: label_with(frame.kirim.bulk_label, **wrong),
        "bulk_label_job": lambda **wrong: label_with(frame.kirim.bulk_label_job, **wrong),
        "plan": lambda **wrong: label_with(frame.kirim.plan, **wrong),
        "label_segments": lambda **wrong: frame.kirim.label_segments(**segments | usual | wrong),
        "label_segments_job": lambda **wrong: frame.kirim.label_segments_job(
            **segments | {"client": client, **wrong}
        ),
        "plan_segments": lambda **wrong: frame.kirim.plan_segments(**segments | usual | wrong),
        "sync_label": lambda **wrong: frame.kirim.sync_label(**sync | usual | wrong),
        "sync_label_job": lambda **wrong: frame.kirim.sync_label_job(
            **sync | {"client": client, **wrong}
        ),
        "plan_sync": lambda **wrong: frame.kirim.plan_sync(**sync | usual | wrong),
        "undo": lambda **wrong: kp.undo(**{"run_id": "run_x", **usual, **wrong}),
        "undo_job": lambda **wrong: kp.undo_job(**{"run_id": "run_x", "client": client, **wrong}),
        "resume_job": lambda **wrong: kp.resume_job(
            **{"run_id": "run_x", "client": client, **wrong}
        ),
        "df.resume": lambda **wrong: frame.kirim.resume(**{"run_id": "run_x", **usual, **wrong}),
        "match_contacts": lambda **wrong: people.kirim.match_contacts(
            **{"phone": "phone_number", **usual, **wrong}
        ),
        "resume": lambda **wrong: kp.resume(**{"run_id": "run_x", **usual, **wrong}),
        "result": lambda **wrong: kp.result(**{"run_id": "run_x", **wrong}),
        "keep_history": lambda **wrong: kp.keep_history(**{"days": 400, **wrong}),
        "contacts": lambda **wrong: kp.contacts(**usual | wrong),
        "accounts": lambda **wrong: kp.accounts(**wrong),
        "labels": lambda **wrong: kp.labels(**wrong),
        "create_label": lambda **wrong: kp.create_label(
            **{"name": "New", "client": client, **wrong}
        ),
        "compare": lambda **wrong: kp.compare(**{"result_a": result, "result_b": result, **wrong}),
        "calls": lambda **wrong: kp.calls(**{"run_id": "run_x", **wrong}),
        "runs": kp.runs,
        "forget": lambda **wrong: kp.forget(**{"run_id": "run_x", **wrong}),
        "connect": lambda **wrong: kp.connect(**{"api_key": box.api_key, **wrong}),
        "spreadsheet_safe": lambda **wrong: kp.spreadsheet_safe(**{"frame": result, **wrong}),
        "summary": result.kirim.summary,
        "plot": result.kirim.plot,
        "people": result.kirim.people,
        "report": result.kirim.report,
        "panel": frame.kirim.panel,
        "choose_label": panel.choose_label,
        "choose_operation": panel.choose_operation,
        "choose_id_column": panel.choose_id_column,
        "choose_phone_column": panel.choose_phone_column,
        "choose_hint": lambda column: panel.choose_hint(column),
        "job.result": job.result,
    }


ARGUMENTS = {
    "bulk_label": "label_id op id_column phone email team_id hint reads resolve max_requests "
    "client journal progress",
    "bulk_label_job": "label_id op id_column team_id hint reads resolve max_requests client "
    "journal",
    "plan": "label_id op id_column team_id hint reads resolve max_requests client journal",
    "label_segments": "by labels op exclusive create id_column phone email team_id hint reads "
    "resolve max_requests client journal progress",
    "label_segments_job": "by labels client",
    "plan_segments": "by labels client progress",
    "sync_label": "label members since leavers id_column phone email team_id hint reads "
    "resolve max_requests client journal progress",
    "sync_label_job": "label members client",
    "plan_sync": "label members client progress",
    "undo": "run_id client progress journal",
    "undo_job": "run_id client journal",
    "resume_job": "run_id resolve max_requests client journal",
    "df.resume": "run_id id_column resolve max_requests client progress journal",
    "match_contacts": "phone email country client progress max_age",
    "resume": "run_id resolve max_requests client progress journal",
    "result": "run_id journal",
    "keep_history": "days journal",
    "contacts": "search phone limit metadata client progress",
    "accounts": "client",
    "labels": "client",
    "create_label": "name color team_id client",
    "compare": "result_a result_b unchanged",
    "calls": "run_id journal",
    "runs": "journal",
    "forget": "run_id journal",
    "connect": "api_key base_url share max_tries patience_seconds",
    "spreadsheet_safe": "target",
    "plot": "ax",
    "people": "status reason",
    "report": "data label_name people columns",
    "panel": "client",
    "choose_label": "label",
    "choose_operation": "operation",
    "choose_id_column": "label",
    "choose_phone_column": "label",
    "choose_hint": "column",
    "job.result": "timeout_seconds",
}
SEGMENT_VERBS = ("label_segments", "label_segments_job", "plan_segments")
FITTING = {  # a frame is data, a dictionary or a Series names labels; and a number of tries
    ("report", "data", "frame"),
    *((verb, "labels", kind) for verb in SEGMENT_VERBS for kind in ("dict", "Series")),
    ("connect", "max_tries", "Decimal"),
    ("connect", "patience_seconds", "Decimal"),
    ("connect", "max_tries", "array without a length"),
    ("connect", "patience_seconds", "array without a length"),
}


@pytest.mark.parametrize(
    ("verb", "argument"),
    [(verb, argument) for verb, listed in ARGUMENTS.items() for argument in listed.split()],
)
def test_every_argument_of_every_verb_is_checked_at_the_door(world, verb, argument):
    """A foreign object is refused by an error of ours that shows nothing it holds; none is sent."""
    call, before = doors(world)[verb], len(world[0].requests())
    for name, foreign in FOREIGN.items():
        if (verb, argument, name) in FITTING:
            continue
        with pytest.raises(kp.KirimError) as told:
            call(**{argument: foreign})
        assert SECRET not in str(told.value), name
        assert world[0].api_key not in str(told.value), name
        assert "itself failed" not in str(told.value), name
    assert len(world[0].requests()) == before


def test_client_and_sandbox_refuse_what_they_cannot_use(world):
    """Their settings and arguments are checked as those of the verbs are; nothing is sent."""
    box, client, label, *_ = world
    ids, before = box.contacts["contact_id"].tolist()[:2], len(box.requests())
    calls = {
        **{
            name: lambda wrong, name=name: kp.Client("kdv_live_" + "x" * 24, **{name: wrong})
            for name in ("base_url", "phone_number_id", "timeouts", "allow_http", "ca_bundle")
        },
        "api_key": kp.Client,
        "bulk_label ids": lambda wrong: client.bulk_label(wrong, label, "attach"),
        "bulk_label label": lambda wrong: client.bulk_label(ids, wrong, "attach"),
        "bulk_label operation": lambda wrong: client.bulk_label(ids, label, wrong),
        "label": client.label,
        "create_label": client.create_label,
        "search": lambda wrong: client.contacts(search=wrong),
        "phone": lambda wrong: client.contacts(phone=wrong),
        "at_number": client.at_number,
        "answer": client.answer,
        "outcome": box.outcome,
        "members": box.members,
        "team_id": box.team_id,
        "move_contact": lambda wrong: box.move_contact(0, wrong),
        "delete_contact": box.delete_contact,
        "delete_label": box.delete_label,
        "set_members": lambda wrong: box.set_members(label, wrong),
        "set_write_per_minute": box.set_write_per_minute,
        "advance_clock": box.advance_clock,
        "messy": kp.sandbox.messy,
        "sample_contacts": kp.sandbox.sample_contacts,
    }
    for (name, call), (kind, foreign) in product(calls.items(), FOREIGN.items()):
        if (name, kind) == ("bulk_label ids", "list of lists"):
            continue  # ids that are no text are told one by one
        if name == "set_members" and kind in ("Series", "Index", "set", "dict"):
            continue  # these are lists of texts
        with pytest.raises(kp.KirimError) as told:
            call(foreign)
        assert SECRET not in str(told.value), (name, kind)
    for key in ("kdv_live_" + "x" * 24, "kc_live_" + "x" * 24):
        for name in ("bulk_label ids", "bulk_label label", "bulk_label operation", "outcome"):
            with pytest.raises(kp.KirimError) as told:
                calls[name](key)
            assert "xxx" not in str(told.value), name
    assert len(box.requests()) == before


def test_almost_plain_arguments_of_look_ups_are_taken(world):
    """A limit as numpy.int64 and a text as numpy.str_ are what they are equal to."""
    _box, client, *_ = world
    some = kp.contacts(
        limit=np.int64(3), metadata=np.str_("columns"), progress=np.bool_(False), client=client
    )
    assert len(some) == 3


@pytest.mark.parametrize("verb", ["hint", "by", "columns", "status", "reason"])
def test_a_column_in_place_of_names_is_not_read_aloud(world, verb):
    """A list that holds none of the names is told by its length, since it may hold customers."""
    box, client, label, _job, result, _panel = world
    customers = box.contacts["name"].tolist()
    calls = {
        "hint": lambda: box.contacts.kirim.plan(label, "attach", hint=customers, client=client),
        "by": lambda: result.kirim.summary(by=customers),
        "columns": lambda: result.kirim.people(columns=customers),
        "status": lambda: result.kirim.people(status=customers),
        "reason": lambda: result.kirim.people(reason=customers),
    }
    with pytest.raises(kp.InvalidInputError, match="30") as told:
        calls[verb]()
    assert not [name for name in customers if name in str(told.value)]


@pytest.mark.parametrize(
    ("verb", "given", "options", "told"),
    [
        ("bulk_label_job", ["lbl"], {}, "bulk_label_job() missing a required argument: 'op'"),
        (
            "bulk_label_job",
            ["lbl", "attach"],
            {"progress": True},
            "bulk_label_job() got an unexpected keyword argument 'progress'",
        ),
        ("plan", ["lbl", "attach", "tag"], {}, "plan() too many positional arguments"),
        ("plan_sync", ["lbl"], {}, "plan_sync() missing a required argument: 'members'"),
        ("sync_label_job", [], {}, "sync_label_job() missing a required argument: 'label'"),
        ("plan_segments", [], {"label": 1}, "plan_segments() missing a required argument: 'by'"),
    ],
)
def test_wrong_arguments_are_told_of_the_verb_that_was_called(verb, given, options, told):
    """Not of a class in which the verb keeps them, and one call deep."""
    frame = pd.DataFrame({"contact_id": ["ctc_01HXYZABCDEFGHJKMNPQRSTVWX"]})
    with pytest.raises(TypeError, match="^" + re.escape(told)) as caught:
        getattr(frame.kirim, verb)(*given, **options)
    assert len(caught.traceback) == 2
