import base64
import hashlib

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronolake.capture import digest
from chronolake.capture.digest import EMPTY_BODY_SHA1, Digest

BODY = b"a page"
SHA1 = base64.b32encode(hashlib.sha1(BODY).digest()).decode()
MD5 = hashlib.md5(BODY).hexdigest()
SHA256 = hashlib.sha256(BODY).hexdigest()


def test_the_empty_body_is_known():
    assert base64.b32encode(hashlib.sha1(b"").digest()).decode() == EMPTY_BODY_SHA1


@pytest.mark.parametrize(
    "text",
    [
        SHA1,
        SHA1.lower(),
        f"sha1:{SHA1}",
        f"SHA-1:{SHA1}",
        f" {SHA1} ",
        hashlib.sha1(BODY).hexdigest(),
        f"sha1:{hashlib.sha1(BODY).hexdigest().upper()}",
    ],
)
def test_every_spelling_of_a_sha1_becomes_one(text):
    assert digest.normalise(text) == Digest(SHA1, "sha1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MD5, Digest(MD5, "md5")),
        (MD5.upper(), Digest(MD5, "md5")),
        (f"md5:{MD5}", Digest(MD5, "md5")),
        (base64.b32encode(bytes.fromhex(MD5)).decode(), Digest(MD5, "md5")),
        (f"sha256:{SHA256}", Digest(SHA256, "sha256")),
        (SHA256.upper(), Digest(SHA256, "sha256")),
        (base64.b32encode(bytes.fromhex(SHA256)).decode(), Digest(SHA256, "sha256")),
        (hashlib.sha512(BODY).hexdigest(), Digest(hashlib.sha512(BODY).hexdigest(), "sha512")),
    ],
)
def test_other_algorithms_are_hexadecimal_lower_case(text, expected):
    assert digest.normalise(text) == expected


@pytest.mark.parametrize("text", ["", "-", " - ", "sha1:-", "===="])
def test_no_digest(text):
    assert digest.normalise(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NOT-A-DIGEST", Digest("NOT-A-DIGEST", None)),
        ("blake9:zz!", Digest("zz!", "blake9")),
        ("ABCDE", Digest("ABCDE", None)),
    ],
)
def test_what_is_no_known_digest_is_kept(text, expected):
    assert digest.normalise(text) == expected


any_digest = st.one_of(
    st.binary(min_size=20, max_size=20).map(lambda b: base64.b32encode(b).decode()),
    st.binary(min_size=20, max_size=20).map(lambda b: "sha1:" + base64.b32encode(b).decode()),
    st.sampled_from([16, 20, 32]).flatmap(lambda n: st.binary(min_size=n, max_size=n)).map(bytes.hex),
    st.text(max_size=40),
    st.none(),
)


@settings(deadline=None)
@given(st.lists(any_digest, max_size=20))
def test_a_column_is_normalised_as_each_text_is(values):
    digests, algorithms = digest.normalise_all(pa.array(values, pa.string()))
    expected = [None if value is None else digest.normalise(value) for value in values]
    assert digests.to_pylist() == [found and found.value for found in expected]
    assert algorithms.to_pylist() == [found and found.algorithm for found in expected]


@settings(deadline=None)
@given(any_digest.filter(lambda text: text is not None))
def test_normalising_twice_changes_nothing_where_the_algorithm_is_known(text):
    once = digest.normalise(text)
    if once is not None and once.algorithm in {"sha1", "md5", "sha256"}:
        assert digest.normalise(once.value).value == once.value or len(once.value) not in {32, 40, 64}
