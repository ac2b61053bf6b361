"""Reads prompts: tokens counted, truncation found, embeddings made, words of their own added."""
