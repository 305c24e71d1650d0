"""What the verbs take and give: their arguments, each declared once, and the types of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

import pandas as pd

from kirim_pandas.verbs.argument_checks import plain

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
    "LabelArguments",
    "LabelJob",
    "LabelOptions",
    "Labels",
    "Leavers",
    "Pandas",
    "Panel",
    "Plan",
    "ProgressChoice",
    "Report",
    "Resolve",
    "SegmentsArguments",
    "SegmentsPlan",
    "Split",
    "SyncArguments",
]

Pandas: TypeAlias = "pd.DataFrame | pd.Series[Any] | pd.Index[Any]"
Labels: TypeAlias = Mapping[Any, str] | str | None
Hint: TypeAlias = Hashable | list[Hashable] | None
Leavers: TypeAlias = Literal["detach"] | None
ProgressChoice: TypeAlias = "bool | Callable[[Progress], object]"
JournalChoice: TypeAlias = str | Path | Literal[False] | None


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelOptions:
    """What every verb that labels takes, beside whom to give what; made plain, but for data."""

    id_column: Hashable | None = None
    phone: Hashable | None = None
    email: Hashable | None = None
    team_id: str | None = None
    hint: Hint = "auto"
    reads: bool = True
    resolve: Resolve = "rows"
    max_requests: int | None = None
    client: Client | None = None
    progress: ProgressChoice = True
    journal: JournalChoice = None

    def __post_init__(self) -> None:
        for one in fields(self):
            if one.name not in ("by", "members"):  # these are data
                object.__setattr__(self, one.name, plain(getattr(self, one.name)))

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Take them from the ``locals()`` of the documented verb, where they stand once more."""
        return cls(**{one.name: given[one.name] for one in fields(cls)})

    @property
    def columns(self) -> tuple[Hashable | None, Hashable | None, Hashable | None]:
        """What says which contact a row means: ids, phone numbers, e-mail addresses."""
        return self.id_column, self.phone, self.email


@dataclass(frozen=True, eq=False)
class LabelArguments(LabelOptions):
    """The arguments of ``df.kirim.bulk_label``, which has the words for them."""

    label_id: str
    op: str


@dataclass(frozen=True, eq=False)
class SegmentsArguments(LabelOptions):
    """The arguments of ``df.kirim.label_segments``."""

    by: Any
    labels: Labels = None
    op: str = "attach"
    exclusive: bool = field(default=False, kw_only=True)
    create: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, eq=False)
class SyncArguments(LabelOptions):
    """The arguments of ``df.kirim.sync_label``."""

    label: str
    members: Any
    since: str | None = field(default=None, kw_only=True)
    leavers: Leavers = field(default=None, kw_only=True)
