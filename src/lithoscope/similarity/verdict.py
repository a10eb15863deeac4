"""What is said of a teaching's end: which state is kept, and which was passed over for what it did to classes that never taught."""

from typing import TYPE_CHECKING

from lithoscope.similarity.loop import CLASSES, Course
from lithoscope.similarity.scoring import Score

if TYPE_CHECKING:
    from lithoscope.training.progress import Standing


def kept(course: Course, standing: "Standing") -> Score:
    """The scores of the state that is kept: of the best one, or those from before."""
    if not standing.best:
        return course.before
    at = standing.curves["judged_at"].index(standing.best_step)
    whole = standing.curves.get(CLASSES)
    return Score(standing.curves["held_out"][at], None if whole is None else whole[at])


def verdict(course: Course, standing: "Standing", names: tuple[str, ...]) -> tuple[str, ...]:
    """One line where the frozen network is kept, or a state was passed over that found the held-out items' like better; `names` are the
    classes that were held out whole."""
    before, end = course.before, kept(course, standing)
    stays = f"that of step {standing.best_step} is kept" if standing.best else "the frozen network is kept"
    harm = _passed_over(course, standing, end)
    if harm is not None:
        better, classes, step = harm
        assert before.classes is not None
        called, change = ", ".join(names[:4]) + " …" * (len(names) > 4), f"{classes:.3f}, before {before.classes:.3f}"
        worse = before.classes - classes
        return (
            f"classes held out whole ({called}) found their like worse by {worse:.3f} at step {step} ({change}), more than the "
            f"{course.tolerance:g} let pass; held-out items of the others stood at {better:.3f}, before {before.items:.3f}: {stays}",
        )
    if not standing.best:
        return (f"what is held out found its like no better than before ({before.items:.3f}): the frozen network is kept",)
    return ()


def _passed_over(course: Course, standing: "Standing", end: Score) -> tuple[float, float, int] | None:
    """The state that was best for held-out items, where it was not kept for what it did to classes: both scores, and its step."""
    whole, before = standing.curves.get(CLASSES), course.before.classes
    if whole is None or before is None:
        return None
    steps = zip(standing.curves["held_out"], whole, standing.curves["judged_at"], strict=True)
    harmful = [
        (items, classes, int(step)) for items, classes, step in steps if Score(items, classes).lost(course.before) > course.tolerance
    ]
    best = max(harmful, key=lambda state: state[0], default=None)
    return best if best is not None and best[0] > end.items else None
