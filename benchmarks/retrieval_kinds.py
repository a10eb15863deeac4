"""Do patches find their own kind? Precision at 10 of patches of soil, sand, cement, bone and battery, by kind and on average, with the
shipped backbone, the same network untaught, and plain pixels. No patch finds itself or one that touches it.

And do slices find their own sample? p@n_k over the nine rock slices, of which five have another slice of their sample.

    LITHOSCOPE_SHARED_DATA=… python benchmarks/retrieval_kinds.py [--json results.json]
"""

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lithoscope.features.backbones import SHIPPED, Backbone, open_backbone, weights_hash
from lithoscope.features.token_grid import windowed
from lithoscope.features.vit import Vit
from lithoscope.retrieval.embed import Embedder
from lithoscope.retrieval.images import images_in, labels_of
from lithoscope.retrieval.metadata import Metadata
from lithoscope.retrieval.patches import Cubes
from lithoscope.retrieval.recipe import Recipe
from lithoscope.retrieval.whole_images import by_backbone, by_pixels
from lithoscope.scores.retrieval import p_at_nk

EDGE = 112
DEEP = 64
NEIGHBOURS = 10


@dataclass(frozen=True, eq=False)
class Crop:
    """A part of a scan in memory."""

    name: str
    array: np.ndarray
    window: tuple[float, float]
    flat: bool = False
    voxel_um: None = None

    @property
    def shape(self):
        return self.array.shape

    def inside(self, box):
        return None


def middle(values, name, flat=False):
    """The middle of a volume; the window is that of the whole."""
    low, high = np.percentile(values[:: max(1, len(values) // 8)], (0.5, 99.5))
    sizes = [min(n, edge) for n, edge in zip(values.shape, (DEEP, EDGE, EDGE), strict=True)]
    cut = tuple(slice((n - size) // 2, (n - size) // 2 + size) for n, size in zip(values.shape, sizes, strict=True))
    return Crop(name, np.ascontiguousarray(values[cut]), (float(low), float(high)), flat)


def crops(data: Path) -> list[Crop]:
    import tifffile

    volumes = data / "volumes"
    soil = np.stack([tifffile.imread(path) for path in sorted((volumes / "soil_500x500_slices").glob("*.tif*"))])
    sand = np.fromfile(volumes / "sand_200x200x100_uint8.raw", np.uint8).reshape(100, 200, 200)
    made = [middle(soil, "soil"), middle(sand, "sand")]
    made += [middle(tifffile.imread(volumes / f"{name}_128x128x128.tif"), name) for name in ("cement", "bone")]
    for ids in ((1, 200, 400), (1501, 1502, 1503, 1504)):
        planes = [tifffile.imread(data / "labelled" / "battery" / f"raw_{i}.tif") for i in ids]
        size = [min(p.shape[a] for p in planes) for a in (0, 1)]
        made.append(middle(np.stack([p[: size[0], : size[1]] for p in planes]), "battery", flat=True))
    return made


def pixels(crop: Crop, cubes: Cubes) -> np.ndarray:
    """The middle plane of each patch, 16 × 16."""
    found = []
    for place in np.ndindex(*[len(s) for s in cubes.starts]):
        box = cubes.box(np.array(place))
        plane = crop.array[(box.start[0] + box.stop[0]) // 2, box.start[1] : box.stop[1], box.start[2] : box.stop[2]]
        found.append(windowed(plane, crop.window).reshape(16, 2, 16, 2).mean((1, 3)).ravel())
    return np.stack(found)


def precision(vectors: np.ndarray, kinds: np.ndarray, touching: np.ndarray) -> dict[str, float]:
    centred = vectors - vectors.mean(0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    similar = np.where(touching, -2, centred @ centred.T)
    right = kinds[np.argsort(-similar, axis=1)[:, :NEIGHBOURS]] == kinds[:, None]
    each = {str(kind): float(right[kinds == kind].mean()) for kind in dict.fromkeys(kinds.tolist())}
    return {**each, "mean": float(np.mean(list(each.values())))}


def same_sample(data: Path, networks: dict[str, Backbone]) -> dict[str, float]:
    """p@n_k of the nine rock slices by features, and by chance."""
    images = images_in(data / "retrieval" / "rock_slices")
    names = labels_of(images, "name:6", Metadata(), what="class")
    vectors = {"pixels": by_pixels(images)}
    for name, backbone in networks.items():
        for pooling in ("class", "mean"):
            vectors[f"{name}, {pooling}"] = by_backbone(images, backbone, pooling)
    others = [names.count(name) - 1 for name in names if names.count(name) > 1]
    found = {name: float(p_at_nk(np.asarray(values), names)) for name, values in vectors.items()}
    return {**found, "chance": float(np.mean([n / (len(names) - 1) for n in others])), "queries": len(others)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    data = Path(os.environ["LITHOSCOPE_SHARED_DATA"])
    scans = crops(data)
    shipped = open_backbone(SHIPPED)
    untaught = Vit.random(shipped.config)
    networks = {SHIPPED: shipped, "untaught": Backbone("untaught", untaught, "none", weights_hash(untaught))}
    recipe = Recipe(planes=("z",), width=shipped.width)
    grids = [Cubes.of(scan, recipe, 1.0) for scan in scans]
    kinds = np.concatenate([[scan.name] * grid.count for scan, grid in zip(scans, grids, strict=True)])
    places = [
        (number, grid.box(np.array(place))) for number, grid in enumerate(grids) for place in np.ndindex(*[len(s) for s in grid.starts])
    ]
    touching = np.array([[a == b and one.intersect(other).size > 0 for b, other in places] for a, one in places])
    features = {"pixels": np.concatenate([pixels(scan, grid) for scan, grid in zip(scans, grids, strict=True)])}
    for name, backbone in networks.items():
        embedder = Embedder(recipe, backbone)
        every = [embedder.rows(s, g, np.ones([len(t) for t in g.starts], bool))["z_mean"] for s, g in zip(scans, grids, strict=True)]
        features[name] = np.concatenate(every)
    rows = {name: precision(vectors, kinds, touching) for name, vectors in features.items()}
    columns = list(next(iter(rows.values())))
    print(f"{'precision at 10':18}" + "".join(column.rjust(10) for column in columns))
    for name, row in rows.items():
        print(f"{name:18}" + "".join(f"{row[column]:10.3f}" for column in columns))
    counts = {str(kind): int((kinds == kind).sum()) for kind in dict.fromkeys(kinds.tolist())}
    print("patches: " + ", ".join(f"{kind} {count}" for kind, count in counts.items()))
    slices = same_sample(data, networks)
    print("same sample, p@n_k: " + ", ".join(f"{name} {value:.3g}" for name, value in slices.items()))
    if given.json:
        given.json.write_text(json.dumps({"rows": rows, "patches": counts, "same_sample": slices}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
