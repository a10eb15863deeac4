"""What the person wishes to see of the scan: one frozen value that the options make and that the work in the background answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lithoscope.volume.box import Triple

if TYPE_CHECKING:
    from lithoscope.explain.overlay import Overlay
    from lithoscope.explain.views import Views
    from lithoscope.volume.scan import Scan

Kind = Literal["", "pca", "attention", "rollout", "similarity", "certainty", "disagreement"]

KINDS: tuple[tuple[Kind, str], ...] = (
    ("", "nothing"),
    ("pca", "tokens as colours"),
    ("attention", "attention"),
    ("rollout", "attention rollout"),
    ("similarity", "what is like this place"),
    ("certainty", "certainty of a result"),
    ("disagreement", "where results disagree"),
)
POINTED: tuple[Kind, ...] = ("attention", "rollout", "similarity")
"""Kinds that ask about a place."""
NETWORK: tuple[Kind, ...] = ("pca", *POINTED)


@dataclass(frozen=True)
class Wish:
    """A kind and its settings. `follow` asks about the token at the place instead of the class token."""

    kind: Kind = ""
    backbone: str = ""
    tuned: str = ""
    basis: str = "backbone"
    foreground: float | None = None
    below: bool = False
    block: int = -1
    head: int | None = None
    follow: bool = True
    whole: bool = False
    mass: float = 0.5
    window: int | None = None
    results: tuple[str, ...] = ()

    def missing(self) -> str:
        """What must be chosen first, or nothing."""
        if self.kind == "certainty" and not self.results:
            return "run a method first: certainty is of a result"
        if self.kind == "disagreement" and len(self.results) < 2:
            return "choose at least two results"
        return ""

    @property
    def pointed(self) -> bool:
        """Whether the answer changes with the place on the plane."""
        return self.kind in POINTED and not (self.kind != "similarity" and self.whole)


def answer(wish: Wish, scan: "Scan", views: "Views | None", axis: int, at: Triple, check: Callable[[], None]) -> "list[Overlay]":
    """The overlays that answer a wish: one, or of fine-tuned tokens two. Slow where tokens are not kept yet."""
    from lithoscope.explain.certainty import certainty, disagreement

    if wish.kind == "certainty":
        return [certainty(scan, wish.results[0], axis, at[axis], check)]
    if wish.kind == "disagreement":
        return [disagreement(scan, wish.results, axis, at[axis], check)]
    assert views is not None
    if wish.kind == "pca":
        keep: Literal["above", "below"] = "below" if wish.below else "above"
        made = [views.pca(axis, at[axis], basis=wish.basis, foreground=wish.foreground, keep=keep, report=lambda _: check())]
        if views.has_tuned:
            made.append(views.pca_tuned(axis, at[axis], foreground=wish.foreground, keep=keep))
        return made
    if wish.kind == "similarity":
        return [views.similarity(axis, at)]
    if wish.whole:
        more = {} if wish.kind == "rollout" else {"block": wish.block, "head": wish.head}
        return [views.whole(wish.kind, axis, at[axis], pixels=wish.window, report=lambda _: check(), mass=wish.mass, **more)]
    if wish.kind == "rollout":
        return [views.rollout(axis, at, follow=wish.follow, mass=wish.mass, pixels=wish.window, check=check)]
    return [
        views.attention(
            axis, at, follow=wish.follow, block=wish.block, head=wish.head, mass=wish.mass, pixels=wish.window, check=check
        )
    ]  # fmt: skip
