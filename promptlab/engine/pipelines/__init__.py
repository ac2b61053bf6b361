"""Knows text-to-image pipelines: which there are, what their calls take and what they differ in."""
