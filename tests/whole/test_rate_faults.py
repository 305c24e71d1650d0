"""Faults of the rate limit, seen from the service: what its log says of when requests came."""

import itertools
import random
import threading
import time
from email.utils import formatdate

import pytest
from support.kill_harness import RUN_ENDED, spawn
from support.scenes import FAST, SIZE, Scenes, counts

import kirim_pandas as kp
from kirim_pandas.journal.store import Journal
from kirim_pandas.run import side_by_side
from kirim_pandas.sandbox import Faults


@pytest.fixture
def play():
    with Scenes() as scenes:
        yield scenes.start


def drain(box, left):
    """Let others have taken all tokens for writes but some."""
    for _ in range(box._limits.about()["write_per_minute"] - left):
        box._limits.spend(box.organization_id, "writes")


def most_above(seconds, capacity, per_second):
    """By how many requests the fullest window is above what it may hold."""
    times = sorted(seconds)
    return max(
        (last - first + 1) - (capacity + per_second * (times[last] - times[first]))
        for first, last in itertools.combinations_with_replacement(range(len(times)), 2)
    )


def test_no_window_holds_more_than_the_bucket(play):
    """Alone, a run takes no more than its share at any time, and is never refused."""
    scene = play(1500, skipped_share=0.2, write_per_minute=1200)
    drain(scene.box, left=160)
    drained_at = scene.box._clock.monotonic_ns() / 1e9
    scene.run(max_requests=90)
    requests = scene.box.requests()
    assert len(requests) == 90
    assert (requests["status"] == 200).all()
    assert most_above(requests["seconds"], 160, 20.0) <= 0
    # A tenth of the bucket, 120, is left to others; so there were 40, and 20 a second since then.
    above = [
        number - (40 + 20.0 * (seconds - drained_at))
        for number, seconds in enumerate(sorted(requests["seconds"]), start=1)
    ]
    assert max(above) <= 1


class InTwoSeconds:
    """A date as the service's clock will tell it when the header is written."""

    def __str__(self):
        return formatdate(time.time() + 86_400 + 2, usegmt=True)


@pytest.mark.parametrize("asked", ["2", InTwoSeconds()], ids=["33 seconds", "34 date"])
def test_33_34_nobody_comes_sooner_than_asked(play, asked, monkeypatch):
    """After a 429 nothing arrives before its Retry-After, on a service whose clock is wrong too."""
    monkeypatch.setattr(side_by_side, "MAX_IN_FLIGHT", 1)  # so that none is on its way already
    script = {2: ("rate_limited", asked)}
    scene = play(5000, faults=Faults(script=script, clock_skew_seconds=86_400.0))
    assert counts(scene.run()) == {"applied": 5000}
    requests = scene.box.requests()
    assert requests["status"].tolist() == [200, 200, 429, 200, 200, 200]
    assert requests["seconds"][3] >= requests["seconds"][2] + 2.0


def test_43_plan_changes_in_mid_run_both_ways(play, monkeypatch):
    """60, 600, 60 a minute: each limit is kept from the next reply on, and nothing is refused."""
    monkeypatch.setattr(side_by_side, "MAX_IN_FLIGHT", 1)  # so that replies come in order
    events = {2: ("set_write_per_minute", 600), 12: ("set_write_per_minute", 60)}
    scene = play(15_000, write_per_minute=60, client={"share": 1.0}, faults=Faults(events=events))
    drain(scene.box, left=3)
    limits = []
    result = scene.run(progress=lambda now: limits.append(scene.client.write_per_minute))
    assert counts(result) == {"applied": 15_000}
    assert [limit for limit, _ in itertools.groupby(limits)] == [60, 600, 60]
    assert (scene.box.requests()["status"] == 200).all()


def test_44_two_kernels_same_organisation(play, tmp_path):
    """Two processes share one bucket: neither starves, and hardly a request is refused."""
    scene = play(1500, skipped_share=0.2, write_per_minute=1800)
    box = scene.box
    drain(box, left=180)
    (tmp_path / "contacts.txt").write_text("\n".join(scene.frame["contact_id"]))
    arrive, numbers, both = box._server.arrive, itertools.count(), threading.Barrier(2)

    def together(*request):
        if next(numbers) < 2:
            both.wait(60)  # whoever started sooner has no lead
        return arrive(*request)

    box._server.arrive = together
    kernels = [
        spawn(
            tmp_path,
            f"kernel{number}",
            api_key=box.api_key,
            base_url=box.base_url,
            contacts=str(tmp_path / "contacts.txt"),
            journal=str(tmp_path),
            label_id=scene.label,
            options={"max_requests": 60, "reads": False},
        )
        for number in range(2)
    ]
    for kernel in kernels:
        out, told = kernel.communicate(timeout=60)
        assert kernel.returncode == RUN_ENDED, out + told
    journal = Journal(tmp_path)
    runs = {
        past.call.key: run_id
        for run_id in kp.runs(journal=tmp_path)["run_id"]
        for past in journal.load(run_id)[1]
    }
    journal.close()
    requests = box.requests()
    run = requests["idempotency_key"].map(runs)
    spans = requests["seconds"].groupby(run).agg(["min", "max"])
    shared = requests["seconds"].between(spans["min"].max(), spans["max"].min())
    assert shared.sum() >= 60
    assert run[shared].value_counts(normalize=True).min() >= 0.3
    assert (requests["status"] == 429).sum() <= 2
    assert most_above(requests["seconds"], 180, 30.0) <= 0


def test_45_wall_clock_jumps(play, monkeypatch):
    """A wall clock that jumps by days changes no wait, no key and no row."""
    chance = random.Random(1)
    real = time.time

    def jumping():
        return real() + chance.choice([-86_400.0, -3600.0, 0.0, 3600.0, 86_400.0])

    monkeypatch.setattr(time, "time", jumping)
    monkeypatch.setattr(Journal.__init__, "__kwdefaults__", {"wall_clock": jumping})
    script = {1: ("rate_limited", "1"), 2: "reset_after_commit", 4: "cut"}
    scene = play(faults=Faults(script=script), write_per_minute=FAST)
    assert counts(scene.run()) == {"applied": SIZE}
    requests = scene.box.requests()
    assert requests["idempotency_key"].nunique() == 3
    assert len(requests) == 6
    assert most_above(requests["seconds"], FAST, FAST / 60) <= 0
