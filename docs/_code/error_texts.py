"""The texts of the package's errors and warnings, gathered from its code, for the pages.

A text is a literal of four words or more, as the code has it: ``…`` stands for what is filled in.
The directive ``error-texts`` lists those of the modules that it names, each with an anchor.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from kirim_pandas import errors

PACKAGE = Path(__file__).parent.parent.parent / "kirim_pandas"

SHOWN_ONLY = {
    *("__init__", "__main__", "sandbox", "grouptesting", "guesses"),
    *("frames.reasons", "frames.plan", "frames.features"),
    *("notebook.job_view", "notebook.texts", "notebook.progress"),
    *("notebook.panel_view", "notebook.panel_page_view", "notebook.panel_controls"),
    *(
        "verbs.arguments",
        "notebook.bar_place",
        "notebook.reading_bar",
        "notebook.series",
        "notebook.kernel",
    ),
}
"""Parts whose words are no errors: what is shown of a run, and the sandbox."""


RAISED_ONLY = {
    "frames.reports",
    *(f"sandbox.{part}" for part in ("box", "faults", "switches", "tables")),
}
"""Parts whose words are mostly those of a page, or of a rehearsal: only what is raised counts."""


def texts_of(module: str) -> list[str]:
    """Gather the texts of a module, in the order of the code, each once."""
    tree = ast.parse(PACKAGE.joinpath(*module.split(".")).with_suffix(".py").read_text())
    if module in RAISED_ONLY:
        return list(raised_in(tree))
    passed_over = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):  # a docstring
            passed_over.add(node.value)
        if isinstance(node, ast.JoinedStr):
            passed_over.update(node.values)
    literals = sorted(
        (
            node
            for node in ast.walk(tree)
            if isinstance(node, (ast.Constant, ast.JoinedStr)) and node not in passed_over
        ),
        key=lambda node: (node.lineno, node.col_offset),
    )
    return list(dict.fromkeys(text for text in map(template, literals) if is_sentence(text)))


def raised_in(tree: ast.Module) -> Iterator[str]:
    """Give the texts that are handed to an error where it is made."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in errors.__all__:
            texts = map(template, node.args[:1])
            yield from (text for text in texts if is_sentence(text))


def template(node: ast.expr) -> str:
    """Write a literal as a reader meets it, with ``…`` for what is filled in."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    values = [part.value if isinstance(part, ast.Constant) else "…" for part in parts]
    text = "".join(value for value in values if isinstance(value, str))
    return re.sub(r"\{\w*\}", "…", text).strip()


def is_sentence(text: str) -> bool:
    """Tell words for people from SQL, HTML, patterns and names."""
    words = re.findall(r"[A-Za-z']{2,}", text)
    for_machines = re.search(
        r"\\[bdsw]|</|^(SELECT|INSERT|REPLACE|UPDATE|DELETE|CREATE|PRAGMA|ALTER|BEGIN|state =)\b",
        text,
    )
    return len(words) >= 4 and " " in text and not for_machines


def modules() -> Iterator[str]:
    """Name the modules that have texts."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        if (
            (name in RAISED_ONLY or not SHOWN_ONLY & {name, name.partition(".")[0]})
            and "__init__" not in name
            and texts_of(name)
        ):
            yield name


def anchor(text: str) -> str:
    """Make the anchor of a text: its first words."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    return "text-" + "-".join(words[:12])


def setup(app):
    """Add the directive ``error-texts`` to Sphinx."""
    from docutils import nodes
    from docutils.parsers.rst import Directive

    class ErrorTexts(Directive):
        has_content = True  # a word for who reads the file
        required_arguments = 1
        optional_arguments = 99

        def run(self):
            listed = nodes.bullet_list(classes=["error-texts"])
            given = self.state.document.settings.env.metadata[
                self.state.document.settings.env.docname
            ]
            taken = given.setdefault("error_texts", [])
            for text in (text for module in self.arguments for text in texts_of(module)):
                name = anchor(text)
                ids = [] if name in taken else [name]
                taken.append(name)
                listed += nodes.list_item("", nodes.paragraph("", text), ids=ids)
            return [listed]

    app.add_directive("error-texts", ErrorTexts)
    return {"parallel_read_safe": True}
