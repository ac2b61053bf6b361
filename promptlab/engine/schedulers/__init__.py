"""Schedulers: the names people use, which fit a model, and a fresh one for every batch."""
