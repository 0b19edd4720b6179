"""Text as people and systems send it: UTF-8, or GB18030 as spreadsheets save it in China; and where it is neither."""

from __future__ import annotations

import codecs

from django.utils.translation import gettext as _

UTF_8, GB18030 = "UTF-8", "GB18030"


class NotText(ValueError):
    """Bytes that are no text of an encoding: at a byte of a line, both counted from one."""

    def __init__(self, encoding: str, line: int, byte: int) -> None:
        super().__init__(f"line {line}, byte {byte} is not {encoding}")
        self.encoding, self.line, self.byte = encoding, line, byte


class Decoder:
    """Decodes text block by block. `lines`: line ends so far; `open`: bytes of the line that is not finished yet."""

    def __init__(self, encoding: str) -> None:
        self.encoding, self.lines, self.open = encoding, 0, 0
        self._decoder = codecs.getincrementaldecoder(encoding)()

    def feed(self, block: bytes, *, final: bool = False) -> str:
        """The next block's text. Raises NotText; a zero byte is none either."""
        held = len(self._decoder.getstate()[0])
        try:
            text = self._decoder.decode(block, final)
        except UnicodeDecodeError as error:
            raise self._not_text(error.object, error.start, held) from None
        if (zero := block.find(b"\0")) >= 0:
            raise self._not_text(block, zero, 0)
        last = block.rfind(b"\n")
        self.open = self.open + len(block) if last < 0 else len(block) - last - 1
        self.lines += block.count(b"\n")
        return text

    def _not_text(self, block: bytes, at: int, held: int) -> NotText:
        """`held`: how many bytes of `block` an earlier one brought: they never hold a line end."""
        last = block.rfind(b"\n", 0, at)
        byte = at - last if last >= 0 else self.open - held + at + 1
        return NotText(self.encoding, self.lines + 1 + block.count(b"\n", 0, at), byte)


def read_text(raw: bytes) -> str:
    """A person's file: UTF-8 with or without its mark, else GB18030. Raises ValueError with a message to show."""
    try:
        return Decoder(UTF_8).feed(raw, final=True).removeprefix("\ufeff")
    except NotText as found:
        try:
            return Decoder(GB18030).feed(raw, final=True)
        except NotText as other:
            raise ValueError(say_neither(found, other)) from None


def say_neither(found: NotText, other: NotText) -> str:
    """What to tell a person whose file is neither UTF-8 nor GB18030."""
    return _(
        "Line %(line)s, byte %(byte)s is not UTF-8, and line %(other_line)s, byte %(other_byte)s is not GB18030;"
        " these two are read. Save the file as “CSV UTF-8” in the spreadsheet, or give the Excel workbook (.xlsx)."
    ) % {"line": found.line, "byte": found.byte, "other_line": other.line, "other_byte": other.byte}


def say_not_utf_8(found: NotText) -> str:
    """What to tell a system whose delivery is not UTF-8."""
    return _(
        "Line %(line)s, byte %(byte)s is not UTF-8, the only encoding that is read here. Convert the whole delivery"
        " (from GB18030: iconv -f GB18030 -t UTF-8) and send it again."
    ) % {"line": found.line, "byte": found.byte}
