"""Similarity that is taught: what an expert calls alike, learnt from classes, marks and measured properties. Import from its files."""
