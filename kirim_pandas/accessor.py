"""The verbs of ``df.kirim``, ``series.kirim`` and ``index.kirim``: hold, forward, nothing else."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from kirim_pandas.verbs.argument_checks import ShortTraceback

# Everything else is imported where it is used, so that importing this package stays cheap.
if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping
    from pathlib import Path

    import pandas as pd

    from kirim_pandas.verbs.arguments import (
        Client,
        Hint,
        JournalChoice,
        LabelJob,
        Leavers,
        Pandas,
        Plan,
        ProgressChoice,
        Resolve,
        SegmentsPlan,
    )


Taken = ParamSpec("Taken")
Given = TypeVar("Given")


def with_signature_of(
    documented: Callable[Concatenate[Any, Taken], Any], *, but: str = ""
) -> Callable[[Callable[..., Given]], Callable[Concatenate[Any, Taken], Given]]:
    """Give a verb the arguments of another: in help, for types, in errors, which it keeps short."""

    def shown(verb: Callable[..., Given]) -> Callable[Concatenate[Any, Taken], Given]:
        told = inspect.signature(documented)
        kept = [argument for name, argument in told.parameters.items() if name != but]
        returned = inspect.signature(verb).return_annotation
        told = told.replace(parameters=kept, return_annotation=returned)

        @wraps(verb)
        def checked(*arguments: Any, **options: Any) -> Given:
            try:
                told.bind(*arguments, **options)
            except TypeError as error:  # Python's words, of the verb that was called
                raise TypeError(f"{verb.__name__}() {error}") from None
            with ShortTraceback():
                return verb(*arguments, **options)

        checked.__signature__ = told  # type: ignore[attr-defined]
        return checked

    return shown


class KirimAccessor:
    """Label the contacts of a DataFrame, a Series or an Index."""

    # Only stores the object: pandas builds an accessor at each access, and for tab completion.
    def __init__(self, obj: Pandas) -> None:
        self._obj = obj

    def bulk_label(
        self,
        label_id: str,
        op: str,
        *,
        id_column: Hashable | None = None,
        phone: Hashable | None = None,
        email: Hashable | None = None,
        team_id: str | None = None,
        hint: Hint = "auto",
        reads: bool = True,
        resolve: Resolve = "rows",
        max_requests: int | None = None,
        client: Client | None = None,
        progress: ProgressChoice = True,
        journal: JournalChoice = None,
    ) -> pd.DataFrame:
        """Attach a label to the contacts of these rows, or detach it, and tell what became of each.

        Everything is checked before the first request.  Distinct ids are sent in calls of at most
        1000, in the order of the frame; then probes (the same call again, on chosen ids, without
        effect) find out which contacts the service skipped.

        Parameters
        ----------
        label_id
            ``lbl_`` and 26 characters, or the name of exactly one label of the organisation;
            :func:`kirim_pandas.labels` lists them.  A name costs one read for the session.
        op
            ``"attach"`` or ``"detach"``.
        id_column
            Name of the column or index level that holds the contact ids; by default the one whose
            values are contact ids.
        phone, email
            Instead of `id_column`: name of the column or index level to look the contacts up by, as
            :meth:`match_contacts` does with its defaults.  A row without exactly one contact is
            ``not_sent`` (``not_found``, ``ambiguous``, ``malformed_phone``, ``malformed_email``,
            ``missing_id``).
        team_id
            Chooses among labels of one name in several teams.
        hint
            Column(s) likely to decide who is skipped, such as the team: contacts of one value go
            next to each other.  ``"auto"`` looks for what explains the skips in all columns of the
            frame, and sends its contacts in their order; None does without.  Changes the number of
            requests, never the result.
        reads
            Whether the organisation's list of contacts may be read, where that is expected to save
            more requests than it takes.
        resolve
            ``"rows"`` finds out every row; ``"batches"`` sends no probe, and rows of a mixed batch
            stay ``unknown``.
        max_requests
            Cap on the write requests of the run; labels first, probes with what is left.
        client
            By default the one of :func:`kirim_pandas.connect`, or one made from the environment.
        progress
            True for a bar, False for silence, or a callable that takes a
            :class:`kirim_pandas.Progress` after each step.
        journal
            Where the run is written down: a path, None for the usual place, False for nowhere
            (then it cannot be resumed).

        Returns
        -------
        DataFrame
            One row per row of the input, same index, same order; columns ``contact_id`` (string),
            ``status`` (category: applied, skipped, failed, unknown, not_sent), ``reason``
            (string), ``evidence`` (category: batch, probe) and ``batch`` (Int64).  ``attrs``
            holds the run id.

        Raises
        ------
        InvalidInputError
            The frame or an argument is not usable, or another run does the opposite to some of
            the contacts right now; nothing was sent.
        ConfigurationError
            No key, or an address that cannot be right; nothing was sent.
        KirimError
            What ended the run, with the full-length partial frame as ``.result``, and
            ``.run_id``.
        RunInterrupted
            It was stopped (Ctrl-C, the stop button, SIGTERM); likewise.

        Examples
        --------
        >>> import kirim_pandas as kp
        >>> with kp.sandbox.start(contacts=2500, seed=1, write_per_minute=60_000) as sandbox:
        ...     df, label_id = sandbox.contacts, sandbox.labels["id"].iloc[0]
        ...     result = df.kirim.bulk_label(
        ...         label_id, "attach", client=sandbox.client(), resolve="batches",
        ...         progress=False, journal=False,
        ...     )
        >>> len(result) == len(df)
        True
        >>> list(result.columns)
        ['contact_id', 'status', 'reason', 'evidence', 'batch']
        """
        from kirim_pandas.verbs import labeling, order
        from kirim_pandas.verbs.arguments import LabelArguments

        with ShortTraceback():
            asked = LabelArguments.of(locals())
            return labeling.bulk_label(order.prepare(self._obj, asked), progress=asked.progress)

    def label_segments(
        self,
        by: Any,
        labels: Mapping[Any, str] | str | None = None,
        op: str = "attach",
        *,
        exclusive: bool = False,
        create: bool = False,
        id_column: Hashable | None = None,
        phone: Hashable | None = None,
        email: Hashable | None = None,
        team_id: str | None = None,
        hint: Hint = "auto",
        reads: bool = True,
        resolve: Resolve = "rows",
        max_requests: int | None = None,
        client: Client | None = None,
        progress: ProgressChoice = True,
        journal: JournalChoice = None,
    ) -> pd.DataFrame:
        """Give each segment of these rows its label, in one call that can be stopped and resumed.

        One run for each label, one after the other, all written down before the first is sent; the
        id in ``attrs`` stands for all of them, and :func:`kirim_pandas.resume` goes on with it.

        Parameters
        ----------
        by
            What tells the segments apart: a column or an index level, a Series with the index of
            the frame, an array of its length; or a boolean mask.
        labels
            A label, by name or id, for each value that is to have one: text, numbers, categories,
            booleans, or intervals of ``pd.cut`` (also as they are written). A category of no row is
            an empty segment. None takes the values that occur as names; a mask may have one label.
        op
            ``"attach"`` or ``"detach"``.
        exclusive
            True detaches each label from all other contacts of the frame as well, so that it ends
            on its segment. That half asks who was skipped (``resolve="rows"``) only where a count
            shows a skip among contacts that passed just before; else those of a mixed batch stay
            ``unknown`` in :func:`kirim_pandas.result` with ``every_run=True``.
        create
            True makes labels that are named and do not exist.
        id_column, phone, email, team_id, hint, reads, resolve, client, progress
            As for :meth:`bulk_label`; `team_id` is also the team of labels that are made.
        max_requests
            Cap on the write requests of all runs together, which :func:`kirim_pandas.resume` goes
            on from; labels first, probes with what is left.
        journal
            Where the runs are written down: a path, None for the usual place; False for a file
            that is deleted when the call ends (then it cannot be resumed).

        Returns
        -------
        DataFrame
            One row per row of the input, same index, same order: the columns of
            :meth:`bulk_label`, and ``label_id``, ``label`` and ``operation`` (string). A row
            without a label is ``not_sent`` with the reason ``no_label``.

        Raises
        ------
        InvalidInputError
            The frame or an argument is not usable: a label for a value that no row has, a value
            mapped twice, a mask with missing values, or contacts that stand in two segments
            through several rows (unless they are to carry both labels); nothing was sent.
        ConfigurationError, KirimError, RunInterrupted
            As for :meth:`bulk_label`.

        Examples
        --------
        >>> import pandas as pd, kirim_pandas as kp
        >>> with kp.sandbox.start(contacts=60, seed=1, write_per_minute=60_000) as sandbox:
        ...     df, client = sandbox.contacts, sandbox.client()
        ...     spent = pd.Series(range(60), index=df.index)
        ...     result = df.kirim.label_segments(
        ...         pd.cut(spent, [-1, 19, 59], labels=["silver", "gold"]),
        ...         {"silver": sandbox.labels["id"].iloc[0], "gold": sandbox.labels["id"].iloc[1]},
        ...         exclusive=True, client=client, progress=False,
        ...     )
        >>> result["label_id"].value_counts().tolist()
        [40, 20]
        """
        from kirim_pandas.verbs.arguments import SegmentsArguments
        from kirim_pandas.verbs.segments.labeling import prepare

        with ShortTraceback():
            asked = SegmentsArguments.of(locals())
            return prepare(self._obj, asked).carry_out(asked.progress)

    def sync_label(
        self,
        label: str,
        members: Any,
        *,
        since: str | None = None,
        leavers: Leavers = None,
        id_column: Hashable | None = None,
        phone: Hashable | None = None,
        email: Hashable | None = None,
        team_id: str | None = None,
        hint: Hint = "auto",
        reads: bool = True,
        resolve: Resolve = "rows",
        max_requests: int | None = None,
        client: Client | None = None,
        progress: ProgressChoice = True,
        journal: str | Path | None = None,
    ) -> pd.DataFrame:
        """Keep a label in step with a segment: on its members, and on no other row of the frame.

        Without `since` the label is attached to all members and detached from all other contacts
        of the frame.  With it, only those who entered the segment since then are attached and only
        those who left it are detached, which costs a few requests where little has changed.

        Parameters
        ----------
        label
            Its name or id.
        members
            Who is to have the label: a boolean column, an aligned Series, or an array.
        since
            What to compare with: ``"last"`` for the last sync of this label in the journal, or the
            id of a sync or of a run that attached it; later runs of the label are taken into
            account. Who else set the label by hand since then is not known.
        leavers
            Of members who are in no row of the frame any more, ``"detach"`` takes the label off;
            None leaves it, and lists them.
        id_column, phone, email, team_id, hint, reads, resolve, client, progress
            As for :meth:`bulk_label`.  Those who left are named (``resolve="rows"``) only where a
            count shows a skip among contacts that have passed before.
        max_requests
            Cap on the write requests of all runs together.
        journal
            Where the runs are written down: a path, or None for the usual place.

        Returns
        -------
        DataFrame
            One row per row of the input, same index, same order, and after them one for each
            member of before who is in no row any more (an index of whole numbers goes on, another
            has missing labels there).  The columns of :meth:`label_segments`, and ``change``
            (category: entered, stayed, left; NA for who is no member and was none).  Who stayed is
            not sent again: ``operation`` is NA, and the status is that of the run it was sent in.

        Raises
        ------
        InvalidInputError
            The frame or an argument is not usable; a contact is a member by one row and not by
            another; there is no sync to compare with, it is one of another label, or it has not
            finished.  Nothing was sent.
        ConfigurationError, KirimError, RunInterrupted
            As for :meth:`bulk_label`.

        Examples
        --------
        >>> import pandas as pd, kirim_pandas as kp
        >>> with kp.sandbox.start(contacts=60, seed=1, write_per_minute=60_000) as sandbox:
        ...     df, client = sandbox.contacts, sandbox.client()
        ...     usual = {"client": client, "progress": False}
        ...     spent = pd.Series(range(60), index=df.index)
        ...     november = df.kirim.sync_label("Newsletter", spent > 30, **usual)
        ...     december = df.kirim.sync_label("Newsletter", spent > 40, since="last", **usual)
        >>> december["change"].value_counts().tolist()
        [19, 10, 0]
        """
        from kirim_pandas.verbs.arguments import SyncArguments
        from kirim_pandas.verbs.segments.syncing import prepare

        with ShortTraceback():
            asked = SyncArguments.of(locals())
            return prepare(self._obj, asked).carry_out(asked.progress)

    @with_signature_of(label_segments, but="progress")
    def label_segments_job(self, *arguments: Any, **options: Any) -> LabelJob:
        """Do what :meth:`label_segments` does in the background: the cell returns at once.

        Parameters
        ----------
        by, labels, op, exclusive, create, id_column, phone, email, team_id, hint, reads, resolve, \
        max_requests, client, journal
            As for :meth:`label_segments`; look-ups are done before the cell returns.

        Returns
        -------
        LabelJob
            As of :meth:`bulk_label_job`; it names the label at work, and Cancel and Resume are of
            all labels.

        Raises
        ------
        InvalidInputError, ConfigurationError, JournalError
            As for :meth:`label_segments`; nobody was labeled.

        Examples
        --------
        >>> import kirim_pandas as kp
        >>> with kp.sandbox.start(contacts=60, seed=1, write_per_minute=60_000) as sandbox:
        ...     df, label_ids = sandbox.contacts, sandbox.labels["id"]
        ...     job = df.kirim.label_segments_job(
        ...         [True] * 30 + [False] * 30, {True: label_ids[0], False: label_ids[1]},
        ...         client=sandbox.client(),
        ...     )
        ...     result = job.result()
        >>> result["label_id"].value_counts().tolist()
        [30, 30]
        """
        from kirim_pandas.verbs.arguments import SegmentsArguments
        from kirim_pandas.verbs.segments.jobs import series_job
        from kirim_pandas.verbs.segments.labeling import prepare

        asked = SegmentsArguments(*arguments, **options)
        return series_job(prepare(self._obj, asked).begun())

    @with_signature_of(sync_label, but="progress")
    def sync_label_job(self, *arguments: Any, **options: Any) -> LabelJob:
        """Do what :meth:`sync_label` does in the background: the cell returns at once.

        Parameters
        ----------
        label, members, since, leavers, id_column, phone, email, team_id, hint, reads, resolve, \
        max_requests, client, journal
            As for :meth:`sync_label`; look-ups are done before the cell returns.

        Returns
        -------
        LabelJob
            As of :meth:`label_segments_job`; its result is that of :meth:`sync_label`.

        Raises
        ------
        InvalidInputError, ConfigurationError, JournalError
            As for :meth:`sync_label`; nobody was labeled.

        Examples
        --------
        >>> import kirim_pandas as kp
        >>> with kp.sandbox.start(contacts=60, seed=1, write_per_minute=60_000) as sandbox:
        ...     df = sandbox.contacts.assign(buys=[True] * 20 + [False] * 40)
        ...     job = df.kirim.sync_label_job("Newsletter", "buys", client=sandbox.client())
        ...     result = job.result()
        >>> result["change"].value_counts().tolist()
        [20, 0, 0]
        """
        from kirim_pandas.verbs.arguments import SyncArguments
        from kirim_pandas.verbs.segments.jobs import series_job
        from kirim_pandas.verbs.segments.syncing import prepare

        asked = SyncArguments(*arguments, **options)
        return series_job(prepare(self._obj, asked).begun())

    @with_signature_of(bulk_label, but="progress")
    def bulk_label_job(self, *arguments: Any, **options: Any) -> LabelJob:
        """Do what :meth:`bulk_label` does in the background: the cell returns at once.

        Everything is checked first, here.  In a notebook the job shows itself: a bar, the counts
        so far, the pace, a Cancel button, and at the end a summary that stays in the saved
        notebook.  An interrupt of the kernel does not touch it; ``job.cancel()`` stops it.  A
        script must wait with ``job.result()``: the job ends with its process, and can then be
        resumed.

        Parameters
        ----------
        label_id, op, id_column, phone, email, team_id, hint, reads, resolve, max_requests, \
        client, journal
            As for :meth:`bulk_label`; look-ups are done before the cell returns.

        Returns
        -------
        LabelJob
            ``.result(timeout_seconds=None)`` waits and returns the result frame, or raises what
            ended the run; ``await job`` does the same without blocking the kernel's loop, but a
            cancelled job raises ``asyncio.CancelledError`` there, with the same ``.result``.
            ``.cancel()`` stops in order; then ``.frame`` has every row with what is known of it,
            and ``.resume()`` goes on in a new job.  ``.done`` is a bool, ``.progress`` a
            :class:`kirim_pandas.Progress`, ``.run_id`` a str.

        Raises
        ------
        InvalidInputError
            The frame or an argument is not usable; nothing was sent.
        ConfigurationError
            No key, or an address that cannot be right; nothing was sent.
        JournalError
            The journal cannot be written; nothing was sent.

        Examples
        --------
        >>> import kirim_pandas as kp
        >>> with kp.sandbox.start(contacts=60, seed=1, write_per_minute=60_000) as sandbox:
        ...     df, label_id = sandbox.contacts, sandbox.labels["id"].iloc[0]
        ...     job = df.kirim.bulk_label_job(
        ...         label_id, "attach", client=sandbox.client(), journal=False
        ...     )
        ...     result = job.result()
        >>> job.done, job.progress.state, len(result)
        (True, 'finished', 60)
        """
        from kirim_pandas.verbs import background, order
        from kirim_pandas.verbs.arguments import LabelArguments

        asked = LabelArguments(*arguments, **options)
        return background.bulk_label_job(order.prepare(self._obj, asked))

    @with_signature_of(bulk_label)
    def plan(self, *arguments: Any, **options: Any) -> Plan:
        """Tell what :meth:`bulk_label` would do and cost; labels nobody.

        Nothing is sent but the reads that a label's name and look-ups by phone or e-mail need;
        what was read is used again by the run within a quarter of an hour.

        Parameters
        ----------
        label_id, op, id_column, phone, email, team_id, hint, reads, resolve, max_requests, \
        client, progress, journal
            As for :meth:`bulk_label`, so that a call can be planned by changing its verb.  No
            client and no key are needed but for a label's name and look-ups; with one, its known
            rate is used.

        Returns
        -------
        Plan
            Rows, contacts, duplicates and unusable ids, batches; ``.table`` is a DataFrame of
            expected requests and minutes for shares of skipped contacts, without a hint and with
            one that decides who is skipped.

        Raises
        ------
        InvalidInputError
            The frame or an argument is not usable.

        Examples
        --------
        >>> import pandas as pd, kirim_pandas as kp
        >>> contacts = kp.sandbox.sample_contacts(2500, seed=1)
        >>> plan = contacts.kirim.plan("lbl_01HXYZABCDEFGHJKMNPQRSTVWX", "attach")
        >>> plan.contacts, plan.batches
        (2500, 3)
        """
        from kirim_pandas.verbs import labeling, order
        from kirim_pandas.verbs.arguments import LabelArguments

        asked = LabelArguments(*arguments, **options)
        return labeling.plan(order.prepare(self._obj, asked))

    @with_signature_of(label_segments)
    def plan_segments(self, *arguments: Any, **options: Any) -> SegmentsPlan:
        """Tell what :meth:`label_segments` would do and cost; labels nobody, and makes no label.

        Parameters
        ----------
        by, labels, op, exclusive, create, id_column, phone, email, team_id, hint, reads, resolve, \
        max_requests, client, progress, journal
            As for :meth:`label_segments`, so that a call can be planned by changing its verb.

        Returns
        -------
        SegmentsPlan
            As of :meth:`plan`, of all labels together; ``.labels`` is a DataFrame with a row for
            each label and operation, its contacts and least requests; ``.new`` are the labels that
            would be made, ``.notes`` what may not be expected: values that share a label, contacts
            in several segments or in none, labels of several teams.

        Raises
        ------
        InvalidInputError, ConfigurationError, KirimError
            As for :meth:`label_segments`.

        Examples
        --------
        >>> import kirim_pandas as kp
        >>> with kp.sandbox.start(contacts=60, seed=1) as sandbox:
        ...     df, label_ids = sandbox.contacts, sandbox.labels["id"]
        ...     plan = df.kirim.plan_segments(
        ...         [True] * 20 + [False] * 40, {True: label_ids[0], False: label_ids[1]},
        ...         exclusive=True, client=sandbox.client(),
        ...     )
        >>> plan.labels["operation"].tolist(), plan.labels["contacts"].tolist(), plan.batches
        (['attach', 'attach', 'detach', 'detach'], [20, 40, 40, 20], 4)
        """
        from kirim_pandas.verbs.arguments import SegmentsArguments
        from kirim_pandas.verbs.segments.labeling import prepare
        from kirim_pandas.verbs.segments.planning import planned

        return planned(prepare(self._obj, SegmentsArguments(*arguments, **options)))

    @with_signature_of(sync_label)
    def plan_sync(self, *arguments: Any, **options: Any) -> SegmentsPlan:
        """Tell what :meth:`sync_label` would do and cost; labels nobody.

        Parameters
        ----------
        label, members, since, leavers, id_column, phone, email, team_id, hint, reads, resolve, \
        max_requests, client, progress, journal
            As for :meth:`sync_label`.

        Returns
        -------
        SegmentsPlan
            As of :meth:`plan_segments`; ``.changes`` counts the contacts that ``entered``,
            ``stayed`` and ``left``, and of those who left the ``absent``, who are in no row of the
            frame. ``.notes`` say what it is compared with, and what cannot be known.

        Raises
        ------
        InvalidInputError, ConfigurationError, KirimError
            As for :meth:`sync_label`.

        Examples
        --------
        >>> import kirim_pandas as kp
        >>> with kp.sandbox.start(contacts=60, seed=1) as sandbox:
        ...     df = sandbox.contacts.assign(buys=[True] * 20 + [False] * 40)
        ...     plan = df.kirim.plan_sync("Newsletter", "buys", client=sandbox.client())
        >>> plan.changes.to_dict()
        {'entered': 20, 'stayed': 0, 'left': 0, 'absent': 0}
        >>> plan.labels["contacts"].tolist()
        [20, 40]
        """
        from kirim_pandas.verbs.arguments import SyncArguments
        from kirim_pandas.verbs.segments.planning import planned
        from kirim_pandas.verbs.segments.syncing import prepare

        return planned(prepare(self._obj, SyncArguments(*arguments, **options)))

    @ShortTraceback()
    def match_contacts(
        self,
        *,
        phone: Hashable | None = None,
        email: Hashable | None = None,
        country: str = "ID",
        client: Client | None = None,
        progress: bool = True,
        max_age: float = 900.0,
    ) -> pd.DataFrame:
        """Find the contact of each row by its phone number or e-mail address.

        Reads only.  The organisation's list of contacts is read (a request for each 100), or, where
        that is cheaper, each number is looked up; never more than twice the cheaper of the two.

        Parameters
        ----------
        phone
            Name of the column or index level of phone numbers, in any usual spelling.
        email
            Instead of `phone`: that of e-mail addresses.
        country
            Where numbers without a country code are from: two letters of ISO 3166.
        client
            By default the one of :func:`kirim_pandas.connect`.
        progress
            False for silence.
        max_age
            Seconds for which a list of contacts that was read before is used again.

        Returns
        -------
        DataFrame
            One row per row of the input, same index, same order: ``contact_id`` (string),
            ``match`` (category: found, not_found, ambiguous where several contacts have the
            number, malformed where the value is no single certain number, missing),
            ``phone_number`` (string, E.164) or ``email`` (string) as it was looked up, and
            ``account`` (string: the connected number the contact belongs to).

        Raises
        ------
        InvalidInputError
            There is no such column, nothing in it can be looked up, or `country` is none.
        KirimError
            The service cannot be asked.
        RunInterrupted
            It was stopped.

        Examples
        --------
        >>> import kirim_pandas as kp
        >>> with kp.sandbox.start(contacts=30) as sandbox:
        ...     people = sandbox.contacts.drop(columns="contact_id")
        ...     found = people.kirim.match_contacts(phone="phone_number", client=sandbox.client())
        >>> list(found.columns)
        ['contact_id', 'match', 'phone_number', 'account']
        """
        from kirim_pandas.verbs.lookups import matching

        return matching.match_contacts(
            self._obj,
            phone=phone,
            email=email,
            country=country,
            client=client,
            progress=progress,
            max_age=max_age,
        )

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
    ) -> pd.DataFrame:
        """Go on with a run that was stopped, failed, or whose process died.

        What is settled is not sent again; calls whose answer is missing are sent again under
        their own keys, so that the service answers as it did, or would have, the first time.

        Parameters
        ----------
        run_id
            From ``result.attrs``, from the exception, or from :func:`kirim_pandas.runs`.
        id_column, phone, email
            As for :meth:`bulk_label`: what the run was started with, to tell which rows are whose.
        resolve
            How far to go; by default as far as the run was meant to.
        max_requests
            Cap on further requests.
        client, progress, journal
            As for :meth:`bulk_label`.

        Returns
        -------
        DataFrame
            As of :meth:`bulk_label`, aligned to this frame; of a series the result that
            :meth:`label_segments` or :meth:`sync_label` would have given.

        Raises
        ------
        InvalidInputError
            There is no such run, this frame has other contacts, a later run did the opposite to
            some of them, or one does so right now; nothing was sent.
        KirimError, RunInterrupted
            As for :meth:`bulk_label`.

        Examples
        --------
        >>> import kirim_pandas as kp
        >>> with kp.sandbox.start(contacts=2500, seed=1, write_per_minute=60_000) as sandbox:
        ...     df, label_id = sandbox.contacts, sandbox.labels["id"].iloc[0]
        ...     client = sandbox.client()
        ...     part = df.kirim.bulk_label(
        ...         label_id, "attach", client=client, max_requests=2, progress=False
        ...     )
        ...     whole = df.kirim.resume(
        ...         part.attrs["kirim_run_id"], client=client, resolve="batches", progress=False
        ...     )
        >>> [int((frame["reason"] == "stopped").sum()) for frame in (part, whole)]
        [500, 0]
        """
        from kirim_pandas.verbs.resuming import Resumption
        from kirim_pandas.verbs.segments.resume_and_result import resumed

        with ShortTraceback():
            asked = Resumption(
                self._obj, run_id, id_column, resolve, max_requests, client, journal, phone, email
            )
            return resumed(asked, progress)

    @with_signature_of(resume, but="progress")
    def resume_job(self, *arguments: Any, **options: Any) -> LabelJob:
        """Do what :meth:`resume` does in the background: the cell returns at once.

        Parameters
        ----------
        run_id, id_column, phone, email, resolve, max_requests, client, journal
            As for :meth:`resume`; look-ups are done before the cell returns.

        Returns
        -------
        LabelJob
            As of :meth:`bulk_label_job`.

        Raises
        ------
        InvalidInputError, ConfigurationError, JournalError
            As for :meth:`resume`; nothing was sent.

        Examples
        --------
        >>> import kirim_pandas as kp
        >>> with kp.sandbox.start(contacts=60, seed=1, write_per_minute=60_000) as sandbox:
        ...     df, client = sandbox.contacts, sandbox.client()
        ...     part = df.kirim.bulk_label(
        ...         sandbox.labels["id"].iloc[0], "attach", client=client, max_requests=1,
        ...         progress=False,
        ...     )
        ...     whole = df.kirim.resume_job(part.attrs["kirim_run_id"], client=client).result()
        >>> int((part["status"] == "unknown").sum()) > int((whole["status"] == "unknown").sum())
        True
        """
        from kirim_pandas.verbs.resuming import Resumption
        from kirim_pandas.verbs.segments.jobs import resumed_job

        return resumed_job(Resumption(self._obj, *arguments, **options))
