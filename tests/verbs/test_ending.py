"""What is said at the end of a run: of customers, and of the way on."""

import pytest

import kirim_pandas as kp
from kirim_pandas.sandbox import Faults


@pytest.fixture
def box():
    with kp.sandbox.start(1200, write_per_minute=60_000, skipped_share=0.0, seed=4) as box:
        yield box


def ended_by(box, op, fault, **options):
    """What a run says whose every call from the second on meets `fault`."""
    box._server._faults = Faults(script=dict.fromkeys(range(1, 9), fault))
    client = box.client(max_tries=1)
    with pytest.raises(kp.KirimError) as caught:
        box.contacts.kirim.bulk_label(
            box.labels["id"].iloc[0], op, client=client, progress=False, **options
        )
    return caught.value


@pytest.mark.parametrize(
    ("op", "words"), [("attach", "perhaps labeled"), ("detach", "perhaps without the label by now")]
)
@pytest.mark.parametrize("journal", [None, False])
def test_a_call_in_doubt_is_told_as_such(box, op, words, journal):
    """Of contacts in doubt it is said what may have been done to them."""
    error = ended_by(box, op, "reset_after_commit", journal=journal)
    assert f"1,000 applied, 200 sent without an answer, so {words}" in str(error)
    assert "No customer was touched" not in str(error)
    assert error.result["reason"].value_counts().to_dict() == {"no_reply": 200}
    way_on = "asks again about those" if journal is None else "calling again is safe"
    assert way_on in str(error)
    if journal is None:
        assert kp.runs()["state"].tolist() == ["failed"]


def test_an_error_that_says_nothing_of_a_call_in_doubt_leaves_it_so(box):
    """Whatever ends a later session, its error tells that contacts may have been touched."""
    error = ended_by(box, "attach", "reset_after_commit")
    box._server._faults = Faults()
    box.revoke_key()
    with pytest.raises(kp.AuthenticationError, match="perhaps labeled") as caught:
        box.contacts.kirim.resume(error.run_id, client=box.client(), progress=False)
    assert caught.value.maybe_applied


def test_a_call_that_the_service_refused_is_not_in_doubt(box):
    """The service's own no leaves contacts unsent, and only then that is said."""
    error = ended_by(box, "attach", "error_403")
    assert "1,000 applied, 200 not sent" in str(error)
    assert not error.maybe_applied
    box._server._faults = Faults(script=dict.fromkeys(range(20), "error_403"))
    with pytest.raises(kp.PermissionDeniedError, match="No customer was touched"):
        box.contacts.kirim.bulk_label(
            box.labels["id"].iloc[0], "attach", client=box.client(), progress=False
        )
