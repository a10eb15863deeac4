"""Textured images of three kinds, and the SCAMPI scores computed by scikit-learn alone."""

from pathlib import Path

import numpy as np
from PIL import Image


def textured_folder(folder: Path, each: int = 12, size: int = 64, seed: int = 0) -> Path:
    """A folder for each of three kinds of texture, of `each` noisy images."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    kinds = {"waves": np.sin(x / 4), "rings": np.sin(np.hypot(x - size / 2, y - size / 2) / 3), "slope": (x + y) / size - 1}
    for kind, pattern in kinds.items():
        (folder / kind).mkdir(parents=True)
        for i in range(each):
            values = 128 + 50 * pattern + rng.normal(0, 40, pattern.shape) + rng.normal(0, 15)
            Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).save(folder / kind / f"{i:02d}.png")
    return folder


def independent(vectors: np.ndarray, names: list[str]) -> dict[str, float]:
    """The main scores, each straight from its definition."""
    from sklearn.metrics import auc, f1_score, pairwise_distances
    from sklearn.model_selection import train_test_split
    from sklearn.neighbors import KNeighborsClassifier

    called = np.asarray(names)
    apart = pairwise_distances(vectors)
    apart[np.diag_indices(len(apart))] += 1e12

    def at(k: int, i: int) -> int:
        return int((called[np.argsort(apart[i])[:k]] == called[i]).sum())

    others = np.array([(called == name).sum() - 1 for name in called])
    rows = range(len(called))
    cuts = [k for k in (1, *range(10, 200, 10), 500) if k < len(called)]
    precision = [np.mean([at(k, i) / k for i in rows]) for k in cuts]
    recall = [np.mean([at(k, i) / others[i] for i in rows]) for k in cuts]
    f1 = []
    for seed in range(10):
        a, b, x, y = train_test_split(vectors, called, test_size=0.2, stratify=called, random_state=seed)
        f1.append(f1_score(y, KNeighborsClassifier(n_neighbors=1, p=2).fit(a, x).predict(b), average="macro"))
    return {
        "p_at_nk": float(np.mean([at(others[i], i) / others[i] for i in rows])),
        "precision_at": {str(k): v for k, v in zip(cuts, precision, strict=True)},
        "recall_at": {str(k): v for k, v in zip(cuts, recall, strict=True)},
        "pr_area": float(auc([0.0, *recall, 1.0], [1.0, *precision, 0.0])),
        "nn_f1": float(np.mean(f1)),
        "nn_f1_sd": float(np.std(f1)),
    }
