"""The pictures of the screen: every character in its place, nothing hostile in the document."""

import re
from xml.etree import ElementTree

from rich.segment import Segment
from rich.style import Style

from tests.picture import CELL, cells_of, masked, svg

NAMESPACE = "{http://www.w3.org/2000/svg}"


def read(cells):
    return "".join(cell.text for cell in cells)


def test_every_character_stands_in_its_own_column():
    drawing = ElementTree.fromstring(svg([cells_of([Segment("a日b│█c")])], "x"))
    places = {
        char: float(x)
        for text in drawing.iter(f"{NAMESPACE}text")
        for char, x in zip(text.text, text.get("x").split(), strict=True)
    }
    assert {char: round((x - places["a"]) / CELL) for char, x in places.items()} == {
        "a": 0,
        "日": 1,
        "b": 3,
        "c": 6,
    }


def test_markup_and_odd_characters_stay_text():
    drawing = svg(
        [cells_of([Segment("<b>&amp;[/foo]"), Segment("e\u0301", Style(bold=True, reverse=True))])], "<x>"
    )
    text = "".join(ElementTree.fromstring(drawing).itertext())
    assert "<b>&amp;[/foo]" in text


def test_what_differs_from_run_to_run_is_masked_and_the_width_stays():
    masks = [(re.compile(r"/dev/loop\d+"), "/dev/loop0"), (re.compile(r"\d\d:\d\d:\d\d"), "12:00:00")]
    line = cells_of([Segment("/dev/loop17 since 09:41:07 │")])
    assert read(masked(line, masks)) == "/dev/loop0  since 12:00:00 │"
    assert read(masked(cells_of([Segment("/dev/loop3 │")]), masks)) == "/dev/loop0 │"
    longer = ((re.compile(r"kill \d{1,4}(?!\d)"), "kill 4711"),)
    assert read(masked(cells_of([Segment("kill 7 then  a    │")]), longer)) == "kill 4711 then  a │"
    assert read(masked(cells_of([Segment("kill 7 then  a  b│")]), longer)) == "kill 4711 then  a "
