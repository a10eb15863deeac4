"""What a search is asked with: the box, checked, and the backbone, which must be the library's own."""

from lithoscope.errors import InputError, MissingError
from lithoscope.retrieval.adding import opened
from lithoscope.retrieval.embed import Embedder
from lithoscope.retrieval.library import Library
from lithoscope.retrieval.sources import Source
from lithoscope.volume.box import Box


def asked_box(source: Source, text: str | None) -> Box:
    """The box written z0:z1,y0:y1,x0:x1, within the scan; without one, the whole of an image."""
    if text is not None:
        return Box.parse(text, source.shape)
    if source.flat and source.shape[0] == 1:
        return Box.whole(source.shape)
    raise InputError(f"{source.name} is a volume; say which place of it is meant: --box z0:z1,y0:y1,x0:x1")


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
