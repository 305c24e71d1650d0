"""The command that a newcomer runs first."""

import sys

from kirim_pandas.__main__ import main


def test_the_demo_ends_well_and_says_so(monkeypatch, capsys):
    """The demo labels, reports, and finds every row right against the sandbox's truth."""
    monkeypatch.setattr(sys, "argv", ["kirim_pandas"])
    assert main() == 0
    out, err = capsys.readouterr()
    assert "rows are right" in out
    assert "WRONG" not in err
