"""The networks that give tokens: where their weights lie, who may use them, and one way to open them all.

Weights come from a folder or file, or with the product; from a hub only when `fetch` is asked for. A network that is not
Meta's is not called DINOv2.
"""

import hashlib
import json
import os
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lithoscope.errors import InputError, MissingError
from lithoscope.features import adapters, layouts

if TYPE_CHECKING:
    from lithoscope.features.vit import Vit, VitConfig

SHIPPED = "lithoscope-tiny"
"""The backbone in this package."""

RANDOM = "random-tiny"
"""A tiny network of random weights, for tests and for comparison."""

SIAMESE = "siamese.json"
"""A folder with this file holds a double Siamese network."""


@dataclass(frozen=True, slots=True)
class Known:
    """A backbone that has a name: its licence, where it was published, and what it is."""

    name: str
    title: str
    licence: str
    origin: str = ""
    shipped: bool = False


KNOWN = (
    Known(SHIPPED, "ViT-tiny taught on simulated and real scans; comes with Lithoscope", "BSD-3-Clause", shipped=True),
    *(
        Known(f"dinov2{r}-{size}", f"DINOv2 {size}{', registers' if r else ''}, patch 14", "Apache-2.0", f"facebook/dinov2{r}-{size}")
        for r in ("", "-with-registers")
        for size in ("small", "base", "large")
    ),
    *(
        Known(f"dino-{vit}", f"DINO {vit}, self-distillation on ImageNet", "Apache-2.0", f"facebook/dino-{vit}")
        for vit in ("vits16", "vits8", "vitb16", "vitb8")
    ),
    *(
        Known(f"vit-mae-{size}", f"masked autoencoder, ViT-{size}, patch 16", "CC-BY-NC-4.0", f"facebook/vit-mae-{size}")
        for size in ("base", "large")
    ),
    *(
        Known(f"resnet-{depth}", f"ResNet-{depth}, a convolutional baseline", "Apache-2.0", f"microsoft/resnet-{depth}")
        for depth in (18, 50, 152)
    ),
)


@dataclass(frozen=True, eq=False)
class Backbone:
    """An open backbone. `sha256` is that of its weights' file, and part of every key made from its tokens."""

    name: str
    network: "Vit"
    licence: str
    sha256: str
    layout: str = "DINOv2"
    left_out: tuple[str, ...] = ()
    folder: Path | None = None

    @property
    def config(self) -> "VitConfig":
        return self.network.config

    @property
    def patch(self) -> int:
        """The side of a patch in pixels."""
        return self.config.patch

    @property
    def width(self) -> int:
        """The channels of a token."""
        return self.config.hidden

    def to(self, device: str) -> "Backbone":
        """The same backbone on another device."""
        return replace(self, network=self.network.to(device))


def homes() -> tuple[Path, ...]:
    """The folders in which backbones are looked for, first to last; LITHOSCOPE_BACKBONES names one more."""
    from platformdirs import user_data_path

    chosen = os.environ.get("LITHOSCOPE_BACKBONES")
    return (*([Path(chosen)] if chosen else []), user_data_path("lithoscope", appauthor=False) / "backbones")


def shipped_folder(name: str = SHIPPED) -> Path:
    """Where the package keeps the weights that come with it."""
    return Path(str(resources.files("lithoscope"))) / "weights" / name


def known(name: str) -> Known:
    """What is known of the backbone of this name."""
    for entry in KNOWN:
        if entry.name == name:
            return entry
    raise MissingError(f"there is no backbone {name!r}; name a folder, a file, or one of {', '.join(k.name for k in KNOWN)}")


def place(name: str) -> Path | None:
    """The folder that holds the weights of a known backbone, or None when they are not here."""
    entry = known(name)
    for folder in [shipped_folder(name)] if entry.shipped else [home / name for home in homes()]:
        if any((folder / file).is_file() for file in ("model.safetensors", "pytorch_model.bin")) or len(list(folder.glob("*.pth"))) == 1:
            return folder
    return None


def how_to_get(name: str) -> str:
    """One line that says which file to put where."""
    entry = known(name)
    if entry.shipped:
        return f"{name} should have come with Lithoscope; install it again"
    page = f"https://huggingface.co/{entry.origin}"
    return f"put model.safetensors and config.json of {page} into {homes()[0] / name}"


def open_backbone(name: str | Path, *, key: str | None = None, device: str = "cpu") -> Backbone:
    """The backbone of a name, a folder or a file. `key`: "teacher" or "student" where a checkpoint holds both."""
    from lithoscope.features.vit import Vit

    text = str(name)
    if text == RANDOM:
        network = Vit.random(random_config())
        return Backbone(RANDOM, network.to(device), "none", weights_hash(network))
    path = Path(name)
    if any(k.name == text for k in KNOWN) and not (isinstance(name, Path) and path.exists()):
        found = place(text)
        if found is None:
            raise MissingError(f"the weights of {text} are not here; {how_to_get(text)}")
        path, licence = found, known(text).licence
    else:
        if not path.exists():
            if os.sep not in text:
                known(text)
            raise MissingError(f"there is no backbone at {path}")
        if (path / "model.json").is_file():
            return _tuned(path, device)
        if (path / SIAMESE).is_file():
            return _double(path, device)
        text, licence = path.stem if path.is_file() else path.resolve().name, "its publisher's"
    loaded = layouts.load(path, key=key)
    made: Any
    if loaded.layout == "ResNet":
        from lithoscope.features.convnet import Convnet

        made = Convnet(cast(Any, loaded.config))
    else:
        made = Vit(cast("VitConfig", loaded.config))
    made.load_state_dict({n: t.float() if t.is_floating_point() else t for n, t in loaded.tensors.items()})
    digest = sha256(layouts.weights_file(path))
    return Backbone(text, made.eval().requires_grad_(False).to(device), licence, digest, loaded.layout, loaded.left_out, path)


def with_adapter(found: Backbone, adapter: adapters.Adapter, scale: float) -> Backbone:
    """A backbone as LoRA has taught it; its checksum is of weights and adapter, and it brings no basis."""
    digest = hashlib.sha256(f"{found.sha256}-{adapters.adapter_hash(adapter, scale)}".encode()).hexdigest()
    return replace(found, network=adapters.tuned(found.network, adapter, scale), sha256=digest, folder=None)


def _tuned(folder: Path, device: str) -> Backbone:
    """The backbone of a model that was taught with LoRA, as it was taught."""
    name, adapter, scale = adapters.of_model(folder)
    found = with_adapter(open_backbone(Path(name) if Path(name).exists() else name, device=device), adapter, scale)
    return replace(found, name=folder.resolve().name)


def _double(folder: Path, device: str) -> Backbone:
    """Both trunks of a double Siamese network, as one."""
    from lithoscope.features import twin

    network: Any = twin.opened(folder).to(device)
    return Backbone(folder.resolve().name, network, "its publisher's", sha256(folder / twin.FILE), "double Siamese", folder=folder)


def random_config() -> "VitConfig":
    """The network of `random-tiny`: two layers, patches of 8."""
    from lithoscope.features.vit import VitConfig

    return VitConfig(hidden=48, depth=2, heads=3, patch=8, registers=1, channels=1, position="conv", mean=(0.5,), std=(0.25,))


def sha256(file: Path) -> str:
    """The checksum of a file, read in pieces."""
    stat = file.stat()
    return _sha256(file, stat.st_size, stat.st_mtime_ns)


@cache
def _sha256(file: Path, size: int, changed: int) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(1 << 22):
            digest.update(piece)
    return digest.hexdigest()


def weights_hash(network: "Vit") -> str:
    """A checksum of weights that lie in no file."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def listing() -> list[dict[str, Any]]:
    """Every known backbone as plain JSON: name, title, whether it ships, whether it is here, licence, checksum, how to get it."""
    made = []
    for entry in KNOWN:
        folder = place(entry.name)
        made.append(
            {
                "name": entry.name,
                "title": entry.title,
                "shipped": entry.shipped,
                "present": folder is not None,
                "license": entry.licence,
                "sha256": None if folder is None else sha256(layouts.weights_file(folder)),
                "path": None if folder is None else str(folder),
                "to_get": None if folder is not None else how_to_get(entry.name),
            }
        )
    return made


def fetch(name: str) -> Path:
    """Bring a backbone from the hub into the first of `homes`: the only thing here that uses the network, and only when asked."""
    entry = known(name)
    if not entry.origin:
        raise InputError(f"{name} is on no hub; {how_to_get(name)}")
    from huggingface_hub import snapshot_download

    target = homes()[0] / name
    try:
        snapshot_download(entry.origin, local_dir=target, allow_patterns=["model.safetensors", "*.json"])
    except (OSError, ValueError) as error:
        raise MissingError(f"{entry.origin} could not be fetched ({type(error).__name__}); {how_to_get(name)}") from error
    return target


def verified(folder: Path) -> bool:
    """Whether the weights in a folder are those that its `checksum.json` names."""
    path = folder / "checksum.json"
    return path.exists() and json.loads(path.read_text(encoding="utf-8")).get("sha256") == sha256(folder / "model.safetensors")
