"""The recipe of the backbone that ships, `lithoscope-tiny`: from the folder of shared scans to weights, in one command.

    python benchmarks/pretrain_tiny.py FOLDER OUTPUT --finish src/lithoscope/weights/lithoscope-tiny

A start in closed form, gradients from there if `--steps` or `--minutes` ask for them, and then the last layer on simulated tasks
(`pretrain_strokes`). The first two may be stopped and given again and go on where they were; the third, minutes long, begins
again. Neither the fossils, nor anything else under `labelled/` and `retrieval/`, nor the geometries of Berea and of the electrode
is read: tables are scored on those.
"""

import argparse
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parent))
from pretrain_strokes import Lessons, teach_last
from pretrain_structures import scanned, structures

ORIGINS = {
    "soil": "EMSL-Computing/Pore2Chip (MIT)",
    "sand": "heprom/pymicro (MIT)",
    "cement": "qim-center/qim3d (MIT)",
    "bone": "qim-center/qim3d (MIT)",
    "polymer": "rshkarin/quanfima (MIT)",
    "vessels": "geometry: DiamondLightSource/volume-segmantics (Apache-2.0)",
}
"""What real data the weights have seen, and under which licence."""


def volumes(data: Path) -> dict[str, npt.NDArray[Any]]:
    """The shared scans that the backbone may learn from, as they are."""
    from tifffile import imread

    folder = data / "volumes"
    soil = np.stack([imread(p) for p in sorted((folder / "soil_500x500_slices").glob("*.tif*"))])
    return {
        "soil": soil,
        "sand": np.fromfile(folder / "sand_200x200x100_uint8.raw", np.uint8).reshape(100, 200, 200),
        "cement": imread(folder / "cement_128x128x128.tif"),
        "bone": imread(folder / "bone_128x128x128.tif"),
        "polymer": np.fromfile(folder / "polymer3d_8bit_128x128x128.raw", np.uint8).reshape(128, 128, 128),
    }


def vessels(data: Path) -> npt.NDArray[np.uint8]:
    """Vessels and what lies around them, 1 and 0."""
    import h5py

    with h5py.File(data / "geometry" / "vessels_256cube_LABELS.h5") as file:
        return (file["data"][:200, :200, :200] > 0).astype(np.uint8)


def sources(data: Path, simulated: int) -> list[Any]:
    """Everything the weights are taught on."""
    from lithoscope.training.selfsupervised.crops import Source

    made = volumes(data) | structures(simulated)
    truth = vessels(data)
    made |= {f"vessels-{i}": scanned(truth, np.random.default_rng((11, i))) for i in range(3)}
    return [Source.of(array, name) for name, array in made.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--finish", type=Path, metavar="FOLDER", help="write what was taught to this folder, ready to ship")
    parser.add_argument("--objective", choices=["features", "mae", "dino"], default="features")
    parser.add_argument("--steps", type=int, default=0, help="of gradients, after the start in closed form")
    parser.add_argument("--minutes", type=float, help="end after so many minutes instead")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--patch", type=int, default=8)
    parser.add_argument("--position", choices=["conv", "alibi", "none", "learned"], default="conv")
    parser.add_argument("--simulated", type=int, default=42)
    parser.add_argument("--strokes", type=int, default=Lessons.steps, help="steps of the last layer on simulated tasks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tuning", choices=["all", "attention"], default="attention")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2, help="threads that share a batch; the weights do not depend on them")
    given = parser.parse_args()

    import torch

    from lithoscope.features.backbones import open_backbone
    from lithoscope.training.selfsupervised.crops import Source
    from lithoscope.training.selfsupervised.finish import finish, ranks
    from lithoscope.training.selfsupervised.loop import crops_of, pretrain, write
    from lithoscope.training.selfsupervised.sources import plan_of

    torch.set_num_threads(1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    scans = sources(given.data, given.simulated)
    given_steps = {"steps": given.steps, "batch": given.batch, "rate": given.rate}
    plan = plan_of(given.objective, patch=given.patch, position=given.position, tuning=given.tuning, seed=given.seed, **given_steps)
    started = pretrain(scans, given.output, plan, device=given.device, workers=given.threads, minutes=given.minutes)
    taught = given.output
    if given.objective == "features" and given.strokes:
        taught = given.output / "strokes"
        real = [Source.of(array, name) for name, array in volumes(given.data).items()]
        write(taught, teach_last(started.cpu(), real, Lessons(steps=given.strokes, seed=given.seed)))
    if given.finish:
        crops = crops_of(plan, scans)
        finish(taught, crops, into=given.finish)
        network = open_backbone(given.finish).network.float()
        print("effective rank by layer:", {k: round(v, 1) for k, v in ranks(network, crops, (4, 8, 12)).items()})


if __name__ == "__main__":
    main()
