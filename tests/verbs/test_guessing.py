"""Whole runs with guesses: what explains the skips is found, and no source is ever needed."""

import threading

import numpy as np
import pandas as pd
import pytest
from support.kill_harness import faulty_requests, lies

import kirim_pandas as kp
from kirim_pandas.sandbox import Faults, Switches

SIZE = 4000
TEAMS = np.array(["Sales", "Care", "Wholesale", "North", "South", "Export"], dtype=object)


def world(*, exceptions=0.0, size=SIZE):
    """Contacts of six teams, each with a connected number, in random order; some are foreign."""
    random = np.random.default_rng(8)
    frame = kp.sandbox.sample_contacts(size, seed=8)
    team = random.choice(len(TEAMS), size, p=[0.5, *[0.1] * 5])
    frame["column"] = [f"segment {number}" for number in team]
    team[random.random(size) < exceptions] = 2
    frame["team"] = TEAMS[team]
    frame["organization"] = np.where(random.random(size) < 0.04, "foreign", "own")
    return frame


def start(frame, **settings):
    return kp.sandbox.start(
        frame, **{"write_per_minute": 600, "read_per_minute": 60_000} | settings
    )


def run(box, frame, **options):
    """Label everybody, check every row, and count writes and reads."""
    label = box.labels["id"].iloc[0]
    settings = {"client": box.client(), "progress": False} | options
    result = frame.kirim.bulk_label(label, "attach", **settings)
    assert lies(result, box.members(label), box.outcome(label), set()) == []
    assert faulty_requests(box.requests(), set(frame["contact_id"])) == []
    assert result["contact_id"].tolist() == frame["contact_id"].tolist()
    assert set(result["status"]) <= {"applied", "skipped"}
    methods = box.requests()["method"].value_counts()
    return result, int(methods["POST"]), int(methods.get("GET", 0))


def test_bare_ids_are_explained_by_the_connected_numbers():
    """Ids alone: the list is read, and numbers and foreign contacts explain all skips."""
    frame = world()
    with start(frame) as box:
        _, writes, reads = run(box, frame[["contact_id"]])
        assert writes <= 4 + 14
        assert 1 <= reads <= SIZE // 100 + 1


def test_a_column_of_the_frame_explains_without_a_read():
    """Where the frame itself tells who passes, nothing is read."""
    frame = world().query("organization == 'own'").reset_index(drop=True)
    with start(frame) as box:
        _, writes, reads = run(box, frame[["contact_id", "team"]])
        assert writes <= len(frame) // 1000 + 1 + 12
        assert reads == 0


def test_a_column_with_exceptions_saves_most():
    """Contacts that do not follow their column are sought alone."""
    frame = world(exceptions=0.01, size=2000)
    with start(frame) as box:
        _, writes, _ = run(box, frame[["contact_id", "column"]])
        assert writes < 130


@pytest.mark.parametrize(
    ("options", "may_read"),
    [({"hint": None}, True), ({"reads": False}, False), ({"hint": None, "reads": False}, False)],
)
def test_what_is_switched_off_is_not_done(options, may_read):
    """hint=None looks at no column, reads=False reads nothing; the rows are right all the same."""
    frame = world(size=500)
    with start(frame) as box:
        _, _, reads = run(box, frame[["contact_id", "city", "source"]], **options)
        assert may_read or reads == 0


@pytest.mark.parametrize("page", [0, 3])
@pytest.mark.parametrize("name", ["error_500", "gateway_page", "error_401"])
def test_reads_that_fail_cost_no_row(name, page, monkeypatch):
    """Whatever reads answer, at once or half-way, the run ends with every row right."""
    frame = world(size=500)
    with start(frame) as box:
        client = box.client(max_tries=1, patience_seconds=0.2)
        pages = type(client).contact_pages

        def failing(self, **query):
            for number, answer in enumerate(pages(self, **query)):
                if number == page:
                    raise {
                        "error_500": kp.ServerError("no", status=500, code=None),
                        "gateway_page": kp.TransportError("no", maybe_applied=False),
                        "error_401": kp.AuthenticationError("no", status=401, code=None),
                    }[name]
                yield answer

        monkeypatch.setattr(type(client), "contact_pages", failing)
        run(box, frame[["contact_id"]], client=client)


def test_numbers_that_are_hidden_still_tell_who_is_foreign():
    """Where the list shows no numbers, it shows who is in it."""
    frame = world(size=2500)
    frame["team"] = "Sales"
    with start(frame, switches=Switches(account_shown="never")) as box:
        _, writes, _ = run(box, frame[["contact_id"]])
        assert writes <= 3 + 8


def test_the_order_of_rows_stays():
    """However contacts are grouped, rows come back as they stood, with their index."""
    frame = world(size=500).sample(frac=1, random_state=3)
    with start(frame.reset_index(drop=True)) as box:
        label = box.labels["id"].iloc[0]
        result = frame.kirim.bulk_label(label, "attach", client=box.client(), progress=False)
        pd.testing.assert_index_equal(result.index, frame.index)
        assert result["contact_id"].tolist() == frame["contact_id"].tolist()


def test_a_run_that_is_stopped_while_it_reads_goes_on():
    """Stopped in the middle of the listing, a run is taken up again, also without its frame."""
    frame = world(size=1000)
    with start(frame, read_per_minute=6, write_per_minute=6000) as box:
        label = box.labels["id"].iloc[0]
        client = box.client(base_url=box.base_url)

        def press(now):
            if now.waiting and "reading" in now.waiting:
                raise KeyboardInterrupt

        with pytest.raises(kp.RunInterrupted) as caught:
            frame[["contact_id"]].kirim.bulk_label(label, "attach", client=client, progress=press)
        assert (caught.value.result["status"] == "unknown").any()
        before = box.requests()
        assert (before["method"] == "GET").any()
        whole = kp.resume(caught.value.run_id, client=box.client(), progress=False, resolve="rows")
        assert lies(whole, box.members(label), box.outcome(label), set()) == []
        assert set(whole["status"]) == {"applied", "skipped"}
        assert not box.requests()["replayed"].any()
        for thread in [t for t in threading.enumerate() if t.name == "kirim-pandas-list"]:
            thread.join(5)  # the stop reaches a reader that waits for its turn
            assert not thread.is_alive()


@pytest.mark.parametrize("with_frame", [True, False])
@pytest.mark.parametrize("spared", [4, 8])
def test_a_lost_probe_is_asked_again_and_nothing_else(spared, with_frame):
    """A run that lost its connection among its guesses plans the same probes when it goes on."""
    frame = world(size=1500, exceptions=0.005)
    with start(frame) as box:
        label = box.labels["id"].iloc[0]
        rows = frame[["contact_id", "column", "source"]]
        box._server._faults = Faults(script=dict.fromkeys(range(spared, 999), "drop"))
        with pytest.raises(kp.TransportError) as caught:
            rows.kirim.bulk_label(
                label, "attach", client=box.client(max_tries=1), progress=False, reads=False
            )
        box._server._faults = Faults()
        settings = {"client": box.client(), "progress": False}
        if with_frame:
            whole = rows.kirim.resume(caught.value.run_id, **settings)
        else:
            whole = kp.resume(caught.value.run_id, **settings)
        assert lies(whole, box.members(label), box.outcome(label), set()) == []
        assert set(whole["status"]) == {"applied", "skipped"}
        writes = box.requests().query("method == 'POST' and executed")
        asked = [tuple(sorted(ids)) for ids in writes["contact_ids"]]
        probes = asked[2:]
        assert len(set(probes)) == len(probes)
