"""What is said of a teaching's end: which state is kept, and what is known of classes that did not teach."""

from typing import TYPE_CHECKING

from lithoscope.similarity.loop import Course
from lithoscope.similarity.scoring import Score

if TYPE_CHECKING:
    from lithoscope.training.progress import Standing

_SHOWN = 4


def kept(course: Course, standing: "Standing") -> Score:
    """The scores of the state that is kept: of the best one, or those from before."""
    if not standing.best:
        return course.first
    at = standing.curves["judged_at"].index(standing.best_step)
    return course.scored(Score(standing.curves["held_out"][at]), standing.best_step)


def verdict(course: Course, standing: "Standing") -> tuple[str, ...]:
    """One line where the frozen network is kept, or a state was passed over that found the held-out items' like better; and one on what
    teaching did to classes that were left out of it."""
    end = kept(course, standing)
    stays = f"that of step {standing.best_step} is kept" if standing.best else "the frozen network is kept"
    harm = _passed_over(course, standing, end)
    first, said = course.first, []
    if harm is not None and course.fared is not None:
        items, step = harm
        there, change, error = course.fared.change(step, started=course.started)
        said += [
            f"after step {step} classes that did not teach may find their like worse ({change:+.3f} ± {error:.3f} from {there:.3f}) than "
            f"the {course.tolerance:g} let pass; held-out items stood at {items:.3f}, before {first.items:.3f}: {stays}"
        ]
    elif not standing.best:
        said += [f"what is held out found its like no better than before ({first.items:.3f}): the frozen network is kept"]
    return (*said, *_of_others(course, end, bool(standing.best)))


def _of_others(course: Course, end: Score, taught: bool) -> tuple[str, ...]:
    """What is known of classes that did not teach."""
    fared, first = course.fared, course.first
    if not taught:
        return ()
    if fared is None or end.classes is None or first.classes is None:
        return ("what it does to classes that did not teach is not known; look at some with similarity evaluate",)
    names = ", ".join(fared.classes[:_SHOWN]) + " …" * (len(fared.classes) > _SHOWN)
    return (
        f"classes left out of the teaching in turn ({names}) find their like among themselves at {end.classes:.3f}, before "
        f"{first.classes:.3f}: {end.classes - first.classes:+.3f} ± {end.error:.3f}",
    )


def _passed_over(course: Course, standing: "Standing", end: Score) -> tuple[float, int] | None:
    """The state that was best for held-out items, where it was not kept for what it may do to classes: its score and step."""
    judged = zip(standing.curves["held_out"], standing.curves["judged_at"], strict=True)
    harmful = [(items, int(step)) for items, step in judged if course.harmful(int(step))]
    best = max(harmful, key=lambda state: state[0], default=None)
    return best if best is not None and best[0] > end.items else None
