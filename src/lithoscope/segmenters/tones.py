"""The setting of how strongly taught networks see grey values vary, and how strongly they saw it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lithoscope.parameters import parameter

if TYPE_CHECKING:
    from lithoscope.training.augment import Augmentation


def toning_setting() -> Any:
    """The field of a method whose networks are taught by the shared loop."""
    return parameter(
        None, "How strongly brightness, contrast and gamma vary while it learns, 1 as usual; left open: 1, or less where classes that only "
        "grey tells apart lie near each other.", minimum=0, maximum=2, step=0.1, level="advanced",
    )  # fmt: skip


_TOLD = "toning="


@dataclass(frozen=True, slots=True)
class Tones:
    """The strength of toning, 1 being the usual, and the names of two classes that are too near in grey for more, if any are."""

    strength: float = 1.0
    near: tuple[str, ...] = ()

    @property
    def augmentation(self) -> "Augmentation":
        """The usual one, toned so strongly."""
        from lithoscope.training.augment import Augmentation

        return Augmentation().toned_by(self.strength)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Why it is weaker than usual, in words."""
        if not self.near:
            return ()
        one, other = self.near
        return (f"{_TOLD}{self.strength:g}: stronger changes of brightness would hide how {one} and {other} differ in grey",)


def without_tones(remarks: tuple[str, ...]) -> tuple[str, ...]:
    """All but the remarks on toning."""
    return tuple(words for words in remarks if not words.startswith(_TOLD))
