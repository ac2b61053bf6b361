"""Reads and writes experiment files: YAML with places, the shape of a file, its JSON Schema."""
