"""Everything that can be shown of one scan by one backbone: the one object that the docks and the command line ask."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lithoscope.errors import InputError
from lithoscope.explain import attention_maps, pca
from lithoscope.explain.attention import Seen, look
from lithoscope.explain.overlay import Overlay
from lithoscope.explain.plane_tokens import PlaneTokens
from lithoscope.explain.similarity import Likeness
from lithoscope.features.backbones import SHIPPED
from lithoscope.features.basis import Basis
from lithoscope.features.tokens import Tokens
from lithoscope.job import Report, silent
from lithoscope.volume.box import Triple

if TYPE_CHECKING:
    from pathlib import Path

    from lithoscope.explain.pca import Keep, TokenColours
    from lithoscope.features.backbones import Backbone
    from lithoscope.volume.scan import Scan


class Views:
    """What a backbone sees of a scan, or of one of its filtered images. The last window and plane asked for stay at hand."""

    def __init__(
        self,
        scan: "Scan",
        backbone: str = SHIPPED,
        *,
        tuned: "str | Path | None" = None,
        image: str | None = None,
        scale: float = 1.0,
        device: str = "cpu",
    ) -> None:
        check_torch()
        self.scan, self.image, self.scale = scan, image, scale
        self.source = PlaneTokens(scan, Tokens(backbone, scale=scale, device=device), image)
        self._tuned, self._device = tuned, device
        self._colours: dict[str, TokenColours] = {}
        self._seen: tuple[tuple[Any, ...], Seen] | None = None
        self._likeness: tuple[tuple[int, int], Likeness] | None = None

    @property
    def backbone(self) -> "Backbone":
        """The network."""
        return self.source.tokens.opened

    @property
    def has_tuned(self) -> bool:
        """Whether a fine-tuned network is named."""
        return self._tuned is not None

    @cached_property
    def tuned(self) -> PlaneTokens:
        """Tokens of the fine-tuned network, in the frozen one's basis, so that their colours can be compared."""
        if self._tuned is None:
            raise InputError("no fine-tuned network is named; give one: --tuned FOLDER")
        first = self.source.tokens
        basis = first.used
        if basis is None:
            width = first.width
            fitted = pca.colours_for(self.source).basis
            basis = Basis(fitted.mean, fitted.components, fitted.spread, fitted.explained)
            if basis.mean.size != width:
                raise InputError("the basis is of another network; fit one anew")
        tokens = Tokens(str(self._tuned), scale=self.scale, device=self._device, basis=basis)
        if tokens.opened.width != self.backbone.width or tokens.opened.patch != self.backbone.patch:
            raise InputError(f"{self._tuned} is not a fine-tuned {self.backbone.name}: its tokens are of another size")
        return PlaneTokens(self.scan, tokens, self.image)

    def colours(self, wish: str = "backbone", report: Report = silent) -> "TokenColours":
        """The colours in use; see `pca.colours_for`."""
        if wish not in self._colours:
            self._colours[wish] = pca.colours_for(self.source, wish, report)
        return self._colours[wish]

    def pca(
        self,
        axis: int,
        index: int,
        *,
        basis: str = "backbone",
        foreground: float | None = None,
        keep: "Keep" = "above",
        report: Report = silent,
    ) -> Overlay:
        """Tokens as colours over a plane."""
        return self._told(pca.overlay(self.source, self.colours(basis, report), axis, index, foreground=foreground, keep=keep))

    def pca_tuned(self, axis: int, index: int, *, foreground: float | None = None, keep: "Keep" = "above") -> Overlay:
        """The fine-tuned network's tokens in the colours of the frozen one."""
        own = self.tuned.tokens.used
        colours = pca.colours_for(self.tuned) if own is not None and own.kept >= 3 else self.colours()
        made = pca.overlay(self.tuned, colours, axis, index, foreground=foreground, keep=keep)
        made = self._told(made, self.tuned.tokens.opened)
        return replace(made, title=f"{made.title}, fine-tuned", about={**made.about, "tuned": True})

    def seen(self, axis: int, at: Triple, *, pixels: int | None = None, check: Callable[[], None] = lambda: None) -> Seen:
        """The window around a voxel as the network saw it; the same one again while it holds the voxel."""
        key = (axis, at[axis], pixels)
        if self._seen is None or self._seen[0] != key or not self._seen[1].holds(at):
            made = look(self.scan, self.backbone, axis, at, image=self.image, pixels=pixels, scale=self.scale, check=check)
            self._seen = (key, made)
        return self._seen[1]

    def attention(
        self,
        axis: int,
        at: Triple,
        *,
        follow: bool = False,
        block: int = -1,
        head: int | None = None,
        mass: float = attention_maps.MASS,
        pixels: int | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Overlay:
        """Attention in the window around a voxel, from the class token, or with `follow` from the token that holds the voxel."""
        seen = self.seen(axis, at, pixels=pixels, check=check)
        return self._told(attention_maps.attention(seen, block=block, head=head, at=at if follow else None, mass=mass))

    def rollout(
        self,
        axis: int,
        at: Triple,
        *,
        follow: bool = False,
        mass: float = attention_maps.MASS,
        pixels: int | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Overlay:
        """Attention rollout in the window around a voxel."""
        seen = self.seen(axis, at, pixels=pixels, check=check)
        return self._told(attention_maps.rollout(seen, at=at if follow else None, mass=mass, check=check))

    def whole(self, kind: str, axis: int, index: int, *, pixels: int | None = None, report: Report = silent, **how: Any) -> Overlay:
        """Attention or rollout over a whole plane, averaged over windows."""
        made = attention_maps.whole_plane(
            self.scan, self.backbone, axis, index, kind=kind, image=self.image, pixels=pixels, scale=self.scale, report=report, **how
        )
        return self._told(made)

    def likeness(self, axis: int, index: int) -> Likeness:
        """The tokens of a plane, ready to be compared."""
        if self._likeness is None or self._likeness[0] != (axis, index):
            self._likeness = ((axis, index), Likeness(self.source, axis, index))
        return self._likeness[1]

    def similarity(self, axis: int, at: Triple) -> Overlay:
        """Likeness to the token that holds a voxel, over its plane."""
        return self._told(self.likeness(axis, at[axis]).overlay(at))

    def _told(self, made: Overlay, backbone: "Backbone | None" = None) -> Overlay:
        """An overlay that says which network it is of."""
        of = backbone or self.backbone
        return replace(made, about={**made.about, "backbone": of.name, "weights": of.sha256})


def check_torch() -> None:
    """Say what is missing where there is no torch."""
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise InputError("a backbone needs torch, which is not installed: pip install 'lithoscope[networks]'")
