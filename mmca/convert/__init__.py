"""Converting checkpoints between our names and those of others; see tools/convert_checkpoint.py."""
