"""The README's example runs, and prints what the README says."""

import contextlib
import io
import re
from pathlib import Path

import kirim_pandas as kp

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_complete_example(capsys):
    """Each printed table of the complete example is what a reader gets."""
    section = README.split("## A complete example")[1].split("\n## ")[0]
    blocks = re.findall(r"```(python|text)\n(.*?)```", section, flags=re.DOTALL)
    scope: dict[str, object] = {}
    printed = ""
    try:
        for language, text in blocks:
            if language == "python":
                out = io.StringIO()
                with contextlib.redirect_stdout(out):
                    exec(text, scope)
                printed = out.getvalue()
            else:
                assert text.strip()
                assert text.rstrip() in printed
    finally:
        scope["sandbox"].close()


def test_every_reason_is_explained():
    """The README explains each status and each reason a result can have."""
    from kirim_pandas.frames.reports import REASONS, STATUS_MEANINGS

    for word in [*REASONS, *STATUS_MEANINGS]:
        assert f"`{word}`" in README or not word


def test_public_names_are_real():
    """Every ``kp.`` name the README speaks of exists."""
    for name in set(re.findall(r"`kp\.(\w+)", README)):
        assert hasattr(kp, name), name
