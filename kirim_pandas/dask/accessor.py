"""The verbs of ``ddf.kirim``: hold, forward, nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kirim_pandas.accessor import KirimAccessor, with_signature_of
from kirim_pandas.verbs.argument_checks import ShortTraceback

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

    import dask.dataframe as dd
    import pandas as pd

    from kirim_pandas.frames.reports import Report
    from kirim_pandas.verbs.arguments import Client, Plan, ProgressChoice, Resolve, SegmentsPlan


class KirimDaskAccessor:
    """Label the contacts of a Dask DataFrame or Series."""

    def __init__(self, obj: dd.DataFrame | dd.Series) -> None:
        self._obj = obj

    @property
    def _frame(self) -> dd.DataFrame:
        """The object as a frame."""
        if self._obj.ndim == 2:
            return self._obj
        return self._obj.to_frame(name=self._obj.name or "contact_id")

    @with_signature_of(KirimAccessor.bulk_label)
    def bulk_label(self, *arguments: Any, **options: Any) -> dd.DataFrame:
        """Attach a label to the contacts of these rows, or detach it, and tell what became of each.

        The workers read the ids, judge them and keep each once; this process sends them, as
        :meth:`df.kirim.bulk_label` does for a frame of pandas; the workers join the outcomes.  All
        calls are done when this returns: computing the result sends nothing.

        Parameters
        ----------
        label_id, op, id_column, phone, email, team_id, hint, reads, resolve, max_requests, \
        client, progress, journal
            As for :meth:`df.kirim.bulk_label`; the defaults too.

        Returns
        -------
        dask.dataframe.DataFrame
            One row per row of the input, same index, partitions and divisions; the columns of
            :meth:`df.kirim.bulk_label`.  Lazy: each computing reads the ids again and finds their
            outcomes, by id.  A contact that has come into the source since is ``not_sent``, with
            the reason ``not_read``.  ``attrs`` of what is computed holds the run id.

        Raises
        ------
        InvalidInputError, ConfigurationError
            As for :meth:`df.kirim.bulk_label`; nothing was sent.
        KirimError, RunInterrupted
            Likewise; ``.result`` is a Dask DataFrame with what is known of each row.

        Examples
        --------
        >>> import dask.dataframe as dd, kirim_pandas as kp
        >>> with kp.sandbox.start(contacts=60, seed=1, write_per_minute=60_000) as sandbox:
        ...     ddf = dd.from_pandas(sandbox.contacts, npartitions=3)
        ...     result = ddf.kirim.bulk_label(
        ...         "Newsletter", "attach", client=sandbox.client(), progress=False, journal=False
        ...     )
        >>> result.npartitions, len(result)
        (3, 60)
        >>> result["status"].value_counts().compute()["applied"] > 0
        np.True_
        """
        from kirim_pandas.dask import verbs
        from kirim_pandas.verbs.arguments import LabelArguments

        return verbs.bulk_label(self._frame, LabelArguments(*arguments, **options))

    @with_signature_of(KirimAccessor.label_segments)
    def label_segments(self, *arguments: Any, **options: Any) -> dd.DataFrame:
        """Give each segment of these rows its label, in one call.

        Parameters
        ----------
        by
            What tells the segments apart: a column or an index level, or a Dask Series of the same
            partitions, such as ``ddf["spend"] > 500``.
        labels, op, exclusive, create, id_column, phone, email, team_id, hint, reads, resolve, \
        max_requests, client, progress, journal
            As for :meth:`df.kirim.label_segments`.

        Returns
        -------
        dask.dataframe.DataFrame
            As of :meth:`bulk_label`, with the columns of :meth:`df.kirim.label_segments`.

        Raises
        ------
        InvalidInputError, ConfigurationError, KirimError, RunInterrupted
            As for :meth:`df.kirim.label_segments`.

        Examples
        --------
        >>> import dask.dataframe as dd, kirim_pandas as kp
        >>> with kp.sandbox.start(contacts=60, seed=1, write_per_minute=60_000) as sandbox:
        ...     ddf = dd.from_pandas(sandbox.contacts, npartitions=3)
        ...     result = ddf.kirim.label_segments(
        ...         ddf["spend"] > 500_000, dict(zip([True, False], sandbox.labels["id"])),
        ...         client=sandbox.client(), progress=False,
        ...     )
        >>> int(result["label_id"].nunique().compute())
        2
        """
        from kirim_pandas.dask import verbs
        from kirim_pandas.verbs.arguments import SegmentsArguments

        return verbs.label_segments(self._frame, SegmentsArguments(*arguments, **options))

    @with_signature_of(KirimAccessor.plan)
    def plan(self, *arguments: Any, **options: Any) -> Plan:
        """Tell what :meth:`bulk_label` would do and cost; labels nobody.

        Parameters
        ----------
        label_id, op, id_column, phone, email, team_id, hint, reads, resolve, max_requests, \
        client, progress, journal
            As for :meth:`df.kirim.plan`.

        Returns
        -------
        Plan
            As of :meth:`df.kirim.plan`; rows are those of all partitions.

        Raises
        ------
        InvalidInputError
            The frame or an argument is not usable.

        Examples
        --------
        >>> import dask.dataframe as dd, kirim_pandas as kp
        >>> contacts = dd.from_pandas(kp.sandbox.sample_contacts(2500, seed=1), npartitions=3)
        >>> plan = contacts.kirim.plan("lbl_01HXYZABCDEFGHJKMNPQRSTVWX", "attach")
        >>> plan.contacts, plan.batches
        (2500, 3)
        """
        from kirim_pandas.dask import verbs
        from kirim_pandas.verbs.arguments import LabelArguments

        return verbs.plan(self._frame, LabelArguments(*arguments, **options))

    @with_signature_of(KirimAccessor.plan_segments)
    def plan_segments(self, *arguments: Any, **options: Any) -> SegmentsPlan:
        """Tell what :meth:`label_segments` would do and cost; labels nobody, and makes no label.

        Parameters
        ----------
        by, labels, op, exclusive, create, id_column, phone, email, team_id, hint, reads, resolve, \
        max_requests, client, progress, journal
            As for :meth:`label_segments`.

        Returns
        -------
        SegmentsPlan
            As of :meth:`df.kirim.plan_segments`; rows are those of all partitions.

        Raises
        ------
        InvalidInputError, ConfigurationError, KirimError
            As for :meth:`label_segments`.

        Examples
        --------
        >>> import dask.dataframe as dd, kirim_pandas as kp
        >>> with kp.sandbox.start(contacts=60, seed=1) as sandbox:
        ...     ddf = dd.from_pandas(sandbox.contacts, npartitions=3)
        ...     plan = ddf.kirim.plan_segments(
        ...         ddf["spend"] > 500_000, dict(zip([True, False], sandbox.labels["id"])),
        ...         client=sandbox.client(),
        ...     )
        >>> plan.rows, int(plan.labels["contacts"].sum())
        (60, 60)
        """
        from kirim_pandas.dask import verbs
        from kirim_pandas.verbs.arguments import SegmentsArguments

        return verbs.plan_segments(self._frame, SegmentsArguments(*arguments, **options))

    @with_signature_of(KirimAccessor.match_contacts)
    def match_contacts(
        self,
        *,
        phone: Hashable | None = None,
        email: Hashable | None = None,
        country: str = "ID",
        **options: Any,
    ) -> dd.DataFrame:
        """Find the contact of each row by its phone number or e-mail address.

        The workers read the numbers, this process looks each up once, the workers join.

        Parameters
        ----------
        phone, email, country, client, progress, max_age
            As for :meth:`df.kirim.match_contacts`.

        Returns
        -------
        dask.dataframe.DataFrame
            One row per row of the input, same index, partitions and divisions; the columns of
            :meth:`df.kirim.match_contacts`.

        Raises
        ------
        InvalidInputError, KirimError, RunInterrupted
            As for :meth:`df.kirim.match_contacts`.

        Examples
        --------
        >>> import dask.dataframe as dd, kirim_pandas as kp
        >>> with kp.sandbox.start(contacts=60, seed=1) as sandbox:
        ...     ddf = dd.from_pandas(sandbox.contacts, npartitions=3)
        ...     found = ddf.kirim.match_contacts(
        ...         phone="phone_number", client=sandbox.client(), progress=False
        ...     )
        >>> found["match"].value_counts().compute()["found"] > 40
        np.True_
        """
        from kirim_pandas.dask import verbs

        if self._obj.ndim == 1 and phone is None and email is None:
            phone = self._frame.columns[0]
        return verbs.match_contacts(
            self._frame, phone=phone, email=email, country=country, **options
        )

    @with_signature_of(KirimAccessor.resume)
    def resume(
        self,
        run_id: str,
        *,
        id_column: Hashable | None = None,
        phone: Hashable | None = None,
        email: Hashable | None = None,
        resolve: Resolve | None = None,
        max_requests: int | None = None,
        client: Client | None = None,
        progress: ProgressChoice = True,
        journal: str | Path | None = None,
    ) -> dd.DataFrame:
        """Go on with a run that was stopped or failed, or whose process died.

        Parameters
        ----------
        run_id, id_column, phone, email, resolve, max_requests, client, progress, journal
            As for :meth:`df.kirim.resume`.

        Returns
        -------
        dask.dataframe.DataFrame
            As of :meth:`bulk_label`.

        Raises
        ------
        InvalidInputError, KirimError, RunInterrupted
            As for :meth:`df.kirim.resume`.

        Examples
        --------
        >>> import dask.dataframe as dd, kirim_pandas as kp
        >>> with kp.sandbox.start(contacts=2500, seed=1, write_per_minute=60_000) as sandbox:
        ...     ddf, client = dd.from_pandas(sandbox.contacts, npartitions=2), sandbox.client()
        ...     part = ddf.kirim.bulk_label(
        ...         "Newsletter", "attach", client=client, max_requests=2, progress=False
        ...     )
        ...     run_id = part.kirim.run_id
        ...     whole = ddf.kirim.resume(run_id, client=client, resolve="batches", progress=False)
        >>> [int((frame["reason"] == "stopped").sum().compute()) for frame in (part, whole)]
        [500, 0]
        """
        from kirim_pandas.dask import verbs
        from kirim_pandas.verbs.resuming import Resumption

        asked = Resumption(
            None, run_id, id_column, resolve, max_requests, client, journal, phone, email
        )
        return verbs.resume(self._frame, asked, progress)


class KirimDaskFrameAccessor(KirimDaskAccessor):
    """The same for a Dask DataFrame, and what is asked of a result."""

    @property
    def run_id(self) -> str | None:
        """The id of the run that a result is of (str); None where this is no result."""
        from kirim_pandas.frames.results import RUN_ID_ATTR

        return self._obj._meta.attrs.get(RUN_ID_ATTR)  # type: ignore[no-any-return]  # attrs hold anything

    def summary(self, by: Any = None, *, data: dd.DataFrame | None = None) -> pd.DataFrame:
        """Count the rows of a result by status and reason; the workers count.

        Parameters
        ----------
        by
            A column of the result or of `data`, a Dask Series of the same partitions such as
            ``ddf["city"]``, or a list of these.
        data
            The Dask DataFrame that was labeled, for columns named in `by`.

        Returns
        -------
        DataFrame
            Of pandas, as of :meth:`df.kirim.summary`.

        Raises
        ------
        InvalidInputError
            This is no result, `by` is not there, or its rows are not those of the result.

        Examples
        --------
        >>> import dask.dataframe as dd, kirim_pandas as kp
        >>> with kp.sandbox.start(contacts=60, seed=1, write_per_minute=60_000) as sandbox:
        ...     ddf = dd.from_pandas(sandbox.contacts, npartitions=3)
        ...     result = ddf.kirim.bulk_label(
        ...         "Newsletter", "attach", client=sandbox.client(), progress=False, journal=False
        ...     )
        >>> result.kirim.summary("team", data=ddf).columns.tolist()
        ['team', 'status', 'reason', 'rows', 'contacts', 'share']
        """
        from kirim_pandas.dask import verbs

        with ShortTraceback():
            return verbs.summary(self._obj, by, data)

    def report(
        self, by: Any = None, *, data: dd.DataFrame | None = None, label_name: str | None = None
    ) -> Report:
        """Write a report on a result; the workers count.

        Parameters
        ----------
        by, data
            As for :meth:`summary`.
        label_name
            Shown instead of the label's id.

        Returns
        -------
        Report
            As of :meth:`df.kirim.report`.

        Raises
        ------
        InvalidInputError
            As for :meth:`summary`.

        Examples
        --------
        >>> import dask.dataframe as dd, kirim_pandas as kp
        >>> with kp.sandbox.start(contacts=60, seed=1, write_per_minute=60_000) as sandbox:
        ...     ddf = dd.from_pandas(sandbox.contacts, npartitions=3)
        ...     result = ddf.kirim.bulk_label(
        ...         "Newsletter", "attach", client=sandbox.client(), progress=False, journal=False
        ...     )
        >>> result.kirim.report(ddf["team"], label_name="Newsletter").title
        'Label Newsletter attached to contacts'
        """
        from kirim_pandas.dask import verbs

        with ShortTraceback():
            return verbs.report(self._obj, by, data, label_name)
