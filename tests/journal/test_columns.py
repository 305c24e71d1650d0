"""What explains skips, in the journal: kept for a resume, checked, and forgotten with the run."""

import sqlite3

import numpy as np
import pytest

import kirim_pandas as kp
from kirim_pandas.journal.store import Journal, RunRecord
from kirim_pandas.run.spec import Column

RUN = "run_20260101_0123456789"
IDS = [f"ctc_{number:026d}" for number in range(5)]
CITY = Column("city", np.array([0, 1, 1, 0, 2], dtype=np.int32))
DAY = Column("day", np.array([4, 3, 2, 1, 0], dtype=np.int32), ordered=True)


def record(**changes):
    known = {
        "label_id": "lbl_" + "0" * 26,
        "operation": "attach",
        "target": "https://example.org/v1/contacts/bulk_label",
        "contact_ids": IDS,
        "groups": None,
        "resolve": "rows",
        "max_requests": None,
        "rows": 5,
        "started_at": 1000.0,
    }
    return RunRecord(run_id=RUN, **known | changes)


@pytest.fixture
def journal(tmp_path):
    store = Journal(tmp_path)
    yield store
    store.close()


def told(columns):
    return [(c.name, c.codes.tolist(), c.codes.dtype, c.ordered) for c in columns]


def tables(journal):
    with sqlite3.connect(journal.path) as db:
        found = {name for (name,) in db.execute("SELECT name FROM sqlite_schema")}
    db.close()
    return found


def test_columns_come_back_as_they_were(journal):
    """Names, codes and order survive, those of the frame apart from those learnt by round."""
    journal.begin(record(columns=(CITY, DAY)))
    journal.learn(RUN, 3, [DAY])
    journal.learn(RUN, 7, [CITY, CITY])
    known, _ = journal.load(RUN)
    assert told(known.columns) == told([CITY, DAY])
    assert {number: told(columns) for number, columns in known.learnt.items()} == {
        3: told([DAY]),
        7: told([CITY, CITY]),
    }


def test_a_run_without_columns_makes_no_table(journal):
    """A journal of an earlier version is read and written as it is."""
    journal.begin(record())
    assert "columns" not in tables(journal)
    known, _ = journal.load(RUN)
    assert known.columns == ()
    assert known.learnt == {}
    journal.learn(RUN, 0, [DAY])  # and gets the table once something is learnt
    assert told(journal.load(RUN)[0].learnt[0]) == told([DAY])


@pytest.mark.parametrize(
    "change",
    [
        "codes = zeroblob(length(codes))",
        "codes = substr(codes, 2)",
        "heads = replace(heads, 'city', 'town')",
        "round = round + 1",
        "checksum = checksum + 1",
        "heads = ''",
    ],
)
def test_a_damaged_row_is_refused(journal, change):
    """Columns that are not as they were written are not used: other probes would be planned."""
    journal.begin(record(columns=(CITY,)))
    with journal._db as db:
        db.execute(f"UPDATE columns SET {change}")
    with pytest.raises(kp.JournalError, match="does not match its checksum"):
        journal.load(RUN)


def test_a_forgotten_run_leaves_no_columns(journal):
    """What is deleted is gone from the table, and its bytes from the file."""
    journal.begin(record(columns=(Column("a very rare heading", CITY.codes),)))
    journal.learn(RUN, 2, [DAY])
    assert journal.forget(RUN)
    with journal._db as db:
        assert db.execute("SELECT count(*) FROM columns").fetchone() == (0,)
    for file in journal.path.parent.iterdir():
        assert b"a very rare heading" not in file.read_bytes()


def test_other_runs_keep_theirs(journal):
    """Forgetting one run does not touch another's columns."""
    from dataclasses import replace

    journal.begin(record(columns=(CITY,)))
    journal.begin(replace(record(columns=(DAY,)), run_id="run_2"))
    journal.forget(RUN)
    assert told(journal.load("run_2")[0].columns) == told([DAY])
