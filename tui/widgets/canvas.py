"""Lines of columns that a picture is put together on."""

from rich.cells import cell_len

from tui.widgets.lines import Line, Piece, joined


class Canvas:
    """Lines of columns to write on; later writing covers what stood there."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._rows: list[list[tuple[str, str]]] = []

    def row(self) -> int:
        """Begin a new line; its number."""
        self._rows.append([(" ", "")] * self.width)
        return len(self._rows) - 1

    def put(self, y: int, x: int, text: str, role: str) -> None:
        """Write `text` from column `x` on; what does not fit on the line is left out."""
        row = self._rows[y]
        for char in text:
            columns = cell_len(char)
            if columns == 0 or x < 0 or x + columns > self.width:
                continue
            row[x] = (char, role)
            for covered in range(x + 1, x + columns):
                row[covered] = ("", role)
            x += columns

    def lines(self) -> list[Line]:
        """What was written."""
        return [tuple(joined(Piece(char, role) for char, role in row)) for row in self._rows]
