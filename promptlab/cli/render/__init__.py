"""Renders records as lines of text for the terminal, and as CSV: no verb of the lab is called here."""
