"""What the figures were measured on, for the head of every table."""

import os
import platform
import time
from contextlib import suppress
from pathlib import Path

BEGAN = time.perf_counter()
"""About when the script that imports this began."""


def machine() -> str:
    """Processor, cores and the versions that matter."""
    from importlib.metadata import PackageNotFoundError, version

    cpu = platform.processor() or "unknown processor"
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    versions = [f"{os.cpu_count()} cores", f"Python {platform.python_version()}"]
    for name in ("torch", "diffusers", "mlflow", "sqlalchemy"):
        with suppress(PackageNotFoundError):  # a machine that only draws may lack some
            versions.append(f"{name} {version(name)}")
    return f"{cpu}, {', '.join(versions)}"


def write_result(name: str, text: str) -> None:
    """Print a result and keep it, with the seconds that it took, as ``benchmarks/results/NAME.md``."""
    text += f"\nMeasured in {time.perf_counter() - BEGAN:.0f} seconds.\n"
    print(text)
    (Path(__file__).parent / "results" / f"{name}.md").write_text(text, encoding="utf-8")
