"""How well classes can be named from vectors: nearest neighbours and logistic regression over several splits.

Splits are stratified as in the SCAMPI benchmark, or hold whole groups out, so that near twins never stand on both sides.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError

Places = npt.NDArray[np.intp]
Progress = Callable[[], None]


@dataclass(frozen=True, eq=False)
class Splits:
    """Pairs of places: those learnt from, and those named."""

    pairs: tuple[tuple[Places, Places], ...]

    @classmethod
    def stratified(cls, names: Sequence[str], *, count: int = 10, test: float = 0.2) -> Self:
        """`count` splits of seeds 0, 1 …, each class in the same proportion on both sides."""
        from sklearn.model_selection import train_test_split

        called = np.asarray(names)
        kinds, members = np.unique(called, return_counts=True)
        if members.min() < 2:
            raise InputError(f"class {kinds[members.argmin()]} has one member only; each class needs two for a split")
        if ceil(len(called) * test) < len(kinds):
            raise InputError(f"{len(called)} images are too few to hold out one of each of {len(kinds)} classes; add images")
        places = np.arange(len(called))
        return cls(tuple(tuple(train_test_split(places, test_size=test, stratify=called, random_state=s)) for s in range(count)))

    @classmethod
    def grouped(cls, names: Sequence[str], groups: Sequence[str], *, count: int = 10, test: float = 0.2) -> Self:
        """`count` splits of seeds 0, 1 … that hold whole groups out, each class in about the same proportion on both sides."""
        from sklearn.model_selection import StratifiedGroupKFold

        called, held = np.asarray(names), np.asarray(groups)
        folds = min(round(1 / test), len(np.unique(held)))
        if folds < 2:
            raise InputError("all images are of one group; name a column with at least two values")
        pairs = []
        for seed in range(count):
            cut = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(called, called, held)
            pairs.append(next(iter(cut)))
        return cls(tuple(pairs))


@dataclass(frozen=True, slots=True)
class Named:
    """Scores of naming, each a mean over the splits; `log_loss` is there for logistic regression only.

    `by_class` holds precision, recall and F1 of each class; `confusion` (truth, said) counts over all splits together.
    """

    f1: float
    f1_sd: float
    accuracy: float
    balanced_accuracy: float
    precision: float
    log_loss: float | None
    by_class: dict[str, dict[str, float]]
    confusion: list[list[int]]


def by_neighbours(vectors: npt.NDArray[Any], names: Sequence[str], k: int, splits: Splits, said: Progress = lambda: None) -> Named:
    """The class that most of the `k` nearest (Euclidean) have."""
    from sklearn.neighbors import KNeighborsClassifier

    fewest = min(len(a) for a, _ in splits.pairs)
    if k > fewest:
        raise InputError(f"{k} neighbours were asked for, but only {fewest} images are learnt from; ask for fewer")
    return _judged(lambda seed: KNeighborsClassifier(k, p=2), vectors, names, splits, said)


def by_regression(vectors: npt.NDArray[Any], names: Sequence[str], splits: Splits, said: Progress = lambda: None) -> Named:
    """Logistic regression on the vectors as they are, classes weighted by how rare they are."""
    from sklearn.linear_model import LogisticRegression

    def model(seed: int) -> Any:
        return LogisticRegression(max_iter=10_000, class_weight="balanced", random_state=seed)

    return _judged(model, vectors, names, splits, said, chances=True)


def _judged(
    model: Callable[[int], Any], vectors: npt.NDArray[Any], names: Sequence[str], splits: Splits, said: Progress, chances: bool = False
) -> Named:
    from sklearn import metrics

    values, called = np.asarray(vectors), np.asarray(names)
    kinds = np.unique(called)
    confusion = np.zeros((len(kinds), len(kinds)), np.int64)
    rows, each = [], []
    for seed, (learnt, held) in enumerate(splits.pairs):
        said()
        fitted = model(seed).fit(values[learnt], called[learnt])
        truth, found = called[held], fitted.predict(values[held])
        confusion += metrics.confusion_matrix(truth, found, labels=kinds)
        known = chances and np.isin(truth, fitted.classes_).all()  # where groups are held out, a class may not have been learnt
        loss = metrics.log_loss(truth, fitted.predict_proba(values[held]), labels=fitted.classes_) if known else np.nan
        rows.append(
            (
                metrics.f1_score(truth, found, average="macro"),
                metrics.accuracy_score(truth, found),
                metrics.balanced_accuracy_score(truth, found),
                metrics.precision_score(truth, found, average="macro", zero_division=0),
                loss,
            )
        )
        each.append(metrics.precision_recall_fscore_support(truth, found, labels=kinds, zero_division=0)[:3])
    means, sd = np.mean(rows, axis=0), float(np.std([row[0] for row in rows]))
    classes = np.mean(each, axis=0)
    by_class = {
        str(kind): {"precision": float(p), "recall": float(r), "f1": float(f)} for kind, p, r, f in zip(kinds, *classes, strict=True)
    }
    f1, accuracy, balanced, precision, loss = (float(v) for v in means)
    return Named(f1, sd, accuracy, balanced, precision, None if np.isnan(loss) else loss, by_class, confusion.tolist())
