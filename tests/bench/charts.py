"""Measurements as a picture: bars in groups, drawn as SVG by hand because that is all there is to it.

python -m tests.bench.charts RECORD FILE.svg [TITLE]   draws what `tests.bench.copying --record` has written
"""

import json
import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path

_COLOURS = ("#2f6db5", "#7fb2e5", "#8a8a8a", "#c4a35a", "#b5705a", "#6a9a5b", "#8d6bb0")
_BAR, _GAP, _LABEL, _WIDTH, _VALUE, _ROW = 14, 16, 120, 560, 56, 18
_LETTER = 6.7
"""Pixels of a letter of the legend, on average: DejaVu Sans at 11 pixels."""
_TITLE = "Time to copy, every byte hashed, as a ratio to cp -a from a raw loop (1.0)"


def bars(
    groups: Sequence[tuple[str, dict[str, float]]], title: str, line: float = 1.0, longest: float = 4.0
) -> str:
    """One group of bars for each pair of a name and its values by series; a rule stands at `line`.

    A bar that would be longer than `longest` is cut there, and its number tells how long it is.
    """
    series = list(dict.fromkeys(name for _what, values in groups for name in values))
    colours = {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(series)}
    values = [value for _what, values in groups for value in values.values()]
    scale = _WIDTH / min(longest, max([*values, line]))
    legend, below = _legend(colours)
    parts: list[str] = []
    numbers: list[str] = []
    at = top = below + 14
    for what, by_name in groups:
        middle = at + len(by_name) * _BAR / 2 + 4
        parts.append(f'<text x="{_LABEL - 8}" y="{middle:.0f}" text-anchor="end">{escape(what)}</text>')
        for name, value in by_name.items():
            parts.append(_bar(at, value, scale, colours[name], value > longest))
            numbers.append(_number(at, value, scale))
            at += _BAR
        at += _GAP
    rule = _LABEL + line * scale
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LABEL + _WIDTH + _VALUE}" height="{at}"'
        ' font-family="DejaVu Sans, sans-serif" font-size="11">'
        "<style>.n{font-size:9px;fill:#444}</style>"
        '<rect width="100%" height="100%" fill="#ffffff"/>'
        f'<text x="12" y="22" font-size="14">{escape(title)}</text>'
        + "".join(legend)
        + "".join(parts)
        + f'<line x1="{rule:.1f}" y1="{top - 6}" x2="{rule:.1f}" y2="{at - _GAP + 4}" stroke="#333" '
        'stroke-dasharray="3 3"/>' + "".join(numbers) + "</svg>\n"
    )


def _legend(colours: dict[str, str]) -> tuple[list[str], int]:
    """Its parts, in as many rows as they need, and where it ends."""
    parts: list[str] = []
    x, y = 12.0, 44
    for name, colour in colours.items():
        width = 14 + len(name) * _LETTER + 16
        if x + width > _LABEL + _WIDTH + _VALUE:
            x, y = 12.0, y + _ROW
        parts.append(f'<rect x="{x:.0f}" y="{y - 9}" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{x + 14:.0f}" y="{y}">{escape(name)}</text>')
        x += width
    return parts, y + 4


def _bar(at: float, value: float, scale: float, colour: str, cut: bool) -> str:
    long = min(value * scale, float(_WIDTH))
    drawn = f'<rect x="{_LABEL}" y="{at}" width="{long:.1f}" height="{_BAR - 2}" fill="{colour}"/>'
    if cut:
        x = _LABEL + long - 14
        drawn += f'<path d="M{x:.0f} {at + _BAR} l6 -{_BAR} h4 l-6 {_BAR} z" fill="#ffffff"/>'
    return drawn


def _number(at: float, value: float, scale: float) -> str:
    """Above all else and on white, where the rule would cross it."""
    x = _LABEL + min(value * scale, float(_WIDTH)) + 5
    told = f"{value:.2f}" if value < 10 else f"{value:.0f}"
    room = f'<rect x="{x - 2:.1f}" y="{at}" width="{len(told) * 6 + 4}" height="{_BAR - 2}" fill="#ffffff"/>'
    return f'{room}<text x="{x:.1f}" y="{at + _BAR - 4}" class="n">{told}</text>'


def main() -> None:
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    groups = []
    for line in Path(sys.argv[1]).read_text().splitlines():
        row = json.loads(line)
        limit = row["seconds"]["cp -a"]
        groups.append((row["what"], {name: taken / limit for name, taken in row["seconds"].items()}))
    Path(sys.argv[2]).write_text(bars(groups, sys.argv[3] if len(sys.argv) == 4 else _TITLE))


if __name__ == "__main__":
    main()
