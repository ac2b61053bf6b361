"""The frame that everything is drawn and measured in."""

__all__ = ["FACE_BOX", "SIZE"]

SIZE = 128
"""Pixels, both ways."""
FACE_BOX = (32, 24, 96, 104)
"""Left, top, right, bottom of where faces lie: the region whose sharpness is measured on its own."""
