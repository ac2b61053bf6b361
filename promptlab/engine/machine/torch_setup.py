"""What torch, diffusers and their friends are told before they are imported, and which of their warnings are not news.

Invariant: environment variables are only ever set where they are unset, and only warnings known by their words are
dropped: any other still reaches the user, and fails the tests.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["prepare", "quietly"]

_BEFORE_IMPORT: Final = {
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # without it cuBLAS may pick another algorithm from call to call
    "DIFFUSERS_VERBOSITY": "error",  # theirs are log lines; ours are errors and progress bars
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_VERBOSITY": "error",
    # Threads that wait by spinning take the cores from those they wait for: 14 times slower on two busy cores.
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",  # it warns after a fork, and a prompt is too short to split
    "TRANSFORMERS_VERBOSITY": "error",
}

_NOT_NEWS: Final = (
    "__array__ implementation doesn't accept a copy keyword",  # torch's tensors under numpy 2, in most schedulers
    "__array_wrap__ must accept context and return_scalar",  # likewise; 12,000 times to build one KDPM2Discrete
    "Should have t[ab]<?>?=t[01] but got",  # torchsde's rounding at the ends of DPMSolverSDE's interval
    r"`algorithm_types[ =]dpmsolver.*` is deprecated",  # whoever asks for it by name knows it
    ".* does not have a deterministic implementation",  # see determinism
    "`callback_steps` is deprecated",  # Kandinsky 2.2's combined pipeline hands its own default on
    "`FluxPosEmbed` is deprecated",  # Chroma's transformer still takes it from there
    r"`torch\.jit\.\w+` is (deprecated|not supported)",  # torch's own, when torch.compile is imported
    r"(?s).*Triggered internally at \S*sdp_utils",  # why torch takes no other kernel than the one that was asked for
)


def prepare() -> None:
    """Set what the libraries read only once, when they are imported. Call it before importing any of them."""
    for name, value in _BEFORE_IMPORT.items():
        os.environ.setdefault(name, value)


@contextmanager
def quietly() -> Iterator[None]:
    """Run the block without the warnings that tell the libraries' developers something, and the user nothing."""
    with warnings.catch_warnings():
        for message in _NOT_NEWS:
            warnings.filterwarnings("ignore", message=message)
        yield
