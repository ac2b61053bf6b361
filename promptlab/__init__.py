"""PromptLab: the lab notebook for people who iterate on prompts for text-to-image diffusion models."""

__version__ = "0.1.0"
