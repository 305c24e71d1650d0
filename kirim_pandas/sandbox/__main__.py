"""``python -m kirim_pandas.sandbox``: serve a sandbox to other programs until Ctrl-C."""

from __future__ import annotations

import argparse
import errno
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any

from kirim_pandas.sandbox import (
    FREE_READS_PER_MINUTE,
    FREE_WRITES_PER_MINUTE,
    IN_PROGRESS_WAIT_SECONDS,
    Sandbox,
    messy,
    start,
)
from kirim_pandas.sandbox.faults import EVENTS, FAULTS, Faults
from kirim_pandas.sandbox.switches import Switches, choices

QUESTIONS = {
    "applied": "what applied counts: contacts that passed, or labels that changed",
    "unknown_ids": "ids nobody has: counted as cross_org, not counted, or the call refused",
    "duplicates": "an id twice in a call: counted once, each time, or refused",
    "malformed_param": "what param says of a refused id",
    "cache_failures": "whether refusals are kept under the idempotency key",
    "key_reuse": "how a key with another body is refused",
    "refusal_costs": "whether a 429 costs a token",
    "replay_costs": "whether an idempotent replay costs a token",
    "rate_headers_on_5xx": "whether 5xx replies carry the X-RateLimit headers",
    "account_teams": "whose contacts have the team of their connected number",
    "account_shown": "whether lists tell the connected number of a contact",
    "phone_number_path": "whether contact paths name the phone number",
}

EXAMPLES = """
examples:
  serve the free plan's limits on a free port
    python -m kirim_pandas.sandbox
  a faster plan, and a file of contacts to label
    python -m kirim_pandas.sandbox --write-per-minute 6000 --save-contacts contacts.csv
  one reply in ten lost after the commit, the third and sixth write call limited
    python -m kirim_pandas.sandbox --fault reset_after_commit=0.1 \\
        --script 2=rate_limited:3 --script 5=rate_limited:3

faults (VALUE: the default in brackets; --script N=NAME:VALUE gives another):
"""


def parser() -> argparse.ArgumentParser:
    """Describe the command line; switches and faults come from their tables."""
    listed = "\n".join(
        f"  {name:26}{fault.about}" + (f" [{fault.value}]" if fault.value is not None else "")
        for name, fault in FAULTS.items()
    )
    description = (
        "A rehearsal copy of the Kirim API on 127.0.0.1, with made-up contacts.\n"
        "It needs no network, costs nothing and harms nobody; all is forgotten when it ends."
    )
    made = argparse.ArgumentParser(
        prog="python -m kirim_pandas.sandbox",
        usage="python -m kirim_pandas.sandbox [options]",
        description=description,
        epilog=EXAMPLES + listed,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("--port", type=int, default=0, help="port (default: a free one)")
    add("--contacts", type=int, default=5000, help="contacts to make (default: %(default)s)")
    add("--seed", type=int, default=0, help="the same seed makes the same contacts and labels")
    add("--skipped-share", type=float, help="share that a label of team Sales skips, 0 to 1")
    add(
        "--write-per-minute",
        type=int,
        default=FREE_WRITES_PER_MINUTE,
        help="limit of writes (%(default)s)",
    )
    add(
        "--read-per-minute",
        type=int,
        default=FREE_READS_PER_MINUTE,
        help="limit of reads (%(default)s)",
    )
    add("--phone-number-id", help="the connected number (default: a made-up one)")
    add(
        "--in-progress-wait-seconds",
        type=float,
        default=IN_PROGRESS_WAIT_SECONDS,
        help="how long a repeat waits for the first call (%(default)s)",
    )
    add("--save-contacts", metavar="FILE", help="write the contacts to a CSV file")
    add("--messy", action="store_true", help="spoil some ids of that file, as exports do")

    group = made.add_argument_group("switches, where the service's documentation is silent")
    for name, values in choices(Switches).items():
        words = [_word(value) for value in values]
        text = f"{QUESTIONS[name]} ({words[0]})"
        group.add_argument(_option(name), choices=words, default=words[0], help=text)

    group = made.add_argument_group("faults, by chance or by script (names below)")
    group.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME=PROBABILITY",
        help="chance of a fault at each try; may be repeated",
    )
    group.add_argument(
        "--script",
        action="append",
        default=[],
        metavar="N=NAME[:VALUE]",
        help="the fault of call N, counted from 0; may be repeated",
    )
    group.add_argument(
        "--event",
        action="append",
        default=[],
        metavar="N=NAME[:VALUE...]",
        help="what happens before write call N: 5=expire_key, 7=move_contact:0:Care; one of "
        + ", ".join(EVENTS),
    )
    group.add_argument(
        "--fault-seed", type=int, default=0, metavar="SEED", help="of the chance (0)"
    )
    group.add_argument(
        "--faults-on",
        choices=["writes", "reads", "all"],
        default="writes",
        help="which calls are counted and can fail (writes)",
    )
    group.add_argument(
        "--others-per-minute",
        type=float,
        default=0.0,
        metavar="WRITES",
        help="writes of another client of the same organisation (%(default)s)",
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM.

    Parameters
    ----------
    arguments
        In place of the command line's.

    Returns
    -------
    int
        Exit status.
    """
    made = parser()
    given = made.parse_args(arguments)
    try:
        box = _started(given)
    except OSError as error:
        # Not made.error: what the options are is no help here.
        print(f"{made.prog}: {_refused_port(error, given.port)}", file=sys.stderr)
        return 2
    except (ValueError, OverflowError) as error:
        made.error(str(error))
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with box:
        if given.save_contacts:
            contacts = messy(box.contacts, seed=given.seed) if given.messy else box.contacts
            contacts.to_csv(given.save_contacts, index=False)
        print(_welcome(box, given.save_contacts), flush=True)
        try:
            # In short waits: on Windows a long one would not hear Ctrl-C.
            while not ended.wait(0.5):
                pass
        except KeyboardInterrupt:
            print(file=sys.stderr)
        print(f"closed after {len(box.requests()):,} requests", flush=True)
    return 0


def _started(given: argparse.Namespace) -> Sandbox:
    switches = {
        name: next(v for v in values if _word(v) == getattr(given, name))
        for name, values in choices(Switches).items()
    }
    faults = Faults(
        rates={name: float(rate) for name, rate in map(_pair, given.fault)},
        script={int(number): _scripted(what) for number, what in map(_pair, given.script)},
        events={int(number): _event(what) for number, what in map(_pair, given.event)},
        seed=given.fault_seed,
        on=given.faults_on,
        others_per_minute=given.others_per_minute,
    )
    return start(
        given.contacts,
        seed=given.seed,
        write_per_minute=given.write_per_minute,
        read_per_minute=given.read_per_minute,
        switches=Switches(**switches),
        faults=faults,
        port=given.port,
        phone_number_id=given.phone_number_id,
        skipped_share=given.skipped_share,
        in_progress_wait_seconds=given.in_progress_wait_seconds,
    )


def _refused_port(error: OSError, port: int) -> str:
    what = {
        errno.EADDRINUSE: f"port {port} is in use",
        errno.EACCES: f"port {port} is not yours to use",
    }.get(error.errno or 0)
    if what is None:
        return str(error)
    return f"{what}; choose another with --port, or leave --port out for a free one"


def _welcome(box: Sandbox, saved: str | None) -> str:
    labels = [
        f"  {row.id}  {row.name:16}{row.color:10}{row.team_id}"
        for row in box.labels.itertuples(index=False)
    ]
    lines = [
        repr(box),
        *([f"contacts written to {saved}"] if saved else []),
        "",
        "labels (id, name, colour, team id):",
        *labels,
        "",
        "for another program:",
        f"  export KIRIM_BASE_URL={box.base_url}",
        f"  export KIRIM_API_KEY={box.api_key}",
        f"  export KIRIM_PHONE_NUMBER_ID={box.phone_number_id}    # only where paths need it",
        "",
        "Ctrl-C ends it.",
    ]
    return "\n".join(lines)


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _word(value: Any) -> str:
    return str(value) if not isinstance(value, bool) else "yes" if value else "no"


def _pair(text: str) -> tuple[str, str]:
    left, sign, right = text.partition("=")
    if not sign:
        raise ValueError(f"{text!r}: expected NAME=VALUE")
    return left, right


def _scripted(text: str) -> str | tuple[str, str]:
    name, sign, value = text.partition(":")
    return (name, value) if sign else name


def _event(text: str) -> tuple[str | int, ...]:
    # Digits are a row or a number; names and ids are never digits alone.
    return tuple(int(word) if word.isdigit() else word for word in text.split(":"))


if __name__ == "__main__":
    sys.exit(main())
