"""The protocol: bytes to values or errors, and keys that do not show. No server."""

from __future__ import annotations

import base64
import copy
import gzip
import json
import pickle
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirim_pandas.api.address import DEFAULT_BASE_URL, read_address
from kirim_pandas.api.models import BulkLabelReply, CheckedIds, Contact, Label, Me, Reply, Request
from kirim_pandas.api.protocol import (
    MAX_REPLY_BYTES,
    bulk_label_request,
    read_counts,
    read_reply,
    read_request,
)
from kirim_pandas.api.secret import Secret, read_key
from kirim_pandas.errors import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    ConflictError,
    InvalidInputError,
    InvalidRequestError,
    KirimError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    RateLimitedError,
    ServerError,
)

KEY = "kdv_live_AbC-xYz_0123456789qwerty"
OTHER = "kdv_live_" + "o" * 24
SECRET = Secret(KEY)
LABEL = "lbl_01HXYZABCDEFGHJKMNPQRSTVWX"
IDS = [f"ctc_{i:026d}" for i in range(5)]
ADDRESS = read_address(DEFAULT_BASE_URL)
REQUEST = bulk_label_request(ADDRESS, IDS, label_id=LABEL, operation="attach")


def parse(body: object, status: int = 200, request: Request = REQUEST, **headers: str) -> object:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_counts(read_reply(Reply(status, named, data), request, SECRET), request, SECRET)


def with_counts(applied: object, cross_org: object = 0, team_mismatch: object = 0) -> object:
    data = {
        "applied": applied,
        "skipped_cross_org": cross_org,
        "skipped_team_mismatch": team_mismatch,
    }
    return {"data": data, "request_id": "req_1"}


def test_request_is_the_documented_one() -> None:
    """The body holds the ids in their order, the label and the operation, and nothing else."""
    assert REQUEST.method == "POST"
    assert REQUEST.url == f"{DEFAULT_BASE_URL}/contacts/bulk_label"
    assert REQUEST.body is not None
    assert json.loads(REQUEST.body) == {
        "contact_ids": IDS,
        "label_id": LABEL,
        "operation": "attach",
    }


def test_checked_ids_make_the_same_bytes() -> None:
    """Ids that were checked before stand in the body as those that are checked now."""
    checked = CheckedIds.of([one.encode() for one in IDS])
    assert bulk_label_request(ADDRESS, checked, label_id=LABEL, operation="attach") == REQUEST
    with pytest.raises(InvalidInputError, match="label id"):
        bulk_label_request(ADDRESS, checked, label_id="VIP", operation="attach")


def test_both_path_shapes() -> None:
    """A phone number id goes into the path of contacts, and only there."""
    address = read_address("https://api.kirim.chat/v1/", "123456789")
    assert address.url("/contacts", with_number=True) == (
        "https://api.kirim.chat/v1/123456789/contacts"
    )
    assert address.url("/me") == "https://api.kirim.chat/v1/me"


@pytest.mark.parametrize(
    ("ids", "label", "operation"),
    [
        ([], LABEL, "attach"),
        ([f"ctc_{i:026d}" for i in range(1001)], LABEL, "attach"),
        ([IDS[0], IDS[0]], LABEL, "attach"),
        ([IDS[0].lower()[:-1]], LABEL, "attach"),
        ([IDS[0] + "\n"], LABEL, "attach"),
        ([7], LABEL, "attach"),
        (IDS, LABEL.lower(), "attach"),
        (IDS, None, "attach"),
        (IDS, "lbl_01HXYZABCDEFGHJKMNPQRSTVWI", "attach"),
        (IDS, LABEL, "add"),
        (IDS, LABEL, None),
    ],
)
def test_bad_arguments_are_refused(ids: list[str], label: str, operation: str) -> None:
    """Anything that the service could misread is refused before it is sent."""
    with pytest.raises(InvalidInputError, match="expected"):
        bulk_label_request(ADDRESS, ids, label_id=label, operation=operation)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.kirim.chat/v1",
        "ftp://api.kirim.chat/v1",
        "https://user:secret@api.kirim.chat/v1",
        "https://api.kirim.chat/v1?x=1",
        "https://api.kirim.chat/v1#x",
        "https://api.kirim.chat/v1?",
        "https://api.kirim.chat\\@evil.test/v1",
        "https://",
        "api.kirim.chat/v1",
        "https://api.kirim.chat:port/v1",
        "https://[::1/v1",
        "https://api.kirim.chat/v 1",
    ],
)
def test_bad_addresses_are_refused(url: str) -> None:
    """The key goes nowhere but to a plain https address, or to this computer."""
    with pytest.raises(ConfigurationError, match="base_url") as caught:
        read_address(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("value", "told"), [(None, "None"), (7, "a int"), ("x" * 99, "'xx")])
def test_what_is_missing_is_told_plainly(value: object, told: str) -> None:
    """A message calls None by its name, any other object by its type, and cuts long text."""
    with pytest.raises(
        InvalidInputError, match=rf"(?s)label id: found {told}.*operation: found {told}"
    ):
        bulk_label_request(ADDRESS, IDS, label_id=value, operation=value)  # type: ignore[arg-type]


def test_http_is_for_loopback_or_on_request() -> None:
    """Plain http is for this computer, or for who asks for it."""
    for host in ("127.0.0.1:8000", "localhost", "[::1]:80", "127.9.9.9"):
        assert read_address(f"http://{host}/v1").is_loopback
    assert not read_address("http://10.0.0.1/v1", allow_http=True).is_loopback


@pytest.mark.parametrize("number", ["12345", "1" * 21, "+628123456", "١٢٣٤٥٦٧"])
def test_bad_phone_number_ids_are_refused(number: str) -> None:
    """A phone number id is 6 to 20 ASCII digits."""
    with pytest.raises(ConfigurationError, match="phone_number_id"):
        read_address(DEFAULT_BASE_URL, number)


def test_good_reply() -> None:
    """Counts below the ids sent are fine, and so are fields that nobody knows."""
    body = {**with_counts(2, 1, 1), "new": 1}  # type: ignore[dict-item]
    assert parse(body) == BulkLabelReply(2, 1, 1, "req_1", False)
    replay = parse(with_counts(5), idempotent_replayed="true")
    assert replay == BulkLabelReply(5, 0, 0, "req_1", True)


def test_request_id_is_optional() -> None:
    """Without a request id in the body that of the header is taken, or none."""
    body = {"data": with_counts(5)["data"]}  # type: ignore[index]
    assert parse(body).request_id is None  # type: ignore[attr-defined]
    assert parse(body, x_request_id="req_h").request_id == "req_h"  # type: ignore[attr-defined]


@pytest.mark.parametrize("bad", [None, -1, 1.0, True, "1", [], 6, 10**30])
def test_impossible_counts(bad: object) -> None:
    """Counts that are missing, negative, no integers or too many are not believed."""
    for body in (with_counts(bad), with_counts(0, bad), with_counts(0, 0, bad)):
        with pytest.raises(ProtocolError, match="not possible") as caught:
            parse(body)
        assert caught.value.maybe_applied
        assert caught.value.tries_allowed == 3


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"1", b"null", b"\xff\xfe", b'{"data": 1}', b"[" * 100_000, b'{"data":{'],
)
def test_replies_that_are_not_understood(body: bytes) -> None:
    """A good status with anything but the documented object is not taken for success."""
    with pytest.raises(ProtocolError):
        parse(body)


def test_web_page() -> None:
    """A web page with status 200 is named by its title, in which nothing is live."""
    page = f"<html><title>Log\x1b[31m in &lt;b&gt; {KEY}</title></html>".encode()
    with pytest.raises(ProtocolError, match="web page") as caught:
        parse(page)
    assert "Log in &lt;b&gt; [key]" in str(caught.value)
    assert caught.value.tries_allowed == 3


def raw_deflate(data: bytes) -> bytes:
    """As servers send it that took the standard's name at its word."""
    squeezer = zlib.compressobj(wbits=-15)
    return squeezer.compress(data) + squeezer.flush()


def test_compressed_replies_are_bounded() -> None:
    """A compression that was not asked for is undone to a bounded size, or refused."""
    body = json.dumps(with_counts(5)).encode()
    assert parse(gzip.compress(body), content_encoding="gzip") == BulkLabelReply(5, 0, 0, "req_1")
    for squeeze in (zlib.compress, raw_deflate):
        assert parse(squeeze(body), content_encoding="deflate") == BulkLabelReply(5, 0, 0, "req_1")
    with pytest.raises(ProtocolError, match="compressed with brotli"):
        parse(body, content_encoding="br")
    for data, encoding in (
        (gzip.compress(b" " * (MAX_REPLY_BYTES + 2)), "gzip"),
        (b"junk", "gzip"),
        (body, "br"),
    ):
        with pytest.raises(ProtocolError):
            parse(data, content_encoding=encoding)


ENVELOPE = {"type": "t", "code": "c", "param": "p", "message": "why", "request_id": "req_e"}
STATUSES = {
    400: InvalidRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    407: ApiError,
    408: ApiError,
    409: ConflictError,
    413: InvalidRequestError,
    418: ApiError,
    422: InvalidRequestError,
    429: RateLimitedError,
    451: ApiError,
    500: ServerError,
    502: ServerError,
    503: ServerError,
    511: ServerError,
}
ANSWERS_OF_OTHERS = {
    "nothing": b"",
    "a web page": b"<html><title>Gate</title>",
    "JSON": {"message": "no", "request_id": "r"},
    "an error without an id": {"error": {k: v for k, v in ENVELOPE.items() if k != "request_id"}},
    "an error without a code": {"error": {**ENVELOPE, "code": None}},
    "an error with a number": {"error": {**ENVELOPE, "code": 403}},
    "an error without a type": {"error": {**ENVELOPE, "type": ""}},
    "a text": {"error": "c"},
    "a cut envelope": json.dumps({"error": ENVELOPE}).encode()[:-2],
}


@pytest.mark.parametrize("status", STATUSES)
def test_who_says_no(status: int) -> None:
    """Only the service's own envelope says that a call was refused; what others say is in doubt."""
    with pytest.raises(STATUSES[status]) as caught:
        parse({"error": ENVELOPE}, status)
    assert (caught.value.code, caught.value.request_id) == ("c", "req_e")
    assert caught.value.maybe_applied is (status >= 500 or status == 408)
    assert 'The service says: "why"' in str(caught.value)
    assert "between" not in str(caught.value)
    for body in ANSWERS_OF_OTHERS.values():
        with pytest.raises(STATUSES[status]) as caught:
            parse(body, status)
        assert type(caught.value) is STATUSES[status]
        assert (caught.value.status, caught.value.code, caught.value.type) == (status, None, None)
        assert caught.value.maybe_applied
        message = str(caught.value)
        assert message.startswith("something between you and Kirim ")
        assert "does not tell whether Kirim carried the request out" in message
        for word in ("API key", "organisation", "The service says", "rate limit", "{"):
            assert word not in message
        assert str(pickle.loads(pickle.dumps(caught.value))) == message


def test_404_of_another_host() -> None:
    """A 404 that is not the service's says that the address is wrong."""
    with pytest.raises(NotFoundError, match=r"no bulk_label at this path: check base_url"):
        parse(b"not here", 404)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (409, "idempotency_in_progress"),
        (409, "idempotency_conflict"),
        (422, "idempotency_key_reuse"),
    ],
)
def test_key_trouble_leaves_it_open(status: int, code: str) -> None:
    """Trouble with the idempotency key leaves open whether the call was carried out."""
    with pytest.raises(ApiError) as caught:
        parse({"error": {**ENVELOPE, "code": code}}, status)
    assert caught.value.maybe_applied


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_errors(status: int) -> None:
    """A redirect is shown by scheme, host and path, and nothing is advised that would not work."""
    target = "https://me:pw@new.test/v1/in?token=abc#frag"
    with pytest.raises(
        ConfigurationError, match=r"redirect to https://new\.test/v1/in \("
    ) as caught:
        parse(b"", status, location=target)
    message = str(caught.value)
    assert caught.value.maybe_applied
    for secret in ("pw", "abc", "frag", "set base_url", "resume"):
        assert secret not in message
    assert ("log in to the network" in message) is (status in (302, 303, 307))


@pytest.mark.parametrize(
    "location", ["/login", "?x", "", "https://[bad", "//API-KCKIT.kirim.chat/x", "\x00"]
)
def test_a_redirect_to_the_same_host_is_no_login(location: str) -> None:
    """Where a redirect stays on the host, or leads nowhere, the address is to be compared."""
    with pytest.raises(ConfigurationError, match="compare base_url"):
        parse(b"", 302, location=location)


def test_retry_after_and_replay_are_kept() -> None:
    """An error keeps how long the service asks to wait, and whether it is a stored one."""
    with pytest.raises(RateLimitedError) as caught:
        parse({"error": ENVELOPE}, 429, retry_after="7", idempotent_replayed="true")
    assert caught.value.retry_after_seconds == 7.0
    assert caught.value.replayed


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.parametrize("status", [201, 202, 203, 206, 207, 226, 299])
def test_a_success_that_the_service_does_not_know_proves_nothing(status: int) -> None:
    """A queue or a partial copy that answers with counts leaves the call in doubt."""
    with pytest.raises(ProtocolError, match=f"HTTP {status}, with which Kirim") as caught:
        parse(with_counts(5), status)
    assert caught.value.maybe_applied
    made = Request("POST", "https://api.kirim.chat/v1/labels", b"{}", call="POST /labels")
    assert read_reply(Reply(201, {}, b'{"data": {}}'), made, SECRET).data == {}


@given(
    st.one_of(
        st.binary(max_size=60),
        JSON.map(lambda v: json.dumps(v).encode()),
        JSON.map(lambda v: json.dumps({"data": v, "error": v, "request_id": v}).encode()),
        st.tuples(JSON, JSON).map(lambda v: json.dumps(with_counts(*v)).encode()),
    ),
    st.sampled_from([200, 201, 204, 302, 400, 404, 429, 500, 599]),
)
def test_any_reply_is_counts_or_our_error(body: bytes, status: int) -> None:
    """Whatever comes back is either possible counts or one of our own errors."""
    try:
        found = parse(body, status)
    except KirimError:
        return
    assert isinstance(found, BulkLabelReply)
    assert status == 200
    assert 0 <= found.applied + found.cross_org + found.team_mismatch <= len(IDS)


@given(st.text(max_size=30), st.integers(0, len(KEY) - 8), st.integers(8, len(KEY)))
def test_pieces_of_the_key_are_blotted_out(text: str, start: int, length: int) -> None:
    """Eight characters of the key in a row never stand in a message, wherever they came from."""
    echoed = text + KEY[start : start + length] + text
    with pytest.raises(ApiError) as caught:
        parse(
            {"error": dict.fromkeys(("type", "code", "param", "message", "request_id"), echoed)},
            400,
        )
    shown = repr(vars(caught.value)) + str(caught.value)
    assert not any(KEY[i : i + 8] in shown for i in range(len(KEY) - 7))


@pytest.mark.parametrize(
    "spelt",
    [
        KEY[::-1],
        KEY.encode().hex(),
        KEY.encode().hex().upper(),
        "".join(f"%{byte:02X}" for byte in KEY.encode()),
        *(base64.b64encode(b"Key"[:cut] + KEY.encode()).decode() for cut in range(4)),
    ],
)
def test_an_encoded_echo_of_the_key_is_blotted_out(spelt: str) -> None:
    """Backwards or encoded the key is no more shown than as it is."""
    shown = SECRET.clean(f"https://portal.test/{spelt}")
    assert shown.startswith("https://portal.test/")
    # At most what is too short to be told from other text is left at both ends.
    assert not any(spelt[i : i + 12] in shown for i in range(len(spelt) - 11))
    assert SECRET.clean("https://portal.test/a%20b%2Fc") == "https://portal.test/a%20b%2Fc"


@given(st.text(max_size=2000))
def test_foreign_text_is_short_and_harmless(text: str) -> None:
    """Foreign text is shown in one short printable piece without markup or anything like a key."""
    shown = SECRET.clean(text + " kdv_test_" + "z" * 24)
    assert len(shown) <= 300
    assert shown.isprintable()
    assert not set("<>") & set(shown)
    assert "zzzz" not in shown


def test_a_secret_does_not_show() -> None:
    """No way of printing or copying a secret shows or copies the key."""
    for shown in (repr(SECRET), str(SECRET), f"{SECRET}", f"{SECRET!a}"):
        assert shown == "Secret(hidden)"
    with pytest.raises(TypeError):
        vars(SECRET)
    for act in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            act(SECRET)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (None, "no API key"),
        ("", "no API key"),
        ("  \n", "no API key"),
        (7, "must be text, found int"),
        ("kdv_live_AAAA\nBBBB", "18 characters, and character 14 is white space"),
        ("kdv_live_AAAA\0BBBB", "a control character"),
        ("kdv_live_ÄÄÄÄ", "not ASCII"),
        ("k" * 513, "too long"),
        ("AAAA", "4 characters, and it does not begin as a key does"),
        ("kdv_live_AAAA", "13 characters, and a key has 33"),
        ("kdv_live_AAAA" + "x" * 21, "34 characters, and a key has 33"),
        ("kdv_live_AAAA" + "x" * 19 + ".", "33 characters, and character 33 is a mark"),
        ("'kdv_live_AAAA" + "x" * 20 + "'", "35 characters, and character 1 is a mark"),
        ("$KIRIM_API_KEY_OF_AAAA", "character 1 is a mark that no key has"),
    ],
)
def test_unusable_keys_are_refused_unseen(
    key: object, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that cannot stand in a header is refused in words that hold none of it."""
    monkeypatch.delenv("KIRIM_API_KEY", raising=False)
    monkeypatch.delenv("KIRIM_KEY", raising=False)
    message = read_key(key)
    assert isinstance(message, str)
    assert said in message
    assert "AAAA" not in message
    assert "ÄÄ" not in message


def test_where_the_key_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument goes before KIRIM_API_KEY, and that before KIRIM_KEY; blanks are cut."""
    both = {"KIRIM_API_KEY": f" {KEY}\n", "KIRIM_KEY": OTHER}
    for given_key, environment, found in (
        (f" {OTHER} ", {"KIRIM_API_KEY": KEY}, OTHER),
        (None, both, KEY),
        (None, {"KIRIM_API_KEY": " ", "KIRIM_KEY": OTHER}, OTHER),
    ):
        for name in ("KIRIM_API_KEY", "KIRIM_KEY"):
            monkeypatch.setenv(name, environment.get(name, ""))
        secret = read_key(given_key)
        assert isinstance(secret, Secret)
        assert secret.reveal() == found


def test_an_error_names_the_call() -> None:
    """An error of a reading call names that call, and speaks of no change."""
    with pytest.raises(NotFoundError, match="no GET /me at this path") as caught:
        read_reply(Reply(404, {}, b""), read_request(ADDRESS, "/me"), SECRET)
    assert "carried" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Pelanggan \U0001f469\u200d\U0001f4bb <3 & co", None),
        ("  two  blanks ", None),
        ("\x1b[31mred\x1b[0m\x1b]0;title\x07", "red"),
        ("VIP\u202e(esrever)\u202c", "VIP(esrever)"),
        ("a\r\nb\tc\0", "a  b c"),
        ("\ud83d half", "half"),
        ("x" * 301, "x" * 299 + "…"),
        (f"of {KEY}", "of [key]"),
        ("kc_live_" + "y" * 20, "[key]"),
    ],
)
def test_text_from_outside_comes_in_by_one_door(said: str, kept: str | None) -> None:
    """What a service calls things can neither move a cursor, nor turn writing, nor have no end."""
    kept = said if kept is None else kept
    item = {"id": "lbl_1", "name": said, "color": said, "team_id": said}
    label = Label.read(item, SECRET)
    assert label.name == kept
    assert (label.color or "")[:90] == (label.team_id or "")[:90] == kept[:90]
    contact = Contact.read(
        {"id": "c", "name": said, "metadata": {said: [said, {"a": said}]}}, SECRET
    )
    assert contact.name == kept
    assert contact.metadata is not None
    assert [name[:90] for name in contact.metadata] == [kept[:90]]
    assert Me.read({"organization_name": said}, SECRET).organization_name == kept


@given(JSON)
def test_any_metadata_comes_in(value: object) -> None:
    """Whatever an organisation keeps of a contact is taken in, and its numbers as they are."""
    found = Contact.read({"id": "c", "metadata": {"a": value}}, SECRET).metadata
    assert found is not None
    if isinstance(value, int | bool) or value is None:
        assert found == {"a": value}
    json.dumps(found).encode("utf-8")
