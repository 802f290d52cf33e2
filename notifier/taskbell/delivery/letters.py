"""What an e-mail says, once as plain text and once as HTML. Pure.

The HTML has no remote content, no script and no colours of its own, so that it is readable in light and dark mode. All
that people wrote is escaped; what is no character of a text, such as a control character, is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from textwrap import dedent
from unicodedata import category

_LINE_END = re.compile("\r\n|[\r\n\u0085\u2028\u2029]")
_NO_TEXT = frozenset({"Cc", "Cs", "Cn"})
"""Unicode's categories of control characters, surrogates, and what is no character (yet)."""
_MAIN = "font-family:sans-serif;font-size:16px;line-height:1.5;max-width:40em;margin:0;padding:16px"
_TEXT = "margin:0 0 16px;white-space:pre-wrap"
_SMALL = "margin:0;font-size:13px;opacity:0.75"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """The content of an e-mail.

    Attributes:
        title: One line.
        paragraphs: In their order; they may have several lines. Empty ones are left out.
        code: What to type in, on a line of its own.
        link: An address and what it leads to.
        footer: Small lines below all others.
        unsubscribe: The address that switches e-mail off.
    """

    title: str
    paragraphs: tuple[str, ...]
    code: str | None = None
    link: tuple[str, str] | None = None
    footer: tuple[str, ...] = ()
    unsubscribe: str | None = None

    @property
    def text(self) -> str:
        """Plain text."""
        parts = [self.title, *(part for part in map(readable, self.paragraphs) if part)]
        if self.code:
            parts.append(self.code)
        if self.link:
            parts.append(f"{self.link[1]}: {self.link[0]}")
        footer = list(self.footer)
        if self.unsubscribe:
            footer.append(f"No more e-mails: {self.unsubscribe}")
        return "\n\n".join(parts) + "\n" + ("\n".join(["", "-- ", *footer, ""]) if footer else "")

    @property
    def html(self) -> str:
        """The same as an HTML document."""
        parts = [f'<h1 dir="auto" style="margin:0 0 16px;font-size:20px">{escape(self.title)}</h1>']
        parts += [
            f'<p dir="auto" style="{_TEXT}">{escape(part)}</p>' for part in map(readable, self.paragraphs) if part
        ]
        if self.code:
            parts.append(f'<p style="{_TEXT};font-family:monospace">{escape(self.code)}</p>')
        if self.link:
            parts.append(f'<p style="{_TEXT}">{_anchor(*self.link)}</p>')
        small = [escape(line) for line in self.footer]
        if self.unsubscribe:
            small.append(_anchor(self.unsubscribe, "No more e-mails"))
        if small:
            parts.append('<hr style="border:0;border-top:1px solid;opacity:0.25">')
            parts.append(f'<p style="{_SMALL}">{"<br>".join(small)}</p>')
        return _PAGE.format(title=escape(self.title), style=_MAIN, body="\n".join(parts))


_PAGE = dedent("""\
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width">
    <meta name="color-scheme" content="light dark">
    <meta name="supported-color-schemes" content="light dark">
    <title>{title}</title>
    </head>
    <body style="margin:0">
    <div style="{style}">
    {body}
    </div>
    </body>
    </html>
    """)


def readable(text: str) -> str:
    """Return a text of several lines without what is no character of a text; its line ends become single ones."""
    lines = _LINE_END.split(text)
    return "\n".join(
        "".join(" " if category(character) in _NO_TEXT else character for character in line).rstrip() for line in lines
    ).strip()


def _anchor(address: str, words: str) -> str:
    return f'<a href="{escape(address)}">{escape(words)}</a>'
