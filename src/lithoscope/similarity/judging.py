"""A taught network beside the one that it was taught from, on any labelled images: SCAMPI's scores, and properties foretold."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.features.backbones import Backbone
from lithoscope.job import Report, silent
from lithoscope.retrieval.protocol import evaluate
from lithoscope.similarity.items import Items
from lithoscope.similarity.network import Embedding, embedded
from lithoscope.similarity.sources import Asked, is_library, items_of
from lithoscope.similarity.taught import Taught
from lithoscope.similarity.teach import opened

Json = dict[str, Any]


def judge(
    model: Path,
    source: str,
    *,
    label: str | None = None,
    group: str | None = None,
    metadata: str | None = None,
    output: Path | None = None,
    device: str = "cpu",
    seed: int = 0,
    report: Report = silent,
) -> Json:
    """Scores by SCAMPI's protocol of the taught vectors and of the frozen ones, each by the view that was taught; of a double Siamese
    network the R² of its properties, and how often its intervals hold. Items that taught make all of these too good: `taught_on`
    says how many of them did."""
    taught = Taught.open(model)
    network, view = opened(str(model), device), taught.view
    frozen = opened(str(view["backbone"]), device)
    siamese = taught.method == "siamese" and (metadata is not None or is_library(source))
    columns = tuple(taught.more["columns"]) if siamese else ()
    items = items_of(source, Asked(label, group, metadata, columns), frozen, int(view["side"]), seed=seed, report=report)
    answer: Json = {"model": str(model), "method": taught.method, "kept": taught.kept, "n": len(items)}
    known = [i for i, name in enumerate(items.relation.named()) if name]
    vectors = {"taught": _vectors(network, items, view, device, report), "frozen": _vectors(frozen, items, view, device, report)}
    untaught = {*taught.held, *taught.more.get("measured", ())}
    own = str(items.source) == str(taught.record["source"]["path"])
    answer["taught_on"] = sum(name not in untaught for name in items.names) if own else 0
    if known and len({items.relation.named()[i] for i in known}) > 1:
        names = [items.relation.named()[i] for i in known]
        groups = None if group is None else [items.groups[i] for i in known]
        for key, values in vectors.items():
            found = evaluate(values[known], names, groups=groups, report=report)
            answer[key] = found.to_json([items.names[i] for i in known])
            if output is not None and key == "taught":
                answer["files"] = _files(output, found, answer[key], items, known, names, values[known], source, seed)
    if columns:
        answer["properties"] = foretold_scores(model, vectors["taught"], items)
    if not known and not columns:
        raise InputError("neither classes nor properties of these images are known; name a column (--label) or a table (--metadata)")
    return answer


def _vectors(backbone: Backbone, items: Items, view: Json, device: str, report: Report) -> npt.NDArray[np.float32]:
    network = Embedding(backbone.network, view["pooling"], backbone.width).to(device).eval()
    return embedded(network.raw, items.pictures, device, report, f"looking through {backbone.name}")


def foretold_scores(model: Path, vectors: npt.NDArray[np.float32], items: Items) -> Json:
    """By property: R² in the scale that it was learnt in, and the share of true values within their intervals."""
    from lithoscope.similarity.double import Double
    from lithoscope.similarity.properties import r_squared

    double = Double.open(model)
    scaled = double.properties.scaled(items.properties)
    said = double.scaled_properties(double.halves(vectors))
    found: Json = {}
    for i, name in enumerate(double.properties.names):
        known = np.isfinite(scaled[:, i])
        if known.any():
            within = np.abs(said[known, i] - scaled[known, i]) <= double.bounds[i]
            found[name] = {"r2": r_squared(scaled[:, i], said[:, i]), "within": float(within.mean()), "coverage": double.coverage,
                           "logarithm": double.properties.columns[i].logarithm, "n": int(known.sum())}  # fmt: skip
    return found


def _files(
    output: Path, found: Any, answer: Json, items: Items, known: list[int], names: list[str], vectors: Any, source: str, seed: int
) -> list[str]:  # fmt: skip
    from lithoscope.retrieval.evaluation_files import write_files
    from lithoscope.retrieval.images import images_in

    if is_library(source):
        raise InputError("tables and figures are made of folders of images; leave --output out")
    by_name = {image.name: image for image in images_in(Path(source))}
    return write_files(output, found, answer, [by_name[items.names[i]] for i in known], names, vectors, seed)
