"""The words for showing what the network sees; what it does is in `explaining`."""

from typing import Annotated, Any, Literal

from cyclopts import Parameter

from lithoscope.cli.app.root import COMMON, Common, app, run
from lithoscope.cli.console import table

Json = dict[str, Any]
Each = Annotated[list[str] | None, Parameter(consume_multiple=False)]
"""Given once for each, so that the file to write can follow."""


@app.command
def explain(
    *words: str,
    kind: Literal["pca", "attention", "rollout", "similarity", "certainty", "disagreement", "embedding"],
    backbone: str = "lithoscope-tiny",
    tuned: str | None = None,
    result: Each = None,
    plane: str | None = None,
    token: str | None = None,
    block: int | None = None,
    head: int | None = None,
    window: int | None = None,
    mass: float = 0.5,
    whole: bool = False,
    basis: str = "backbone",
    foreground: Annotated[float | None, Parameter(allow_leading_hyphen=True)] = None,
    below: bool = False,
    method: Literal["pca", "tsne"] = "tsne",
    count: int = 3000,
    samples: bool = False,
    color: str | None = None,
    metadata: str | None = None,
    perplexity: float = 30.0,
    scale: float = 1.0,
    image: str | None = None,
    device: str = "auto",
    seed: int = 0,
    overwrite: bool = False,
    common: Common = COMMON,
) -> None:
    """Show what the network sees: a figure with scale bar and colour key, an overlay at token resolution, or a table.

    Parameters
    ----------
    words
        The scan (of --kind embedding any number), and last what to write: .png, .svg, .zarr or .csv.
    kind
        pca: tokens as colours; attention and rollout: where the network looks; similarity: how like a token all others are;
        certainty: how sure a result is; disagreement: where results differ; embedding: a map of patches.
    backbone
        The network: a name that lithoscope backbones lists, a folder or a file.
    tuned
        With pca: a fine-tuned copy of it (the folder of a backbone or model), drawn beside it in the same colours.
    result
        The result whose certainty is shown, or that colours a map; given again for each more, where they disagree.
    plane
        The plane, such as z=100; the middle one across z if not given.
    token
        A voxel z,y,x of the token that is asked about; without, attention is the class token's.
    block
        The block of the network, counted from 1; the last if not given.
    head
        The head, counted from 1; the mean of all if not given.
    window
        Pixels along a side of the window that the network sees at once.
    mass
        Outline the smallest set of patches that holds this part of the attention; 0 or 1 for none.
    whole
        The whole plane, averaged over overlapping windows; with similarity the whole scan, written as .zarr.
    basis
        Colours of the backbone (the same for every scan), of this scan, or of a folder with a basis fitted before.
    foreground
        With pca: show only tokens whose first component is above this many standard deviations.
    below
        Below instead of above.
    method
        How a map is made: tsne keeps neighbours, pca keeps distances.
    count
        Patches of a map.
    samples
        Squares of 12 by 12 tokens taken together, instead of single patches.
    color
        What colours a map: class, scan, or a column of the metadata.
    metadata
        A CSV with a column named scan and others to colour by.
    perplexity
        About how many neighbours t-SNE keeps together.
    scale
        How far planes are enlarged first.
    image
        Look at this filtered image of the scan.
    device
        auto, cpu, cuda or mps.
    seed
        Equal seeds draw equal patches.
    overwrite
        Replace what is there already.
    """
    from lithoscope.errors import InputError

    if len(words) < 2:
        raise InputError("name the scan and what to write: lithoscope explain SCAN --kind pca OUT.png")
    *scans, out = words
    given = {k: v for k, v in locals().items() if k not in ("common", "words", "InputError", "scans", "out")}
    run("explain", _told, common, f"explain {kind}", scans=scans, out=out, **given)


def _told(answer: Json) -> str:
    rows = [("written", answer["output"]), ("shows", answer["title"])]
    rows += [("note", note) for note in answer["notes"]]
    return table([*rows, *(("kept", path) for path in answer["kept"])])
