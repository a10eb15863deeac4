"""A network over a volume beside its bare forward pass, and its training beside a bare loop on synthetic tensors.

    python benchmarks/network_speed.py [--quick] [--json OUT]

Budgets: ≥ 85 % of the bare pass, overlap and disk counted; on a GPU, training at ≥ 70 % of the bare loop; six slices taught and
answered within six minutes. Without a GPU it is the processor's time that is compared, of all threads, so that what else computes
on the machine counts for neither.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from harness import Row, at_most, bound, main, processor_seconds, seconds
from lithoscope.classes import ClassTable
from lithoscope.labels.predict import segment
from lithoscope.segmenters import Block, Sample, configured, segmenter
from lithoscope.segmenters.arrays import ArraySamples
from lithoscope.training.crops import Crops, Piece
from lithoscope.training.devices import device_of, laid_out
from lithoscope.training.loop import Lesson, Plan, train
from lithoscope.training.losses import class_weights
from lithoscope.training.unet import UNet, config_of
from lithoscope.volume.convert import import_scan
from lithoscope.volume.simulate import rock


def predicting(image: np.ndarray, truth: np.ndarray) -> Row:
    """Zarr to Zarr, against the forward pass over the same planes at its best batch."""
    device = device_of()
    whole = Block.of(image)
    labels = np.where(np.arange(image.shape[2]) < 64, truth, 0).astype(np.uint8)
    sample = Sample(image=image, core=whole.core, window=whole.window, labels=labels)
    method = configured(segmenter("unet"), {"preset": "light", "dimensions": 2, "steps": 2, "side": 32})
    method.fit(ArraySamples(image, labelled=(sample,), classes=ClassTable.numbered(int(truth.max()))))
    network, config = method.network_, config_of(method.about_["config"])
    sizes = [n // config.stride * config.stride for n in image.shape[1:]]

    def bare(batch: int) -> float:
        given = laid_out(torch.rand(batch, config.channels, *sizes, device=device))

        def forward() -> None:
            with torch.inference_mode():
                network(given).argmax(1).cpu()

        return timed(forward) / batch * len(image)

    timed = seconds if device.type == "cuda" else processor_seconds
    peer = min(bare(batch) for batch in ((1, 2) if device.type == "cpu" else (4, 8, 16, 32)))
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "rock.npy", image)
        scan = import_scan(Path(folder) / "rock.npy", Path(folder) / "rock.zarr", field_of_view=None)
        ours = timed(lambda: segment(scan, method, output="net", overwrite=True), 2)
    return at_most(f"light UNet over {'×'.join(map(str, image.shape))}, Zarr to Zarr, {device}", "forward pass", peer, ours, 1 / 0.85)


def training(image: np.ndarray, truth: np.ndarray, steps: int) -> Row:
    """The loop with its crops and changes of tone, against forward, backward and step on one tensor."""
    device = device_of()
    low, high = (float(v) for v in np.percentile(image, (0.5, 99.5)))
    crops = Crops([Piece(image, truth, np.zeros(truth.shape, np.bool_), (low, high))], int(truth.max()), 96)
    config = UNet(config_of((int(truth.max()), 1, 16, 2, 2, 0.1))).config
    weights = class_weights(torch.from_numpy(crops.counts.sum(0)))

    def loop() -> None:
        train(UNet(config), Lesson(lambda step: crops.batch(step, 6), weights), Plan(steps, 6, every=steps, dice=0.0), device=device)

    network = laid_out(UNet(config).to(device).train())
    optimiser = torch.optim.AdamW(network.parameters())
    given, target = laid_out(torch.rand(6, 1, 96, 96, device=device)), torch.randint(0, config.classes, (6, 96, 96), device=device)

    def bare() -> None:
        for _ in range(steps):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(network(given), target).backward()
            optimiser.step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    timed = seconds if device.type == "cuda" else processor_seconds
    return at_most(f"{steps} steps of training, {device}", "bare loop", timed(bare), timed(loop), 1 / 0.7)


def six_slices(quick: bool) -> Row:
    """The light preset on six slices of 600², taught by strokes on one: forest, training, judging and answering."""
    image, truth = rock((6, 120, 120) if quick else (6, 600, 600), 0)
    truth = np.maximum(truth, 1)
    labels, held = np.zeros(truth.shape, np.uint8), np.zeros(truth.shape, np.bool_)
    labels[0, ::40, ::2] = truth[0, ::40, ::2]
    held[0, ::200] = True
    whole = Block.of(image)
    sample = Sample(image=image, core=whole.core, window=whole.window, labels=labels, held=held & (labels > 0))
    given, every = (
        ArraySamples(image, labelled=(one,), classes=ClassTable.numbered(int(truth.max()))) for one in (sample, replace(sample, held=None))
    )

    def work() -> None:
        method = configured(segmenter("unet"), {"preset": "light", "dimensions": 2, **({"steps": 3} if quick else {})})
        method.fit(given).finished(every).predict(whole)

    return bound("light UNet, six slices of 600², taught and answered, processor time", processor_seconds(work, 1), 360, "s")


def measure(quick: bool) -> list[Row]:
    """A narrow scan and a wide one: the narrower, the more of what is looked at is its reflected faces."""
    scans = [rock(shape, 0) for shape in ([(2, 256, 256)] if quick else [(8, 512, 512), (8, 1024, 1024)])]
    rows = [predicting(image, np.maximum(truth, 1)) for image, truth in scans]
    image, truth = scans[0]
    return [*rows, six_slices(quick), training(image, np.maximum(truth, 1), 3 if quick else 20)]


if __name__ == "__main__":
    main("Networks", measure)
