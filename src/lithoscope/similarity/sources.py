"""Where items are from: a folder of images, or a library of patches, told apart by looking."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lithoscope.errors import InputError
from lithoscope.job import Report, silent
from lithoscope.retrieval.metadata import Metadata, read_csv
from lithoscope.similarity.items import Items, folder_items

if TYPE_CHECKING:
    from lithoscope.features.backbones import Backbone
    from lithoscope.similarity.selftraining import Proposal

REST = "rest"
"""The unlabelled of a library: its patches that have no class."""


def is_library(source: str) -> bool:
    """Whether this is a library, and not a folder of images."""
    return "://" in source or (Path(source) / "about.lance").is_dir()


@dataclass(frozen=True)
class Asked:
    """What a person said of the items: where classes, groups and properties are from."""

    label: str | None = None
    group: str | None = None
    metadata: str | None = None
    properties: tuple[str, ...] = ()

    @property
    def table(self) -> Metadata:
        return Metadata() if self.metadata is None else read_csv(Path(self.metadata))


def items_of(source: str, asked: Asked, backbone: "Backbone", side: int, *, seed: int = 0, report: Report = silent) -> Items:
    """The items of a source as this backbone wants to see them."""
    if not is_library(source):
        _fits(backbone, side)
        return folder_items(
            Path(source), label=asked.label, group=asked.group, metadata=asked.table, columns=asked.properties,
            channels=backbone.config.channels, side=side, report=report,
        )  # fmt: skip
    from lithoscope.retrieval.library import Library
    from lithoscope.similarity.library_items import SCAN, library_items

    if asked.metadata is not None or asked.group is not None:
        raise InputError("a library has its metadata and its scans already; leave --metadata and --group out")
    label = asked.label if asked.label is not None or asked.properties else SCAN
    return library_items(Library.open(source), label, backbone, columns=asked.properties, seed=seed, report=report)


def pool_of(
    source: str, unlabelled: str, items: Items, backbone: "Backbone", side: int, *, seed: int = 0, report: Report = silent
) -> Items:
    """What nobody has labelled: the images of a folder, or the rest of the library."""
    if unlabelled != REST:
        pool = folder_items(Path(unlabelled), channels=backbone.config.channels, side=side, unlabelled=True, report=report)
    else:
        from lithoscope.retrieval.library import Library
        from lithoscope.retrieval.store import selected
        from lithoscope.similarity.library_items import MOST, library_items

        if not is_library(source):
            raise InputError(f"{source} is no library, so there is no rest of it; name a folder of images with --unlabelled")
        library = Library.open(source)
        ids = sorted(set(selected(library.patches, None, ["id"])["id"].to_pylist()) - set(items.names))
        some = np.random.default_rng(seed).permutation(len(ids))[:MOST]
        pool = library_items(library, None, backbone, ids=[ids[i] for i in some], report=report)
    known = set(items.names)
    fresh = [i for i, name in enumerate(pool.names) if name not in known]
    if not fresh:
        raise InputError("nothing is unlabelled: everything there has a label already")
    return pool.some(np.array(fresh))


def _fits(backbone: "Backbone", side: int) -> None:
    if side % backbone.patch:
        raise InputError(
            f"side {side} is not a multiple of the {backbone.patch} pixels of a patch of {backbone.name}; use {_near(side, backbone.patch)}"
        )


def _near(side: int, patch: int) -> int:
    return max(1, round(side / patch)) * patch


def write_thumbnails(folder: Path, open_: "Sequence[Proposal]", pool: Items, items: Items) -> list[dict[str, Any]]:
    """A picture of each open proposal and of its nearest labelled, as PNG in `folder`; the proposals with the pictures' names."""
    import shutil

    from PIL import Image

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    at = {name: (source, i) for source in (items, pool) for i, name in enumerate(source.names)}
    told = []
    for number, one in enumerate(open_):
        names = {}
        for what, item in (("picture", one.item), ("like", one.nearest)):
            if item in at:
                source, row = at[item]
                values = source.pictures.values[row, 0].astype(np.float32)
                grey = values if source.pictures.values.dtype == np.uint8 else values * 255
                drawn = np.clip(np.moveaxis(grey, 0, -1), 0, 255).astype(np.uint8)
                names[what] = str(folder / f"{number:04d}-{what}.png")
                Image.fromarray(drawn[..., 0] if drawn.shape[-1] == 1 else drawn).save(names[what])
        told.append({**one.to_json(), **names})
    return told
