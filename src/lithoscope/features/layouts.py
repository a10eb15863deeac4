"""The ways in which published ViT weights are laid out in files, each turned into the one layout of `vit`.

Known: DINOv2 (with and without registers), DINO v1 and MAE as transformers saves them; the same as timm and
facebookresearch save them, under a teacher's or student's key and whatever prefix; checkpoints of the published study on rocks, adapters
worked in. Nothing is loaded in part: keys that are
missing or not understood are an error that lists them; decoders and heads, which no backbone needs, are named in `left_out`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lithoscope.errors import InputError, MissingError, UnreadableError
from lithoscope.features.adapters import without_adapters

if TYPE_CHECKING:
    from torch import Tensor

    from lithoscope.features.convnet import ConvConfig
    from lithoscope.features.vit import VitConfig

WRAPPERS = ("state_dict", "model", "teacher", "student", "backbone")
"""Keys under which checkpoints keep the weights, looked into in this order unless one is asked for."""

PREFIXES = ("module.", "_orig_mod.", "backbone.", "model.", "dinov2.", "dinov2_with_registers.", "vit.", "base_model.model.")

BEGINNINGS = ("cls_token", "embeddings.", "patch_embed.", "blocks.", "encoder.", "layers.", *PREFIXES)
"""How names go on after a prefix; what does not is no prefix but a part of the network."""

EXTRAS = re.compile(
    r"^(decoder|head|seg_head|fc_norm|pooler|classifier|dino_head|ibot_head|dino_loss|ibot_patch_loss|mlp\.|last_layer|head_dist)"
)
"""What checkpoints carry beside a backbone: decoders, heads, poolers and losses' centres."""

_TIMM = (
    (r"^cls_token$", "embeddings.cls_token"),
    (r"^mask_token$", "embeddings.mask_token"),
    (r"^(register_tokens|reg_token)$", "embeddings.register_tokens"),
    (r"^pos_embed$", "embeddings.position_embeddings"),
    (r"^patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
    (r"^norm\.", "layernorm."),
    (r"^blocks\.(?:\d+\.)?(\d+)\.norm([12])\.", r"encoder.layer.\1.norm\2."),
    (r"^blocks\.(?:\d+\.)?(\d+)\.attn\.proj\.", r"encoder.layer.\1.attention.output.dense."),
    (r"^blocks\.(?:\d+\.)?(\d+)\.attn\.qkv\.", r"encoder.layer.\1.attention.qkv."),
    (r"^blocks\.(?:\d+\.)?(\d+)\.ls([12])\.gamma$", r"encoder.layer.\1.layer_scale\2.lambda1"),
    (r"^blocks\.(?:\d+\.)?(\d+)\.mlp\.fc([12])\.", r"encoder.layer.\1.mlp.fc\2."),
)
_TRANSFORMERS_VIT = (
    (r"^layers\.", "encoder.layer."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"(\d)\.intermediate\.dense\.", r"\1.mlp.fc1."),
    (r"(\d)\.output\.dense\.", r"\1.mlp.fc2."),
    (r"\.attention\.([qkv])_proj\.", r".attention.attention.\1_proj."),
    (r"\.q_proj\.", ".query."),
    (r"\.k_proj\.", ".key."),
    (r"\.v_proj\.", ".value."),
    (r"\.attention\.o_proj\.", ".attention.output.dense."),
)


@dataclass(frozen=True)
class Loaded:
    """Weights in `vit`'s names, the network that they fit, and what the file held beside them."""

    config: "VitConfig | ConvConfig"
    tensors: dict[str, "Tensor"]
    layout: str
    left_out: tuple[str, ...] = ()
    added: tuple[str, ...] = field(default=())
    """Keys that the file lacks and that are not used unless training masks patches: only ever the mask token."""


def load(path: Path, *, key: str | None = None) -> Loaded:
    """The weights in a file, or in a folder with `config.json` beside them. `key`: "teacher" or "student" where a file has both."""
    file = weights_file(path)
    beside = file.parent / "config.json"
    config = json.loads(beside.read_text(encoding="utf-8")) if beside.exists() and (path.is_dir() or file.suffix == ".safetensors") else {}
    preprocessor = file.parent / "preprocessor_config.json"
    if path.is_dir() and preprocessor.exists():
        seen = json.loads(preprocessor.read_text(encoding="utf-8"))
        config = {"image_mean": seen.get("image_mean"), "image_std": seen.get("image_std"), **config}
    return understood(read_tensors(file), config, key=key, name=file.name)


def weights_file(path: Path) -> Path:
    """The file with the weights: `path` itself, or the one that its folder holds."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise MissingError(f"there is no backbone at {path}; name a file (.safetensors, .pth) or a folder with model.safetensors")
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (path / name).is_file():
            return path / name
    found = sorted([*path.glob("*.safetensors"), *path.glob("*.pth")])
    if len(found) != 1:
        raise MissingError(f"{path} holds {len(found)} files of weights; put one model.safetensors there, or name the file")
    return found[0]


def read_tensors(file: Path) -> dict[str, Any]:
    """What a file holds, safetensors or plain tensors alone; nothing of it is run."""
    if file.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return dict(load_file(file))
        except (SafetensorError, OSError) as error:
            raise UnreadableError(f"{file} is not a readable safetensors file ({error}); fetch it again") from error
    import pickle

    import torch

    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UnreadableError(
            f"{file} holds more than plain tensors and is not opened; save its state_dict alone, or as safetensors"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise UnreadableError(f"{file} is not a readable checkpoint; fetch it again") from error
    if not isinstance(content, Mapping):
        raise UnreadableError(f"{file} holds a {type(content).__name__}, not named tensors")
    return dict(content)


def unwrapped(content: Mapping[str, Any], key: str | None = None) -> dict[str, "Tensor"]:
    """The tensors of a checkpoint, out of its wrappers and without prefixes."""
    import torch

    current: Mapping[str, Any] = content
    if key is not None and key not in content:
        raise InputError(f"the checkpoint has no {key!r}; it has {', '.join(list(content)[:8])}")
    for wrapper in (key, *WRAPPERS) if key is not None else WRAPPERS:
        inner = current.get(wrapper) if wrapper is not None else None
        if isinstance(inner, Mapping):
            current = inner
    tensors = {name: value for name, value in current.items() if isinstance(value, torch.Tensor)}
    for _ in range(4):
        for prefix in PREFIXES:
            if any(name.startswith(prefix) and name.removeprefix(prefix).startswith(BEGINNINGS) for name in tensors):
                tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def understood(content: Mapping[str, Any], config: Mapping[str, Any], *, key: str | None = None, name: str = "the file") -> Loaded:
    """Named tensors of any known layout, in `vit`'s names; `config` is what stood in config.json."""
    import torch

    tensors = unwrapped(content, key)
    if any(".base_layer" in n for n in tensors):
        tensors = without_adapters(tensors)
    from lithoscope.features import convnet

    if convnet.fits(tensors):
        shape, weights, beside = convnet.loaded(tensors, name)
        return Loaded(shape, weights, "ResNet", beside)
    rules: Sequence[tuple[str, str]]
    if "blocks.0.norm1.weight" in tensors or "blocks.0.0.norm1.weight" in tensors:
        layout, rules = "timm", _TIMM
    elif any(".layernorm_before." in n for n in tensors):
        layout, rules = "transformers ViT", _TRANSFORMERS_VIT
    elif "encoder.layer.0.norm1.weight" in tensors:
        layout, rules = "DINOv2", _TRANSFORMERS_VIT[5:]
    else:
        some = ", ".join(list(tensors)[:6]) or "no tensors"
        raise InputError(f"{name} is in no known layout of a ViT (DINOv2, DINO, MAE of transformers, timm, facebookresearch): {some}")
    left_out = tuple(n for n in tensors if EXTRAS.match(n))
    made: dict[str, torch.Tensor] = {}
    for old, value in tensors.items():
        if old not in left_out:
            new = old
            for pattern, replacement in rules:
                new = re.sub(pattern, replacement, new)
            made[new] = value
    _split(made)
    if "embeddings.cls_token" not in made or "embeddings.patch_embeddings.projection.weight" not in made:
        raise InputError(f"{name} has no class token or no patch embedding; it is not a whole backbone")
    network = _config(made, config, layout)
    _fit(made, network)
    added = _checked(made, network, name)
    return Loaded(network, made, layout, left_out, added)


def _split(tensors: dict[str, "Tensor"]) -> None:
    """Joint queries, keys and values, as three."""
    for name in [n for n in tensors if ".attention.qkv." in n]:
        before, after = name.split("qkv.")
        for part, value in zip(("query", "key", "value"), tensors.pop(name).chunk(3), strict=True):
            tensors[f"{before}attention.{part}.{after}"] = value.contiguous()


def _config(tensors: Mapping[str, "Tensor"], given: Mapping[str, Any], layout: str) -> "VitConfig":
    from lithoscope.features.vit import VitConfig

    if given.get("model_type") == "lithoscope-vit":
        return VitConfig.from_json(dict(given))
    projection = tensors["embeddings.patch_embeddings.projection.weight"]
    hidden, channels, patch, _ = (int(s) for s in projection.shape)
    depth = 1 + max(int(m.group(1)) for n in tensors if (m := re.match(r"encoder\.layer\.(\d+)\.", n)))
    heads = int(given.get("num_attention_heads") or max(1, hidden // 64))
    places = tensors.get("embeddings.position_embeddings")
    side = round((int(places.shape[1]) - (0 if _square(int(places.shape[1])) else 1)) ** 0.5) if places is not None else 0
    registers = tensors.get("embeddings.register_tokens")
    epsilon = float(given.get("layer_norm_eps") or (1e-12 if layout == "transformers ViT" else 1e-6))
    default = VitConfig()
    return VitConfig(
        hidden=hidden,
        depth=depth,
        heads=heads,
        patch=patch,
        mlp_ratio=int(tensors["encoder.layer.0.mlp.fc1.weight"].shape[0]) / hidden if "encoder.layer.0.mlp.fc1.weight" in tensors else 4.0,
        registers=0 if registers is None else int(registers.shape[1]),
        channels=channels,
        image_size=side * patch,
        position="learned" if places is not None else "conv" if "embeddings.position_conv.weight" in tensors else "none",
        layer_scale=any(".layer_scale1." in n for n in tensors),
        qkv_bias="encoder.layer.0.attention.attention.query.bias" in tensors,
        epsilon=epsilon,
        antialias=registers is not None,
        mean=tuple(given.get("image_mean") or default.mean)[:channels] or default.mean,
        std=tuple(given.get("image_std") or default.std)[:channels] or default.std,
    )


def _square(n: int) -> bool:
    return int(n**0.5 + 0.5) ** 2 == n


def _fit(tensors: dict[str, "Tensor"], config: "VitConfig") -> None:
    """Small differences of shape between libraries, made one."""
    import torch

    places = tensors.get("embeddings.position_embeddings")
    if places is not None and places.shape[1] == config.grid**2:
        tensors["embeddings.position_embeddings"] = torch.cat([torch.zeros_like(places[:, :1]), places], 1)
    mask = tensors.get("embeddings.mask_token")
    if mask is not None:
        tensors["embeddings.mask_token"] = mask.reshape(1, config.hidden)


def _checked(tensors: dict[str, "Tensor"], config: "VitConfig", name: str) -> tuple[str, ...]:
    """Raises unless the names and shapes are exactly the network's; a missing mask token is made."""
    import torch

    from lithoscope.features.vit import Vit

    with torch.device("meta"):
        wanted = {n: tuple(t.shape) for n, t in Vit(config).state_dict().items()}
    added: tuple[str, ...] = ()
    if "embeddings.mask_token" not in tensors:
        tensors["embeddings.mask_token"] = torch.zeros(1, config.hidden)
        added = ("embeddings.mask_token",)
    missing, unexpected = sorted(wanted.keys() - tensors.keys()), sorted(tensors.keys() - wanted.keys())
    if missing or unexpected:
        parts = [
            f"{len(keys)} {what} keys: {', '.join(keys[:5])}" for what, keys in (("missing", missing), ("unexpected", unexpected)) if keys
        ]
        raise InputError(f"{name} does not fit its network, {'; '.join(parts)}")
    wrong = [f"{n} is {tuple(tensors[n].shape)}, not {wanted[n]}" for n in wanted if tuple(tensors[n].shape) != wanted[n]]
    if wrong:
        raise InputError(f"{name} has {len(wrong)} tensors of another shape: {'; '.join(wrong[:3])}")
    return added
