"""The commands about places that look alike: judging features, the library of patches, and searching it."""

from pathlib import Path
from typing import Any

from lithoscope.errors import TakenError
from lithoscope.job import Report, silent

Json = dict[str, Any]


def evaluate_retrieval(
    folder: str,
    *,
    features: str = "pixels16",
    pooling: str = "class",
    metadata: str | None = None,
    label: str | None = None,
    group: str | None = None,
    output: str | None = None,
    device: str = "auto",
    seed: int = 0,
    overwrite: bool = False,
    report: Report = silent,
) -> Json:
    """Judge features of labelled images by the SCAMPI protocol: who finds his like, and who can be named."""
    from lithoscope.errors import InputError
    from lithoscope.retrieval.images import images_in, labels_of
    from lithoscope.retrieval.metadata import Metadata, read_csv
    from lithoscope.retrieval.protocol import evaluate
    from lithoscope.retrieval.whole_images import PIXELS, by_backbone, by_pixels

    if pooling not in ("class", "mean"):
        raise InputError(f"pooling {pooling!r} is neither class nor mean")
    if output is not None and Path(output).exists() and not overwrite:
        raise TakenError(f"{output} exists already; choose another folder, or say --overwrite")
    table = Metadata() if metadata is None else read_csv(Path(metadata))
    images = images_in(Path(folder))
    names = labels_of(images, label, table, what="class")
    groups = None if group is None else labels_of(images, group, table, what="group")
    about: Json = {"features": features, "group": group}
    if features == PIXELS:
        vectors: Any = by_pixels(images, report)
    else:
        from lithoscope.cli.commands.backbones import device_of
        from lithoscope.features.backbones import open_backbone

        place = Path(features)
        opened = open_backbone(place if place.exists() else features, device=device_of(device))
        about |= {"pooling": pooling, "sha256": opened.sha256}
        vectors = by_backbone(images, opened, "mean" if pooling == "mean" else "class", report)
    found = evaluate(vectors, names, groups=groups, report=report)
    answer = {**about, **found.to_json([image.name for image in images])}
    if output is not None:
        from lithoscope.retrieval.evaluation_files import write_files

        answer["files"] = write_files(Path(output), found, answer, images, names, vectors, seed)
    return answer
