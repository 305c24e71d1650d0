"""What pages of the site take from the code, written into their files as well.

The reference and the pages on errors are also read as plain files, where no docstring is filled in.
So tables of names and reasons stand in the files: ``python docs/_code/as_text.py`` writes them
again after a change; tests/test_site.py tells when.  Texts of errors change so often
that the files only say where they are.
On the site, a link such as ``verbs.md#df.kirim.plan`` leads to the docstring itself.
"""

import inspect
import pkgutil
import re
from pathlib import Path

from kirim_pandas.dask.accessor import KirimDaskFrameAccessor
from kirim_pandas.frame_accessor import KirimFrameAccessor
from kirim_pandas.frames.reasons import REASONS

DOCS = Path(__file__).parent.parent
ACCESSORS = {"df.kirim.": KirimFrameAccessor, "ddf.kirim.": KirimDaskFrameAccessor}

NAMES = "| name | what it is |"
REASON = "| reason | what it means | what to do |"
DOCUMENTED = re.compile(r"^\.\. auto(?!module)\w+:: (\S+)", flags=re.MULTILINE)
ERRORS = re.compile(r"^```\{error-texts\} (.*)\n(?:.*\n)*?```$", flags=re.MULTILINE)


def table(head: str, lines: list[tuple[str, ...]]) -> str:
    """Write a Markdown table under its head."""
    rule = "|" + "---|" * (head.count("|") - 1)
    cells = [" | ".join(cell.replace("|", r"\|") for cell in line) for line in lines]
    return "\n".join([head, rule, *(f"| {line} |" for line in cells)])


def summary(name: str) -> str:
    """Return the first sentence of a docstring, as Markdown."""
    for prefix, accessor in ACCESSORS.items():
        if name.startswith(prefix):
            found = getattr(accessor, name.removeprefix(prefix))
            break
    else:
        found = pkgutil.resolve_name(name)
    first = " ".join((inspect.getdoc(found) or "").partition("\n\n")[0].split())
    first = re.sub(r":\w+:`~?([^`]*)`", r"`\1`", first)
    return first.replace("``", "`")


def names(page: str) -> str:
    """Make the table of the names that a page documents, in its order."""
    listed = [
        (name.rpartition(".")[2] if name.count(".") > 2 else name, summary(name))
        for name in DOCUMENTED.findall(page)
    ]
    return table(NAMES, [(f"`{name}`", told) for name, told in listed])


def reasons() -> str:
    """Make the table of reasons."""
    return table(
        REASON,
        [
            (f"`{name}` ({reason.status})", reason.meaning, reason.action)
            for name, reason in REASONS.items()
            if name
        ],
    )


def texts(match: re.Match[str]) -> str:
    """Write a directive of error texts, and for who reads the file what the site has there."""
    places = ", ".join(f"kirim_pandas/{module.replace('.', '/')}.py" for module in match[1].split())
    return f"```{{error-texts}} {match[1]}\nThe site lists all texts of {places} here.\n```"


def refreshed(page: str) -> str:
    """Return a page with all that it takes from the code."""
    for head, made in ((NAMES, names(page)), (REASON, reasons())):
        old = re.compile(rf"^{re.escape(head)}\n(?:\|.*\n)*", flags=re.MULTILINE)
        page = old.sub(lambda _, made=made: f"{made}\n", page)
    return ERRORS.sub(texts, page)


def pages() -> list[Path]:
    """List the pages that take something from the code."""
    return sorted([*DOCS.glob("reference/*.md"), *DOCS.glob("troubleshooting/*.md")])


def setup(app):
    """Let Markdown links lead to the docstrings of a page, by their names."""

    def add(app, env):
        for name, found in env.get_domain("py").objects.items():
            slugs = env.metadata[found.docname].setdefault("myst_slugs", {})
            slugs[name] = (0, found.node_id, name)

    app.connect("env-updated", add)
    return {"parallel_read_safe": True}


if __name__ == "__main__":
    for path in pages():
        path.write_text(refreshed(path.read_text(encoding="utf-8")), encoding="utf-8")
