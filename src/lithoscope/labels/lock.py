"""The lock of what people painted and of results, by its old name; see `lithoscope.volume.lock`."""

from lithoscope.volume.lock import WriterLock, holder

__all__ = ["WriterLock", "holder"]
