"""Tells environments apart in which the same command would make other bytes, or may do other things.

A server answers for the environment that it was started in. So whatever of it decides an image, a password, a network
or the rights of a file enters one hash, and a client finds only a server of its own: other versions, another
interpreter, another Hub cache or token, other devices and threads are another server.

Invariant: only the hash leaves this module; what is secret stays so.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from promptlab import __version__

__all__ = ["code_stamp", "environment_key"]

_PREFIXES: Final = (
    "ACCELERATE_", "ATEN_", "AWS_", "AZURE_", "BLIS_", "CUBLAS_", "CUDA_", "CUDNN_", "DIFFUSERS_", "DNNL_", "GOMP_",
    "GOOGLE_", "HF_", "HSA_", "HIP_", "HUGGING", "KMP_", "MIOPEN_", "MKL_", "MLFLOW_", "NCCL_", "NVIDIA_", "OMP_",
    "ONEDNN_", "OPENBLAS_", "PG", "PYTHON", "PYTORCH_", "RAY_AUTH_", "ROCR_", "SAFETENSORS_", "TOKENIZERS_", "TORCH",
    "TRANSFORMERS_", "TRITON_", "XDG_CACHE_", "XDG_DATA_",
)  # fmt: skip
"""Variables of the libraries that compute, look for weights, and keep records."""

_NAMES: Final = (
    "ALL_PROXY", "CURL_CA_BUNDLE", "HOME", "HTTPS_PROXY", "HTTP_PROXY", "LD_LIBRARY_PATH", "LD_PRELOAD",
    "LSB_JOBID", "NO_PROXY", "PBS_JOBID", "PROMPTLAB_CLUSTER", "PROMPTLAB_DEBUG",
    "PROMPTLAB_ENGINE", "PROMPTLAB_SHIP_MODEL", "PROMPTLAB_WORKERS", "RAY_ADDRESS", "REQUESTS_CA_BUNDLE",
    "SLURM_JOB_ID", "SSL_CERT_DIR", "SSL_CERT_FILE", "TMPDIR", "TZ",
    "all_proxy", "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip

_QUIET: Final = (
    "DIFFUSERS_VERBOSITY", "HF_HUB_DISABLE_PROGRESS_BARS", "HF_HUB_VERBOSITY", "MLFLOW_DISABLE_TELEMETRY",
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD",
    "MLFLOW_HTTP_REQUEST_", "MLFLOW_LOGGING_LEVEL", "MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "MLFLOW_SUPPRESS_PRINTING_",
    "TRANSFORMERS_VERBOSITY",
)  # fmt: skip
"""Lists what PromptLab itself sets once it has imported these: such a process must find the same server."""

_OURS: Final = frozenset(
    {
        ("CUBLAS_WORKSPACE_CONFIG", ":4096:8"), ("HF_HUB_DISABLE_TELEMETRY", "1"), ("OMP_WAIT_POLICY", "PASSIVE"),
        ("TOKENIZERS_PARALLELISM", "false"),
    }
)  # fmt: skip
"""Lists likewise what a server has whoever starts it, see :func:`promptlab.engine.machine.torch_setup.prepare`: another
value is another server's."""

_OWN_RAY: Final = "promptlab-"
"""Begins the token of a Ray that was started for one process: it is made anew each time, and tells no server apart."""

_LIBRARIES: Final = ("torch", "click")
"""Of which the folder is looked at: installing anything beside them changes its time."""


def environment_key(environ: Mapping[str, str] | None = None) -> str:
    """Return 16 hex digits, equal for environments in which one server may stand in for another.

    Args:
        environ: the variables; those of this process by default.
    """
    environ = os.environ if environ is None else environ
    own_ray = environ.get("RAY_AUTH_TOKEN", "").startswith(_OWN_RAY)
    told = sorted(
        f"{name}={value}" for name, value in environ.items()
        if _decides(name, value) and not (own_ray and name.startswith("RAY_AUTH_"))
    )  # fmt: skip
    facts = [__version__, sys.executable, sys.version, code_stamp(), f"{_umask():o}", *_groups(), *_cores(), *told]
    return hashlib.sha256("\0".join(facts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _decides(name: str, value: str) -> bool:
    if (name, value) in _OURS:
        return False
    return name in _NAMES or (name.startswith(_PREFIXES) and not name.startswith(_QUIET))


def code_stamp() -> str:
    """Return what changes when PromptLab, or a library that it computes with, is installed anew or edited."""
    return " ".join(map(str, [max(_times(Path(__file__).parents[1])), *_library_times()]))


def _times(folder: Path) -> Iterator[int]:
    """Yield the times of the modules below ``folder``."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                yield entry.stat().st_mtime_ns
            elif entry.is_dir() and not entry.name.startswith(("__", "mini")):
                yield from _times(Path(entry.path))
    yield 0


def _library_times() -> Iterator[int]:
    for name in _LIBRARIES:
        found = find_spec(name)
        if found is not None and found.origin is not None:
            yield Path(found.origin).parents[1].stat().st_mtime_ns


def _umask() -> int:
    """Return the mask of new files' rights, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _cores() -> tuple[str, ...]:
    """Return the cores that may be used: their number is that of torch's threads, which decides bytes."""
    return (str(sorted(os.sched_getaffinity(0))),) if hasattr(os, "sched_getaffinity") else ()


def _groups() -> tuple[str, ...]:
    return (f"{os.geteuid()} {os.getegid()}",) if hasattr(os, "geteuid") else ()
