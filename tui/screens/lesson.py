"""What is said of one step, in three parts."""

from dataclasses import dataclass

from core.i18n import _, sentences


@dataclass(frozen=True, slots=True)
class Lesson:
    """The explanation of one step; all marked for translation."""

    title: str
    what: str
    wrong: str
    by_hand: tuple[str, ...] = ()
    """Lines for a shell; of these only what begins with ``#`` is translated."""
    keys: str = ""
    """What keys of the screen do; goes on from `what`."""

    def parts(self, *, keys: bool = True) -> list[tuple[str, str]]:
        """What there is of it, each part with its title, in the language of the person.

        Without `keys` for where there is no screen.
        """
        what = sentences((_(self.what), _(self.keys) if keys and self.keys else ""))
        parts = [(_("What it is"), what), (_("What can go wrong"), _(self.wrong))]
        if self.by_hand:
            lines = (_(line) if line.startswith("#") else "$ " + line for line in self.by_hand)
            parts.append((_("By hand"), "\n".join(lines)))
        return parts
