"""The loop that teaches every network from strokes or masks: seeded step by step, judged on held-out strokes, taken up where left."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lithoscope.job import Progress, Report, silent
from lithoscope.training import progress, stopping
from lithoscope.training.augment import Augmentation, degraded, toned
from lithoscope.training.crops import Batch
from lithoscope.training.devices import guarded, laid_out, out_of_memory
from lithoscope.training.losses import agreement_loss, dense_crops, dice_loss, painted_loss, painted_weight
from lithoscope.training.progress import Standing, curves

FINISH = 1 / 3
"""How much longer a network is taught by all there is."""
AHEAD = 3
"""Batches that are made ready while one is learnt from."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, how fast and by what. The rate rises over the first `warmup` of the steps and falls along a cosine to nothing.

    `unlabelled` is what voxels count for that nobody painted: nothing, agreement with a slowly moving mean of the network, or
    that mean's class where it is sure. Every `every` steps the network is judged; after `patience` judgements without a good
    one it ends. Scores within `tie` of the best are as good, and of those the last weights are kept: a few strokes cannot tell
    them apart, and what was taught longer is right more often where nobody painted. With `average` that mean is what is judged
    and kept, whatever `unlabelled` is. `half` is mixed precision; `save_memory` works parts of the network out twice.
    """

    steps: int = 300
    batch: int = 8
    rate: float = 2e-3
    weight_decay: float = 5e-4
    warmup: float = 0.1
    smoothing: float = 0.05
    dice: float = 1.0
    unlabelled: Literal["nothing", "teacher", "pseudo"] = "nothing"
    confident: float = 0.95
    memory: float = 0.99
    every: int = 20
    patience: int = 6
    tie: float = 0.03
    clip: float = 5.0
    average: bool = False
    half: bool = False
    save_memory: bool = False
    seed: int = 0

    def finishing(self) -> "Plan":
        """The plan by which a network is taught on, by all there is, after some of it has chosen its weights."""
        return replace(self, steps=max(1, round(self.steps * FINISH)), rate=self.rate / 2)

    def rate_at(self, step: int) -> float:
        """The learning rate of a step."""
        rising = max(1.0, self.warmup * self.steps)
        if step < rising:
            return self.rate * (step + 1) / rising
        return self.rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1.0, self.steps - rising)))


@dataclass(frozen=True)
class Lesson:
    """What is learnt from: the batch of a step, the weight of each class (classes,), and how crops may be toned and degraded.

    `judge` scores a network in evaluation mode, without augmentation: first the mean IoU on held-out strokes, which decides, then
    whatever else is to be told of it; None when nothing is held out, and the last weights are kept.
    """

    batch: Callable[[int], Batch]
    weights: Tensor
    judge: Callable[[nn.Module], list[float]] | None = None
    augmentation: Augmentation | None = None
    about: str = ""


def train(
    network: nn.Module, lesson: Lesson, plan: Plan, *, device: torch.device, folder: Path | None = None, report: Report = silent
) -> Standing:
    """Teach `network`, which ends with its best weights, in evaluation mode; gives how it went.

    With `folder` the training is kept there as it goes, and one that lies there is gone on with: killed and taken up, or never
    stopped, it ends with the same bytes.
    """
    with guarded(device):
        return _Training(network, lesson, plan, device, folder).run(report)


class _Training:
    """What a training holds while it runs."""

    def __init__(self, network: nn.Module, lesson: Lesson, plan: Plan, device: torch.device, folder: Path | None) -> None:
        self.network, self.lesson, self.plan, self.device, self.folder = laid_out(network.to(device)), lesson, plan, device, folder
        saving = getattr(network, "save_memory", None)
        if saving is not None:
            saving(plan.save_memory)
        self.modules = {"network": self.network}
        if plan.average or plan.unlabelled != "nothing":
            self.modules["mean"] = deepcopy(self.network).requires_grad_(False)
        trained = [p for p in network.parameters() if p.requires_grad]
        vectors = [p for p in trained if p.ndim < 2]
        matrices = [p for p in trained if p.ndim >= 2]
        groups = [{"params": matrices, "weight_decay": plan.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=plan.rate)
        self.weights = lesson.weights.to(device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=plan.half and device.type == "cuda" and not torch.cuda.is_bf16_supported())
        self.about = {"plan": asdict(plan), "lesson": lesson.about, "network": repr(network)}

    @property
    def judged(self) -> nn.Module:
        """The weights that are judged and kept: the mean ones, if there are any."""
        return self.modules.get("mean", self.network)

    def run(self, report: Report) -> Standing:
        plan = self.plan
        if self.folder is not None:
            stopping.forget(self.folder)
        standing = progress.load(self.folder, self.modules, self.optimiser, self.about) if self.folder else Standing()
        whole = True
        try:
            with _batches(self.lesson.batch, standing.step, plan.steps) as batches:
                for step, batch in batches:
                    if standing.waited >= plan.patience > 0 or self._enough(standing):
                        break
                    whole = False
                    loss = self._step(step, batch, standing)
                    standing.step, whole = step + 1, True
                    standing.note(loss=loss)
                    if standing.step % plan.every == 0 or standing.step == plan.steps:
                        self._judge(standing)
                        self._keep(standing)
                    shown = {"curves": curves(standing, plan.every)} if standing.step % plan.every == 0 else {}
                    report(Progress(standing.step, plan.steps, _words(standing), shown))
        except BaseException:
            # A step that broke off in the middle leaves half of itself behind, and is not kept.
            if whole and standing.step:
                # A device that is gone gives nothing back: what was kept before stays, and why it ended is what is said.
                with suppress(RuntimeError):
                    self._keep(standing)
            raise
        if standing.best:
            self.network.load_state_dict(standing.best)
        self.network.eval()
        return standing

    def _enough(self, standing: Standing) -> bool:
        """Whether somebody wished it to end here with the best weights so far."""
        if self.folder is None or not stopping.wished(self.folder):
            return False
        if standing.step and (not standing.curves.get("judged_at") or standing.curves["judged_at"][-1] != standing.step):
            self._judge(standing)
        standing.stopped = bool(standing.step)
        return standing.stopped

    def _keep(self, standing: Standing) -> None:
        if self.folder is not None:
            progress.save(self.folder, standing, self.modules, self.optimiser, self.about)

    def _judge(self, standing: Standing) -> None:
        judged = self.judged
        if self.lesson.judge is None:
            standing.best = {k: v.detach().clone() for k, v in judged.state_dict().items()}
            return
        judged.eval()
        score = [round(v, 6) for v in self.lesson.judge(judged)]
        standing.note(held_out_iou=score[0], judged_at=standing.step)
        if score[0] >= max(standing.curves["held_out_iou"]) - self.plan.tie:
            standing.best = {k: v.detach().clone() for k, v in judged.state_dict().items()}
            standing.best_score, standing.best_step, standing.waited = score, standing.step, 0
        else:
            standing.waited += 1

    def _step(self, step: int, batch: Batch, standing: Standing) -> float:
        """One step, in parts if the memory does not hold the whole batch."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.rate_at(step)
        while True:
            try:
                return self._learnt(step, batch, standing.divided)
            except RuntimeError as error:
                size = len(batch.images)
                if not out_of_memory(error) or standing.divided >= size:
                    raise
                standing.divided = min(size, standing.divided * 2)
                self.optimiser.zero_grad(set_to_none=True)
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()

    def _learnt(self, step: int, batch: Batch, parts: int) -> float:
        plan, device = self.plan, self.device
        seed = plan.seed * 1_000_003 + step
        generator = torch.Generator(device if device.type == "cuda" else "cpu").manual_seed(seed)
        gpus = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices=gpus):
            torch.manual_seed(seed)
            images, labels = batch.images.to(device, non_blocking=True), batch.labels.to(device, non_blocking=True)
            how = self.lesson.augmentation
            clean = images if how is None else toned(images, how, generator)
            images = clean if how is None else degraded(clean, how, generator)
            total, dense = painted_weight(labels, self.weights), plan.dice > 0 and bool(dense_crops(batch.labels).any())
            self.network.train()
            self.optimiser.zero_grad(set_to_none=True)
            said = 0.0
            images, clean = (laid_out(t) for t in (images, clean))
            for view, plain, target in zip(*(t.chunk(parts) for t in (images, clean, labels)), strict=True):
                with self._mixed():
                    logits = self.network(view)
                    loss = painted_loss(logits, target, self.weights, smoothing=plan.smoothing, total=total)
                    share = len(view) / len(images)
                    if dense:
                        loss = loss + share * plan.dice * dice_loss(logits, target)
                    if plan.unlabelled != "nothing":
                        loss = loss + share * self._agreement(step, logits, plain, target)
                torch.autograd.backward(self.scaler.scale(loss))
                said += float(loss.detach())
            self.scaler.unscale_(self.optimiser)
            nn.utils.clip_grad_norm_([p for p in self.network.parameters() if p.grad is not None], plan.clip)
            self.scaler.step(self.optimiser)
            self.scaler.update()
        self._follow(step)
        return said

    def _agreement(self, step: int, logits: Tensor, plain: Tensor, labels: Tensor) -> Tensor:
        """How far the network is from its own mean, which sees the crops undegraded; counts more as the training goes on."""
        mean = self.modules["mean"].train()
        with torch.no_grad():
            wanted = mean(plain)
        rising = math.exp(-5 * (1 - min(1.0, step / (0.4 * self.plan.steps))) ** 2)
        confident = self.plan.confident if self.plan.unlabelled == "pseudo" else None
        return (1.0 if confident else 10.0) * rising * agreement_loss(logits, wanted, labels, confident=confident)

    def _follow(self, step: int) -> None:
        if "mean" not in self.modules:
            return
        memory = min(self.plan.memory, (1 + step) / (10 + step))
        with torch.no_grad():
            for slow, fast in zip(self.modules["mean"].state_dict().values(), self.network.state_dict().values(), strict=True):
                slow.lerp_(fast, 1 - memory) if slow.is_floating_point() else slow.copy_(fast)

    def _mixed(self) -> Any:
        if not self.plan.half:
            return nullcontext()
        kind = torch.float16 if self.scaler.is_enabled() else torch.bfloat16
        return torch.autocast(self.device.type, dtype=kind)


@contextmanager
def _batches(make: Callable[[int], Batch], first: int, last: int) -> Iterator[Iterator[tuple[int, Batch]]]:
    """The batches of the steps first … last - 1, made ready in a thread."""
    with ThreadPoolExecutor(1, thread_name_prefix="crops") as pool:
        waiting: list[Future[Batch]] = []

        def ready() -> Iterator[tuple[int, Batch]]:
            for step in range(first, last):
                while len(waiting) < AHEAD and step + len(waiting) < last:
                    waiting.append(pool.submit(make, step + len(waiting)))
                yield step, waiting.pop(0).result()

        try:
            yield ready()
        finally:
            for future in waiting:
                future.cancel()


def _words(standing: Standing) -> str:
    loss = standing.curves["loss"][-20:]
    words = f"learning: loss {sum(loss) / len(loss):.3f}"
    held = standing.curves.get("held_out_iou")
    return f"{words}, held-out IoU {held[-1]:.3f}, best {standing.best_score[0]:.3f}" if held else words
