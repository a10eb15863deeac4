"""Readers of scanners' files, one a format."""
