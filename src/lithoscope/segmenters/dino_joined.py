"""A head that joins LoRA's tokens, or the backbone's own, with filters: what teaches it, and how held strokes choose between them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lithoscope.classes import ClassTable
from lithoscope.job import Report, silent
from lithoscope.segmenters.base import Block, Sample, Samples
from lithoscope.segmenters.strokes import gathered
from lithoscope.volume.histogram import Histogram

if TYPE_CHECKING:
    from lithoscope.segmenters.dino import Dino
    from lithoscope.segmenters.network_parts import Taught


@dataclass(frozen=True)
class _Held:
    """Samples of which what is held, and that alone, is said."""

    samples: Samples

    @property
    def classes(self) -> ClassTable:
        return self.samples.classes

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        for sample in self.samples:
            assert sample.labels is not None
            labels = np.zeros_like(sample.labels) if sample.held is None else sample.labels * sample.held
            yield replace(sample, labels=labels, held=None)


@dataclass(frozen=True)
class Hinted(Samples):
    """What was painted and is not held, with the hints around it as strokes of their own."""

    found: "Taught"
    samples: Samples

    @property
    def classes(self) -> ClassTable:
        return self.found.table

    def __len__(self) -> int:
        return len(self.found.pieces)

    def __iter__(self) -> Iterator[Sample]:
        from scipy.ndimage import label

        for number, piece in enumerate(self.found.pieces):
            strokes, last = np.zeros(piece.labels.shape, np.int64), number << 32
            for given in (piece.painted, piece.teaching * (piece.painted == 0)):
                for id in np.unique(given[given > 0]):
                    parts, count = label(given == id, np.ones((3, 3, 3)))
                    strokes[parts > 0] = parts[parts > 0].astype(np.int64) + last
                    last += count
            whole = Block.of(piece.image, piece.window)
            yield Sample(
                image=piece.image, core=whole.core, window=piece.window, inside=piece.inside, labels=piece.teaching, strokes=strokes
            )

    def histogram(self, *, report: Report = silent) -> Histogram:
        return self.samples.histogram(report=report)

    def slice_histograms(self, *, report: Report = silent) -> Sequence[Histogram]:
        return self.samples.slice_histograms(report=report)

    def spread(self, edge: int, count: int, halo: tuple[int, int, int] = (0, 0, 0)) -> Iterator[Block]:
        return self.samples.spread(edge, count, halo)


def better(frozen: "Dino", tuned: "Dino", samples: Samples, report: Report) -> "Dino":
    """The one of two fitted methods that tells the held strokes apart better, with the story of the choice; `tuned` where none are held.

    First by mean IoU, rounded, then by how surprised each is by them: strokes inside phases are often told apart wholly by both.
    """
    from lithoscope.segmenters.dino_network import NOT_COMPARED, improved, not_better
    from lithoscope.segmenters.tones import without_tones

    scores = [_score(method, samples, report) for method in (frozen, tuned)]
    learnt = tuned.learnt_
    if not scores[0]:
        tuned.learnt_ = replace(learnt, head=None, remarks=tuple(dict.fromkeys((*learnt.remarks, NOT_COMPARED))))
        return tuned
    story = learnt.story | {"held_out_joined_frozen": scores[0], "held_out_joined_lora": scores[1]}
    if improved(scores[1], scores[0]):
        tuned.learnt_ = replace(learnt, head=None, story=story)
        return tuned
    story |= {"tuning": "frozen", "fell_back": not_better(scores[1][0], scores[0][0])}
    story = {key: value for key, value in story.items() if key != "toning" and not key.startswith("adapter_")}
    remarks = (*without_tones(learnt.remarks), story["fell_back"])
    frozen.learnt_ = replace(learnt, head=None, story=story, adapter=None, remarks=remarks)
    return frozen


def _score(method: "Dino", samples: Samples, report: Report) -> list[float]:
    """Mean IoU on the held strokes and minus their mean cross-entropy, the classes counting alike; empty where nothing is held."""
    import torch

    from lithoscope.scores.segmentation import Confusion

    if not any(s.held is not None and bool((s.held & (s.labels > 0)).any()) for s in samples if s.labels is not None):
        return []
    assert method.head_ is not None
    chosen = gathered(_Held(samples), method.bank, report, look=method._look)  # type: ignore[arg-type]
    names = {c.name: i for i, c in enumerate(method.classes_)}
    own = {c.id: names[c.name] for c in samples.classes if c.name in names}
    known = np.isin(chosen.labels, list(own))
    target = np.array([own[int(i)] for i in chosen.labels[known]], np.int64)
    likely = method.head_.scores(torch.from_numpy(np.ascontiguousarray(chosen.features[known].T))).numpy()
    table = Confusion()
    table.add((target + 1).astype(np.uint8), (likely.argmax(0) + 1).astype(np.uint8))
    lost = -np.log(np.maximum(likely[target, np.arange(len(target))], 1e-6))
    surprise = [float(lost[target == k].mean()) for k in np.unique(target)]
    return [round(float(table.mean_iou), 3), round(-float(np.mean(surprise)), 4)]
