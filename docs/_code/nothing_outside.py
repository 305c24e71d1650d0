"""The built site loads nothing from another host: checked after each build, which fails else.

Links that a reader clicks may go anywhere; stylesheets, scripts, fonts and pictures may not.
"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

OUTSIDE = re.compile(r"\s*(?:https?:)?//", re.IGNORECASE)
IN_STYLES = re.compile(r"""(?:url\(|@import)\s*["']?([^"')\s;]+)""", re.IGNORECASE)
IN_SCRIPTS = re.compile(
    r"""(?:\b(?:import|fetch|importScripts|require)\s*\(?|\bfrom|\.(?:src|href)\s*=)\s*["'`]([^"'`]+)""",
)
LOADING = {"src", "srcset", "poster", "data", "background"}
"""Attributes that a browser follows by itself, on every element."""


class Loaded(HTMLParser):
    """Gathers what a page loads, from its elements and the styles and scripts in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the addresses of an element; ``link`` loads unless it only tells of a relation."""
        self._inside = tag
        given = {name: value or "" for name, value in attrs}
        loading = [value for name, value in given.items() if name in LOADING]
        self.addresses += [part for value in loading for part in value.split(", ")]
        self.addresses += IN_STYLES.findall(given.get("style", ""))
        if tag == "link" and given.get("rel") not in ("canonical", "alternate", "author"):
            self.addresses.append(given.get("href", ""))
        if tag in ("use", "image"):
            self.addresses.append(given.get("href", given.get("xlink:href", "")))

    def handle_data(self, data: str) -> None:
        """Look into a style or a script that stands in the page."""
        if self._inside in ("style", "script"):
            self.addresses += (IN_STYLES if self._inside == "style" else IN_SCRIPTS).findall(data)

    def handle_endtag(self, tag: str) -> None:
        """Leave the element."""
        self._inside = ""


def loaded_by(path: Path) -> list[str]:
    """List the addresses that a file of the site makes a browser load."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.suffix in (".html", ".svg"):
        return Loaded(text).addresses
    return (IN_STYLES if path.suffix == ".css" else IN_SCRIPTS).findall(text)


def from_outside(folder: Path) -> Iterator[str]:
    """Name each file of a built site that loads from another host, with the address."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".html", ".svg", ".css", ".js", ".mjs"):
            for address in filter(OUTSIDE.match, loaded_by(path)):
                yield f"{path.relative_to(folder)} loads {address.strip()[:80]}"


def setup(app):
    """Check the site when Sphinx has built it."""
    from sphinx.errors import SphinxError

    def check(app, error):
        found = [] if error else [*from_outside(Path(app.outdir))]
        if found:
            raise SphinxError("\n".join(["The site needs a network:", *found[:10]]))

    app.connect("build-finished", check)
    return {"parallel_read_safe": True}
