"""The commands about places that look alike: judging features, the library of patches, and searching it."""

from collections.abc import Sequence
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


def library_add(
    library: str,
    scans: Sequence[str],
    *,
    backbone: str | None = None,
    metadata: str | None = None,
    patch: int | None = None,
    stride: int | None = None,
    patch_um: float | None = None,
    scales: Sequence[float] | None = None,
    planes: str | None = None,
    poolings: str | None = None,
    magnify: float | None = None,
    device: str = "auto",
    report: Report = silent,
) -> Json:
    """Put scans and image folders into a library, which is made if there is none; a run that was cancelled goes on where it was."""
    from lithoscope.cli.commands.backbones import device_of
    from lithoscope.retrieval.adding import add
    from lithoscope.retrieval.metadata import read_csv
    from lithoscope.retrieval.store import needed

    needed()
    return add(
        library,
        [Path(scan) for scan in scans],
        backbone=backbone,
        metadata=None if metadata is None else read_csv(Path(metadata)),
        device=device_of(device),
        report=report,
        patch=patch,
        stride=stride,
        patch_um=patch_um,
        scales=None if scales is None else tuple(float(s) for s in scales),
        planes=None if planes is None else _listed(planes, "z,y,x"),
        poolings=None if poolings is None else _listed(poolings, "mean,class"),
        magnify=magnify,
    )


def _listed(text: str, all_of: str) -> tuple[str, ...]:
    return tuple((all_of if text == "all" else text).replace(" ", "").split(","))


def library_remove(library: str, scans: Sequence[str], *, unfinished: bool = False, report: Report = silent) -> Json:
    """Take scans out of a library, or what an unfinished embedding left."""
    from lithoscope.retrieval.adding import remove

    return remove(library, scans, report, unfinished=unfinished)


def library_embed(library: str, *, backbone: str | None = None, device: str = "auto", report: Report = silent) -> Json:
    """Make all vectors of a library anew, with another backbone."""
    from lithoscope.cli.commands.backbones import device_of
    from lithoscope.retrieval.adding import embed

    return embed(library, backbone=backbone, device=device_of(device), report=report)


def library_list(library: str, *, report: Report = silent) -> Json:
    """What a library holds, and how it was made."""
    from dataclasses import asdict

    from lithoscope.retrieval.library import Library

    found = Library.open(library)
    scans = [{**asdict(held), "present": held.present} for held in found.scans()]
    begun, half = found.unfinished, None
    if begun is not None:
        table = found.tables.find(begun.table)
        rows = 0 if table is None else table.count_rows()
        half = {"since": begun.since, "rows": rows, "backbone": None if begun.recipe is None else begun.recipe.backbone}
    return {
        "library": found.uri,
        "rows": found.patches.count_rows(),
        "recipe": found.recipe.to_json(),
        "metadata": found.kinds,
        "calibration": found.calibration.to_json(),
        "scans": scans,
        "unfinished": half,
    }


def library_index(
    library: str, *, kind: str = "hnsw", settings: dict[str, str] | None = None, queries: int = 100, report: Report = silent
) -> Json:
    """Make an approximate index of a library, and tell its recall, times and size beside the exact search."""
    from dataclasses import asdict, fields

    from lithoscope.errors import InputError
    from lithoscope.retrieval.index import IndexSettings, build_for
    from lithoscope.retrieval.library import Library
    from lithoscope.retrieval.memory import Memory

    known = [f.name for f in fields(IndexSettings)]
    given: dict[str, int] = {}
    for key, value in (settings or {}).items():
        if key not in known or not value.isdigit():
            raise InputError(f"--set {key}={value} is not a whole number of one of {', '.join(known)}")
        given[key] = int(value)
    opened = Library.open(library)
    with opened.writing():
        told = build_for(Memory.load(opened, report), kind, IndexSettings(**given), queries=queries, report=report)
    return {"library": opened.uri, **asdict(told)}


def library_export(library: str, output: str, *, overwrite: bool = False, report: Report = silent) -> Json:
    """Write the embeddings of a library to Parquet or CSV."""
    from lithoscope.retrieval.library import Library
    from lithoscope.retrieval.tables import export

    rows = export(Library.open(library), Path(output), overwrite=overwrite, report=report)
    return {"library": library, "output": output, "rows": rows}


def search(
    library: str,
    *,
    scan: str,
    box: str | None = None,
    k: int = 10,
    where: str | None = None,
    vote: str | None = None,
    index: str = "exact",
    backbone: str | None = None,
    output: str | None = None,
    overwrite: bool = False,
    device: str = "auto",
    report: Report = silent,
) -> Json:
    """The places of a library that are most like a box of a scan, or like an image."""
    from lithoscope.cli.commands.backbones import device_of
    from lithoscope.errors import InputError
    from lithoscope.retrieval.asking import asked_box, embedder_for
    from lithoscope.retrieval.groups import vote as voted
    from lithoscope.retrieval.library import Library
    from lithoscope.retrieval.memory import Memory
    from lithoscope.retrieval.search import Query
    from lithoscope.retrieval.search import search as find
    from lithoscope.retrieval.sources import source_at
    from lithoscope.retrieval.tables import hits_csv, hits_sheet
    from lithoscope.similarity.query import CANDIDATES, by_gate, double_of

    if k < 1:
        raise InputError(f"{k} places were asked for; ask for one or more")
    if output is not None and Path(output).suffix.lower() not in (".csv", ".png"):
        raise InputError(f"{output} ends in neither .csv nor .png; name one of these")
    if output is not None and Path(output).exists() and not overwrite:
        raise TakenError(f"{output} exists already; choose another name, or say --overwrite")
    opened = Library.open(library)
    source = source_at(Path(scan))
    place = asked_box(source, box)
    embedder = embedder_for(opened, backbone, device_of(device))
    memory = Memory.load(opened, report)
    query = Query({s: embedder.query(source, place, s) for s in opened.recipe.scales}, source.uuid, place)
    chosen = None
    if index != "exact":
        from lithoscope.retrieval.index import index_of

        chosen = index_of(memory, index, report)
    double = double_of(memory)
    wanted = k if double is None else max(k, CANDIDATES)
    found = find(memory, query, wanted, rows=memory.where(where) if where else None, index=chosen)
    if double is not None:
        scale = min(opened.recipe.scales, key=lambda s: abs(s - 1))
        found = by_gate(memory, found, dict(query.vectors[scale]), k, double)
    answer: Json = {
        "library": opened.uri,
        "scan": str(source.path),
        "box": place.to_json(),
        "similar": found.similar,
        "hits": [hit.to_json() for hit in found.hits],
        "notes": list(found.notes),
    }
    if vote is not None:
        said = voted(found.hits, vote)
        answer["vote"] = None if said is None else {"column": vote, "value": said.value, "share": said.share, "voters": said.voters}
    if output is not None:
        if Path(output).suffix.lower() == ".csv":
            hits_csv(found.hits, Path(output))
        else:
            hits_sheet(found.hits, f"{source.name} {place}").save(output)
        answer["output"] = output
    return answer
