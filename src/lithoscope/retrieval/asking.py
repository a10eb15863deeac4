"""What a search is asked with: the box, checked, and the backbone, which must be the library's own."""

import numpy as np

from lithoscope.errors import InputError, MissingError
from lithoscope.retrieval.adding import opened
from lithoscope.retrieval.embed import Embedder
from lithoscope.retrieval.library import Library
from lithoscope.retrieval.memory import Memory
from lithoscope.retrieval.sources import Source
from lithoscope.retrieval.vectors import Floats
from lithoscope.volume.box import Box


def asked_box(source: Source, text: str | None) -> Box:
    """The box written z0:z1,y0:y1,x0:x1, within the scan; without one, the whole of an image."""
    if text is not None:
        return Box.parse(text, source.shape)
    if source.flat and source.shape[0] == 1:
        return Box.whole(source.shape)
    raise InputError(f"{source.name} is a volume; say which place of it is meant: --box z0:z1,y0:y1,x0:x1")


def stored_query(memory: Memory, scan: str, box: Box) -> dict[float, dict[str, Floats]] | None:
    """A prepared query made of the patches that the library has of a box already, each by how much of it lies there; None if it has none.

    It takes no network, and so is there at once; `Embedder.query` sees the box itself.
    """
    if scan not in memory.uuids:
        return None
    own = np.flatnonzero(memory.scan == memory.uuids.index(scan))
    low, high = np.asarray(box.start), np.asarray(box.stop)
    common = np.minimum(memory.boxes[own, 1], high) - np.maximum(memory.boxes[own, 0], low)
    shared = np.prod(np.maximum(common, 0), axis=1, dtype=np.float64)
    found: dict[float, dict[str, Floats]] = {}
    for scale in memory.library.recipe.scales:
        here = (memory.scale[own] == np.float32(scale)) & (shared > 0)
        if not here.any():
            continue
        rows, weights = own[here], (shared[here] / shared[here].max()) ** 4  # nearly those alone that lie in the box as a whole
        vectors = {c: (weights.astype(np.float32) @ v[rows]) for c, v in memory.vectors.items()}
        found[scale] = {c: (v / max(float(np.linalg.norm(v)), 1e-12)).astype(np.float32) for c, v in vectors.items()}
    return found or None


def embedder_for(library: Library, backbone: str | None, device: str) -> Embedder:
    """The backbone of a library, opened; another is refused."""
    try:
        found = opened(backbone or library.recipe.backbone, device)
    except MissingError as error:
        if backbone is not None:
            raise
        raise MissingError(
            f"{library.name} was made with the backbone {library.recipe.backbone}, which is not here ({error}); bring it back, or make the "
            f"vectors anew: lithoscope library embed {library.uri} --backbone NAME"
        ) from None
    library.check_backbone(found.name, found.sha256)
    return Embedder(library.recipe, found, device)
