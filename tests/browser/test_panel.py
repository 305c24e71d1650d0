"""The panel, from picking to the report, by clicks and keys alone."""

import pytest
from selenium.webdriver.common.keys import Keys

from .lab import wait_for


@pytest.fixture
def opened(lab, browser, box):
    """A notebook whose second cell shows the panel."""

    def opened(name):
        box.contacts.head(4000).to_csv(lab.folder / "some.csv", index=False)
        setup = (
            "import pandas as pd, kirim_pandas as kp\n"
            f'kp.connect("{box.api_key}", base_url="{box.base_url}")\n'
            'df = pd.read_csv("some.csv")'
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
    labels = browser.visible("select", cell)[0]
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
    browser.save()
    assert "What it means" in lab.path("panel").read_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1300, 800])
def test_panel_fits(browser, opened, theme, width):
    """Nothing is cut off at either width, and text stands out from its ground in both themes."""
    browser.size(width)
    try:
        cell = opened(f"fits-{width}-{theme}")
        browser.theme(theme)
        labels = browser.visible("select", cell)[0]
        browser.click(wait_for(lambda: browser.all("option", labels), "labels to choose")[0])
        browser.click(browser.button("Show the plan", cell))
        browser.wait_output(1, "customers")
        browser.picture(f"panel-{width}-{theme}")
        assert browser.contrast(1) >= 4.5
        assert browser.overflowing(1) == []
    finally:
        browser.theme("light")
        browser.size(1300)
