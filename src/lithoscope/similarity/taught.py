"""What a teaching leaves behind: a backbone's folder that opens like any other, and `similarity.json`, which says how it came to be."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lithoscope.errors import MissingError, NewerSchemaError, TakenError, UnreadableError
from lithoscope.volume.sharing import share
from lithoscope.volume.store import storage_errors

if TYPE_CHECKING:
    from torch import nn

    from lithoscope.features.vit import Vit

Json = dict[str, Any]
NAME = "similarity.json"
TRAINING = "training"
SCHEMA = 1


@dataclass(frozen=True)
class Taught:
    """`kept` is "taught", or "frozen" when what was held out found its like no better. `scores` are held-out ones, by name.

    `view` says how items were seen (side, pooling, views), `classes` how many items of each there were, `held` which were held out.
    `more` names the classes that were `left_out` in turn, and says by `blend` how much of the fitted matrix it began with.
    """

    folder: Path
    method: str
    kept: str
    scores: Mapping[str, float]
    view: Json
    classes: Mapping[str, int]
    held: tuple[str, ...]
    notes: tuple[str, ...]
    record: Json
    more: Json = field(default_factory=dict)

    def write(self) -> None:
        """Replace what the folder says."""
        told = {"schema": SCHEMA, "method": self.method, "kept": self.kept, "scores": dict(self.scores), "view": self.view}
        told |= {"classes": dict(self.classes), "held": list(self.held), "notes": list(self.notes), "record": self.record, **self.more}
        write_json(self.folder / NAME, told)

    @classmethod
    def open(cls, folder: Path) -> "Taught":
        """What was taught into a folder."""
        if not (folder / NAME).is_file():
            way = "finish it: run the same command again" if (folder / TRAINING).is_dir() else "teach one: lithoscope similarity train"
            raise MissingError(f"{folder} holds no taught similarity; {way}")
        told = read_json(folder / NAME)
        if int(told.get("schema", 0)) > SCHEMA:
            raise NewerSchemaError(f"{folder} was taught with a newer Lithoscope; update: pip install -U lithoscope")
        try:
            own = {key: told.pop(key) for key in ("method", "kept", "scores", "view", "classes", "record")}
            return cls(folder, held=tuple(told.pop("held")), notes=tuple(told.pop("notes")), **own, more=told)
        except (KeyError, TypeError) as error:
            raise UnreadableError(f"{folder / NAME} is damaged ({error}); teach it again") from error


def begin(folder: Path, *, overwrite: bool) -> Path:
    """The folder of a teaching's checkpoint; what is finished there is not taught over unasked."""
    if (folder / NAME).is_file() and not overwrite:
        raise TakenError(f"{folder} holds a taught similarity already; choose another output, or --overwrite it")
    if folder.exists() and not folder.is_dir():
        raise TakenError(f"{folder} is a file; choose another output")
    if overwrite:
        import shutil

        (folder / NAME).unlink(missing_ok=True)
        shutil.rmtree(folder / TRAINING, ignore_errors=True)
    return folder / TRAINING


def write_backbone(folder: Path, network: "nn.Module") -> None:
    """A backbone as a folder that `open_backbone` opens: model.safetensors and config.json."""
    from lithoscope.features.convnet import Convnet
    from lithoscope.training.selfsupervised.loop import write

    with storage_errors(folder):
        if isinstance(network, Convnet):
            from safetensors.torch import save_file

            folder.mkdir(parents=True, exist_ok=True)
            tensors = {n.removeprefix("net."): t.detach().cpu().clone().contiguous() for n, t in network.state_dict().items()}
            save_file(tensors, folder / "model.safetensors.partial", metadata={"format": "pt"})
            (folder / "model.safetensors.partial").replace(folder / "model.safetensors")
            write_json(folder / "config.json", {"model_type": "resnet"})
        else:
            vit: Vit = network  # type: ignore[assignment]
            write(folder, vit)


def write_json(path: Path, told: Any) -> None:
    """Write JSON in one move."""
    with storage_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.partial")
        partial.unlink(missing_ok=True)  # one that a killed program left may be another person's
        partial.write_text(json.dumps(told, indent=1), encoding="utf-8")
        share(partial)
        partial.replace(path)


def read_json(path: Path) -> Json:
    """What a file holds; a damaged one is told."""
    try:
        found: Json = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingError(f"there is no {path}") from None
    except PermissionError:
        raise UnreadableError(f"{path} cannot be read; have its owner share it: chmod g+r {path}") from None
    except (OSError, ValueError) as error:
        raise UnreadableError(f"{path} is damaged ({error}); delete it and teach again") from error
    return found
