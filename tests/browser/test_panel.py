"""The panel, from picking to the report, by clicks and keys alone."""

import re
import shutil

import pytest
from selenium.webdriver.common.keys import Keys

from .lab import LABELS, wait_for


@pytest.fixture
def opened(lab, browser, box):
    """A notebook whose second cell shows the panel."""

    def opened(name, prepared=""):
        box.contacts.head(4000).to_csv(lab.folder / "some.csv", index=False)
        setup = (
            "import pandas as pd, kirim_pandas as kp\n"
            f'kp.connect("{box.api_key}", base_url="{box.base_url}")\n'
            f'df = pd.read_csv("some.csv")\n{prepared}'
        )
        browser.open(lab.notebook(name, [setup, "df.kirim.panel()"]))
        browser.run_cell(0)
        browser.run_cell(1)
        browser.wait_output(1, "Column of contact ids")
        browser.wait_ran(1)
        return browser.cell(1)

    return opened


def test_panel_from_picking_to_report(lab, browser, opened):
    """Clicks and keys alone lead from the label to a report that stays in the notebook."""
    cell = opened("panel")
    browser.picture("panel-start")
    browser.click(browser.button("Show the plan", cell))
    browser.wait_output(1, "Choose a label first")

    browser.click(browser.visible("input[type=text]", cell)[0])
    for letter in "newsl":
        browser.keys(letter)
    labels = browser.visible(LABELS, cell)[0]
    wait_for(lambda: len(browser.all("option", labels)) == 1, "one label to be left")
    browser.click(browser.all("option", labels)[0])
    browser.wait_output(1, "lbl_")
    hints = browser.visible("select[multiple]", cell)[0]
    browser.click(next(o for o in browser.all("option", hints) if o.text == "team"))

    browser.click(browser.button("Show the plan", cell))
    browser.wait_output(1, "4,000 customers")
    assert not browser.button("Run now", cell).is_enabled()
    browser.picture("panel-plan")
    browser.click(browser.visible("input[type=checkbox]", cell)[0])
    wait_for(lambda: browser.button("Run now", cell).is_enabled(), "the run to be allowed")
    browser.script("arguments[0].focus()", browser.button("Run now", cell))
    browser.keys(Keys.ENTER)
    wait_for(lambda: browser.bar_share(1) is not None, "the bar")
    browser.picture("panel-running")
    browser.wait_output(1, "What it means")
    assert "Label Newsletter attached to contacts" in browser.output(1)
    browser.picture("panel-report")
    assert browser.output(1).count("What it means") == 1
    run_id = re.search(r"run_\w+", browser.output(1))[0]
    browser.save()
    assert "What it means" in lab.path("panel").read_text()
    assert run_id in lab.path("panel").read_text()

    # A page that is loaded again has the report in its widgets, a copy without a kernel below.
    browser.open(lab.address("panel"))
    browser.wait_output(1, "What it means")
    assert browser.output(1).count("What it means") == 1
    assert browser.visible(LABELS, browser.cell(1))
    browser.picture("panel-reloaded")
    shutil.copy(lab.path("panel"), lab.path("panel-again"))
    browser.open(lab.address("panel-again"))
    browser.wait_output(1, "What it means")
    assert run_id in browser.output(1)
    browser.picture("panel-again")
    browser.severe_messages()  # of the widgets that this kernel does not know


def test_a_run_of_the_panel_is_found_again(lab, browser, opened):
    """A notebook that is saved in the middle of a run of the panel names the run."""
    cell = opened("panel-midway")
    browser.click(browser.all("option", browser.visible(LABELS, cell)[0])[0])
    hints = browser.visible("select[multiple]", cell)[0]
    browser.click(next(o for o in browser.all("option", hints) if o.text == "team"))
    browser.click(browser.button("Show the plan", cell))
    browser.wait_output(1, "4,000 customers")
    browser.click(browser.visible("input[type=checkbox]", cell)[0])
    wait_for(lambda: browser.button("Run now", cell).is_enabled(), "the run to be allowed")
    browser.click(browser.button("Run now", cell))
    wait_for(lambda: browser.bar_share(1) is not None, "the bar")
    browser.save()
    saved = lab.path("panel-midway").read_text()
    assert re.search(r"run_\d+_\w+", saved)
    assert "df.kirim.resume" in saved
    browser.click(browser.button("Cancel", cell))
    browser.wait_output(1, "Stopped.")
    browser.picture("panel-stopped")
    browser.click(browser.button("Resume", cell))
    browser.wait_output(1, "Finished.")
    browser.picture("panel-resumed")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1300, 800])
def test_panel_fits(browser, opened, theme, width):
    """Nothing is cut off at either width, and text stands out from its ground in both themes."""
    browser.size(width)
    try:
        cell = opened(f"fits-{width}-{theme}")
        browser.theme(theme)
        labels = browser.visible(LABELS, cell)[0]
        browser.click(wait_for(lambda: browser.all("option", labels), "labels to choose")[0])
        browser.click(browser.button("Show the plan", cell))
        browser.wait_output(1, "customers")
        browser.picture(f"panel-{width}-{theme}")
        assert browser.contrast(1) >= 4.5
        assert browser.overflowing(1) == []
        browser.click(browser.visible('[role="tab"]', cell)[1])
        columns = wait_for(lambda: browser.visible(".widget-dropdown select", cell)[1:], "columns")
        choose(browser, columns[0], "city")
        wait_for(lambda: browser.visible(".widget-dropdown select", cell)[2:], "a list a value")
        browser.picture(f"segments-{width}-{theme}")
        assert browser.contrast(1) >= 4.5
        assert browser.overflowing(1) == []
    finally:
        browser.theme("light")
        browser.size(1300)


def test_segments_from_column_to_list(lab, browser, opened):
    """By clicks alone each value of a column gets a label, and who is skipped is in a file."""
    cell = opened("segments", "df['tier'] = ['gold', 'silver', 'bronze', None] * 1000")
    browser.click(next(tab for tab in browser.all('[role="tab"]', cell) if "Seg" in tab.text))
    lists = wait_for(lambda: browser.visible(".widget-dropdown select", cell)[1:], "the columns")
    choose(browser, lists[0], "tier")
    lists = wait_for(
        lambda: browser.visible(".widget-dropdown select", cell)[2:] or None, "a list a value"
    )
    browser.picture("segments-start")
    for select, label in zip(lists, ["Newsletter", "Price list", "Win-back"], strict=True):
        choose(browser, select, label)
    assert "1,000 rows without a value" in browser.output(1)
    browser.click(browser.visible("input[type=checkbox]", cell)[0])
    browser.click(browser.button("Show the plan", cell))
    browser.wait_output(1, "Attach Newsletter to 1,000 customers, Price list to 1,000 customers")
    browser.picture("segments-plan")
    assert browser.overflowing(1) == []
    browser.click(browser.visible("input[type=checkbox]", cell)[1])
    wait_for(lambda: browser.button("Run now", cell).is_enabled(), "the run to be allowed")
    browser.click(browser.button("Run now", cell))
    browser.wait_output(1, "of 6 runs)")
    browser.picture("segments-running")
    browser.wait_output(1, "By tier", 90)
    browser.picture("segments-report")
    browser.click(browser.button("Save the list", cell))
    browser.wait_output(1, "rows in not-applied-run_")
    browser.picture("segments-list")
    (saved,) = lab.folder.glob("not-applied-run_*.csv")
    assert saved.read_text("utf-8-sig").startswith("contact_id,") is False
    assert browser.overflowing(1) == []


def choose(browser, select, text):
    """Choose the entry of a list that has the text."""
    browser.click(next(o for o in browser.all("option", select) if text in o.text))
