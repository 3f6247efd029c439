"""What `polymodal --help` and `import polymodal` cost: CPU seconds (user + system) of a fresh process.

CPU seconds, because they hardly depend on what else the machine does; the interpreter's own start is part of them.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

from goal import Goal

RUNS = 5
BARE = "pass"
IMPORT = "import polymodal"
HELP = "import sys; from polymodal.cli.main import main; sys.exit(main(['--help']))"


def measure() -> list[Goal]:
    """Medians of some runs each, after one that warms the file cache and writes byte code."""
    seconds = {name: _median(code) for name, code in {"bare": BARE, "import": IMPORT, "help": HELP}.items()}
    detail = {"bare interpreter": seconds["bare"]}
    return [
        Goal("polymodal --help", seconds["help"], 0.4, "CPU seconds", at_most=True, detail=detail),
        Goal("import polymodal", seconds["import"], 0.1, "CPU seconds", at_most=True, detail=detail),
    ]


def _median(code: str) -> float:
    _seconds(code)
    return statistics.median(_seconds(code) for _ in range(RUNS))


def _seconds(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


if __name__ == "__main__":
    for goal in measure():
        print(goal)
