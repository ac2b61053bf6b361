"""From a name to files: which model, VAE or checkpoint is meant, and what it is, before a weight is read."""
