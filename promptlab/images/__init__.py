"""Reads, writes and arranges images: self-describing PNG files, labelled grids, reports.

Pillow and numpy, never torch.

Importing this room costs nothing; Pillow, numpy and fontTools come in when the first image is read, written or drawn.
"""
