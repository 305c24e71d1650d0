"""Labeling a Dask DataFrame: what a pandas DataFrame of the same rows would come to."""

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest

import kirim_pandas as kp

FAST = 60_000
TOLD = ["contact_id", "status", "reason"]


@pytest.fixture(autouse=True)
def _one_thread():
    """No thread pool of Dask's outlives a test."""
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture(scope="module")
def box():
    with kp.sandbox.start(1500, write_per_minute=FAST, skipped_share=0.005, seed=4) as box:
        yield box


@pytest.fixture
def messy(box):
    return made(box)


def made(box):
    """Rows of every kind: duplicates, missing and malformed ids, blanks around some."""
    df = box.contacts[["contact_id", "name", "phone_number", "email", "team", "source"]]
    df = pd.concat([df, df.iloc[:300]], ignore_index=True)
    ids = df["contact_id"].astype(object)
    ids[10:20], ids[700], ids[701] = None, "62 812 3456 7890", "  "
    ids[1600:1650] = " " + ids[1600:1650] + "\n"
    df["contact_id"] = ids.astype("str")
    df["spend"] = np.random.default_rng(0).integers(0, 100, len(df)) / 4
    return df


def labeled(frame, box, **options):
    settings = {"client": box.client(), "progress": False} | options
    return frame.kirim.bulk_label("Newsletter", "attach", **settings)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"hint": "team"},
        {"hint": ["team", "source"], "reads": False},
        {"hint": None, "reads": False},
        {"id_column": "contact_id", "resolve": "batches", "hint": None},
        {"phone": "phone_number"},
        {"email": "email"},
    ],
    ids=lambda options: ",".join(options),
)
def test_rows_are_those_of_pandas(box, messy, options):
    """Each row has the outcome that a pandas frame gives it, with the same calls and requests."""
    if "phone" in options or "email" in options:
        messy = messy.drop(columns="contact_id")
    before = len(box.requests())
    wanted = labeled(messy, box, journal=False, **options)
    between = len(box.requests())
    ddf = dd.from_pandas(messy, npartitions=7)
    result = labeled(ddf, box, journal=False, **options)
    after = len(box.requests())
    assert (result.npartitions, result.divisions) == (ddf.npartitions, ddf.divisions)
    computed = result.compute()
    assert len(box.requests()) == after
    names = list(wanted.columns) if options.get("resolve") == "batches" else TOLD
    pd.testing.assert_frame_equal(computed[names], wanted[names])
    assert computed.dtypes.equals(wanted.dtypes)
    assert result.dtypes.equals(wanted.dtypes)
    assert computed.attrs["kirim_run_id"] == result.kirim.run_id
    if not options.get("reads", True):  # else the second run has the first one's reads
        assert after - between == between - before


def test_a_plan_counts_the_rows_of_all_partitions(box, messy):
    """A plan is that of the same rows in pandas, whatever the partitions hold."""
    ddf = dd.from_pandas(messy, npartitions=7)
    for options in ({}, {"hint": "team"}, {"phone": "phone_number"}):
        if "phone" in options:
            messy, ddf = messy.drop(columns="contact_id"), ddf.drop(columns="contact_id")
        plans = [
            frame.kirim.plan("Newsletter", "attach", client=box.client(), **options)
            for frame in (messy, ddf)
        ]
        assert repr(plans[0]) == repr(plans[1])


def test_people_are_found_by_phone(box, messy):
    """Each row has the match that a pandas frame gives it; a Series of numbers, too."""
    client = box.client()
    for frame, options in (
        (messy.drop(columns="contact_id"), {"phone": "phone_number"}),
        (messy.drop(columns="contact_id"), {"email": "email"}),
        (messy["phone_number"], {}),
    ):
        options |= {"client": client, "progress": False}
        wanted = frame.kirim.match_contacts(**options)
        found = dd.from_pandas(frame, npartitions=5).kirim.match_contacts(**options)
        pd.testing.assert_frame_equal(found.compute(), wanted)
        assert found.dtypes.equals(wanted.dtypes)


@pytest.mark.parametrize("by", ["source", "mask"])
def test_segments_are_those_of_pandas(box, messy, by):
    """Each row has the outcome of its contact and label, also rows without either."""
    messy.loc[5:9, "source"] = None
    vip, other = box.labels["id"].iloc[:2]
    labels = {"ads": vip, "import": other}
    settings = {"client": box.client(), "progress": False, "reads": False, "resolve": "batches"}
    ddf = dd.from_pandas(messy, npartitions=7)
    masks = [messy["spend"] > 12, ddf["spend"] > 12]
    if by == "mask":
        labels = vip
    by = masks if by == "mask" else [by, by]
    wanted = messy.kirim.label_segments(by[0], labels, **settings)
    plans = [
        frame.kirim.plan_segments(one, labels, **settings)
        for frame, one in zip((messy, ddf), by, strict=True)
    ]
    assert repr(plans[0]) == repr(plans[1])
    result = ddf.kirim.label_segments(by[1], labels, **settings)
    pd.testing.assert_frame_equal(result.compute(), wanted)
    assert result.divisions == ddf.divisions
    assert not {"segment", "spend"} & set(result.columns)


def both_say(box, frame, **options):
    """What a pandas frame and a Dask DataFrame of these rows say of a call that cannot be made."""
    told = []
    for one in (frame, dd.from_pandas(frame, npartitions=4)):
        with pytest.raises(kp.InvalidInputError) as raised:
            labeled(one, box, **options)
        told.append(str(raised.value))
    return told


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (lambda df: df, {"id_column": "fone"}),
        (lambda df: df, {"id_column": "name"}),
        (lambda df: df, {"id_column": "spend"}),
        (lambda df: df, {"hint": "teem", "resolve": "all", "max_requests": 0}),
        (lambda df: df, {"phone": "phone_number", "email": "email"}),
        (lambda df: df, {"phone": "name"}),
        (lambda df: df.drop(columns="contact_id"), {}),
        (lambda df: df.assign(other=df["contact_id"]), {}),
    ],
    ids=[
        "no column",
        "names",
        "numbers",
        "all at once",
        "two ways",
        "no phones",
        "no ids",
        "twice",
    ],
)
def test_what_is_wrong_is_told_as_by_pandas(box, messy, change, options):
    """Nothing is sent, and the message is that of the same rows in one frame."""
    before = len(box.requests())
    of_pandas, of_dask = both_say(box, change(messy), **options)
    assert of_dask == of_pandas
    assert len(box.requests()) == before


def test_ids_that_begin_late_are_found(box):
    """A column is judged by all of its rows, also where whole partitions hold no id."""
    ids = box.contacts["contact_id"].iloc[:900].astype(object)
    late = ["of old"] * 800 + ids.tolist()
    df = pd.DataFrame({"who": late, "note": ["x"] * 1700})
    df.loc[850, "note"] = ids.iloc[0]
    wanted = labeled(df, box, reads=False, hint=None, resolve="batches")
    result = labeled(
        dd.from_pandas(df, npartitions=8), box, reads=False, hint=None, resolve="batches"
    )
    pd.testing.assert_frame_equal(result.compute(), wanted)
    early = df.iloc[:1690]  # now fewer than half are ids
    early.loc[:60, "who"] = "of old"
    early = pd.concat([early, early.iloc[:200]], ignore_index=True)
    of_pandas, of_dask = both_say(box, early)
    assert of_dask == of_pandas


def test_ids_may_stand_in_the_index(box, messy):
    """Ids are found in a named index; one without a name is refused with what to do."""
    df = messy.drop_duplicates("contact_id").dropna().set_index("contact_id").sort_index()
    ddf = dd.from_pandas(df, npartitions=3)
    wanted = labeled(df, box, reads=False, hint=None)
    result = labeled(ddf, box, reads=False, hint=None)
    index = {"check_index_type": False}  # Dask makes its own kind of text
    pd.testing.assert_frame_equal(result.compute()[TOLD], wanted[TOLD], **index)
    assert result.divisions == ddf.divisions
    with pytest.raises(kp.InvalidInputError, match=r"ddf\.rename_axis\('contact_id'\)"):
        labeled(dd.from_pandas(df.rename_axis(None), npartitions=3), box)


def test_a_series_of_ids_is_enough(box, messy):
    """A Dask Series of contact ids can be labeled by itself."""
    ids = messy["contact_id"]
    result = labeled(dd.from_pandas(ids, npartitions=3), box, resolve="batches", hint=None)
    wanted = labeled(ids, box, resolve="batches", hint=None)
    pd.testing.assert_frame_equal(result.compute(), wanted)


@pytest.mark.parametrize("rows", [slice(0, 0), slice(10, 20)], ids=["no rows", "no ids"])
def test_where_nobody_is_to_be_labeled_nothing_is_sent(box, messy, rows):
    """An empty frame, and one of missing ids, come back whole without a request."""
    before = len(box.requests())
    ddf = dd.from_pandas(messy, npartitions=7).map_partitions(lambda part: part[part.index < 0])
    if rows.start:
        ddf = dd.from_pandas(messy.iloc[rows], npartitions=2)
    with pytest.warns(UserWarning, match="nothing was sent"):
        result = labeled(ddf, box, id_column="contact_id" if rows.start else None).compute()
    assert result["reason"].tolist() == ["missing_id"] * (rows.stop - rows.start)
    assert len(box.requests()) == before


def test_a_contact_that_comes_later_is_not_sent(box, messy, tmp_path):
    """Computing a result reads the source again; who is new there says so, and is not labeled."""
    path = tmp_path / "who.csv"
    ids = box.contacts["contact_id"]
    ids.iloc[:500].to_csv(path, index=False)
    result = labeled(dd.read_csv(path), box, resolve="batches")
    before = len(box.requests())
    ids.iloc[[600, *range(500)]].to_csv(path, index=False)
    computed = result.compute()
    assert computed["reason"].iloc[0] == "not_read"
    assert computed["contact_id"].tolist() == ids.iloc[[600, *range(500)]].tolist()
    assert not (computed["reason"].iloc[1:] == "not_read").any()
    assert len(box.requests()) == before


@pytest.mark.parametrize("columns", [{}, {"phone": "phone_number"}, {"email": "email"}])
def test_what_ends_a_run_carries_the_rows(box, messy, columns):
    """The result of an error is a Dask DataFrame, too, and the run goes on from there."""
    messy = messy.drop(columns="contact_id") if columns else messy
    ddf = dd.from_pandas(messy, npartitions=4)
    settings = {"client": box.client(), "progress": False} | columns

    def stop(progress):
        raise KeyboardInterrupt

    with pytest.raises(kp.RunInterrupted) as raised:
        ddf.kirim.bulk_label("Newsletter", "attach", **settings | {"progress": stop})
    part = raised.value.result.compute()
    assert len(part) == len(messy)
    assert (part["reason"] == "stopped").any()
    whole = ddf.kirim.resume(raised.value.run_id, **settings)
    assert whole.kirim.run_id == raised.value.run_id
    pd.testing.assert_frame_equal(
        whole.compute()[TOLD], messy.kirim.resume(raised.value.run_id, **settings)[TOLD]
    )
    other = dd.from_pandas(messy.iloc[:900], npartitions=2)
    with pytest.raises(kp.InvalidInputError, match="This frame has other contacts than the run"):
        other.kirim.resume(raised.value.run_id, **settings)


@pytest.fixture(scope="module")
def results(box):
    """A labeled frame and its result, of pandas and of Dask."""
    messy = made(box)
    messy["level"] = pd.Categorical(messy["spend"] // 8, categories=[3, 2, 1, 0]).rename_categories(
        {3: "top", 2: "high", 1: "low", 0: "none"}
    )
    messy.loc[40:60, "source"] = None
    ddf = dd.from_pandas(messy, npartitions=7)
    settings = {"hint": None, "reads": False, "resolve": "batches", "journal": False}
    with dask.config.set(scheduler="synchronous"):
        return messy, labeled(messy, box, **settings), ddf, labeled(ddf, box, **settings)


def test_a_summary_counts_as_that_of_pandas(results):
    """Rows and distinct contacts over all partitions, by any columns, in the same order."""
    df, of_pandas, ddf, of_dask = results
    for by in (None, "team", ["source", "level"], "reason"):
        wanted = of_pandas.kirim.summary(by, data=df)
        told = of_dask.kirim.summary(by, data=ddf)
        pd.testing.assert_frame_equal(told, wanted, check_dtype=False)  # Dask has its own text
    wanted = of_pandas.kirim.summary(df["spend"] > 12)
    pd.testing.assert_frame_equal(of_dask.kirim.summary(ddf["spend"] > 12), wanted)


def test_a_report_says_what_that_of_pandas_says(results):
    """The page is the same but for the run; nothing of the rows is brought here for it."""
    df, of_pandas, ddf, of_dask = results
    wanted = of_pandas.kirim.report("level", data=df, label_name="News")
    told = of_dask.kirim.report("level", data=ddf, label_name="News")
    assert told.headline == wanted.headline
    assert told.title == wanted.title
    assert told.html[told.html.index("<svg") :] == wanted.html[wanted.html.index("<svg") :]
    assert of_dask.kirim.run_id in told.html


@pytest.mark.parametrize(
    ("by", "data", "told"),
    [
        (lambda ddf: "city", lambda ddf: None, "is found with data=ddf"),
        (lambda ddf: "shoe", lambda ddf: ddf, "neither the result nor data= has a column 'shoe'"),
        (lambda ddf: ddf["team"].repartition(npartitions=2), lambda ddf: None, "other partitions"),
        (lambda ddf: ["team", ["a"]], lambda ddf: ddf, "expected the name of a column"),
        (lambda ddf: ddf[ddf["spend"] > 3]["team"], lambda ddf: None, "has other rows than"),
    ],
)
def test_what_cannot_be_counted_by_is_told(results, by, data, told):
    """A name that is not there, and rows that are not those of the result."""
    _, _, ddf, of_dask = results
    with pytest.raises(kp.InvalidInputError, match=told):
        of_dask.kirim.summary(by(ddf), data=data(ddf))
