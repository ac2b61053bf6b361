"""Keeps stars, favourites and votes, and computes rankings and prompt effects from them."""
