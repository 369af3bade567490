"""Saves every tiny family and loads it in other releases of transformers: `make loaders`.

`python -m tests.loaders.table PYTHON…` prints the largest difference of log-probabilities for each family
and Python, and ends with 1 where one exceeds 1e-5 or anything else of a folder is read otherwise.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.loaders import folders

LIMIT = 1e-5
READ = Path(__file__).with_name("read.py")


def save_all(root: Path) -> dict[str, Path]:
    """The folder of every family, by what the table calls it."""
    places = {}
    for number, name in enumerate([*folders.RAW, *folders.SCORERS, "the shipped `toy`"]):
        place = root / f"{number:02d}"
        place.mkdir()
        places[name] = place
        if name in folders.RAW:
            folders.save_judge(name, place)
        elif name in folders.SCORERS:
            folders.save_scorer(name, place)
        else:
            folders.save_shipped(place)
    return places


def read_all(python: str, places: list[Path]) -> list[dict[str, Any]]:
    """What one Python's transformers makes of the folders."""
    command = [python, str(READ), *map(str, places)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{python} cannot read at all:\n{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def complaint(result: dict[str, Any]) -> str | None:
    """What is wrong with one folder in one release, if anything."""
    if "error" in result:
        return str(result["error"])
    wrong = list(result["wrong"])
    if not result["difference"] <= LIMIT:
        wrong.append(f"off by {result['difference']:.1e}")
    if result["pixels"] is not None and not result["pixels"] <= LIMIT:
        wrong.append(f"pixels off by {result['pixels']:.1e}")
    return "; ".join(wrong) or None


def row(first: str, cells: list[str]) -> str:
    return f"| {' | '.join([first, *cells])} |"


def main(pythons: list[str]) -> int:
    with tempfile.TemporaryDirectory() as root:
        places = save_all(Path(root))
        read = [read_all(python, list(places.values())) for python in pythons]
    failed = False
    print(row("family", [f"transformers {results[0]['version']}" for results in read]))
    print(row("---", ["---"] * len(read)))
    for number, name in enumerate(places):
        cells = []
        for results in read:
            wrong = complaint(results[number])
            failed |= wrong is not None
            cells.append(f"WRONG: {wrong}" if wrong else f"{results[number]['difference']:.1e}")
        print(row(name, cells))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
