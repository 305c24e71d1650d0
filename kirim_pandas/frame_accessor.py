"""What only a DataFrame has: the reports on a result frame.  Registers all three accessors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from kirim_pandas.accessor import KirimAccessor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from kirim_pandas.frames.reports import Report
    from kirim_pandas.frames.summary import By

__all__ = ["KirimFrameAccessor", "register"]


class KirimFrameAccessor(KirimAccessor):
    """The same for a DataFrame, and reports where the frame is a result frame."""

    _obj: pd.DataFrame

    def summary(self, by: By = None, *, data: pd.DataFrame | None = None) -> pd.DataFrame:
        """Count the rows of a result frame by status and reason.

        Parameters
        ----------
        by
            A column of the frame the run was made from, an aligned Series or array, or a list of
            these.
        data
            The frame to look columns up in; needed only where the run was made by another
            process.

        Returns
        -------
        DataFrame
            One row per combination that occurs: the columns of `by`, ``status`` (category),
            ``reason`` (string), ``rows`` (int64), ``contacts`` (int64, distinct), ``share``
            (float64, 0 to 1, of the rows of the group).

        Raises
        ------
        InvalidInputError
            This is no result frame, or `by` does not fit it.

        Examples
        --------
        >>> import kirim_pandas as kp
        >>> with kp.sandbox.start(contacts=1000, seed=1, write_per_minute=60_000) as sandbox:
        ...     result = sandbox.contacts.kirim.bulk_label(
        ...         sandbox.labels["id"].iloc[0], "attach", client=sandbox.client(),
        ...         progress=False, journal=False,
        ...     )
        >>> result.kirim.summary()["status"].tolist()
        ['applied', 'skipped', 'skipped']
        >>> result.kirim.summary(by="team").columns.tolist()
        ['team', 'status', 'reason', 'rows', 'contacts', 'share']
        """
        from kirim_pandas import reporting

        return reporting.summary(self._obj, by, data=data)

    def plot(
        self, by: By = None, *, data: pd.DataFrame | None = None, ax: Axes | None = None
    ) -> Axes:
        """Draw the share of each status, one bar a group; needs the extra ``plot``.

        Parameters
        ----------
        by, data
            As for :meth:`summary`.
        ax
            Where to draw; by default a new figure.

        Returns
        -------
        Axes
            Of matplotlib.

        Raises
        ------
        InvalidInputError
            This is no result frame, or `by` does not fit it.
        ConfigurationError
            matplotlib is not installed.

        Examples
        --------
        >>> import kirim_pandas as kp
        >>> with kp.sandbox.start(contacts=500, write_per_minute=60_000) as sandbox:
        ...     result = sandbox.contacts.kirim.bulk_label(
        ...         sandbox.labels["id"].iloc[0], "attach", client=sandbox.client(),
        ...         progress=False, journal=False,
        ...     )
        >>> axes = result.kirim.plot(by="source")
        >>> axes.figure.savefig("shares.png")  # doctest: +SKIP
        """
        from kirim_pandas import reporting

        return reporting.plot(self._obj, by, data=data, ax=ax)

    def report(
        self,
        by: By = None,
        *,
        data: pd.DataFrame | None = None,
        label_name: str | None = None,
    ) -> Report:
        """Write a report for people: what was done, to whom, why some were skipped, what to do.

        Parameters
        ----------
        by, data
            As for :meth:`summary`.
        label_name
            Shown instead of the label's id.

        Returns
        -------
        Report
            Shows itself in a notebook; ``.save("report.html")`` writes one self-contained page.

        Raises
        ------
        InvalidInputError
            This is no result frame, or `by` does not fit it.

        Examples
        --------
        >>> import kirim_pandas as kp
        >>> with kp.sandbox.start(contacts=500, write_per_minute=60_000) as sandbox:
        ...     result = sandbox.contacts.kirim.bulk_label(
        ...         sandbox.labels["id"].iloc[0], "attach", client=sandbox.client(),
        ...         progress=False, journal=False,
        ...     )
        >>> report = result.kirim.report(by="source", label_name="VIP")
        >>> report.title
        'Label VIP attached to contacts'
        """
        from kirim_pandas import reporting

        return reporting.report(self._obj, by, data=data, label_name=label_name)


def register() -> None:
    """Give every DataFrame, Series and Index the attribute ``kirim``."""
    pd.api.extensions.register_dataframe_accessor("kirim")(KirimFrameAccessor)
    pd.api.extensions.register_series_accessor("kirim")(KirimAccessor)
    pd.api.extensions.register_index_accessor("kirim")(KirimAccessor)
