"""The words for the library of patches and for searching it; what they do is in `commands`."""

from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from lithoscope.cli.app.root import COMMON, Common, Many, app, run, settings
from lithoscope.cli.console import size, table

Json = dict[str, Any]
Kind = Literal["exact", "hnsw", "ivfpq", "hyperplane", "crosspolytope"]

library = App(
    name="library", help="Fill, change, list and export libraries of patches to be searched.", default_parameter=Parameter(negative=())
)
app.command(library)


@library.command
def add(
    library: str,
    /,
    *scans: str,
    backbone: str | None = None,
    metadata: str | None = None,
    patch: int | None = None,
    stride: int | None = None,
    patch_um: float | None = None,
    scales: Annotated[list[float] | None, Parameter(consume_multiple=True)] = None,
    planes: str | None = None,
    poolings: str | None = None,
    magnify: float | None = None,
    device: str = "auto",
    common: Common = COMMON,
) -> None:
    """Put scans and folders of images into a library, which is made if there is none. A run that was cancelled goes on where it was.

    Parameters
    ----------
    library
        A folder, or a place in an object store (s3://, gs://, az://).
    scans
        Scans, folders of images, or images.
    backbone
        The network that sees patches: a name, folder or file; it stays with the library.
    metadata
        A table (CSV) of what is known of the scans; columns become filters.
    patch
        Edge of a patch in voxels, 32 unless told; 0 for whole images. The settings from here on count when the library is made.
    stride
        How far apart patches begin, 16 unless told.
    patch_um
        Edge of a patch in µm, so that scans of other voxel size compare.
    scales
        Also patches so many times as large, such as 1 2 4.
    planes
        Across which axes patches are seen: z,y,x or some of them.
    poolings
        What is kept of a patch: mean of its tokens, class token, or mean,class.
    magnify
        How far patches are enlarged before the network sees them, 2 unless told.
    device
        auto, cpu, cuda or mps.
    """
    given = {k: v for k, v in locals().items() if k not in ("common", "scans")}
    run("library_add", _added, common, "library add", scans=list(scans), **given)


def _added(answer: Json) -> str:
    rows = [("scan", "patches", "new"), *((s["name"], str(s["rows"]), str(s["added"])) for s in answer["scans"])]
    return "\n".join([table(rows), f"{answer['library']} holds {answer['rows']} patches", *answer["notes"]])


@library.command
def remove(library: str, /, *scans: str, unfinished: bool = False, common: Common = COMMON) -> None:
    """Take scans out of a library, also such as are deleted, or what an embedding left that was never ended.

    Parameters
    ----------
    library
        The library.
    scans
        Names, paths or uuids.
    unfinished
        Take out the vectors of an embedding that was cancelled or killed and is not to be gone on with.
    """
    run("library_remove", _removed, common, "library remove", library=library, scans=list(scans), unfinished=unfinished)


def _removed(answer: Json) -> str:
    taken = [*answer["removed"], *(["the unfinished embedding"] if answer["unfinished"] else [])]
    return f"{', '.join(taken)} taken out; {answer['library']} holds {answer['rows']} patches"


@library.command
def embed(library: str, /, *, backbone: str | None = None, device: str = "auto", common: Common = COMMON) -> None:
    """Make all vectors of a library anew, with another backbone. Until they are all made the library is searched by the old ones.

    Parameters
    ----------
    library
        The library; its scans must still be where they were.
    backbone
        A name, folder or file; without, the backbone that the library has.
    device
        auto, cpu, cuda or mps.
    """
    run("library_embed", _embedded, common, "library embed", library=library, backbone=backbone, device=device)


def _embedded(answer: Json) -> str:
    return f"{answer['rows']} patches of {answer['library']} are seen by {answer['backbone']} ({answer['sha256'][:8]})"


@library.command(name="list")
def list_(library: str, /, *, common: Common = COMMON) -> None:
    """List the scans of a library, and how it was made.

    Parameters
    ----------
    library
        The library.
    """
    run("library_list", _listed, common, library=library)


def _listed(answer: Json) -> str:
    recipe = answer["recipe"]
    size = f"{recipe['patch_um']:g} µm" if recipe["patch_um"] else f"{recipe['patch']} voxels" if recipe["patch"] else "whole images"
    head = [
        ("patches", f"{answer['rows']} of {size}, stride {recipe['stride']}"),
        ("backbone", f"{recipe['backbone']} ({recipe['sha256'][:8]})"),
        ("columns", ", ".join(f"{name} ({kind})" for name, kind in answer["metadata"].items()) or "none"),
    ]
    rows = [("scan", "patches", "where"), *((s["name"], str(s["rows"]) if s["done"] else "unfinished", _where(s)) for s in answer["scans"])]
    return "\n".join([table([*head, *_unfinished(answer)]), "", table(rows)])


def _unfinished(answer: Json) -> list[tuple[str, str]]:
    half, place = answer["unfinished"], answer["library"]
    if half is None:
        return []
    by = f" --backbone {half['backbone'] or 'THE_ONE_IT_WAS_BEGUN_WITH'}"
    told = f"an embedding{' of ' * bool(half['since'])}{half['since'][:10]}, {half['rows']} patches so far"
    ways = f"go on: lithoscope library embed {place}{by}; or take it out: lithoscope library remove {place} --unfinished"
    return [("unfinished", f"{told}; {ways}")]


def _where(scan: Json) -> str:
    return scan["path"] if scan["present"] else f"{scan['path']} (gone)"


@library.command
def index(library: str, /, *, kind: Kind = "hnsw", set: Many = None, queries: int = 100, common: Common = COMMON) -> None:
    """Make an approximate index of a library, for millions of patches, and tell its recall, times and size.

    Parameters
    ----------
    library
        The library.
    kind
        hnsw and ivfpq by FAISS; hyperplane and crosspolytope are locality-sensitive hashing; exact tells what they are compared with.
    set
        Settings, such as ef=200 (hnsw), visited=64 (ivfpq), recall=95 (hashing; as published: bits=20 probes=200).
    queries
        How many searches the recall and the time are measured by.
    """
    run("library_index", _indexed, common, "library index", library=library, kind=kind, settings=settings(set or []), queries=queries)


def _indexed(answer: Json) -> str:
    rows = [("index", f"{answer['kind']} of {answer['rows']} patches"), ("recall@10", f"{answer['recall']:.4f}")]
    rows += [("built in", f"{answer['build_seconds']:.2f} s"), ("query", f"{answer['query_ms']:.3f} ms; exact {answer['exact_ms']:.3f} ms")]
    return table([*rows, ("size", size(answer["bytes"]))])


@library.command
def export(library: str, output: str, /, *, overwrite: bool = False, common: Common = COMMON) -> None:
    """Write the vectors of all patches, with places and metadata, to a table.

    Parameters
    ----------
    library
        The library.
    output
        A file that ends in .parquet or .csv.
    overwrite
        Replace it if it is there.
    """
    run("library_export", _exported, common, "library export", library=library, output=output, overwrite=overwrite)


def _exported(answer: Json) -> str:
    return f"{answer['rows']} patches written to {answer['output']}"


@app.command
def search(
    library: str,
    /,
    *,
    scan: str,
    box: str | None = None,
    k: Annotated[int, Parameter(name=["-k"])] = 10,
    where: str | None = None,
    vote: str | None = None,
    index: Kind = "exact",
    backbone: str | None = None,
    output: str | None = None,
    overwrite: bool = False,
    device: str = "auto",
    common: Common = COMMON,
) -> None:
    """Find the places of a library that are most like a box of a scan, or like an image. The box itself is never found.

    Parameters
    ----------
    library
        The library.
    scan
        The scan or image that holds what is looked for; it need not be in the library.
    box
        The place: z0:z1,y0:y1,x0:x1.
    k
        How many places.
    where
        Only among patches for which this holds, such as "porosity > 0.2 AND lithology = 'sand'".
    vote
        Also say which value of this column the neighbours vote for; "scan" votes on the scan.
    index
        Search by this index, made before; filters are always exact.
    backbone
        Must be the library's own; refused otherwise.
    output
        Also write the hits to a table (.csv) or a contact sheet (.png).
    overwrite
        Replace that file if it is there.
    device
        auto, cpu, cuda or mps.
    """
    given = {key: value for key, value in locals().items() if key != "common"}
    run("search", _found, common, **given)


def _found(answer: Json) -> str:
    rows = [("score", "similarity", "scan", "box", "")]
    for hit in answer["hits"]:
        place = ",".join(f"{a}:{b}" for a, b in hit["box"])
        told = ", ".join(f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in hit["metadata"].items() if v is not None)
        rows.append((f"{hit['score']:.3f}", f"{hit['similarity']:.3f}", hit["name"] + ("" if hit["present"] else " (gone)"), place, told))
    said = answer.get("vote")
    voted = [f"{said['column']}: {said['value']}, by {said['share']:.0%} of {said['voters']} votes"] if said else []
    return "\n".join([table(rows), *voted, *answer["notes"], *([f"written to {answer['output']}"] if "output" in answer else [])])
