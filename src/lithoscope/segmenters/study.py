"""Models of the published study on rocks (F. Brondolo, S. Beaussant, 2024) as this method: its backbone, its adapters and its head.

Its files name no classes: they are "class 1", "class 2" …, in the order of the study's grey values.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from lithoscope.classes import ClassTable
from lithoscope.errors import InputError
from lithoscope.segmenters.dino import Dino

if TYPE_CHECKING:
    from torch import Tensor

HEAD = "seg_head."
_LINEAR = ((r"^head\.0\.", "norm."), (r"^head\.1\.", "map."))
_CNN = (
    (r"^input_conv\.", "begin."),
    (r"^seg_conv\.0\.", "end."),
    (r"^decoder_convs\.([01])\.0\.", r"steps.\1.norm."),
    (r"^decoder_convs\.([01])\.1\.", r"steps.\1.conv."),
    (r"^decoder_convs\.([23])\.0\.", r"steps.\1.conv."),
)


def is_study(path: Path) -> bool:
    """Whether this may be a model of the study: a file of tensors, not a folder of ours."""
    return path.is_file() and path.suffix in (".pth", ".pt", ".safetensors")


def from_study(path: Path) -> Dino:
    """The method, as taught as the study's checkpoint is; answers as published, at scale 2.5 in windows of 224 voxels."""
    from lithoscope.features.backbones import open_backbone
    from lithoscope.features.layouts import read_tensors
    from lithoscope.segmenters.dino_network import Learnt
    from lithoscope.training.token_heads import head_of

    content = read_tensors(path)
    given = {n.removeprefix(HEAD): t for n, t in content.items() if n.startswith(HEAD)}
    if not given:
        raise InputError(f"{path.name} holds no head of the study (no {HEAD}… in it); as a backbone it is --set backbone={path}")
    kind, rules = ("cnn", _CNN) if "input_conv.weight" in given else ("linear", _LINEAR)
    own = {_renamed(n, rules): t for n, t in given.items()}
    opened = open_backbone(path)
    classes = len(own["end.weight" if kind == "cnn" else "map.weight"])
    head = head_of("cnn" if kind == "cnn" else "linear", opened.width, classes, opened.patch)
    _fill(head, own, path.name)
    method = Dino(backbone=str(path.resolve()), head="cnn" if kind == "cnn" else "linear", preset="published")
    table = ClassTable.numbered(classes)
    voxels = {c.name: 0 for c in table}
    story = {"tuning": "as the study's", "parameters": sum(p.numel() for p in head.parameters()), "voxels": voxels, "from": path.name}
    method.learnt_, method.table_, method.weights_hash_ = Learnt(head.eval(), table, None, story), table, opened.sha256
    method.counts_ = tuple(voxels.values())
    return method


def _renamed(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _fill(head: "object", tensors: "dict[str, Tensor]", name: str) -> None:
    try:
        head.load_state_dict(tensors)  # type: ignore[attr-defined]
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:3]]
        raise InputError(f"the head in {name} is not the study's: {' '.join(lines)[:200]}") from error
