"""The report as a page for a browser: the Markdown rendered, with a bar of what was saved and what was lost.

The page stands alone: it fetches nothing and runs nothing (Content-Security-Policy), prints on paper, and
follows the reader's light or dark screen. What it says is the Markdown's, where foreign text is only text.
"""

from html import escape

from core.files.outcome import Copied
from core.i18n import _, language, listed
from core.text import grouped

_WIDE = 600
_LEAST = 6
"""Units of the bar: its width, and what every part that is not empty has at least."""
_STYLE = """\
:root { color-scheme: light dark; --saved: #1d6fa5; --kept: #8a8f98; --lost: #c4511d }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1, h2 { line-height: 1.2 } h2 { margin-top: 2rem; border-bottom: 1px solid #8886 }
pre { overflow-x: auto; padding: .7rem; background: #8882; white-space: pre-wrap; overflow-wrap: anywhere }
code { overflow-wrap: anywhere }
svg { width: 100%; height: 1.6rem } figure { margin: 1.5rem 0 } .saved { fill: var(--saved) }
.kept { fill: var(--kept) } .lost { fill: var(--lost) }
figcaption span { display: inline-block; margin-right: 1.5rem; padding-left: .5rem; border-left: .8rem solid }
span.saved { border-color: var(--saved) } span.kept { border-color: var(--kept) }
span.lost { border-color: var(--lost) }
@media print { body { margin: 0; max-width: none } pre { border: 1px solid #888 } }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(markdown: str, copied: Copied, title: str) -> str:
    """The whole document in HTML 5."""
    from markdown_it import MarkdownIt

    # "commonmark" lets HTML through, which nothing of ours needs
    body = MarkdownIt("commonmark", {"html": False}).render(markdown)
    head, end, rest = body.partition("</h1>")
    return (
        f'<!doctype html>\n<html lang="{language()}"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_STYLE}</style></head><body>\n"
        f"{head}{end}\n{_picture(copied)}{rest}</body></html>\n"
    )


def _picture(copied: Copied) -> str:
    """The numbers of files as one bar, told in words too: colour is never alone."""
    parts = (
        ("saved", _("copied"), copied.files - copied.skipped_same),
        ("kept", _("already there"), copied.skipped_same),
        ("lost", _("not read or not copied"), len(copied.unreadable)),
    )
    shown = [(name, count) for name, _told, count in parts if count]
    total = sum(count for _name, count in shown)
    free = _WIDE - _LEAST * len(shown)
    bar, at = "", 0.0
    for name, count in shown:
        width = _LEAST + free * count / total
        bar += f'<rect class="{name}" x="{at:.1f}" width="{width:.1f}" height="20"/>'
        at += width
    told = "".join(
        f'<span class="{name}">{escape(words)}: <strong>{grouped(count)}</strong></span>'
        for name, words, count in parts
    )
    label = escape(listed(f"{words}: {count}" for _name, words, count in parts))
    return (
        f'<figure><svg viewBox="0 0 {_WIDE} 20" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f"{bar}</svg><figcaption>{told}</figcaption></figure>"
    )
