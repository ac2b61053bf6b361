"""Weights come into memory here, and leave it: pipelines and the parts that are changed in them."""
