"""What is trained on, where it is trained on: the one thing that a GPU and a CPU are fed differently."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["Rows"]


class Rows:
    """Rows of an array by their numbers, as tensors on ``device``; a GPU gets the whole array once, since it waits for nothing then."""

    def __init__(self, array: np.ndarray, device: torch.device) -> None:
        self._array, self._device = array, device
        self._whole = torch.from_numpy(np.array(array)).to(device) if device.type == "cuda" else None

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, index: Tensor) -> Tensor:
        if self._whole is not None:
            return self._whole[index]
        return torch.from_numpy(self._array[index.numpy()]).to(self._device)
