"""Finds the files of models, VAEs, LoRAs and embeddings by name, and reads what they are."""
