"""What the pages run on: each how-to begins with ``begin()``, in a cell that is not shown.

After it a page may be read as if it talked to the service: the key and the address stand in the
environment, ``customers.csv`` lies in the current folder, and the journal is a new one.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import kirim_pandas as kp


def begin(contacts: int = 400, *, seed: int = 11, **settings) -> kp.sandbox.Sandbox:
    """Start a sandbox, and leave the reader's own journal, key and folder alone."""
    folder = Path(tempfile.mkdtemp(prefix="kirim-pages-"))
    os.chdir(folder)
    os.environ["KIRIM_JOURNAL"] = str(folder / "journal.sqlite")
    settings = {"write_per_minute": 6000, "read_per_minute": 60_000} | settings
    sandbox = kp.sandbox.start(contacts, seed=seed, **settings)
    os.environ["KIRIM_API_KEY"] = sandbox.api_key
    os.environ["KIRIM_BASE_URL"] = sandbox.base_url
    customers(sandbox).to_csv("customers.csv", index=False)
    pd.set_option("display.max_colwidth", 60)
    return sandbox


def customers(sandbox: kp.sandbox.Sandbox) -> pd.DataFrame:
    """Make the list an analyst has: phones as people write them, some wrong, some unknown."""
    people = sandbox.contacts
    phone = people["phone_number"]
    phone = phone.where(
        people.index % 3 != 1,
        phone.str.replace(r"(...)(...)(....)(....)", r"\1 \2-\3-\4", regex=True),
    )
    wrong = {5: "081-234", 17: None, 29: "see notes", 41: "+6200000000999"}
    tier = pd.cut(
        people["spend"], [-1, 200_000, 900_000, np.inf], labels=["bronze", "silver", "gold"]
    )
    return people.assign(
        phone=phone.mask(people.index.isin(list(wrong)), people.index.map(wrong.get)), tier=tier
    )[["name", "phone", "email", "city", "spend", "tier", "last_seen"]]
