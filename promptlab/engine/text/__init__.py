"""What becomes of words: what a text encoder sees of them."""
