"""Draw what a terminal shows, as text with the terminal's own control sequences."""

import io
from collections.abc import Sequence

from rich.console import Console, RenderableType
from rich.highlighter import JSONHighlighter
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from qmpserver.shell.explanation import Explanation
from qmpserver.shell.jobs import JobProgress

_BAR_WIDTH = 30
_COLOUR_LIMIT = 1 << 16
_json = JSONHighlighter()


class Pencil:
    """Draws for a terminal of some width.

    Args:
        width: Columns.
        has_colours: The terminal shows colours, and its user wants them.
    """

    def __init__(self, width: int, *, has_colours: bool) -> None:
        self._width = width
        self._has_colours = has_colours

    def json(self, text: str) -> str:
        """Colour JSON, unless that would take long; the text stays as it is."""
        if len(text) > _COLOUR_LIMIT:
            return text
        return self._draw(_json(Text(text)), wraps=False)

    def styled(self, text: str, style: str) -> str:
        """Give a text one style."""
        return self._draw(Text(text, style=style), wraps=False)

    def explanation(self, explanation: Explanation) -> str:
        """Draw help: a title, a text, and a table."""
        table = Table.grid(padding=(0, 2))
        for row in explanation.rows:
            table.add_row(Text(row.name, style="bold cyan"), Text(row.type, style="green"), Text(row.note))
        parts: list[RenderableType] = [Text(explanation.title, style="bold"), Text(explanation.text)]
        if explanation.rows:
            parts += ["", table]
        return "\n".join(self._draw(part) for part in parts)

    def jobs(self, jobs: Sequence[JobProgress]) -> str:
        """Draw a bar for each job."""
        table = Table.grid(padding=(0, 1))
        for job in jobs:
            table.add_row(
                Text(f"{job.id} ({job.type})"),
                ProgressBar(
                    total=1.0,
                    completed=job.share,
                    width=_BAR_WIDTH,
                    complete_style="green",
                    finished_style="green",
                    style="bright_black",
                ),
                Text(f"{job.share:4.0%}"),
                Text(job.status, style="cyan"),
            )
        return self._draw(table)

    def _draw(self, what: RenderableType, *, wraps: bool = True) -> str:
        out = io.StringIO()
        console = Console(
            file=out,
            width=self._width,
            force_terminal=self._has_colours,
            color_system="standard" if self._has_colours else None,
            highlight=False,
            legacy_windows=False,
        )
        console.print(what, soft_wrap=not wraps)
        return out.getvalue().rstrip("\n")
