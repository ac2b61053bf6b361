"""Handles the machine as torch sees it: devices, dtypes, kernels, flags, memory, environments."""
