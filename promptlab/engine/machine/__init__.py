"""The machine as torch sees it: devices, dtypes, kernels, flags, and what of it decides the bytes."""
