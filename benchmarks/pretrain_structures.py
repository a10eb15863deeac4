"""Simulated scans of many kinds, for teaching the backbone that ships: random structures seen by a random scanner.

Each is made from a seed alone. `python benchmarks/pretrain_structures.py OUT.png` draws one slice of each kind.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Volume = npt.NDArray[Any]
Truth = npt.NDArray[np.uint8]


def blobs(shape: tuple[int, int, int], rng: np.random.Generator) -> Truth:
    """Phases between the levels of a smooth random field: sponges, foams, sintered bodies."""
    field = smooth(shape, rng, rng.uniform(1.5, 7))
    if rng.random() < 0.5:
        field = field + rng.uniform(0.2, 0.6) * smooth(shape, rng, rng.uniform(1, 2.5))
    if rng.random() < 0.3:
        field = -np.abs(field)
    return cut(field, rng)


def layers(shape: tuple[int, int, int], rng: np.random.Generator) -> Truth:
    """The same, drawn out along one or two axes: bedding, wood, aligned pores."""
    sigma = rng.uniform(1.2, 4) * np.exp(rng.uniform(0, 1.8, 3) * (rng.random(3) < 0.6))
    return cut(smooth(shape, rng, sigma), rng)


def balls(shape: tuple[int, int, int], rng: np.random.Generator) -> Truth:
    """Overlapping grains of one or two kinds, round or drawn out, in a matrix."""
    made = np.zeros(shape, np.uint8)
    size, kinds = rng.uniform(4, 14), int(rng.integers(1, 3))
    reach = np.array(shape)
    count = int(np.clip(rng.uniform(0.4, 1.6) * np.prod(shape) / (4.2 * size**3), 8, 3000))
    stretch = np.exp(rng.normal(0, rng.uniform(0, 0.4), (count, 3)))
    for centre, radius, kind, s in zip(
        rng.uniform(0, reach, (count, 3)), size * rng.lognormal(0, 0.3, count), rng.integers(1, kinds + 1, count), stretch, strict=True
    ):
        radii = np.maximum(radius * s, 1)
        a = np.maximum(np.floor(centre - radii), 0).astype(int)
        b = np.minimum(np.ceil(centre + radii) + 1, reach).astype(int)
        z, y, x = (((np.arange(a[i], b[i]) - centre[i]) / radii[i]) ** 2 for i in range(3))
        inside = z[:, None, None] + y[None, :, None] + x[None, None] < 1
        made[a[0] : b[0], a[1] : b[1], a[2] : b[2]][inside] = kind
    return made


def grains(shape: tuple[int, int, int], rng: np.random.Generator) -> Truth:
    """Cells around random points, some of other phases, with gaps between them or without: packed sand, crystals, cracks."""
    from scipy.spatial import cKDTree

    size = rng.uniform(8, 26)
    count = int(np.clip(np.prod(shape) / size**3, 8, 6000))
    points = rng.uniform(0, shape, (count, 3))
    kinds = 1 + (rng.random(count) < rng.uniform(0, 0.5)).astype(np.uint8) + (rng.random(count) < rng.uniform(0, 0.15)).astype(np.uint8)
    places = np.stack(np.meshgrid(*(np.arange(0, s, 2) for s in shape), indexing="ij"), -1).reshape(-1, 3)
    near, which = cKDTree(points).query(places + rng.normal(0, 0.6, places.shape), k=2)
    half = tuple(-(-s // 2) for s in shape)
    made = kinds[which[:, 0]]
    if rng.random() < 0.7:
        made = np.where(near[:, 1] - near[:, 0] < rng.uniform(0.8, 5), 0, made).astype(np.uint8)
    made = made.reshape(half).repeat(2, 0).repeat(2, 1).repeat(2, 2)
    return made[: shape[0], : shape[1], : shape[2]].astype(np.uint8)


def fibres(shape: tuple[int, int, int], rng: np.random.Generator) -> Truth:
    """Straight fibres in many directions or few, solid or hollow."""
    from scipy.ndimage import distance_transform_edt

    line = np.ones(shape, bool)
    main = rng.normal(size=3)
    for _ in range(int(rng.uniform(20, 160))):
        direction = main * rng.uniform(0, 3) + rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        places = rng.uniform(0, shape) + np.arange(-220, 220, 0.7)[:, None] * direction
        index = np.round(places).astype(int)
        index = index[((index >= 0) & (index < shape)).all(1)]
        line[index[:, 0], index[:, 1], index[:, 2]] = False
    far = distance_transform_edt(line)
    radius = rng.uniform(1.5, 5)
    made = (far < radius).astype(np.uint8)
    if rng.random() < 0.3:
        made[far < 0.5 * radius] = 0
    return made


def fractal(shape: tuple[int, int, int], rng: np.random.Generator) -> Truth:
    """Phases of a field that is rough at every width: clouds, clays, rough and weathered matter."""
    field, sigma, share = np.zeros(shape, np.float32), 1.0, rng.uniform(0.35, 0.8)
    weight = 1.0
    while sigma < 20:
        field += weight * smooth(shape, rng, sigma)
        sigma, weight = 2 * sigma, weight / share
    return cut(field, rng)


def bands(shape: tuple[int, int, int], rng: np.random.Generator) -> Truth:
    """Bent layers at an even spacing, some broken: laminae, growth rings, weaves."""
    places = np.stack(np.meshgrid(*(np.arange(s, dtype=np.float32) for s in shape), indexing="ij"))
    field = np.zeros(shape, np.float32)
    for _ in range(int(rng.integers(1, 3))):
        direction = rng.normal(size=3)
        direction *= 2 * np.pi / (rng.uniform(5, 22) * np.linalg.norm(direction))
        bent = np.tensordot(direction, places, 1) + rng.uniform(0.3, 2.5) * smooth(shape, rng, rng.uniform(6, 16))
        field += np.sin(bent).astype(np.float32)
    return cut(field + rng.uniform(0, 0.4) * smooth(shape, rng, 2.0), rng)


KINDS: dict[str, Callable[[tuple[int, int, int], np.random.Generator], Truth]] = {
    "blobs": blobs, "layers": layers, "balls": balls, "grains": grains, "fibres": fibres, "fractal": fractal, "bands": bands,
}  # fmt: skip


def smooth(shape: tuple[int, int, int], rng: np.random.Generator, sigma: Any) -> npt.NDArray[np.float32]:
    """A Gaussian random field of unit variance."""
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(rng.standard_normal(shape).astype(np.float32), sigma, mode="wrap")
    return (field - field.mean()) / field.std()  # type: ignore[no-any-return]


def cut(field: npt.NDArray[np.float32], rng: np.random.Generator) -> Truth:
    """A field in two to four phases of random shares."""
    shares = np.cumsum(rng.dirichlet(np.full(int(rng.integers(2, 5)), 2.0)))[:-1]
    return np.digitize(field, np.quantile(field[::2, ::2, ::2], shares)).astype(np.uint8)


def scanned(truth: Truth, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A scan of a geometry: phase means, texture within phases, blur, noise white or correlated, rings, cupping; 8 bits."""
    from scipy.ndimage import gaussian_filter

    phases = int(truth.max()) + 1
    means = np.sort(rng.uniform(40, 215, phases)) if rng.random() < 0.7 else rng.uniform(40, 215, phases)
    if phases > 1 and np.ptp(means) < 40:
        means = np.linspace(70, 180, phases)
    image = means[truth].astype(np.float32)
    for phase in range(phases):
        if rng.random() < 0.25:
            image += (truth == phase) * (rng.uniform(5, 25) * smooth(truth.shape, rng, rng.uniform(0.8, 3)))
    image = gaussian_filter(image, rng.uniform(0.4, 1.6))
    noise = rng.standard_normal(truth.shape).astype(np.float32)
    if rng.random() < 0.5:
        noise = gaussian_filter(noise, rng.uniform(0.3, 0.9))
        noise /= noise.std()
    image += noise * rng.uniform(2, 38)
    _, rows, columns = truth.shape
    y, x = np.mgrid[:rows, :columns]
    radius = np.hypot(y - rng.uniform(0.2, 0.8) * rows, x - rng.uniform(0.2, 0.8) * columns)
    if rng.random() < 0.3:
        image += rng.normal(0, rng.uniform(2, 10), int(radius.max()) + 2).astype(np.float32)[radius.astype(int)]
    if rng.random() < 0.3:
        image += rng.uniform(-25, 25) * (radius / radius.max()).astype(np.float32) ** 2
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def structures(count: int, edge: int = 112, seed: int = 0) -> dict[str, npt.NDArray[np.uint8]]:
    """`count` simulated scans by name, the kinds in turn."""
    made = {}
    names = list(KINDS)
    for i in range(count):
        rng = np.random.default_rng((seed, i))
        kind = names[i % len(names)]
        made[f"{kind}-{i}"] = scanned(KINDS[kind]((edge, edge, edge), rng), rng)
    return made


if __name__ == "__main__":
    import sys

    from PIL import Image

    drawn = [v[40] for v in structures(20).values()]
    Image.fromarray(np.vstack([np.hstack(drawn[i : i + 5]) for i in range(0, 20, 5)])).save(sys.argv[1])
