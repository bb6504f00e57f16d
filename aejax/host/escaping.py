"""Text that users name things with, made safe for a terminal, a figure and a page: shown, and never obeyed."""

import functools
import html

MAX_LABEL, MAX_NAME = 80, 32  # characters of a line above a figure, and of a name within it


def printable(text: str) -> str:
    r"""Returns one line of text for a terminal: whatever is not printable as the escape that Python writes for it.

    That is control characters (of which terminal escapes and line ends are made), characters that reverse the direction
    of writing or have no width, and bytes of file names that are not UTF-8.

    >>> print(printable("\x1b[31mred\n.npy"), printable("a\u202eb \udcff é"))
    \x1b[31mred\n.npy a\u202eb \udcff é
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def as_label(text: str, *, limit: int = MAX_LABEL) -> str:
    r"""Returns text that Matplotlib draws as it is: no mathematics between dollars, only characters of its font.

    Lines stay lines. A line of more than `limit` characters is cut.

    >>> print(as_label("$x^2$ and \x1b"))
    \$x^2\$ and \x1b
    """
    return "\n".join(_as_label(line, limit) for line in text.split("\n"))


def as_name(text: str) -> str:
    r"""Returns text for a row, a column or a legend: a short line, which a legend does not leave out.

    >>> as_name("_private"), as_name(""), as_name("a\nb"), len(as_name(99 * "x"))
    (' _private', ' ', 'a\\nb', 32)
    """
    name = as_label(printable(text), limit=MAX_NAME)
    return f" {name}" if not name or name.startswith("_") else name


def _as_label(line: str, limit: int) -> str:
    if len(line) > limit:
        line = f"{line[: limit - 1]}…"
    drawn = _drawn_characters()
    shown = (c if ord(c) in drawn else c.encode("unicode_escape").decode() for c in printable(line))
    return "".join(shown).replace("$", r"\$")


def as_html(text: str) -> str:
    r"""Returns text for a page or for the attribute of an element, without any element of its own.

    >>> as_html("<b>\u202e & 'c'")
    '&lt;b&gt;\\u202e &amp; &#x27;c&#x27;'
    """
    return html.escape(printable(text))


@functools.cache
def _drawn_characters() -> frozenset[int]:
    """Returns the characters of the font that figures are drawn in; for another one Matplotlib prints a warning."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset(get_font(findfont(FontProperties())).get_charmap())
