"""The types of what the verbs take and give."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

import pandas as pd

if TYPE_CHECKING:
    from kirim_pandas.api.client import Client
    from kirim_pandas.frames.charts import Split
    from kirim_pandas.frames.plan import Plan, SegmentsPlan
    from kirim_pandas.frames.reports import Report
    from kirim_pandas.frames.summary import By
    from kirim_pandas.notebook.job import LabelJob
    from kirim_pandas.notebook.panel import Panel
    from kirim_pandas.run.progress import Progress
    from kirim_pandas.run.spec import Resolve

__all__ = [
    "By",
    "Client",
    "Hint",
    "JournalChoice",
    "LabelJob",
    "LabelOptions",
    "Leavers",
    "Pandas",
    "Panel",
    "Plan",
    "ProgressChoice",
    "Report",
    "Resolve",
    "ResumeOptions",
    "SegmentOptions",
    "SegmentsPlan",
    "Split",
    "SyncOptions",
]

Pandas: TypeAlias = "pd.DataFrame | pd.Series[Any] | pd.Index[Any]"
Hint: TypeAlias = Hashable | list[Hashable] | None
Leavers: TypeAlias = Literal["detach"] | None
ProgressChoice: TypeAlias = "bool | Callable[[Progress], object]"
JournalChoice: TypeAlias = str | Path | Literal[False] | None


class LabelOptions(TypedDict, total=False):
    """What ``bulk_label``, ``bulk_label_job`` and ``plan`` take beside label and operation."""

    id_column: Hashable | None
    phone: Hashable | None
    email: Hashable | None
    team_id: str | None
    hint: Hint
    reads: bool
    resolve: Resolve
    max_requests: int | None
    client: Client | None
    journal: JournalChoice


class ResumeOptions(TypedDict, total=False):
    """What ``df.kirim.resume_job`` takes beside the run."""

    id_column: Hashable | None
    phone: Hashable | None
    email: Hashable | None
    resolve: Resolve | None
    max_requests: int | None
    client: Client | None
    journal: str | Path | None


class SegmentOptions(LabelOptions, total=False):
    """What ``label_segments`` takes beside segments, labels and operation."""

    exclusive: bool
    create: bool


class SyncOptions(TypedDict, total=False):
    """What ``sync_label`` takes beside label and members."""

    since: str | None
    leavers: Leavers
    id_column: Hashable | None
    phone: Hashable | None
    email: Hashable | None
    team_id: str | None
    hint: Hint
    reads: bool
    resolve: Resolve
    max_requests: int | None
    client: Client | None
    journal: str | Path | None
