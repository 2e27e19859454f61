"""Measurements as a picture: bars in groups, drawn as SVG by hand because that is all there is to it."""

from collections.abc import Sequence
from html import escape

_COLOURS = ("#2f6db5", "#7fb2e5", "#9a9a9a", "#c4a35a", "#b5705a")
_BAR, _GAP, _LABEL, _WIDTH = 13, 16, 110, 520


def bars(groups: Sequence[tuple[str, dict[str, float]]], title: str, line: float = 1.0) -> str:
    """One group of bars for each pair of a name and its values by series; a rule stands at `line`."""
    series = list(dict.fromkeys(name for _what, values in groups for name in values))
    most = max((value for _what, values in groups for value in values.values()), default=1.0)
    scale = _WIDTH / max(most, line)
    top = 58
    parts: list[str] = []
    at = top
    for what, values in groups:
        middle = at + len(series) * _BAR / 2 + 4
        parts.append(f'<text x="{_LABEL - 8}" y="{middle:.0f}" text-anchor="end">{escape(what)}</text>')
        for index, name in enumerate(series):
            value = values.get(name, 0.0)
            y = at + index * _BAR
            colour = _COLOURS[index % len(_COLOURS)]
            size = f'width="{value * scale:.1f}" height="{_BAR - 2}"'
            parts.append(f'<rect x="{_LABEL}" y="{y}" {size} fill="{colour}"/>')
            parts.append(
                f'<text x="{_LABEL + value * scale + 4:.1f}" y="{y + _BAR - 4}" class="n">{value:.2f}</text>'
            )
        at += len(series) * _BAR + _GAP
    rule = _LABEL + line * scale
    legend = []
    for index, name in enumerate(series):
        x = _LABEL + index * 100
        colour = _COLOURS[index % len(_COLOURS)]
        legend.append(f'<rect x="{x}" y="34" width="10" height="10" fill="{colour}"/>')
        legend.append(f'<text x="{x + 14}" y="43">{escape(name)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LABEL + _WIDTH + 60}" height="{at}"'
        ' font-family="DejaVu Sans, sans-serif" font-size="11">'
        "<style>.n{font-size:9px;fill:#555}</style>"
        '<rect width="100%" height="100%" fill="#ffffff"/>'
        f'<text x="{_LABEL}" y="20" font-size="14">{escape(title)}</text>'
        + "".join(legend)
        + f'<line x1="{rule:.1f}" y1="{top - 6}" x2="{rule:.1f}" y2="{at - _GAP}" stroke="#333" '
        'stroke-dasharray="3 3"/>' + "".join(parts) + "</svg>\n"
    )
