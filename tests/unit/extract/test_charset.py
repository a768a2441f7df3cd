"""Bodies are read with the charset that they are in, whoever says what."""

import codecs

import pytest

from chronolake.errors import NoPage
from chronolake.extract.charset import decode, known

GERMAN = "Die Bäume über grünen Häusern, schöner Flüsse Wärme. "
RUSSIAN = "Привет, это русский текст о погоде и о том, что будет завтра в городе. "
JAPANESE = "駅前の小さな食堂は、朝の五時から店を開けている。" * 4


@pytest.mark.parametrize(
    ("body", "sent", "text", "charset"),
    [
        (codecs.BOM_UTF8 + GERMAN.encode(), "iso-8859-1", GERMAN, "utf-8"),
        (codecs.BOM_UTF16_LE + GERMAN.encode("utf-16-le"), None, GERMAN, "utf-16-le"),
        (codecs.BOM_UTF16_BE + GERMAN.encode("utf-16-be"), "utf-8", GERMAN, "utf-16-be"),
        (GERMAN.encode("latin-1"), "ISO-8859-1", GERMAN, "cp1252"),
        (b'<meta charset="windows-1251">' + RUSSIAN.encode("cp1251"), None, None, "cp1251"),
        (
            b"<meta http-equiv=Content-Type content='text/html; charset=Shift_JIS'>"
            + JAPANESE.encode("cp932"),
            None,
            None,
            "shift_jis",
        ),
        (JAPANESE.encode("gb18030"), "gbk", JAPANESE, "gb18030"),
        (JAPANESE.encode("iso2022_jp"), "iso-2022-jp", JAPANESE, "iso2022_jp"),
        # What lies: UTF-8 that calls itself Latin-1, and Latin-1 that calls itself UTF-8.
        (GERMAN.encode(), "iso-8859-1", GERMAN, "utf-8"),
        (GERMAN.encode("latin-1") * 5, "utf-8", GERMAN * 5, "cp1252"),
        (b"<meta charset=utf-16><p>" + GERMAN.encode(), None, None, "utf-8"),
        # Nobody says anything.
        (RUSSIAN.encode("koi8-r") * 5, None, RUSSIAN * 5, "koi8-r"),
        # What is no charset at all must not be chosen by a page.
        (GERMAN.encode(), "zip", GERMAN, "utf-8"),
        (GERMAN.encode(), "rot13", GERMAN, "utf-8"),
    ],
)
def test_a_body_is_read(body, sent, text, charset):
    read, by = decode(body, sent)
    assert by == charset
    if text is not None:
        assert read == text
    assert "\ufffd" not in read


def test_a_broken_byte_costs_itself_only():
    read, charset = decode((JAPANESE * 20).encode()[:-1] + b"\xff", "utf-8")
    assert charset == "utf-8"
    assert read.startswith(JAPANESE * 19)


def test_what_no_charset_reads_gives_no_page():
    with pytest.raises(NoPage) as caught:
        decode(bytes(range(128, 160)) * 50, "utf-8")
    assert caught.value.facts["kind"] == "malformed"


def test_only_charsets_of_the_web_are_known():
    assert [known(label) for label in ("utf-7", "zip", "hex", "idna", "", "no such")] == [None] * 6
    assert known(' "UTF8" ') == "utf-8"
