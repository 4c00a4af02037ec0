"""The table of docs/reliability.md, from what the tests have provoked and seen."""

from collections import Counter
from pathlib import Path

_HEAD = ("fault", "how it was provoked", "times", "what happened", "lost")
_BEGIN, _END = "<!-- table: begin -->\n", "<!-- table: end -->\n"


class Faults:
    """Counts the faults that tests provoke, once each has asserted the outcome."""

    def __init__(self):
        self._times = Counter()

    def add(
        self,
        fault: str,
        provoked: str,
        happened: str,
        lost: str = "nothing",
        times: int = 1,
    ) -> None:
        """Adds to the row of this fault; called after the assertions of its test."""
        self._times[fault, provoked, happened, lost] += times

    def table(self) -> str:
        """Markdown, the rows in alphabetical order; empty without rows."""
        if not self._times:
            return ""
        rows = [
            (fault, provoked, f"{times:,}", happened, lost)
            for (fault, provoked, happened, lost), times in sorted(self._times.items())
        ]
        rule = ("---", "---", "--:", "---", "---")
        return "".join(f"| {' | '.join(row)} |\n" for row in (_HEAD, rule, *rows))

    def write(self, path: str | Path) -> None:
        """Puts the table between the marks in a Markdown file."""
        path = Path(path)
        before, rest = path.read_text(encoding="utf-8").split(_BEGIN)
        _, after = rest.split(_END)
        text = f"{before}{_BEGIN}{self.table()}{_END}{after}"
        path.write_text(text, encoding="utf-8")
