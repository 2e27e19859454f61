"""The colours: one theme of our own for dark screens, one for bright ones, one for a console's own sixteen.

Text has a contrast of at least 7 to 1 against what is behind it (WCAG 2.2, 1.4.6), muted text too, in both
themes of our own. Nothing is told by colour alone: the row under the cursor has a ``>`` before it, what
cannot be chosen a ``×``, what is wrong a ``!``.
"""

from collections.abc import Mapping

from textual.theme import Theme

from tui.plain import ansi_only

NIGHT = Theme(
    name="night",
    primary="#7fb4d8",
    secondary="#4f86b0",
    accent="#e3b968",
    warning="#e3b968",
    error="#f09a90",
    success="#9ccf9c",
    foreground="#e3e8ec",
    background="#10151a",
    surface="#161d24",
    panel="#1f2933",
    dark=True,
    variables={
        "text": "#e3e8ec",
        "text-muted": "#b4c0ca",
        "text-disabled": "#5a6875",
        "text-primary": "#9cc8e6",
        "text-secondary": "#b4c0ca",
        "text-accent": "#ebc987",
        "text-warning": "#ebc987",
        "text-error": "#f5ada5",
        "text-success": "#aedaae",
        "border": "#55677a",
        "block-cursor-background": "#27506e",
        "block-cursor-foreground": "#ffffff",
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": "#263541",
        "block-cursor-blurred-foreground": "#e3e8ec",
        "scrollbar": "#62758a",
        "scrollbar-hover": "#7fb4d8",
        "scrollbar-active": "#7fb4d8",
        "scrollbar-background": "#1f2933",
        "scrollbar-background-hover": "#1f2933",
        "scrollbar-background-active": "#1f2933",
        "scrollbar-corner-color": "#1f2933",
        "track": "#2a3540",
    },
)
DAY = Theme(
    name="day",
    primary="#2f6f9f",
    secondary="#5b93bd",
    accent="#b06f00",
    warning="#774600",
    error="#8c1d12",
    success="#1d5a1d",
    foreground="#15191d",
    background="#fbfaf7",
    surface="#f3f1ec",
    panel="#e6e4dd",
    dark=False,
    variables={
        "text": "#15191d",
        "text-muted": "#3b434a",
        "text-disabled": "#888e93",
        "text-primary": "#134a72",
        "text-secondary": "#3d4a54",
        "text-accent": "#6b3f00",
        "text-warning": "#6b3f00",
        "text-error": "#8c1d12",
        "text-success": "#174f17",
        "border": "#8b949c",
        "block-cursor-background": "#c6ddee",
        "block-cursor-foreground": "#06121c",
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": "#dcdfe1",
        "block-cursor-blurred-foreground": "#15191d",
        "scrollbar": "#767f87",
        "scrollbar-hover": "#2f6f9f",
        "scrollbar-active": "#2f6f9f",
        "scrollbar-background": "#e6e4dd",
        "scrollbar-background-hover": "#e6e4dd",
        "scrollbar-background-active": "#e6e4dd",
        "scrollbar-corner-color": "#e6e4dd",
        "track": "#d8d6cf",
    },
)
CONSOLE = Theme(
    name="console",
    ansi=True,
    primary="ansi_cyan",
    secondary="ansi_blue",
    accent="ansi_yellow",
    warning="ansi_yellow",
    error="ansi_red",
    success="ansi_green",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    dark=True,
    variables={
        "ansi-background": "ansi_default",
        "ansi-foreground": "ansi_default",
        "text": "ansi_default",
        "text-muted": "ansi_default",
        "text-disabled": "ansi_default",
        "foreground-muted": "ansi_default",
        "border": "ansi_default",
        # reversed, so that it is seen without any colour too
        "block-cursor-background": "ansi_default",
        "block-cursor-foreground": "ansi_default",
        "block-cursor-text-style": "bold reverse",
        "block-cursor-blurred-background": "ansi_default",
        "block-cursor-blurred-foreground": "ansi_default",
        "block-cursor-blurred-text-style": "bold",
        "scrollbar": "ansi_default",
        "scrollbar-background": "ansi_default",
        "track": "ansi_default",
    },
)
THEMES = (NIGHT, DAY, CONSOLE)


def theme_for(environ: Mapping[str, str]) -> str:
    """The name of the theme that suits the terminal.

    A terminal that has sixteen colours of its own, or shall show none (NO_COLOR, https://no-color.org),
    keeps its colours. COLORFGBG, where a terminal sets it, ends with the number of the background: 7 and 15
    are white (rxvt(1), and what konsole and others made of it).
    """
    if ansi_only(environ) or environ.get("NO_COLOR"):
        return CONSOLE.name
    bright = environ.get("COLORFGBG", "").rpartition(";")[2] in ("7", "15")
    return DAY.name if bright else NIGHT.name
