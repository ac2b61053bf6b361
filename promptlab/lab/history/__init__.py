"""Finds runs and images by name, derives reruns from them, compares them and shows their lineage."""
