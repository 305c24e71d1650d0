"""The documentation site: nothing public is missing from it, and every error has its place."""

import ast
import re
from pathlib import Path

import as_text
import error_texts
import nothing_outside
import pytest

import kirim_pandas as kp
from kirim_pandas import errors, sandbox
from kirim_pandas.dask.accessor import KirimDaskFrameAccessor
from kirim_pandas.frame_accessor import KirimFrameAccessor

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
REFERENCE = "\n".join(page.read_text() for page in (DOCS / "reference").glob("*.md"))
TROUBLE = {page.name: page.read_text() for page in (DOCS / "troubleshooting").glob("*.md")}


def listed_modules():
    """Modules whose texts the pages list, in the order of the pages."""
    for text in TROUBLE.values():
        for modules in re.findall(r"```\{error-texts\} (.*)", text):
            yield from modules.split()


def test_every_public_name_is_in_the_reference():
    """The reference has each name of the package, the accessor and the sandbox, and no other."""
    documented = set(re.findall(r"^\.\. auto\w+:: (\S+)", REFERENCE, flags=re.MULTILINE))
    accessors = {"df.kirim": KirimFrameAccessor, "ddf.kirim": KirimDaskFrameAccessor}
    verbs = {f"{of}.{name}" for of, one in accessors.items() for name in dir(one) if name[0] != "_"}
    names = {f"kirim_pandas.{name}" for name in kp.__all__ if name != "sandbox"}
    names |= {f"kirim_pandas.sandbox.{name}" for name in sandbox.__all__}
    comes_back = {name for name in documented if name.count(".") > 2 or name.endswith(".errors")}
    assert {n for n in documented if n not in comes_back} == verbs | names - comes_back


def test_every_error_text_has_an_anchor():
    """Each module with a text for people is listed on just one page of troubleshooting."""
    listed = list(listed_modules())
    assert sorted(listed) == sorted(error_texts.modules())


@pytest.mark.parametrize(
    "path", sorted(error_texts.PACKAGE.rglob("*.py")), ids=lambda path: path.stem
)
def test_what_is_raised_is_listed(path):
    """No text that is handed to an error of ours is missing from the pages."""
    module = ".".join(path.relative_to(error_texts.PACKAGE).with_suffix("").parts)
    raised = set(error_texts.raised_in(ast.parse(path.read_text())))
    listed = error_texts.texts_of(module) if module in set(listed_modules()) else []
    assert raised <= set(listed)


@pytest.mark.parametrize("page", as_text.pages(), ids=lambda page: page.stem)
def test_a_page_is_read_as_a_file_too(page):
    """Names and reasons stand in the file; ``python docs/_code/as_text.py`` writes them."""
    text = page.read_text()
    assert text == as_text.refreshed(text)
    assert "{py:" not in text
    documents = bool(as_text.DOCUMENTED.search(text))
    assert documents == (as_text.NAMES in text)


def test_the_file_of_a_page_follows_the_code():
    """A table or a list that is empty or old is written again."""
    page = "| name | what it is |\n| `old` | old |\n\n```{eval-rst}\n.. autofunction:: {}\n```\n"
    made = as_text.refreshed(page.replace("{}", "kirim_pandas.labels"))
    assert "| `kirim_pandas.labels` | " in made
    assert "old" not in made
    assert made.endswith(".. autofunction:: kirim_pandas.labels\n```\n")
    texts = as_text.refreshed("```{error-texts} api.secret\nold\n```\n")
    assert "kirim_pandas/api/secret.py" in texts


def causes():
    """Some errors that an analyst meets, each with what causes it."""
    import pandas as pd

    df = pd.DataFrame({"name": ["A"], "phone": ["x"]})
    yield "no ids", lambda: df.kirim.bulk_label("VIP", "attach")
    yield "operation", lambda: df.kirim.bulk_label("VIP", "add", phone="phone")
    yield "column", lambda: df.kirim.bulk_label("VIP", "attach", phone="fone")
    yield "key", lambda: kp.connect("kdv_live_short")
    yield "address", lambda: kp.connect("kdv_live_" + "x" * 24, base_url="ftp://x")
    yield "run", lambda: kp.result("run_20260101_0123456789")
    yield "days", lambda: kp.keep_history(-1)
    yield "target", lambda: kp.spreadsheet_safe(df, target="word")
    yield "result", lambda: df.kirim.summary()
    yield "limit", lambda: kp.contacts(limit=0)


@pytest.mark.parametrize(("name", "cause"), [*causes()], ids=lambda value: str(value)[:9])
def test_a_message_is_found_on_its_page(name, cause):
    """What is really said, line by line, is made of texts that the pages list."""
    with pytest.raises(kp.KirimError) as raised:
        cause()
    texts = [text for module in listed_modules() for text in error_texts.texts_of(module)]
    first = str(raised.value).splitlines()[0]
    assert any(re.search(pattern_of(text), first) for text in texts), first


def pattern_of(text):
    """A text of the pages as a pattern: ``…`` for anything."""
    return ".*".join(map(re.escape, text.split("…")))


def test_every_class_of_error_has_its_row():
    """The first page of troubleshooting tells of each class what to do; the base stands for all."""
    table = TROUBLE["index.md"]
    assert [name for name in errors.__all__ if f"`{name}`" not in table] == ["KirimError"]


@pytest.mark.parametrize("folder", ["how-to", "reference", "explanation", "troubleshooting"])
def test_every_page_is_in_the_table_of_contents(folder):
    """Each page is named by the first page of its folder, in the menu and in the text."""
    index = (DOCS / folder / "index.md").read_text()
    for page in (DOCS / folder).glob("*.md"):
        if page.name != "index.md":
            assert re.search(rf"^{page.stem}$", index, flags=re.MULTILINE), page.name


INSIDE = {
    "page.html": '<link rel="canonical" href="https://a.example/"><a href="https://a.example">'
    '<img src="_images/a.png"><script src="/a.js"></script><p>url(https://a.example)</p>'
    '<style>@import "a.css"; p { background: url(data:image/png;base64,AA) }</style>',
    "style.css": '/* see https://a.example */ @font-face { src: url("../a.woff2") }',
    "script.js": 'const svg = "http://www.w3.org/2000/svg"; import("./a.js"); a.href = "b.html";',
}
OUTSIDE = {
    "link.html": '<link rel="stylesheet" href="https://a.example/a.css">',
    "script.html": '<script src="//a.example/a.js"></script>',
    "set.html": '<img srcset="a.png 1x, https://a.example/a.png 2x">',
    "import.html": '<script type="module">import a from "https://a.example/a.js"</script>',
    "style.html": '<p style="background: url(https://a.example/a.png)">',
    "block.html": "<style>p { background: url(https://a.example/a.png) }</style>",
    "use.svg": '<svg><use xlink:href="https://a.example/a.svg"/></svg>',
    "font.css": "@font-face { src: url(https://a.example/a.woff2) }",
    "sheet.css": '@import "https://a.example/a.css";',
    "fetch.js": 'fetch("https://a.example/a.json")',
    "script.mjs": 's.src="https://a.example/a.js"',
}


def test_a_site_that_needs_no_network_is_told_from_one_that_does(tmp_path):
    """Each way in which a page loads from another host is noticed; links and names are not."""
    for name, text in (INSIDE | OUTSIDE).items():
        (tmp_path / name).write_text(text)
    found = [told.partition(" ")[0] for told in nothing_outside.from_outside(tmp_path)]
    assert found == sorted(OUTSIDE)
    assert set(re.findall(r'"(\w+)",', (DOCS / "conf.py").read_text())) >= {"nothing_outside"}
