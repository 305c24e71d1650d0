"""What only a DataFrame has: the panel, and the reports on a result.  Registers the accessors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from kirim_pandas.accessor import KirimAccessor
from kirim_pandas.verbs.argument_checks import ShortTraceback, plain

if TYPE_CHECKING:
    from collections.abc import Hashable

    from matplotlib.axes import Axes

    from kirim_pandas.verbs.arguments import By, Client, JournalChoice, Panel, Report, Split


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
            (float64, 0 to 1, of the customers of the group; missing for ``no_label``, of those who
            were not meant).  A customer is a contact, however many rows it has; a row without a
            contact counts as one.

        Raises
        ------
        InvalidInputError
            This is no result frame, or `by` does not fit it.

        Examples
        --------
        >>> import kirim_pandas as kp
        >>> with kp.sandbox.start(contacts=60, seed=1, write_per_minute=60_000) as sandbox:
        ...     result = sandbox.contacts.kirim.bulk_label(
        ...         sandbox.labels["id"].iloc[0], "attach", client=sandbox.client(),
        ...         progress=False, journal=False,
        ...     )
        >>> result.kirim.summary()["status"].tolist()
        ['applied', 'skipped', 'skipped']
        >>> result.kirim.summary(by="team").columns.tolist()
        ['team', 'status', 'reason', 'rows', 'contacts', 'share']
        """
        from kirim_pandas.verbs import reporting

        with ShortTraceback():
            return reporting.summary(self._obj, plain(by), data=data)

    def plot(
        self,
        by: By = None,
        *,
        split: Split = "status",
        data: pd.DataFrame | None = None,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw the share of each status, one bar a group; needs the extra ``plot``.

        Parameters
        ----------
        by, data
            As for :meth:`summary`.
        split
            ``"status"``, or ``"reason"`` for the shares of the reasons, in shades of their
            status; of each status the three most frequent, then all others.
        ax
            Where to draw; by default a new figure.

        Returns
        -------
        Axes
            Of matplotlib.

        Raises
        ------
        InvalidInputError
            This is no result frame, `by` does not fit it, or `split` is neither.
        ConfigurationError
            matplotlib is not installed.

        Examples
        --------
        >>> import kirim_pandas as kp
        >>> with kp.sandbox.start(contacts=20, write_per_minute=60_000) as sandbox:
        ...     result = sandbox.contacts.kirim.bulk_label(
        ...         sandbox.labels["id"].iloc[0], "attach", client=sandbox.client(),
        ...         progress=False, journal=False,
        ...     )
        >>> axes = result.kirim.plot(by="source", split="reason")
        >>> axes.figure.savefig("shares.png")  # doctest: +SKIP
        """
        from kirim_pandas.verbs import reporting

        with ShortTraceback():
            return reporting.plot(self._obj, plain(by), split=plain(split), data=data, ax=ax)

    def people(
        self,
        *,
        status: str | list[str] | None = None,
        reason: str | list[str] | None = None,
        columns: list[Hashable] | None = None,
        data: pd.DataFrame | None = None,
    ) -> pd.DataFrame:
        """List who is meant: the rows of an outcome, your own columns first.

        Parameters
        ----------
        status, reason
            One, or a list of them; by default all.  Rows of which nothing was wanted (``no_label``)
            are left out by a status; ``reason="no_label"`` lists them.
        columns
            Names of your columns, such as ``["name", "phone", "city"]``; by default all of the
            frame that the run was made from.
        data
            As for :meth:`summary`.

        Returns
        -------
        DataFrame
            One row for each row in question, in the order and with the index of the result: your
            columns (their dtypes); ``contact_id`` (string), ``status`` (category), ``reason``,
            ``why`` and ``what_to_do`` (string).

        Raises
        ------
        InvalidInputError
            This is no result frame; a status, a reason or a column does not occur; or the rows of
            the two frames cannot be paired for certain.

        Examples
        --------
        >>> import kirim_pandas as kp
        >>> with kp.sandbox.start(contacts=20, seed=1, write_per_minute=60_000) as sandbox:
        ...     result = sandbox.contacts.kirim.bulk_label(
        ...         sandbox.labels["id"].iloc[0], "attach", client=sandbox.client(),
        ...         progress=False, journal=False,
        ...     )
        >>> result.kirim.people(status="skipped", columns=["name"]).columns.tolist()
        ['name', 'contact_id', 'status', 'reason', 'why', 'what_to_do']
        """
        from kirim_pandas.verbs import reporting

        with ShortTraceback():
            return reporting.people(
                self._obj,
                status=plain(status),
                reason=plain(reason),
                columns=plain(columns),
                data=data,
            )

    def report(
        self,
        by: By = None,
        *,
        split: Split = "status",
        data: pd.DataFrame | None = None,
        label_name: str | None = None,
        people: bool = False,
        columns: list[Hashable] | None = None,
    ) -> Report:
        """Write a report for people: what was done, to whom, why some were skipped, what to do.

        Parameters
        ----------
        by, data
            As for :meth:`summary`.
        split
            What the bars are split by, as in :meth:`plot`.
        label_name
            Shown instead of the label's id.
        people, columns
            With ``people=True`` the rows that were to be done and are not applied are listed with
            these columns, as :meth:`people` has them: the first hundred as a table, all as a CSV
            file in the page.

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
        >>> with kp.sandbox.start(contacts=20, write_per_minute=60_000) as sandbox:
        ...     result = sandbox.contacts.kirim.bulk_label(
        ...         sandbox.labels["id"].iloc[0], "attach", client=sandbox.client(),
        ...         progress=False, journal=False,
        ...     )
        >>> report = result.kirim.report(by="source", label_name="VIP")
        >>> report.title
        'Label VIP attached to contacts'
        """
        from kirim_pandas.verbs import reporting

        with ShortTraceback():
            return reporting.report(
                self._obj,
                plain(by),
                split=plain(split),
                data=data,
                label_name=label_name,
                people=people,
                columns=plain(columns),
            )

    def panel(self, *, client: Client | None = None, journal: JournalChoice = None) -> Panel:
        """Label these contacts by clicks: pick, see the plan, confirm, run, read the report.

        Everything the panel does is a method of it, so it can be used without a front end.  It
        never asks for a key: run :func:`kirim_pandas.connect` before.

        Parameters
        ----------
        client, journal
            As for :meth:`bulk_label`.

        Returns
        -------
        Panel
            Shows itself in a notebook.  ``.choose_label(name_or_id)``, ``.choose_operation()``,
            ``.choose_id_column()``, ``.choose_phone_column()``, ``.choose_hint(*columns)``,
            ``.plan()``, ``.confirm()``, ``.run()``, ``.result()``, ``.report()``.

        Raises
        ------
        InvalidInputError
            `client` or `journal` is none.  All else that goes wrong is raised by the methods, and
            shown in the panel.

        Examples
        --------
        >>> import kirim_pandas as kp
        >>> with kp.sandbox.start(contacts=60, seed=1, write_per_minute=60_000) as sandbox:
        ...     panel = sandbox.contacts.kirim.panel(client=sandbox.client())
        ...     panel.choose_label("Newsletter")
        ...     panel.choose_hint("team")
        ...     question = panel.confirm()
        ...     job = panel.run()
        ...     result = panel.result()
        >>> question
        'attach Newsletter to 60 customers of Sandbox'
        >>> panel.report().title
        'Label Newsletter attached to contacts'
        """
        from kirim_pandas.verbs import panels

        with ShortTraceback():
            return panels.panel(self._obj, client, journal)


def register() -> None:
    """Give every DataFrame, Series and Index the attribute ``kirim``, also a second time."""
    accessors = (
        (pd.DataFrame, pd.api.extensions.register_dataframe_accessor, KirimFrameAccessor),
        (pd.Series, pd.api.extensions.register_series_accessor, KirimAccessor),
        (pd.Index, pd.api.extensions.register_index_accessor, KirimAccessor),
    )
    for kind, registered_as, accessor in accessors:
        here = getattr(kind, "kirim", None)
        if getattr(here, "__module__", None) == accessor.__module__:
            delattr(kind, "kirim")  # ours, of an earlier import: pandas warns of strangers only
        registered_as("kirim")(accessor)
