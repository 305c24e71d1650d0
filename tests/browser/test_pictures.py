"""The pictures of the README and the how-to, and the job at the width of half a screen."""

import pytest

from .lab import wait_for

JOB = 'job = customers.kirim.bulk_label_job(label_id, "attach", hint="team")'


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_job_fits(lab, browser, box, setup, theme):
    """A running and a finished job are readable at 800 pixels in both themes."""
    cells = [f"{setup(box)}\ncustomers = df", JOB]
    browser.size(800)
    try:
        browser.open(lab.notebook(f"narrow-{theme}", cells))
        browser.theme(theme)
        browser.run_cell(0)
        browser.run_cell(1)
        wait_for(lambda: browser.bar_share(1), "the bar to move")
        browser.picture(f"job-800-{theme}-running")
        check(browser)
        browser.wait_output(1, "Finished.")
        browser.picture(f"job-800-{theme}")
        check(browser)
    finally:
        browser.theme("light")
        browser.size(1300)


def check(browser):
    assert browser.contrast(1) >= 4.5
    assert browser.overflowing(1) == []


def test_pictures_for_the_readme(lab, browser, box, setup):
    """The pictures are taken of a real run; they are copied to notebooks/images by hand."""
    tiers = 'customers["tier"] = pd.cut(df["spend"], [-1, 200_000, 900_000, 10**9], labels='
    first = f'{setup(box)}\ncustomers = df\n{tiers}["bronze", "silver", "gold"])'
    cells = [first, JOB, "customers.kirim.panel()"]
    browser.size(1300, 1900)
    browser.open(lab.notebook("pictures", cells))
    browser.run_cell(0)
    browser.run_cell(1)
    wait_for(lambda: (browser.bar_share(1) or 0) > 0.4, "the bar to be half way")
    browser.picture("readme-job", browser.cell(1))
    browser.wait_output(1, "Finished.")
    browser.run_cell(2)
    browser.wait_output(2, "Column of contact ids")
    labels = browser.visible(".widget-select select", browser.cell(2))[0]
    browser.click(wait_for(lambda: browser.all("option", labels), "labels to choose")[0])
    hints = browser.visible("select[multiple]", browser.cell(2))[0]
    browser.click(browser.all("option", hints)[0])
    browser.click(browser.button("Show the plan", browser.cell(2)))
    browser.wait_output(2, "customers of")
    browser.click(browser.visible("input[type=checkbox]", browser.cell(2))[0])
    run = browser.button("Run now", browser.cell(2))
    wait_for(lambda: run.is_enabled(), "the run to be allowed")
    browser.picture("readme-panel", browser.cell(2))
    browser.click(browser.visible('[role="tab"]', browser.cell(2))[1])
    columns = wait_for(
        lambda: browser.visible(".widget-dropdown select", browser.cell(2))[1:], "the columns"
    )
    browser.click(next(o for o in browser.all("option", columns[0]) if o.text == "tier"))
    lists = wait_for(
        lambda: browser.visible(".widget-dropdown select", browser.cell(2))[2:] or None, "values"
    )
    for select, label in zip(lists[1:], ["Win-back", "Newsletter"], strict=True):
        browser.click(next(o for o in browser.all("option", select) if label in o.text))
    browser.click(browser.button("Show the plan", browser.cell(2)))
    browser.wait_output(2, "Attach Win-back to")
    browser.picture("segments-page", browser.cell(2))
    browser.size(1300)
