"""A method that is taught by strokes and needs nothing but numpy: the class whose mean grey level is nearest."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from lithoscope.classes import ClassTable
from lithoscope.segmenters.base import Segmenter


@dataclass
class Nearest(Segmenter):
    name: ClassVar[str] = "nearest"
    title: ClassVar[str] = "Nearest"
    summary: ClassVar[str] = "The class whose mean grey level is nearest."
    live: ClassVar[bool] = True
    needs_labels: ClassVar[bool] = True

    means_: tuple = field(default=(), init=False, repr=False, compare=False)
    table_: ClassTable = field(default_factory=ClassTable, init=False, repr=False, compare=False)

    def fit(self, samples, *, report=None):
        values = {}
        for sample in samples:
            taught = sample.labels if sample.held is None else np.where(sample.held, 0, sample.labels)
            for id in np.unique(taught[taught > 0]):
                values.setdefault(int(id), []).append(sample.image[taught == id].astype(float))
        self.table_ = ClassTable.of([samples.classes[i] for i in sorted(values)])
        self.means_ = tuple(float(np.concatenate(values[i]).mean()) for i in sorted(values))
        return self

    def scores(self, block):
        far = np.stack([np.abs(block.image.astype(np.float32) - m) for m in self.means_])
        near = np.exp(-far / 10)
        return near / near.sum(0)

    def predict(self, block):
        return (self.scores(block).argmax(0) + 1).astype(np.uint8)

    def learnt(self):
        return {"means": list(self.means_)}

    def state(self):
        if not self.means_:
            raise self.unfitted()
        return {"means": np.array(self.means_)}

    def restore(self, state, classes):
        self.means_, self.table_ = tuple(state["means"]), classes
        return self

    @property
    def classes_(self):
        return self.table_
