"""A taught network on the images of a folder: a table of vectors and foretold properties, and what is most like one of them."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from lithoscope.errors import InputError, MissingError
from lithoscope.job import Report, silent
from lithoscope.retrieval.images import ImageFile, images_in
from lithoscope.similarity.double import Double
from lithoscope.similarity.network import Embedding, embedded
from lithoscope.similarity.pictures import Pictures
from lithoscope.similarity.query import SIAMESE
from lithoscope.similarity.taught import Taught
from lithoscope.similarity.teach import opened
from lithoscope.volume.store import storage_errors

Json = dict[str, Any]


def use(
    model: Path, folder: Path, *, query: str | None = None, k: int = 10, output: Path | None = None, device: str = "cpu",
    report: Report = silent,
) -> Json:  # fmt: skip
    """What the network says of the images of a folder. With `query`, an image's name or file, the `k` most like it, by the gate where there
    is one; the image itself is never among them. `output` is a CSV."""
    if k < 1:
        raise InputError(f"{k} images were asked for; ask for one or more")
    if output is not None and output.suffix.lower() != ".csv":
        raise InputError(f"{output} does not end in .csv; name a table")
    taught, backbone = Taught.open(model), opened(str(model), device)
    images = images_in(folder)
    asked = None if query is None else _asked(images, query)
    everything = [*images, *([asked] if asked is not None and asked not in images else [])]
    side = int(taught.view["side"])
    pictures = Pictures.of_images(everything, backbone.config.channels, side, report)
    network = Embedding(backbone.network, taught.view["pooling"], backbone.width).to(device).eval()
    vectors = embedded(network.raw, pictures, device, report, "looking at the images")
    double = Double.open(model) if (model / SIAMESE).is_file() else None
    told: list[Json] = [{"image": image.name} for image in images]
    if double is not None:
        for line, properties in zip(told, double.foretold(double.halves(vectors[: len(images)])), strict=True):
            line["properties"] = {f.name: f.to_json() for f in properties}
    answer: Json = {"model": str(model), "images": len(images), "vectors": vectors.shape[1]}
    if asked is not None:
        own = everything.index(asked)
        rows = np.array([i for i in range(len(images)) if i != own], np.intp)
        if not rows.size:
            raise InputError(f"{folder} holds no other image than {asked.name}; name a folder of images to look among")
        if double is not None:
            halves = double.halves(vectors)
            said = double.compared(halves[own], halves[rows])
            values, gate = said["both"], said["gate"]
        else:
            mean = vectors[: len(images)].mean(0)
            unit = (vectors - mean) / np.maximum(np.linalg.norm(vectors - mean, axis=1, keepdims=True), 1e-12)
            values, gate = unit[rows] @ unit[own], None
        order = np.argsort(-values, kind="stable")[:k]
        hits = [{**told[rows[i]], "score": float(values[i]), **({} if gate is None else {"looks": float(gate[i])})} for i in order]
        answer |= {"query": asked.name, "hits": hits}
        told = hits
    else:
        answer["rows"] = told
    if output is not None:
        _write(output, told, None if asked is not None else vectors)
        answer["output"] = str(output)
    return answer


def _asked(images: list[ImageFile], query: str) -> ImageFile:
    for image in images:
        if query in image.names or query == str(image.path):
            return image
    path = Path(query)
    if not path.is_file():
        raise MissingError(f"there is no image {query}; name one of the folder, or a file")
    return ImageFile(path.stem, path)


def _write(path: Path, told: list[Json], vectors: Any) -> None:
    names = list(told[0].get("properties", {})) if told else []
    extra = [key for key in ("score", "looks") if told and key in told[0]]
    head = ["image", *extra, *(f"{name}{end}" for name in names for end in ("", "_low", "_high"))]
    width = 0 if vectors is None else vectors.shape[1]
    with storage_errors(path.parent), path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*head, *(f"v{i}" for i in range(width))])
        for i, line in enumerate(told):
            own = [line["properties"][name][key] for name in names for key in ("value", "low", "high")]
            rows.writerow([line["image"], *(line[key] for key in extra), *own, *([] if vectors is None else vectors[i].tolist())])
