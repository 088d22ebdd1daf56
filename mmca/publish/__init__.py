"""Trained networks as files that a release publishes."""
