"""Standard output for readers that may exit early, in encodings that may lack characters."""

import io
import os
from collections.abc import Callable
from typing import TextIO


class PipeSafeStream(io.TextIOBase):
    """A stream whose reader may exit early (`aejax train | head`): the program continues, and later output is dropped.

    A character that the stream's encoding lacks (LC_ALL=C) is written as an escape sequence.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_read = True

    def write(self, text: str) -> int:
        encoding = self._stream.encoding or "utf-8"
        shown = text.encode(encoding, "backslashreplace").decode(encoding)
        self._if_read(lambda: self._stream.write(shown))
        return len(text)

    def flush(self) -> None:
        self._if_read(self._stream.flush)

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    def _if_read(self, action: Callable[[], int | None]) -> int | None:
        if self._is_read:
            try:
                return action()
            except BrokenPipeError:
                self._is_read = False
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())  # Python flushes it again at exit
        return None
