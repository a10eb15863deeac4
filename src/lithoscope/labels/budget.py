"""How much time, disk and memory a whole-volume job takes, known before it begins."""

import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lithoscope.errors import ResourceError
from lithoscope.segmenters.base import Segmenter
from lithoscope.volume.box import Box, Triple
from lithoscope.volume.scan import Scan

MEMORY = 1 << 30
"""What the blocks in work may take together, unless told otherwise (bytes)."""
MOST_WORKERS = 4
LEVELS = 1.2
"""What all levels take, as a multiple of the full one."""
SPARE_DISK = 64 << 20
"""Disk left free after the work (bytes)."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take, judged from one timed block."""

    seconds: float
    disk_bytes: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Allotment:
    """How many blocks are worked on at once, the largest piece (z, y, x) that a method is given, and the shards of a block."""

    workers: int
    piece: Triple
    bytes: int
    block: Triple


def allot(scan: Scan, method: Segmenter, itemsize: int, memory: int, *, tokens_kept: bool = False) -> Allotment:
    """Share the memory between blocks; refused when not even one fits."""
    halo, widest = (method.halo_given_tokens(), None) if tokens_kept else (method.halo(), method.widest())
    block_shape = _block(scan, halo, widest, itemsize, memory)
    block = _block_bytes(block_shape, halo, itemsize)
    working = method.working_bytes()
    smallest = int(np.prod([16 + 2 * h for h in halo])) * working
    if block + smallest > memory:
        raise ResourceError(f"one block takes {(block + smallest) >> 20} MB, but only {memory >> 20} MB are allowed; allow more memory")
    workers = max(1, min(os.cpu_count() or 1, MOST_WORKERS, memory // max(block + smallest, 1), memory // max(int(1.5 * block), 1)))
    most = widest or block_shape
    piece = (min(most[0], block_shape[0]), min(most[1], block_shape[1]), min(most[2], block_shape[2]))
    share = memory // workers - block
    while working and piece != (16, 16, 16) and working * np.prod([p + 2 * h for p, h in zip(piece, halo, strict=True)]) > share:
        longest = max(range(3), key=lambda axis: piece[axis])
        z, y, x = (max(16, p // 2) if axis == longest else p for axis, p in enumerate(piece))
        if (z, y, x) == piece:
            break
        piece = (z, y, x)
    taken = int(working * np.prod([p + 2 * h for p, h in zip(piece, halo, strict=True)]))
    return Allotment(workers, piece, workers * (block + taken), block_shape)


def _block(scan: Scan, halo: Triple, widest: Triple | None, itemsize: int, memory: int) -> Triple:
    """One shard, or as many side by side as a method that looks far around wants and half the memory holds."""
    found = scan.shard
    for axis in (2, 1, 0) if widest else ():
        for count in range(-(-min(widest[axis] if widest else 0, scan.shape[axis]) // scan.shard[axis]), 1, -1):
            z, y, x = (count * s if a == axis else f for a, (s, f) in enumerate(zip(scan.shard, found, strict=True)))
            if _block_bytes((z, y, x), halo, itemsize) <= memory // 2:
                found = (z, y, x)
                break
    return found


def _block_bytes(block: Triple, halo: Triple, itemsize: int) -> int:
    voxels = float(np.prod([e + 2 * h for e, h in zip(block, halo, strict=True)]))
    return int(voxels * (itemsize * (2 if any(halo) else 1) + 4))


def check_memory(needed: int) -> None:
    """Refuse work that needs more memory than is free now."""
    import psutil

    free = int(psutil.virtual_memory().available)
    if needed > free:
        raise ResourceError(f"the work needs {needed >> 20} MB of memory, but only {free >> 20} MB are free; close other programs")


def check_disk(folder: Path, needed: int) -> None:
    """Refuse a result that would fill the disk which `folder`, perhaps not there yet, lies on."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed + SPARE_DISK > free:
        raise ResourceError(f"the result needs about {needed >> 20} MB of disk, but only {free >> 20} MB are free; free some space")


def most_disk(box: Box) -> int:
    """What a result of this box takes if its labels cannot be compressed at all."""
    return int(box.size * LEVELS)


def written(labels: "np.typing.NDArray[np.uint8]") -> tuple[float, int]:
    """How long labels (z, y, x) take to write, in seconds, and how many bytes they fill."""
    from lithoscope.volume.store import Layout, create_levels, folder_bytes, triple

    with tempfile.TemporaryDirectory() as folder:
        shape = triple(labels.shape)
        array = create_levels(Path(folder), Layout.of(shape, np.uint8), np.uint8, "labels")[0]
        start = time.perf_counter()
        array[...] = labels
        return time.perf_counter() - start, folder_bytes(Path(folder))
