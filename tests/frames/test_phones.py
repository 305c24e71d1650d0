"""Phone numbers and e-mail addresses: one certain form, or none."""

import numpy as np
import pandas as pd
import pytest

import kirim_pandas as kp
from kirim_pandas.frames.phones import (
    GIVEN,
    MALFORMED,
    MISSING,
    check_country,
    read_emails,
    read_phones,
)

NUMBER = "+6281234567890"


@pytest.mark.parametrize(
    "written",
    [
        "0812-3456-7890",
        "62812 3456 7890",
        "+62 812 3456 7890",
        "(0812) 3456 7890",
        "81234567890",
        "0062 812-3456-7890",
        "+62 (0)812.3456.7890",
        "0812\u00a03456\u20117890",
        " \u200e0812 34567890\t\n",
        "\uff10\uff18\uff11\uff12 3456 7890",
        "tel:+62-812-3456-7890",
        "'081234567890",
        "6281234567890.0",
        6281234567890,
        81234567890,
        np.int64(6281234567890),
        6281234567890.0,
        np.float64(81234567890),
    ],
)
def test_every_spelling_of_a_number_is_that_number(written):
    """Blanks, hyphens, brackets, a lost zero and numbers of any type name the same number."""
    numbers, found = read_phones(pd.Series([written], dtype=object), "ID")
    assert numbers.tolist() == [NUMBER]
    assert found.tolist() == [GIVEN]


@pytest.mark.parametrize(
    "written",
    [
        "6.28123E+11",
        "6,28123e+12",
        "0812 3456 7890 / 0813 1111 2222",
        "081234567890, 081311112222",
        "081234567890 atau 081311112222",
        "555123456/555123457",
        "12",
        "Siti",
        "0812-3456-7890 ext. 12",
        "+62812345678901234567",
        "+628999999999999999",
        "0899-9999-9999-9999-9",
        6.28123e17,
        np.inf,
        True,
        b"081234567890",
        ["081234567890"],
    ],
)
def test_what_is_no_certain_number_is_malformed(written):
    """Rounded numbers, two numbers in a cell, extensions and other things are never guessed."""
    numbers, found = read_phones(pd.Series([written, "0812-3456-7890"], dtype=object), "ID")
    assert found.tolist()[0] == MALFORMED
    assert numbers.tolist()[0] is None


@pytest.mark.parametrize("dtype", [object, "string", "category", "str"])
def test_missing_values_are_missing(dtype):
    """No value, an empty text and white space are missing, in every dtype of text."""
    numbers, found = read_phones(pd.Series([None, "", " ", "081234567890"], dtype=dtype), "ID")
    assert found.tolist() == [MISSING, MISSING, MISSING, GIVEN]
    assert numbers.tolist()[:3] == [None, None, None]


def test_a_column_of_floats_keeps_every_digit():
    """One missing value makes floats of a column of numbers; its numbers are still exact."""
    numbers, found = read_phones(pd.Series([6281234567890, None]), "ID")
    assert numbers.tolist() == [NUMBER, None]
    assert found.tolist() == [GIVEN, MISSING]


def test_a_possible_number_is_enough():
    """Numbers that nobody has been given yet are looked up like others."""
    numbers, _ = read_phones(pd.Series(["+62 000 1234 5678"]), "ID")
    assert numbers.tolist() == ["+6200012345678"]


def test_the_country_decides_only_where_no_code_is():
    """A number with its country code is read the same whatever country is given."""
    numbers, _ = read_phones(pd.Series(["+62 812 3456 7890", "(020) 7946 0018"]), "GB")
    assert numbers.tolist() == [NUMBER, "+442079460018"]


@pytest.mark.parametrize("country", ["Indonesia", "XX", "", None, 62])
def test_a_country_that_is_none_is_refused(country):
    """A country is two letters of ISO 3166, and the message says so."""
    with pytest.raises(kp.InvalidInputError, match="expected two letters"):
        check_country(country)


def test_a_country_is_read_in_any_case():
    """Small letters and blanks around a country do no harm."""
    assert check_country(" id ") == "ID"


def test_e_mail_addresses_are_read_in_small_letters():
    """An address is one text with one @; all else is malformed or missing."""
    texts, found = read_emails(
        pd.Series([" Siti@Example.org ", "siti", "a@b.co, c@d.co", "", None, "x@y"])
    )
    assert texts.tolist()[0] == "siti@example.org"
    assert found.tolist() == [GIVEN, MALFORMED, MALFORMED, MISSING, MISSING, MALFORMED]
