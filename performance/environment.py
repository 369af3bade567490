"""TRL's own virtual environment: `python -m performance.environment` makes it once."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".venv-trl"
REQUIREMENTS = ("trl==1.16.*", "torch>=2.8,<2.14", "transformers>=5.16,<6", "accelerate>=1.10", "datasets>=3")


def trl_python() -> Path | None:
    """The interpreter that has TRL: `$TRL_PYTHON`, or the environment made here; None without one."""
    given = os.environ.get("TRL_PYTHON")
    python = Path(given) if given else FOLDER / "bin" / "python"
    return python if python.exists() else None


def make() -> None:
    """Makes the environment. No torchvision: images go through PIL on every side."""
    subprocess.run([sys.executable, "-m", "venv", str(FOLDER)], check=True)
    pip = [str(FOLDER / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, *REQUIREMENTS, "pillow>=10", "numpy>=1.26"], check=True)


if __name__ == "__main__":
    make()
    print(trl_python())
