"""Made-up contacts: plausible enough to report on, impossible to mistake for people.

Names are put together from common given names and invented second names. Phone numbers begin
with +62 000, which no Indonesian number does: a national number never begins with a zero.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kirim_pandas.errors import ShortTraceback
from kirim_pandas.sandbox.messages import CROCKFORD, ID_LENGTH
from kirim_pandas.sandbox.switches import check, is_number, is_whole

LABELS = {
    "Sales": {"VIP": "amber", "Win-back": "violet", "Newsletter": "sky"},
    "Care": {"VIP": "amber", "Open complaint": "red"},
    "Wholesale": {"VIP": "amber", "Price list": "emerald"},
}
"""Labels of each team and their colours; names are unique within a team only."""

MAIN_TEAM = "Sales"

SOURCES = pd.DataFrame(
    [
        # name, share, skipped for a label of Sales, foreign among the skipped, else the team
        ("ads", 0.34, 0.06, 0.15, "Care"),
        ("walk-in", 0.22, 0.10, 0.10, "Care"),
        ("referral", 0.18, 0.07, 0.15, "Wholesale"),
        ("event", 0.14, 0.32, 0.08, "Wholesale"),
        ("import", 0.12, 0.58, 0.92, "Care"),
    ],
    columns=["source", "share", "skipped", "foreign", "team"],
)
"""Where contacts come from, and how that decides who is skipped.

The list that was imported belongs to a sister company for the most part, and people met at
events are often looked after by Wholesale. So a report by source has something to show.
"""

CITIES = {
    "Jakarta": 0.28,
    "Surabaya": 0.17,
    "Bandung": 0.15,
    "Medan": 0.11,
    "Semarang": 0.10,
    "Makassar": 0.08,
    "Denpasar": 0.06,
    "Yogyakarta": 0.05,
}


def _words(text: str) -> NDArray[np.object_]:
    return np.array(text.split(), dtype=object)


GIVEN = _words(
    "Adi Agus Ayu Bayu Bima Citra Dewi Dian Eka Fajar Gita Hana Indah Intan Joko Kartika "
    "Lestari Maya Nanda Nisa Putri Rani Ratna Reza Rina Sari Sinta Tari Tono Wahyu Wulan Yudi"
)
FIRST_SYLLABLES = _words("Bar Cen Dar Gal Har Jan Kal Lun Man Nar Pan Rak Sam Tan Var Wir")
LAST_SYLLABLES = _words("adra awi endra ibra itama olan omar owati udin unara upati uwira")

SPEND_MEDIAN_RUPIAH = 420_000
TODAY = pd.Timestamp("2026-06-30")
"""A fixed day, so that the same seed gives the same frame next year."""


@ShortTraceback()
def sample_contacts(
    count: int, *, seed: int = 0, skipped_share: float | None = None
) -> pd.DataFrame:
    """Make contacts of which some are skipped, partly explained by team and source.

    Parameters
    ----------
    count
        How many.
    seed
        The same seed gives the same frame.
    skipped_share
        Expected share that a label of team Sales skips, 0 to 1; about 0.17 by default. The
        differences between sources stay.

    Returns
    -------
    DataFrame
        One row per contact: contact_id, name, phone_number, team, source, city (text), spend
        (rupiah, float), last_seen (date), organization (``own`` or ``foreign``), email (text, or
        None for one in five).
    """
    check(
        {
            "count": (count, lambda value: is_whole(value, 0), "how many, 0 or more"),
            "seed": (seed, lambda value: is_whole(value, 0), "a whole number, 0 or more"),
            "skipped_share": (
                skipped_share,
                lambda value: value is None or is_number(value, 0, 1),
                "a share between 0 and 1, or None",
            ),
        }
    )
    random = np.random.default_rng(seed)
    source = random.choice(len(SOURCES), size=count, p=SOURCES["share"])
    chance = _shifted(SOURCES["skipped"].to_numpy(), SOURCES["share"].to_numpy(), skipped_share)
    skipped = random.random(count) < chance[source]
    foreign = skipped & (random.random(count) < SOURCES["foreign"].to_numpy()[source])
    team = np.where(skipped & ~foreign, SOURCES["team"].to_numpy()[source], MAIN_TEAM)
    spend = np.exp(random.normal(np.log(SPEND_MEDIAN_RUPIAH), 1.1, count)).round(-3)
    days_ago = np.minimum(random.exponential(70, count), 720).astype("int64")
    frame = pd.DataFrame(
        {
            "contact_id": _contact_ids(random, count),
            "name": _names(random, count),
            "phone_number": _phone_numbers(random, count),
            "team": team.astype(object),
            "source": SOURCES["source"].to_numpy(dtype=object)[source],
            "city": random.choice(list(CITIES), size=count, p=list(CITIES.values())).astype(object),
            "spend": spend,
            "last_seen": TODAY - pd.to_timedelta(days_ago, unit="D"),
            "organization": np.where(foreign, "foreign", "own").astype(object),
        }
    )
    return frame.assign(email=_emails(random, frame["name"]))


def _has_ids(frame: object) -> bool:
    return isinstance(frame, pd.DataFrame) and "contact_id" in frame


@ShortTraceback()
def messy(
    frame: pd.DataFrame,
    *,
    duplicates: float = 0.03,
    blanks: float = 0.02,
    malformed: float = 0.01,
    white_space: float = 0.02,
    seed: int = 0,
) -> pd.DataFrame:
    """Spoil contact ids the way exports and hand-made lists do.

    Parameters
    ----------
    frame
        With a column ``contact_id``; not changed.
    duplicates
        Share of rows that occur once more, somewhere else.
    blanks
        Share of rows without an id: missing, empty or white space only.
    malformed
        Share of rows whose id is cut, in lower case, a phone number or a label's id.
    white_space
        Share of rows whose good id has white space around it.
    seed
        The same seed spoils the same rows.

    Returns
    -------
    DataFrame
        ``(1 + duplicates)`` times as many rows in another order, with a fresh index.
    """
    shares = {
        "duplicates": duplicates,
        "blanks": blanks,
        "malformed": malformed,
        "white_space": white_space,
    }
    check(
        {
            "frame": (frame, _has_ids, "a DataFrame with a column contact_id"),
            "seed": (seed, lambda value: is_whole(value, 0), "a whole number, 0 or more"),
        }
        | {k: (v, lambda value: is_number(value, 0, 1), "0 to 1") for k, v in shares.items()}
    )
    random = np.random.default_rng(seed)
    again = random.choice(len(frame), size=round(len(frame) * duplicates), replace=False)
    order = random.permutation(np.concatenate([np.arange(len(frame)), again]).astype("int64"))
    spoiled = frame.take(order).reset_index(drop=True)
    ids = spoiled["contact_id"].to_numpy(dtype=object, copy=True)
    counts = [round(len(frame) * share) for share in (blanks, malformed, white_space)]
    victims = random.permutation(len(ids))[: sum(counts)]
    blank, bad, spaced = np.split(victims, np.cumsum(counts)[:-1])
    for turn, row in enumerate(blank):
        ids[row] = (None, "", "   ")[turn % 3]
    for turn, row in enumerate(bad):
        good = ids[row]
        ids[row] = (good[:-3], good.lower(), "+6200012345678", "lbl_" + good[4:])[turn % 4]
    for turn, row in enumerate(spaced):
        ids[row] = (" {}", "{}  ", "\t{}\n", "\u00a0{}")[turn % 4].format(ids[row])
    spoiled["contact_id"] = pd.Series(ids, index=spoiled.index, dtype=frame["contact_id"].dtype)
    return spoiled


def _shifted(
    chance: NDArray[np.float64], share: NDArray[np.float64], wanted: float | None
) -> NDArray[np.float64]:
    """Move chances up or down together (on the logit scale) to a wanted mean."""
    if wanted is None:
        return chance
    if wanted in (0, 1):
        return np.full_like(chance, wanted)
    low, high = -50.0, 50.0
    logit = np.log(chance / (1 - chance))
    for _ in range(60):
        middle = (low + high) / 2
        moved = 1 / (1 + np.exp(-(logit + middle)))
        low, high = (middle, high) if moved @ share < wanted else (low, middle)
    return moved


def _contact_ids(random: np.random.Generator, count: int) -> NDArray[np.object_]:
    letters = np.array(list(CROCKFORD))
    drawn = letters[random.integers(0, len(CROCKFORD), (count, ID_LENGTH))]
    ids: NDArray[np.object_] = np.array("ctc_", dtype=object) + drawn.view(
        f"U{ID_LENGTH}"
    ).ravel().astype(object)
    return ids


def _names(random: np.random.Generator, count: int) -> NDArray[np.object_]:
    given, first, last = (
        parts[random.integers(0, len(parts), count)]
        for parts in (GIVEN, FIRST_SYLLABLES, LAST_SYLLABLES)
    )
    names: NDArray[np.object_] = given + " " + first + last
    return names


def _emails(random: np.random.Generator, names: pd.Series[str]) -> NDArray[np.object_]:
    # example.com is kept free for examples (RFC 2606); the row's number tells namesakes apart.
    given = random.random(len(names)) >= 0.2  # one in five has none
    emails = np.full(len(names), None, dtype=object)
    emails[given] = [
        f"{name.lower().replace(' ', '.')}.{row}@example.com" for row, name in names[given].items()
    ]
    return emails


def _phone_numbers(random: np.random.Generator, count: int) -> NDArray[np.object_]:
    # A stride that shares no factor with 10**8 visits every number once: no two alike.
    numbers = (int(random.integers(10**8)) + 61_803_399 * np.arange(count)) % 10**8
    return np.array([f"+62000{number:08d}" for number in numbers], dtype=object)
