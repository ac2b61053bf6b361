"""Tasks become forwards, and forwards pictures."""
