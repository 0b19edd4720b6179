"""Where a text is no text is said exactly, however its bytes arrive."""

from __future__ import annotations

import pytest

from crm_site.lib.encodings import GB18030, UTF_8, Decoder, NotText, read_text

CHINESE = "number,name\n1,张伟\n2,李娜\n"


def fault(encoding: str, raw: bytes, size: int) -> tuple[int, int]:
    decoder = Decoder(encoding)
    try:
        for begin in range(0, len(raw), size):
            decoder.feed(raw[begin : begin + size])
        decoder.feed(b"", final=True)
    except NotText as found:
        return found.line, found.byte
    return 0, 0


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("encoding", "raw", "place"),
    [
        (UTF_8, CHINESE.encode("gb18030"), (2, 3)),
        (UTF_8, CHINESE.encode() + b"3,\xe5\xbc", (4, 3)),  # cut off within a character
        (UTF_8, CHINESE.encode() + b"3,a\0b", (4, 4)),
        (GB18030, CHINESE.encode("gb18030") + b"3,\xff\n", (4, 3)),
        (GB18030, CHINESE.encode("gb18030") + b"\x81", (4, 1)),
    ],
)
def test_the_line_and_byte_do_not_depend_on_the_blocks(
    encoding: str, raw: bytes, place: tuple[int, int], size: int
) -> None:
    assert fault(encoding, raw, size) == place


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk"])
def test_what_spreadsheets_save_is_read(encoding: str) -> None:
    assert read_text(CHINESE.encode(encoding)) == CHINESE


def test_a_mixture_is_refused_with_both_places_and_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"Line 2, byte 3 is not UTF-8, and line 4, byte 1 .*CSV UTF-8"):
        read_text(CHINESE.encode("gb18030") + b"\xff\n")
