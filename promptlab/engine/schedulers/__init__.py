"""Handles schedulers: which fit a model, a fresh one for every batch, and the noise they draw."""
