"""The forest taught by brush strokes on real scans with a truth."""

import importlib.util

import numpy as np
import pytest

from lithoscope.classes import ClassTable
from lithoscope.scores.segmentation import confusion
from lithoscope.segmenters import Block, Sample, configured, segmenter
from lithoscope.segmenters.arrays import ArraySamples


@pytest.mark.parametrize(("numbers", "least"), [((1501, 1503), 0.6), ((1, 400), 0.45)])
def test_strokes_on_one_slice_segment_another(shared_data, numbers, least):
    import tifffile

    spec = importlib.util.spec_from_file_location("strokes", shared_data.parent / "strokes.py")
    brush = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(brush)
    folder = shared_data / "labelled" / "battery"
    image = np.stack([tifffile.imread(folder / f"raw_{n}.tif") for n in numbers])
    truth = np.stack([tifffile.imread(folder / f"raw_{n}_label.tif") for n in numbers]) + np.uint8(1)
    window = tuple(float(v) for v in np.percentile(image, (0.5, 99.5)))
    labels = brush.strokes(truth[0], 600, 0)[None]
    sample = Sample(image=image[:1], core=tuple(slice(0, n) for n in labels.shape), window=window, labels=labels)
    method = configured(segmenter("forest"), {"dimensions": 2})
    method.fit(ArraySamples(image, labelled=(sample,), classes=ClassTable.numbered(3)))
    assert confusion(truth[1:], method.predict(Block.of(image[1:], window))).mean_iou > least
