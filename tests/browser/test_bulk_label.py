"""The plain call in a cell: its bar, its last line, and the stop button of the notebook."""

import shutil

from .lab import wait_for

RUN = 'result = df.kirim.bulk_label(label_id, "attach", hint="team")'


def test_bar_and_last_line(lab, browser, box, setup, kernel):
    """The bar moves, the second phase is announced, and only a line that is still true stays."""
    name = f"plain-{kernel}"
    browser.open(lab.notebook(name, [setup(box), RUN], kernel))
    browser.run_cell(0)
    browser.run_cell(1)
    shares, seen = set(), set()

    def ended():
        shares.add(round(browser.bar_share(1) or 0, 2))
        seen.add("more requests" in browser.output(1))
        return "Finished." in browser.output(1)

    wait_for(lambda: browser.bar_share(1), "the bar to move")
    browser.picture(f"{name}-running")
    wait_for(ended, "the last line")
    assert len(shares) >= 3
    assert True in seen
    assert "more requests" not in browser.output(1)
    browser.picture(f"{name}-finished")
    browser.save()
    shutil.copy(lab.path(name), lab.path(f"{name}-again"))
    browser.open(lab.address(f"{name}-again"))
    assert "Finished." in browser.output(1)
    assert "more requests" not in browser.output(1)
    browser.picture(f"{name}-again")


def test_stop_button(lab, browser, crowded, setup, kernel):
    """The notebook's stop button ends the run in order, and the message says how to go on."""
    cells = [setup(crowded), RUN, 'kp.last_result()["status"].value_counts()["applied"]']
    browser.open(lab.notebook(f"stop-{kernel}", cells, kernel))
    browser.run_cell(0)
    browser.run_cell(1)
    browser.wait_output(1, "rate limit")
    browser.click(browser.one('[data-command="notebook:interrupt-kernel"], [title*="Interrupt"]'))
    browser.wait_output(1, "RunInterrupted")
    assert "kirim.resume" in browser.output(1)
    browser.picture(f"stop-{kernel}")
    browser.run_cell(2)
    browser.wait_ran(2)
    assert browser.output(2)


def test_stop_button_while_a_job_is_awaited(lab, browser, crowded, setup, kernel):
    """The stop button ends the waiting, not the job; Cancel ends it, where clicks do not wait."""
    cells = [
        setup(crowded),
        'job = df.kirim.bulk_label_job(label_id, "attach", hint="team")',
        "job.result()",
        "job.done",
        "await job",
        "1 + 1",
    ]
    browser.open(lab.notebook(f"await-{kernel}", cells, kernel))
    browser.run_cell(0)
    browser.run_cell(1)
    browser.run_cell(2)
    wait_for(lambda: browser.prompt(2) == "[*]:", "the waiting")
    browser.wait_output(1, "Waiting: rate limit")
    interrupt = browser.one('[data-command="notebook:interrupt-kernel"], [title*="Interrupt"]')
    browser.click(interrupt)
    browser.wait_output(2, "KeyboardInterrupt")
    browser.run_cell(3)
    browser.wait_output(3, "False")
    browser.run_cell(4)
    wait_for(lambda: browser.prompt(4) == "[*]:", "the second waiting")
    if kernel == "kernel-6.31":  # whose clicks wait for the cell
        browser.click(interrupt)
        wait_for(lambda: browser.prompt(4) != "[*]:", "the second waiting to end")
    browser.click(browser.button("Cancel", browser.cell(1)))
    if kernel == "kernel-newest":
        browser.wait_output(4, "CancelledError")
    browser.wait_output(1, "Stopped.")
    browser.run_cell(5)
    browser.wait_output(5, "2")
    browser.picture(f"await-{kernel}")
