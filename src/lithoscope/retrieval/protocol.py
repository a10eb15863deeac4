"""The SCAMPI protocol: retrieval and naming of labelled images, with everything it tells, grouped where a column says so."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lithoscope.errors import InputError
from lithoscope.job import Progress, Report, silent
from lithoscope.scores.naming import Named, Splits, by_neighbours, by_regression
from lithoscope.scores.retrieval import CUTS, Ranking, ranked

NEIGHBOURS = (1, 3, 5, 7, 9)
SPLITS = 10
TOP = 10


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All scores of one set of vectors. `knn` holds naming by so many neighbours, `regression` by logistic regression; where the
    images cannot be split they are empty, and `notes` say why."""

    ranking: Ranking
    knn: dict[int, Named]
    regression: Named | None
    notes: tuple[str, ...] = ()

    def to_json(self, images: Sequence[str]) -> dict[str, Any]:
        """Everything as plain JSON; `images` are the names behind the rows."""
        r, nearest = self.ranking, self.knn.get(1)
        cuts = r.cuts()
        return {
            "n": len(r.names),
            "p_at_nk": r.p_at_nk,
            "p_at_nk_by_class": r.by_class(),
            "nn_f1": None if nearest is None else nearest.f1,
            "nn_f1_sd": None if nearest is None else nearest.f1_sd,
            "precision_at": {str(k): float(r.precision(k).mean()) for k in cuts},
            "recall_at": {str(k): float(r.recall(k).mean()) for k in cuts},
            "pr_area": r.pr_area(),
            "classes": [str(name) for name in np.unique(r.names)],
            "knn": {str(k): asdict(found) for k, found in self.knn.items()},
            "logistic_regression": None if self.regression is None else asdict(self.regression),
            "notes": list(self.notes),
            "best": self._shown(images, best=True),
            "worst": self._shown(images, best=False),
        }

    def _shown(self, images: Sequence[str], *, best: bool) -> list[dict[str, Any]]:
        """The ten images that found their like best or worst, with what they found, the best match first."""
        r = self.ranking
        precision, places = r.at_others(), np.flatnonzero(r.sought)
        order = np.argsort(-precision if best else precision, kind="stable")[:TOP]
        return [
            {
                "image": images[places[i]],
                "class": str(r.names[places[i]]),
                "p_at_nk": float(precision[i]),
                "matches": [
                    {"image": images[j], "class": str(r.names[j])} for j in r.nearest[places[i], : min(TOP, int(r.reach[places[i]]))]
                ],
            }
            for i in order
        ]


def evaluate(
    vectors: npt.NDArray[Any], names: Sequence[str], *, groups: Sequence[str] | None = None, report: Report = silent
) -> Evaluation:
    """Judge vectors (n, channels) of images of these classes. With `groups`, no image finds or teaches on one of its own group."""
    ranking = ranked(vectors, names, groups=groups, depth=max(CUTS))
    try:
        splits = Splits.stratified(names, count=SPLITS) if groups is None else Splits.grouped(names, groups, count=SPLITS)
    except InputError as error:
        return Evaluation(ranking, {}, None, (f"nothing was named: {error}",))
    fewest = min(len(learnt) for learnt, _ in splits.pairs)
    sizes = [k for k in NEIGHBOURS if k <= fewest]
    done, total = 0, (len(sizes) + 1) * SPLITS

    def said() -> None:
        nonlocal done
        report(Progress(done, total, "naming held-out images"))
        done += 1

    knn = {k: by_neighbours(vectors, names, k, splits, said) for k in sizes}
    return Evaluation(ranking, knn, by_regression(vectors, names, splits, said))
