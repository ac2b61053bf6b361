"""What sorts of text-to-image pipelines there are, and what the call of each takes."""
