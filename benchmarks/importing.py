"""Import of a TIFF stack against tifffile reading plus zarr writing every level (DESIGN §7)."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import tifffile
import zarr

from harness import PeakMemory, Row, at_most, bound, main, seconds
from lithoscope.volume.convert import import_scan
from lithoscope.volume.pyramid import level_shapes


def stack(path: Path, edge: int, dtype: str) -> None:
    """A noisy three-phase volume written page by page, as scanners do."""
    rng = np.random.default_rng(0)
    scale = 1 if dtype == "uint8" else 257
    noise = rng.normal(0, 12, (edge, edge))
    with tifffile.TiffWriter(path, bigtiff=edge > 1200) as writer:
        for z in range(edge):
            phase = rng.integers(0, 3, (edge // 16 + 1,) * 2).repeat(16, 0).repeat(16, 1)[:edge, :edge]
            page = (np.array([60, 120, 190])[phase] + np.roll(noise, z * 7, 1)).clip(0, 255) * scale
            writer.write(page.astype(dtype), contiguous=True)


def peer(source: Path, target: Path) -> None:
    """What a careful script does: read with tifffile, halve by means, write every level with zarr in 64³ chunks."""
    shutil.rmtree(target, ignore_errors=True)
    volume = tifffile.imread(source)
    group = zarr.create_group(target)
    for number, shape in enumerate(level_shapes(volume.shape)):
        if number:
            step = tuple(-(-a // b) for a, b in zip(volume.shape, shape, strict=True))
            z, y, x = (s * f for s, f in zip(shape, step, strict=True))
            pad = [(0, a - b) for a, b in zip((z, y, x), volume.shape, strict=True)]
            padded = np.pad(volume, pad, mode="edge").reshape(shape[0], step[0], shape[1], step[1], shape[2], step[2])
            volume = padded.mean(axis=(1, 3, 5), dtype=np.float32).astype(volume.dtype)
        codec = zarr.codecs.BloscCodec(cname="zstd", clevel=1, shuffle=zarr.codecs.BloscShuffle.shuffle)
        array = group.create_array(str(number), shape=shape, chunks=(64, 64, 64), dtype=volume.dtype, compressors=[codec])
        array[:] = volume


def measure(quick: bool) -> list[Row]:
    rows = []
    sizes = [(192, "uint8")] if quick else [(512, "uint8"), (512, "uint16"), (768, "uint8")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for edge, dtype in sizes:
            source = folder / f"{edge}-{dtype}.tif"
            stack(source, edge, dtype)
            theirs = seconds(lambda source=source: peer(source, folder / "peer.zarr"), 2)
            ours = seconds(lambda source=source: import_scan(source, folder / "ours.zarr", overwrite=True), 2)
            rows.append(at_most(f"import of a TIFF stack, {edge}³ {dtype}", "tifffile + zarr, every level", theirs, ours, 1.5))
            source.unlink()
        if not quick:
            source = folder / "large.tif"
            stack(source, 1500, "uint8")
            with PeakMemory() as memory:
                took = seconds(lambda: import_scan(source, folder / "large.zarr"), 1)
            note = f"import of 1500³ uint8 in {took:.0f} s"
            rows.append(bound("memory of an import, 1500³ uint8", memory.peak / 1e9, 2, "GB", note))
    return rows


if __name__ == "__main__":
    main("Import", measure)
