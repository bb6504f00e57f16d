"""Escapes names that users choose for a terminal, a figure or an HTML page, so that they are never interpreted."""

import functools
import html

MAX_LABEL, MAX_NAME = 80, 32  # characters of a line of a figure's title, and of a name inside a figure


def printable(text: str) -> str:
    r"""Returns text as one line for a terminal, with every unprintable character replaced by its Python escape.

    Unprintable are control characters (including line breaks and the start of terminal escape sequences), characters
    that change the direction of writing or have no width, and bytes of file names that are not UTF-8.

    >>> print(printable("\x1b[31mred\n.npy"), printable("a\u202eb \udcff é"))
    \x1b[31mred\n.npy a\u202eb \udcff é
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def as_label(text: str, *, limit: int = MAX_LABEL) -> str:
    r"""Returns text that Matplotlib draws literally: dollar signs are escaped, and characters missing from its font.

    Line breaks are kept. Lines longer than `limit` characters are truncated.

    >>> print(as_label("$x^2$ and \x1b"))
    \$x^2\$ and \x1b
    """
    return "\n".join(_as_label(line, limit) for line in text.split("\n"))


def as_name(text: str) -> str:
    r"""Returns one short line of text for a row, a column or a legend entry of a figure.

    It never starts with an underscore, since Matplotlib omits such entries from legends.

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
    r"""Returns text escaped for HTML, as content or as the value of an attribute.

    >>> as_html("<b>\u202e & 'c'")
    '&lt;b&gt;\\u202e &amp; &#x27;c&#x27;'
    """
    return html.escape(printable(text))


@functools.cache
def _drawn_characters() -> frozenset[int]:
    """Returns the code points that Matplotlib's font contains; it warns about any other character."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset(get_font(findfont(FontProperties())).get_charmap())
