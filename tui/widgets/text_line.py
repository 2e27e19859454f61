"""A line to type into that takes every key in the order in which it was pressed."""

from textual import events
from textual.widgets import Input


class TextLine(Input):
    """Textual's own, but letters do not overtake the keys that do something.

    Textual takes a letter at once, while a key that is bound goes up to the app first. Where keys come faster
    than they are handled (a slow host, text that is pasted, a serial line) Ctrl+U would delete what was typed
    after it, and Enter would take letters that were meant for the next screen.
    """

    async def on_key(self, event: events.Key) -> None:
        bound = None if event.is_printable else self.screen.active_bindings.get(event.key)
        if bound and bound.enabled and await self.app.run_action(bound.binding.action, bound.node):
            event.stop()
            event.prevent_default()
