"""What the figures were measured on, for the head of every table."""

import os
import platform
from pathlib import Path


def machine() -> str:
    """Processor, cores and the versions that matter."""
    from importlib.metadata import version

    cpu = platform.processor() or "unknown processor"
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "diffusers", "mlflow", "sqlalchemy"))
    return f"{cpu}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}"
