"""Public return types, pinned: read by mypy, never run."""

from collections.abc import Iterator
from typing import assert_type

import pandas as pd

import kirim_pandas as kp
from kirim_pandas.accessor import KirimAccessor
from kirim_pandas.api.client import Client
from kirim_pandas.api.models import BulkLabelReply, Contact, Label, Me
from kirim_pandas.frame_accessor import KirimFrameAccessor
from kirim_pandas.frames.plan import Plan
from kirim_pandas.frames.reports import Report

LABEL = "lbl_01HXYZABCDEFGHJKMNPQRSTVWX"


def check_verbs(frame: KirimFrameAccessor, series: KirimAccessor, client: Client) -> None:
    """What the verbs return does not depend on a flag."""
    assert_type(frame.bulk_label(LABEL, "attach"), pd.DataFrame)
    assert_type(series.bulk_label(LABEL, "detach", resolve="batches"), pd.DataFrame)
    assert_type(frame.resume("run"), pd.DataFrame)
    assert_type(series.label_segments([True], LABEL), pd.DataFrame)
    assert_type(frame.plan(LABEL, "attach", client=client), Plan)
    assert_type(frame.summary(by="team"), pd.DataFrame)
    assert_type(frame.report(), Report)


def check_module(client: Client) -> None:
    """The module's functions."""
    assert_type(kp.connect(), Client)
    assert_type(kp.last_result(), pd.DataFrame | None)
    assert_type(kp.resume("run"), pd.DataFrame)
    assert_type(kp.runs(), pd.DataFrame)
    assert_type(kp.result("run"), pd.DataFrame)
    assert_type(kp.undo("run"), pd.DataFrame)
    assert_type(client.bulk_label([], LABEL, "attach"), BulkLabelReply)
    assert_type(client.me(), Me)
    assert_type(client.labels(), Iterator[Label])
    assert_type(client.contacts(search="a"), Iterator[Contact])


def check_errors(error: kp.KirimError, stop: kp.RunInterrupted, api: kp.ApiError) -> None:
    """What ends a run carries the run."""
    assert_type(error.result, pd.DataFrame | None)
    assert_type(error.run_id, str | None)
    assert_type(stop.result, pd.DataFrame | None)
    assert_type(api.status, int)
    assert_type(api.code, str | None)
