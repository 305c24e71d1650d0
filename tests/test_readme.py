"""The pages that explain the project say what is so."""

import contextlib
import io
import re
from pathlib import Path

import pytest

import kirim_pandas as kp

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = ["README.md", "CONTRIBUTING.md", "SECURITY.md", *ROOT.glob("docs/*.md")]


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: Path(page).name)
def test_what_a_page_names_is_there(page):
    """Each ``kp.`` name, each file and each linked file that a page speaks of exists."""
    text = (ROOT / page).read_text()
    for name in set(re.findall(r"`kp\.(\w+)", text)):
        assert hasattr(kp, name), name
    for name in set(re.findall(r"`([\w./-]+\.(?:py|sh|md|toml|yaml))`", text)):
        assert (ROOT / name).exists() or any((ROOT / "kirim_pandas").rglob(name)), name
    for link in set(re.findall(r"\]\((?!https?:)([^)#]+)", text)):
        assert ((ROOT / page).parent / link).exists(), link
