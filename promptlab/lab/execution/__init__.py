"""Executes runs: preflight, locks, the runner that feeds the engine, the writer of images and rows."""
