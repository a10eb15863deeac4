"""The loop that teaches similarity: seeded step by step, judged on held-out groups, ended early, and taken up where it was left."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Generator, Tensor, nn

from lithoscope.errors import InputError, UnreadableError
from lithoscope.job import Progress, Report, silent
from lithoscope.similarity.leaving_out import Fared
from lithoscope.similarity.scoring import Score, spread
from lithoscope.training import progress, stopping
from lithoscope.training.devices import guarded
from lithoscope.training.loop import Plan
from lithoscope.training.progress import Standing

Json = dict[str, Any]
CLASSES = "left_out_classes"


class Step(Protocol):
    """The loss of one batch, drawn by the generator."""

    def __call__(self, step: int, generator: Generator) -> Tensor: ...


@dataclass(frozen=True)
class Course:
    """What is done: `module` learns by `loss`, and `judge` scores it in evaluation mode; `before` is what it scored untaught. `fared` is
    how classes did that were left out of the same teaching: no state is kept after so many steps that they may have fared worse by more
    than `tolerance` than untaught, or, if it is more, than as it began. `turns` is how items did that teach, each left out once: they
    count with those that are held out, in `before`, too; as it began, where no more is known.

    `about` says what is taught; `classes` and `what` are told when another such training lies in the folder. `started`: it begins
    otherwise than untaught, and is judged before the first step, too.
    """

    module: nn.Module
    loss: Step
    judge: Callable[[], Score]
    before: Score
    plan: Plan
    about: Json
    what: str = "held out"
    started: bool = False
    tolerance: float = 0.0
    fared: Fared | None = None
    turns: Fared | None = None

    @property
    def first(self) -> Score:
        """The scores before it is taught, of left-out classes, too."""
        return self.before if self.fared is None else Score(self.before.items, self.fared.untaught).rounded()

    def scored(self, score: Score, step: int) -> Score:
        """The scores of a state, of what was left out as after so many steps."""
        if self.turns is not None:
            score = score.beside(self.turns.state(step))
        if self.fared is None:
            return score.rounded()
        classes, error = self.fared.at(step)
        return score._replace(classes=classes, error=error).rounded()

    def harmful(self, step: int) -> bool:
        """Whether left-out classes fare worse after so many steps than may be. Where steps were taken they are to be told apart from
        harmful ones: a standard error is added, since in the end steps do harm."""
        if self.fared is None:
            return False
        _, change, error = self.fared.change(step, started=self.started)
        return change - (error if step else 0) < -self.tolerance


def learn(course: Course, *, device: torch.device, folder: Path | None = None, report: Report = silent) -> Standing:
    """Teach the course's module, which ends with its best weights, in evaluation mode; with the untaught ones if none was better.

    With `folder` the training is kept there as it goes, and one that lies there is gone on with to the same bytes.
    """
    with guarded(device):
        return _learnt(course, device, folder, report)


def _learnt(course: Course, device: torch.device, folder: Path | None, report: Report) -> Standing:
    plan, module = course.plan, course.module
    first = {k: v.detach().clone() for k, v in module.state_dict().items()}
    trained = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": plan.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=plan.rate)
    standing = Standing(best_score=[course.before.items])
    if folder is not None:
        stopping.forget(folder)
        refuse_another(folder, course.about)
        if (folder / progress.NAME).exists():
            standing = progress.load(folder, {"module": module}, optimiser, course.about)
    if course.started and not standing.curves:
        _judge(course, standing)
    while standing.step < plan.steps and standing.waited < plan.patience:
        if folder is not None and standing.step and stopping.wished(folder):
            if standing.curves.get("judged_at", [0])[-1] != standing.step:
                _judge(course, standing)
            standing.stopped = True
            break
        for group in optimiser.param_groups:
            group["lr"] = plan.rate_at(standing.step)
        seed = plan.seed * 1_000_003 + standing.step
        gpus = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices=gpus):
            torch.manual_seed(seed)
            module.train()
            optimiser.zero_grad(set_to_none=True)
            loss = course.loss(standing.step, Generator().manual_seed(seed))
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_([p for p in trained if p.grad is not None], plan.clip)
            optimiser.step()
        standing.step += 1
        standing.note(loss=float(loss.detach()))
        if standing.step % plan.every == 0 or standing.step == plan.steps:
            _judge(course, standing)
            if folder is not None:
                progress.save(folder, standing, {"module": module}, optimiser, course.about)
        try:
            shown = {"curves": curves(standing, course.first, plan.every)} if standing.step % plan.every == 0 else {}
            report(Progress(standing.step, plan.steps, _words(standing, course), shown))
        except BaseException:
            if folder is not None:
                with suppress(RuntimeError):  # a device that is gone gives nothing back
                    progress.save(folder, standing, {"module": module}, optimiser, course.about)
            raise
    module.load_state_dict(standing.best or first)
    module.eval()
    return standing


def _judge(course: Course, standing: Standing) -> None:
    """Keep the first state that is better than the untaught network, and a later one where it is better by more than its difference
    spreads over the items: what cannot be told apart is not taught on for, since each step is paid by what did not teach."""
    course.module.eval()
    score, highest = course.scored(course.judge(), standing.step), max([course.before.items, *standing.curves.get("held_out", [])])
    standing.note(held_out=score.items, judged_at=standing.step, **({} if score.classes is None else {CLASSES: score.classes}))
    kept, *each = standing.best_score
    harmful = course.harmful(standing.step)
    if score.items > kept + (spread(score.each, each) if standing.best else 0) and not harmful:
        standing.best = {k: v.detach().clone() for k, v in course.module.state_dict().items()}
        standing.best_score, standing.best_step = [score.items, *score.each], standing.step
    standing.waited = 0 if score.items > highest and not harmful else standing.waited + 1


def curves(standing: Standing, before: Score, every: int) -> dict[str, list[float]]:
    """What to draw: the mean loss over each `every` steps, the held-out scores where they were judged, from the untaught ones on."""
    plain = progress.curves(standing, every)
    judged = [0.0, *standing.curves.get("judged_at", [])]
    found = {**plain, "judged_at": judged, "held_out": [before.items, *standing.curves.get("held_out", [])]}
    return found if before.classes is None else {**found, CLASSES: [before.classes, *standing.curves.get(CLASSES, [])]}


def refuse_another(folder: Path, about: Json) -> None:
    """Refuse to go on with a training of other classes, items or settings, and say what differs."""
    from safetensors import SafetensorError, safe_open

    path = folder / progress.NAME
    if not path.exists():
        return
    try:
        with safe_open(path, framework="pt") as file:
            there = json.loads((file.metadata() or {}).get("about", "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        raise UnreadableError(f"the unfinished training in {folder} is damaged; --overwrite it") from error
    plain = json.loads(json.dumps(about))
    if there.get("classes") != plain.get("classes"):
        raise InputError(
            f"the training in {folder.parent} is of other classes ({_listed(there.get('classes'))}) than these "
            f"({_listed(plain.get('classes'))}); choose another output, or --overwrite it"
        )
    differs = [key for key in plain if there.get(key) != plain[key]]
    if differs:
        raise InputError(f"the training in {folder.parent} is another one ({', '.join(differs)}); choose another output, or --overwrite it")


def _listed(classes: Any) -> str:
    names = [str(name) for name in classes or ()]
    return ", ".join(names[:6]) + (" …" if len(names) > 6 else "") or "none"


def _words(standing: Standing, course: Course) -> str:
    loss = standing.curves["loss"][-20:]
    words = f"learning: loss {sum(loss) / len(loss):.3f}"
    held = standing.curves.get("held_out")
    if not held:
        return words
    words += f", {course.what} {held[-1]:.3f}, before {course.before.items:.3f}"
    whole = standing.curves.get(CLASSES)
    return f"{words}; classes left out {whole[-1]:.3f}, before {course.first.classes:.3f}" if whole else words
