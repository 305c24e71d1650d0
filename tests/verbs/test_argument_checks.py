"""What comes in at the public verbs is made plain; what cannot be used is refused in our words."""

import importlib
import traceback
from enum import Enum, StrEnum
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import kirim_pandas as kp
from kirim_pandas import frame_accessor
from kirim_pandas.verbs.argument_checks import plain, shown

SECRET = "Budi Santoso"


class Words(StrEnum):
    """Words as people keep them in an enumeration."""

    ATTACH = "attach"
    ROWS = "rows"
    COLUMN = "contact_id"


@pytest.fixture(scope="module")
def box():
    with kp.sandbox.start(contacts=30, write_per_minute=60_000) as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.str_("a"), "a"),
        (Words.ATTACH, "attach"),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.float32(0.5), 0.5),
        (np.float64(0.5), 0.5),
        ([np.str_("a"), ("b", np.uint8(1))], ["a", ("b", 1)]),
    ],
)
def test_almost_strings_and_numbers_become_plain(value, expected):
    """Every text becomes str, every number int or float, also inside lists and tuples."""
    assert repr(plain(value)) == repr(expected)


def test_what_is_no_text_and_no_number_stays():
    """A path, a float, a frame and nothing stay as they are."""
    for value in (Path("x"), 1.5, pd.DataFrame(), None, pd.NA):
        assert plain(value) is value


@pytest.mark.parametrize("text", [np.str_, lambda value: StrEnum("Word", {"A": value}).A])
def test_a_run_of_almost_strings_leaves_a_sound_journal(box, label, text, tmp_path):
    """Label, operation, columns, cap and run id may be almost plain: the journal is plain."""
    place = str(tmp_path / "journal.sqlite")
    part = box.contacts.kirim.bulk_label(
        text(label),
        text("attach"),
        id_column=text("contact_id"),
        hint=[text("team")],
        resolve=text("rows"),
        max_requests=np.int64(100),
        journal=text(place),
        client=box.client(),
        progress=False,
    )
    run_id = text(part.attrs["kirim_run_id"])
    again = kp.resume(
        run_id, journal=text(place), max_requests=np.uint8(5), client=box.client(), progress=False
    )
    assert len(again) == len(part)
    assert kp.runs(journal=place)["state"].tolist() == ["finished"]
    calls = kp.calls(run_id, journal=text(place))
    assert calls.loc[calls["phase"] == "apply", "contacts"].sum() == len(part)
    kp.forget(run_id, journal=text(place))
    assert kp.runs(journal=place).empty


WRONG = {
    "op NA": ({"op": pd.NA}, "operation"),
    "op Series": ({"op": pd.Series([SECRET, SECRET])}, "operation"),
    "label frame": ({"label_id": pd.DataFrame({"a": [SECRET]})}, "label"),
    "client text": ({"client": "kdv_live_" + "x" * 24}, "client: found text"),
    "client frame": ({"client": pd.DataFrame({"a": [SECRET]})}, "a DataFrame of 1 rows"),
    "journal True": ({"journal": True}, "journal: found True"),
    "journal empty": ({"journal": " "}, "expected a path"),
    "journal in memory": ({"journal": ":memory:"}, "expected a path"),
    "id_column Series": ({"id_column": pd.Series([SECRET])}, "id_column"),
    "hint Series": ({"hint": pd.Series([SECRET])}, "hint"),
    "hint of a Series": ({"hint": [pd.Series([SECRET])]}, "hint"),
    "resolve NA": ({"resolve": pd.NA}, "resolve="),
    "resolve array": ({"resolve": np.array(["rows", "batches"])}, "resolve="),
    "cap NA": ({"max_requests": pd.NA}, "max_requests="),
    "cap Series": ({"max_requests": pd.Series([SECRET])}, "max_requests="),
    "cap bool": ({"max_requests": np.bool_(True)}, "max_requests=True"),
}


@pytest.mark.parametrize("verb", ["bulk_label", "bulk_label_job", "plan"])
@pytest.mark.parametrize(("wrong", "told"), WRONG.values(), ids=WRONG)
def test_foreign_objects_are_refused(box, label, verb, wrong, told):
    """Whatever a verb is given, it says what it found in our words and sends nothing."""
    before = len(box.requests())
    arguments = {"label_id": label, "op": "attach", "client": box.client()} | wrong
    with pytest.raises(kp.InvalidInputError, match=told) as caught:
        getattr(box.contacts.kirim, verb)(**arguments)
    assert SECRET not in str(caught.value)
    assert "kdv_live" not in str(caught.value)
    assert len(box.requests()) == before


@pytest.mark.parametrize("progress", [None, "yes", pd.NA, 1, pd.Series([SECRET])])
def test_what_is_no_way_to_show_progress(box, label, progress):
    """Progress is shown, not shown, or told to a function; anything else is refused first."""
    before = len(box.requests())
    for verb, given in (("bulk_label", (label, "attach")), ("resume", ("run_1",))):
        with pytest.raises(kp.InvalidInputError, match="progress: found") as caught:
            getattr(box.contacts.kirim, verb)(*given, client=box.client(), progress=progress)
        assert SECRET not in str(caught.value)
    assert len(box.requests()) == before


def test_an_almost_false_is_false(box, label, capsys):
    """numpy's False shows no bar."""
    box.contacts.kirim.bulk_label(
        label, "attach", client=box.client(), progress=np.bool_(False), resolve="batches"
    )
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("place", ["~no such user/x", "a\0b"])
def test_places_that_cannot_be(box, label, place, monkeypatch):
    """A home that nobody has, and a NUL, are told in our words, also from the environment."""
    with pytest.raises(kp.JournalError, match="cannot be at"):
        kp.runs(journal=place)
    with pytest.raises(kp.JournalError, match="cannot be at"):
        box.contacts.kirim.bulk_label_job(label, "attach", client=box.client(), journal=place)
    if "\0" not in place:  # which no environment can hold
        monkeypatch.setenv("KIRIM_JOURNAL", place)
        with pytest.raises(kp.JournalError, match="cannot be at"):
            kp.runs()


def test_another_folder_in_the_next_cell_moves_no_journal(box, label, tmp_path, monkeypatch):
    """A relative journal is where it was when the run started, whatever the folder is later."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()

    def leave(now):
        monkeypatch.chdir(tmp_path / "elsewhere")

    box.contacts.kirim.bulk_label(
        label, "attach", client=box.client(), journal="here.sqlite", progress=leave
    )
    assert kp.runs(journal=tmp_path / "here.sqlite")["state"].tolist() == ["finished"]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def named_otherwise(value):
    """Make a member of an enumeration whose ``str()`` is its name, not its text."""
    return Enum("Word", {"A": value}, type=str).A


def test_files_are_where_the_text_says(box, label, tmp_path):
    """The path of a report or a list may be an almost-string, too."""
    result = box.contacts.kirim.bulk_label(label, "attach", client=box.client(), progress=False)
    page, table = tmp_path / "page.html", tmp_path / "table.csv"
    assert result.kirim.report().save(named_otherwise(str(page))) == page
    panel = box.contacts.kirim.panel(client=box.client())
    panel.segments.choose_exclusive(np.bool_(True))
    assert panel.segments.chosen.exclusive is True
    panel.choose_label(label)
    panel.plan()
    panel.confirm()
    panel.run().result()
    assert panel.save_list(named_otherwise(str(table))) == table
    assert page.exists()
    assert table.exists()
    kp.keep_history(np.float32(30))


@pytest.mark.parametrize(
    "text", [np.str_, lambda value: StrEnum("Word", {"A": value}).A, named_otherwise]
)
def test_a_connection_takes_almost_strings(box, text):
    """Key, address and number may be almost strings; what is no address is refused in our words."""
    client = kp.connect(text(box.api_key), base_url=text(box.base_url))
    assert client.me().tier
    assert type(client.target) is str
    with pytest.raises(kp.ConfigurationError) as caught:
        kp.connect(box.api_key, base_url=pd.Series([SECRET]))
    assert SECRET not in str(caught.value)
    assert frames_of(caught.value) == {__file__}


@pytest.mark.parametrize("verb", [kp.resume, kp.forget, kp.calls])
@pytest.mark.parametrize("run_id", [pd.DataFrame({"a": [SECRET]}), None, 7, pd.NA, "no run id"])
def test_what_is_no_run_id_is_refused(verb, run_id):
    """Resume, forget and calls say that they need a run id, and nothing of what a frame holds."""
    with pytest.raises(kp.InvalidInputError, match=r"runs\(\) lists") as caught:
        verb(run_id)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("journal", [True, False, "", pd.NA, pd.Series([SECRET])])
def test_what_is_no_journal_is_refused(journal):
    """The verbs of past runs say what a journal is."""
    for verb in (kp.runs, lambda **given: kp.forget("run_1", **given)):
        with pytest.raises(kp.InvalidInputError, match="journal: found") as caught:
            verb(journal=journal)
        assert SECRET not in str(caught.value)


def test_text_in_a_message_is_short():
    """A message shows at most some sixty characters of a text."""
    assert len(shown("x" * 5000)) <= 60
    assert shown(None) == "None"


def frames_of(error):
    """Files of the traceback's frames."""
    return {frame.filename for frame in traceback.extract_tb(error.__traceback__)}


def test_tracebacks_show_the_callers_lines_only(box, label):
    """Our own errors leave the library without its frames, wherever they were raised."""
    result = box.contacts.kirim.bulk_label(label, "attach", client=box.client(), progress=False)
    broken_key = "kdv_live_" + "x" * 24
    broken = kp.Client(broken_key, base_url=box.base_url)
    calls = [
        lambda: result.kirim.summary(by="no such column"),
        lambda: result.kirim.report(by="no such column"),
        lambda: box.contacts.kirim.bulk_label("VIP?", "attach"),
        lambda: box.contacts.kirim.bulk_label_job(label, "neither"),
        lambda: box.contacts.kirim.plan(label, "neither"),
        lambda: box.contacts.kirim.resume("run_none"),
        lambda: kp.resume("run_none"),
        lambda: kp.forget("run_none"),
        lambda: kp.calls("run_none"),
        lambda: kp.labels(client=broken),
        broken.me,
        lambda: next(broken.labels()),
        lambda: next(broken.contacts()),
        lambda: next(broken.accounts()),
        lambda: broken.label("VIP"),
        lambda: broken.create_label("VIP"),
        lambda: broken.bulk_label([], label, "attach"),
        lambda: broken.answer("/me"),
        lambda: kp.Client("no key"),
        lambda: kp.Client(broken_key, share=7),
        lambda: kp.Client(broken_key, base_url="ftp://example.com"),
        lambda: box.client(share=7),
        lambda: kp.sandbox.start(-1),
        lambda: kp.sandbox.Switches(applied="maybe"),
        lambda: kp.sandbox.Faults(rates={"flood": 1}),
        lambda: box.outcome("no label"),
        lambda: kp.compare(result, None),
        lambda: kp.result("run_none"),
        lambda: kp.undo("run_none", client=box.client()),
        lambda: kp.keep_history(0),
        lambda: kp.spreadsheet_safe(None),
        lambda: result.kirim.report().save("no such folder/x.html"),
        lambda: box.contacts.kirim.match_contacts(phone="no such column", client=box.client()),
        lambda: box.contacts.kirim.match_contacts(phone="phone_number", client=broken),
        lambda: box.contacts.kirim.panel(client=box.client()).choose_id_column("no such column"),
        lambda: box.contacts.kirim.panel(client=box.client()).run(),
        lambda: box.contacts.kirim.bulk_label(
            label, "attach", client=broken, progress=False, journal=False
        ),
    ]
    for call in calls:
        with pytest.raises(kp.KirimError) as caught:
            call()
        made = {"<string>"}  # the line that makes a dataclass
        assert frames_of(caught.value) - made == {__file__}
        assert caught.value.__cause__ is None or frames_of(caught.value.__cause__) == set()


def test_a_reload_is_silent(recwarn):
    """Importing the package again registers its accessors again without a warning."""
    for module in (kp, frame_accessor, kp):
        importlib.reload(module)
    assert [str(warning.message) for warning in recwarn] == []
    assert pd.DataFrame.kirim.__module__ == frame_accessor.__name__


def test_strangers_are_warned_of(monkeypatch):
    """An attribute of that name that is not ours is not replaced without a word."""
    monkeypatch.setattr(pd.Series, "kirim", property(lambda series: "a stranger's"))
    with pytest.warns(UserWarning, match="kirim"):
        frame_accessor.register()
