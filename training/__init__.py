"""How the bundled model was made: renderer, captions, tokenizer, training, export, evaluation. Never imported by promptlab."""
