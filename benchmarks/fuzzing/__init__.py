"""Damaged DL3 files: sources, damages, and what becomes of them."""
