"""Overlays on disk: an OME-Zarr image at token resolution with scale and place, and tables. Kept ones lie in the scan's sidecar."""

import csv
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import MissingError, NewerSchemaError, TakenError, UnreadableError
from lithoscope.explain.overlay import Overlay
from lithoscope.explain.place import AXES, Place
from lithoscope.record import now, versions
from lithoscope.volume.box import Box
from lithoscope.volume.store import fast_codecs, storage_errors

if TYPE_CHECKING:
    from lithoscope.volume.scan import Scan
    from lithoscope.volume.voxel import Voxel

SCHEMA = 1
VOLUME = "likeness-"
"""How the names of overlays over the whole scan begin."""


def folder(scan: "Scan") -> Path:
    """Where the overlays of a scan are kept."""
    return scan.sidecar / "explain"


def kept(scan: "Scan") -> list[str]:
    """The names of the overlays that are kept, the latest last."""
    return [name for name in _names(scan) if not name.startswith(VOLUME)]


def kept_volumes(scan: "Scan") -> list[str]:
    """The names of what is kept of the whole scan, such as likeness to a token, the latest last."""
    return [name for name in _names(scan) if name.startswith(VOLUME)]


def _names(scan: "Scan") -> list[str]:
    found = [p for p in folder(scan).glob("*.zarr") if (p / "zarr.json").exists() and not p.name.startswith(".")]
    return [p.stem for p in sorted(found, key=lambda p: p.stat().st_mtime)]


def kept_again(scan: "Scan", name: str) -> Overlay | Path:
    """An overlay that was kept, or the path of what is kept of the whole scan; one of other voxels than the scan has now says so."""
    path = folder(scan) / f"{name}.zarr"
    if name.startswith(VOLUME):
        if not (path / "zarr.json").exists():
            raise MissingError(f"there is no {name} any more beside {scan.name}; work it out again")
        return path
    found = read_overlay(path)
    return found if _source(path) == scan.content_hash else replace(found, notes=(*found.notes, "the scan has changed since"))


def delete(scan: "Scan", name: str) -> None:
    """Delete what is kept under a name."""
    scan.check_present()
    path = folder(scan) / f"{name}.zarr"
    with storage_errors(path):
        shutil.rmtree(path)


def name_of(overlay: Overlay) -> str:
    """The name that an overlay is kept under: "attention-b12-mean-lithoscope-tiny-1f0c2a-z20", the network by name and weights."""
    about, parts = overlay.about, [overlay.kind]
    if overlay.kind == "attention":
        parts += [f"b{about.get('block')}", "mean" if about.get("head") is None else f"h{about['head']}"]
    if about.get("averaged"):
        parts.append("plane")
    if about.get("tuned"):
        parts.append("tuned")
    if overlay.kind == "certainty":
        parts.append(_plain(str(about.get("result"))))
    if overlay.kind == "disagreement":
        parts.append(_plain("_".join(map(str, about.get("results", ())))))
    if "backbone" in about:
        parts += [_plain(str(about["backbone"])), _plain(str(about.get("weights"))[:6])]
    parts.append(f"{AXES[overlay.place.axis]}{overlay.place.index}")
    if overlay.at is not None:
        parts.append("at-" + "-".join(map(str, overlay.at)))
    return "-".join(parts)


def volume_name(backbone: str, axis: int, at: Sequence[int]) -> str:
    """The name that likeness to the token at a voxel is kept under, over the whole scan, seen by a backbone's name or folder."""
    return f"{VOLUME}{AXES[axis]}-{'-'.join(map(str, at))}-{_plain(Path(backbone).name)}"


def _plain(words: str) -> str:
    """Words as part of a file's name."""
    return re.sub(r"[^\w-]+", "_", words)[:100]


def keep(scan: "Scan", overlay: Overlay) -> Path:
    """Keep an overlay in the sidecar, in place of one of the same name."""
    scan.check_present()
    return write(folder(scan) / f"{name_of(overlay)}.zarr", overlay, scan, overwrite=True)


def check_replaceable(path: Path) -> None:
    """Refuse to replace a folder that holds anything but an overlay, such as a scan."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    try:
        said = json.loads((path / "zarr.json").read_text(encoding="utf-8"))["attributes"]["lithoscope"]
        ours = "overlay" in said or "volume" in said
    except (OSError, ValueError, KeyError, TypeError):
        ours = False
    if not ours:
        raise TakenError(f"{path} is not an overlay and is not replaced; give another name")


def write(path: Path, overlay: Overlay, scan: "Scan", *, overwrite: bool = False) -> Path:
    """An overlay as an OME-Zarr 0.5 image: (z, y, x), one thick, with a channel axis before it where it is colours."""
    import zarr

    if path.exists() and not overwrite:
        raise TakenError(f"{path} exists already; give another name, or --overwrite")
    if path.parent != folder(scan):
        check_replaceable(path)
    values = np.expand_dims(overlay.values, overlay.place.axis)
    if overlay.coloured:
        values = np.moveaxis(values, -1, 0)
    draft = path.with_name(f".{path.name}.draft")
    with storage_errors(path), fast_codecs():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(draft, ignore_errors=True)
        group = zarr.open_group(str(draft), mode="w", zarr_format=3)
        names = ("c", *AXES) if overlay.coloured else tuple(AXES)
        array = group.create_array("0", shape=values.shape, dtype=values.dtype, chunks=values.shape, dimension_names=names)
        array[...] = values
        if overlay.outline is not None:
            group.create_array("outline", shape=overlay.outline.shape, dtype="uint8")[...] = overlay.outline.astype(np.uint8)
        group.attrs.update({"ome": _ome(overlay.place, overlay.coloured, scan.voxel, path.stem), "lithoscope": _about(overlay, scan)})
        if path.exists():
            shutil.rmtree(path)
        draft.replace(path)
    return path


@contextmanager
def new_volume(path: Path, scan: "Scan", place: Place, shape: tuple[int, ...], about: dict[str, Any]) -> Iterator[Any]:
    """A new OME-Zarr image of bytes at token resolution over every plane across an axis, put in place when it is whole.

    `place` is that of the first plane, `shape` the cells of a plane.
    """
    import zarr

    if path.parent != folder(scan):
        check_replaceable(path)
    a, b = place.along
    whole = [scan.shape[place.axis]] * 3
    whole[a], whole[b] = shape
    chunks = [min(n, 128) for n in whole]
    chunks[place.axis] = 1
    draft = path.with_name(f".{path.name}.draft")
    try:
        with storage_errors(path), fast_codecs():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(draft, ignore_errors=True)
            group = zarr.open_group(str(draft), mode="w", zarr_format=3)
            array = group.create_array("0", shape=tuple(whole), dtype="uint8", chunks=tuple(chunks), dimension_names=tuple(AXES))
            group.attrs.update({"ome": _ome(place, False, scan.voxel, path.stem), "lithoscope": {**_of(scan), "volume": about}})
        with storage_errors(path):
            yield array
            if path.exists():
                shutil.rmtree(path)
            draft.replace(path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _of(scan: "Scan") -> dict[str, Any]:
    """What is said of every overlay: of which scan it is, and by what it was made."""
    return {
        "schema": SCHEMA,
        "source": {"uuid": scan.uuid, "name": scan.name, "content_hash": scan.content_hash},
        "created": now(),
        "versions": dict(versions()),
    }


def _ome(place: Place, coloured: bool, voxel: "Voxel | None", name: str) -> dict[str, Any]:
    from ome_zarr_models.v05.axes import Axis
    from ome_zarr_models.v05.image import ImageAttrs
    from ome_zarr_models.v05.multiscales import Dataset, Multiscale

    unit = {} if voxel is None else {"unit": voxel.unit}
    channel = [Axis(name="c", type="channel")] if coloured else []
    axes = (*channel, *(Axis(name=n, type="space", **unit) for n in AXES))
    lead = [1.0] if coloured else []
    scale, shift = place.scale(voxel), place.translate(voxel)
    dataset = Dataset.build(path="0", scale=[*lead, *scale], translation=[*[0.0 for _ in lead], *shift])
    made: dict[str, Any] = ImageAttrs(multiscales=[Multiscale(axes=axes, datasets=(dataset,), name=name)], version="0.5").model_dump(
        exclude_none=True
    )
    return made


def _about(overlay: Overlay, scan: "Scan") -> dict[str, Any]:
    place = overlay.place
    return {
        **_of(scan),
        "overlay": {
            "kind": overlay.kind,
            "title": overlay.title,
            "axis": place.axis,
            "index": place.index,
            "first": list(place.first),
            "pitch": place.pitch,
            "limits": list(overlay.limits),
            "colours": overlay.colours,
            "ends": list(overlay.ends),
            "frame": None if overlay.frame is None else overlay.frame.to_json(),
            "at": None if overlay.at is None else list(overlay.at),
            "notes": list(overlay.notes),
            "about": overlay.about,
        },
    }


def read_overlay(path: Path) -> Overlay:
    """An overlay that was written."""
    import zarr

    if not (path / "zarr.json").exists():
        raise MissingError(f"there is no overlay at {path}")
    try:
        group = zarr.open_group(str(path), mode="r")
        own: Any = group.attrs["lithoscope"]
        if int(own["schema"]) > SCHEMA:
            raise NewerSchemaError(f"{path} is of schema {own['schema']}, this Lithoscope reads up to {SCHEMA}; update it")
        said = own["overlay"]
        raw: Any = group["0"]
        values: npt.NDArray[Any] = np.asarray(raw[...])
        outline: Any = np.asarray(group["outline"][...]).astype(bool) if "outline" in group else None  # type: ignore[index]
    except (KeyError, TypeError, ValueError, zarr.errors.BaseZarrError) as error:
        raise UnreadableError(f"{path} is no overlay, or is damaged; draw it again") from error
    if values.ndim == 4:
        values = np.moveaxis(values, 0, -1)
    values = np.squeeze(values, int(said["axis"]))
    first = (float(said["first"][0]), float(said["first"][1]))
    at = said["at"]
    return Overlay(
        said["kind"], said["title"], values, Place(int(said["axis"]), int(said["index"]), first, float(said["pitch"])),
        (float(said["limits"][0]), float(said["limits"][1])), said["colours"], (said["ends"][0], said["ends"][1]), outline,
        None if said["frame"] is None else Box.from_json(said["frame"]), None if at is None else (at[0], at[1], at[2]),
        tuple(said["notes"]), dict(said["about"]),
    )  # fmt: skip


def _source(path: Path) -> str:
    """The hash of the voxels that an overlay was made of."""
    import zarr

    own: Any = zarr.open_group(str(path), mode="r").attrs["lithoscope"]
    return str(own["source"]["content_hash"])


def table(path: Path, overlay: Overlay) -> Path:
    """An overlay as CSV: a row a cell, with the voxel in its middle and its value or colour."""
    names = ["red", "green", "blue", "shown"] if overlay.coloured else ["value"]
    if overlay.outline is not None:
        names.append("outlined")
    with storage_errors(path), path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "column", "z", "y", "x", *names])
        for row, column in np.ndindex(*overlay.values.shape[:2]):
            cell = np.atleast_1d(overlay.values[row, column])
            said = [int(v) for v in cell] if overlay.coloured else ["" if np.isnan(cell[0]) else f"{cell[0]:.6g}"]
            more = [] if overlay.outline is None else [int(overlay.outline[row, column])]
            writer.writerow([row, column, *overlay.place.voxel((row, column)), *said, *more])
    return path
