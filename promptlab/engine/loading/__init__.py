"""Loads weights and lets go of them: pipelines and the components that are changed in them."""
