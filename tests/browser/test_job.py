"""A run in the background, watched, cancelled, saved and opened again."""

import shutil

import nbformat

from .lab import wait_for

JOB = 'job = df.kirim.bulk_label_job(label_id, "attach", hint="team")'


def test_bar_moves_and_finishes(lab, browser, box, setup, kernel):
    """The bar fills while other cells run, and its place is taken by a summary that stays."""
    name = f"job-{kernel}"
    cells = [setup(box), JOB, "1 + 1", "len(job.result())"]
    browser.open(lab.notebook(name, cells, kernel))
    browser.run_cell(0)
    browser.run_cell(1)
    wait_for(lambda: browser.bar_share(1) is not None, "the bar")
    browser.run_cell(2)
    browser.wait_output(2, "2")
    assert "Finished" not in browser.output(1)
    browser.picture(f"{name}-running")
    shares = set()

    def finished():
        share = browser.bar_share(1)
        if share is not None:
            shares.add(round(share, 2))
        return "Finished" in browser.output(1)

    wait_for(finished, "the summary")
    assert len(shares) >= 3
    assert browser.bar_share(1) is None
    browser.run_cell(3)
    browser.wait_output(3, "20000")
    assert "Finished" not in browser.output(3)
    browser.picture(f"{name}-finished")
    browser.save()

    # A copy has no kernel that knows the widgets, as after a night.
    again = f"{name}-again"
    shutil.copy(lab.path(name), lab.path(again))
    browser.open(lab.address(again))
    assert "Finished." in browser.output(1)
    assert "20,000 contacts" in browser.output(1)
    assert "0%" not in browser.output(1)
    assert not browser.visible(".jupyter-widgets")
    browser.picture(f"{name}-again")
    assert "Finished." in exported(lab.path(again))


def test_page_reload_while_a_job_runs(lab, browser, crowded, setup, kernel):
    """A page that is loaded again shows the job going on, its Cancel button works, and its end."""
    name = f"reload-{kernel}"
    address = lab.notebook(name, [setup(crowded), JOB, "job"], kernel)
    browser.open(address)
    browser.run_cell(0)
    browser.run_cell(1)
    browser.wait_output(1, "Waiting: rate limit")
    browser.save()
    browser.open(address)
    browser.wait_output(1, "so far")
    before = browser.output(1)
    wait_for(lambda: "so far" in (now := browser.output(1)) and now != before, "the time to go on")
    browser.picture(f"{name}-running")
    browser.click(browser.button("Cancel", browser.cell(1)))
    browser.wait_output(1, "Stopped.")
    assert "Should this stand still" not in browser.output(1)
    browser.run_cell(2)
    browser.wait_output(2, "Stopped.")
    browser.picture(f"{name}-finished")


def test_cancel_while_another_cell_runs(lab, browser, crowded, setup, kernel):
    """Cancel stops the run while another cell keeps the kernel busy, or says that it waits."""
    at_once = kernel == "kernel-newest"
    cells = [setup(crowded), JOB, f"import time; time.sleep({30 if at_once else 8})"]
    browser.open(lab.notebook(f"cancel-{kernel}", cells, kernel))
    browser.run_cell(0)
    browser.run_cell(1)
    browser.wait_ran(1)
    browser.wait_output(1, "Waiting: rate limit")
    assert ("A click waits until the running cell has ended" in browser.output(1)) != at_once
    browser.run_cell(2)
    wait_for(lambda: browser.prompt(2) == "[*]:", "the other cell to run")
    browser.picture(f"cancel-{kernel}-before")
    browser.click(browser.button("Cancel", browser.cell(1)))
    browser.wait_output(1, "Stopped.", seconds=20)
    assert (browser.prompt(2) == "[*]:") == at_once
    assert "not sent" in browser.output(1)
    assert "kirim.resume" in browser.output(1)
    assert ".frame.kirim.report()" in browser.output(1)
    assert browser.button("Resume", browser.cell(1))
    browser.picture(f"cancel-{kernel}-after")


def test_resume_goes_on_where_cancel_stopped(lab, browser, box, setup, kernel):
    """After Cancel a click on Resume goes on with the same run, in the same place, to its end."""
    cells = [
        setup(box),
        JOB,
        "job.frame['status'].isin(['not_sent', 'unknown']).any()",
        "kp.runs()['state'][0]",
    ]
    browser.open(lab.notebook(f"resume-{kernel}", cells, kernel))
    browser.run_cell(0)
    browser.run_cell(1)
    wait_for(lambda: browser.bar_share(1), "the bar to move")
    browser.click(browser.button("Cancel", browser.cell(1)))
    browser.wait_output(1, "Stopped.")
    browser.run_cell(2)
    browser.wait_output(2, "True")
    browser.click(browser.button("Resume", browser.cell(1)))
    wait_for(lambda: browser.bar_share(1) is not None, "the bar")
    browser.picture(f"resume-{kernel}-running")
    browser.wait_output(1, "Finished.")
    assert not browser.visible("button.jupyter-button", browser.cell(1))
    browser.run_cell(3)
    browser.wait_output(3, "finished")
    browser.picture(f"resume-{kernel}-finished")


def exported(path):
    """The page people get from a notebook with File > Save and Export As > HTML."""
    from nbconvert import HTMLExporter

    return HTMLExporter().from_notebook_node(nbformat.read(path, as_version=4))[0]


def test_job_of_segments_names_the_label_at_work(lab, browser, box, setup):
    """The job of a series shows the label at work; it is stopped and resumed as one."""
    tiers = '["a", "b"] * 10_000, {"a": label_id, "b": other}'
    cells = [
        f'{setup(box)}\nother = "{box.labels["id"].iloc[1]}"',
        f"job = df.kirim.label_segments_job({tiers}, exclusive=True)",
    ]
    browser.open(lab.notebook("series", cells))
    browser.run_cell(0)
    browser.run_cell(1)
    browser.wait_output(1, "(1 of 4 runs)")
    browser.picture("series-running")
    browser.click(browser.button("Cancel", browser.cell(1)))
    browser.wait_output(1, "Stopped.")
    browser.picture("series-stopped")
    browser.click(browser.button("Resume", browser.cell(1)))
    browser.wait_output(1, "Finished.", 120)
    browser.picture("series-finished")
    assert browser.overflowing(1) == []
