"""Arranges pixels: PNG files that describe themselves, labelled grids, thumbnails. Pillow and numpy, never torch.

Importing this room costs nothing; Pillow, numpy and fontTools come in when the first picture is read, written or drawn.
"""
