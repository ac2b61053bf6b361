"""Keeps a workspace whole: doctor, sync, verify, import, export, backup, batch size probes."""
