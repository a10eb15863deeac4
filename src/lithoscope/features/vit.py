"""The vision transformer behind every ViT backbone: DINOv2's, with DINO v1 and MAE as special cases of it.

Weights carry the names that DINOv2 has in transformers, so that a file of either kind opens in both. This file defines
network modules and so imports torch as it is loaded: import it inside functions, never at the top of another file.
"""

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lithoscope.errors import InputError

SHORT = 256
"""Up to so many tokens, plain matrix products are faster on a CPU than the fused attention, whose gradient is slow."""


@dataclass(frozen=True, slots=True)
class VitConfig:
    """The shape of a network.

    `image_size` is the side in pixels of the grid that learnt positions belong to. `position`: "learned" absolute places as
    published, "conv" a 3 × 3 depthwise convolution over the tokens (it knows neighbours, not places: homogeneous texture looks
    the same everywhere), "alibi" attention that fades with distance, each head at its own rate (Press et al. 2022; on planes
    as Fuller et al. 2023), or "none". `mean` and `std` are taken off an image whose window lies at 0…1. `projected`: a matrix
    comes after all layers, as taught similarity has one.
    """

    hidden: int = 192
    depth: int = 12
    heads: int = 3
    patch: int = 14
    mlp_ratio: float = 4.0
    registers: int = 4
    channels: int = 3
    image_size: int = 518
    position: Literal["learned", "conv", "alibi", "none"] = "learned"
    layer_scale: bool = True
    qkv_bias: bool = True
    epsilon: float = 1e-6
    antialias: bool = False
    projected: bool = False
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        if self.hidden % self.heads:
            raise InputError(f"{self.hidden} channels do not divide among {self.heads} heads")
        if self.position == "learned" and self.image_size % self.patch:
            raise InputError(f"image size {self.image_size} is not a multiple of the patch, {self.patch}")

    @property
    def grid(self) -> int:
        """How many learnt places lie along a side."""
        return self.image_size // self.patch

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        known = {f.name for f in fields(cls)}
        given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items() if key in known}
        return cls(**given)


class _Projections(nn.Module):
    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(config.hidden, config.hidden, bias=config.qkv_bias) for _ in range(3))


class _Dense(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)


class Attention(nn.Module):
    """Every token looks at every other."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.attention = _Projections(config)
        self.output = _Dense(config.hidden)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (batch, heads, tokens, channels)."""
        n, t, _ = x.shape
        parts = (self.attention.query(x), self.attention.key(x), self.attention.value(x))
        q, k, v = (p.view(n, t, self.heads, -1).transpose(1, 2) for p in parts)
        return q, k, v

    def weights(self, x: Tensor, far: Tensor | None = None) -> Tensor:
        """How much each token (rows) looks at each other: (batch, heads, tokens, tokens); `far` (heads, tokens, tokens) is added
        to their likeness."""
        q, k, _ = self.split(x)
        likeness = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        return torch.softmax(likeness if far is None else likeness + far, -1)

    def forward(self, x: Tensor, far: Tensor | None = None) -> Tensor:
        if x.device.type == "cpu" and x.shape[1] <= SHORT:
            q, k, v = self.split(x)
            likeness = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
            mixed = torch.softmax(likeness if far is None else likeness + far, -1).to(v.dtype) @ v
        else:
            q, k, v = self.split(x)
            mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=None if far is None else far.to(q.dtype))
        return self.output.dense(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class _Scale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.lambda1 = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.lambda1


class _Mlp(nn.Module):
    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        inner = int(config.hidden * config.mlp_ratio)
        self.fc1 = nn.Linear(config.hidden, inner)
        self.fc2 = nn.Linear(inner, config.hidden)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))  # type: ignore[no-any-return]


class Layer(nn.Module):
    """One block: attention, then a small network at each token."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.hidden, eps=config.epsilon)
        self.attention = Attention(config)
        self.layer_scale1: nn.Module = _Scale(config.hidden) if config.layer_scale else nn.Identity()
        self.norm2 = nn.LayerNorm(config.hidden, eps=config.epsilon)
        self.mlp = _Mlp(config)
        self.layer_scale2: nn.Module = _Scale(config.hidden) if config.layer_scale else nn.Identity()

    def forward(self, x: Tensor, kept: Tensor | None = None, far: Tensor | None = None) -> Tensor:
        """`kept` (batch, 1, 1) scales what is added: 0 drops this layer for an image, as drop path does; `far` as in `Attention`."""
        added: Tensor = self.layer_scale1(self.attention(self.norm1(x), far))
        x = x + (added if kept is None else added * kept)
        added = self.layer_scale2(self.mlp(self.norm2(x)))
        return x + (added if kept is None else added * kept)


class _Projection(nn.Module):
    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.projection = nn.Conv2d(config.channels, config.hidden, config.patch, config.patch)


class Embeddings(nn.Module):
    """Patches to tokens, the class token and the registers before them."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.config = config
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.hidden))
        self.mask_token = nn.Parameter(torch.zeros(1, config.hidden))
        if config.registers:
            self.register_tokens = nn.Parameter(torch.zeros(1, config.registers, config.hidden))
        if config.position == "learned":
            self.position_embeddings = nn.Parameter(torch.zeros(1, config.grid**2 + 1, config.hidden))
        if config.position == "conv":
            self.position_conv = nn.Conv2d(config.hidden, config.hidden, 3, groups=config.hidden)
        self.patch_embeddings = _Projection(config)

    def places(self, rows: int, columns: int) -> Tensor:
        """Learnt places (1, 1 + rows · columns, channels), interpolated to this grid."""
        places, side = cast(Tensor, self.position_embeddings), self.config.grid
        if (rows, columns) == (side, side):
            return places
        square = places[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2).float()
        resized = functional.interpolate(square, size=(rows, columns), mode="bicubic", antialias=self.config.antialias)
        return torch.cat([places[:, :1], resized.permute(0, 2, 3, 1).flatten(1, 2).to(places.dtype)], 1)

    def forward(self, pixels: Tensor, masked: Tensor | None = None) -> Tensor:
        """Tokens (batch, 1 + registers + patches, channels) of pixels (batch, channels, y, x); `masked` (batch, patches) hides some."""
        grid: Tensor = self.patch_embeddings.projection(pixels)
        n, _, rows, columns = grid.shape
        tokens = grid.flatten(2).transpose(1, 2)
        if masked is not None:
            tokens = torch.where(masked[..., None], self.mask_token[None].to(tokens.dtype), tokens)
        if self.config.position == "conv":
            square = tokens.transpose(1, 2).reshape(n, -1, rows, columns)
            near = self.position_conv(functional.pad(square, (1, 1, 1, 1), mode="replicate"))
            tokens = tokens + near.flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.to(tokens.dtype).expand(n, -1, -1), tokens], 1)
        if self.config.position == "learned":
            tokens = tokens + self.places(rows, columns).to(tokens.dtype)
        if self.config.registers:
            registers = self.register_tokens.to(tokens.dtype).expand(n, -1, -1)
            tokens = torch.cat([tokens[:, :1], registers, tokens[:, 1:]], 1)
        return tokens


class _Encoder(nn.Module):
    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(config) for _ in range(config.depth))


class Vit(nn.Module):
    """The network. `forward` gives normalised tokens, the class token first, then registers, then patches row by row."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.encoder = _Encoder(config)
        self.layernorm = nn.LayerNorm(config.hidden, eps=config.epsilon)
        self.projector: nn.Module = nn.Linear(config.hidden, config.hidden, bias=False) if config.projected else nn.Identity()

    @classmethod
    def random(cls, config: VitConfig, seed: int = 0) -> Self:
        """Fresh weights that depend on nothing but the seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made = cls(config)
            for module in made.modules():
                if isinstance(module, nn.Linear):
                    nn.init.trunc_normal_(module.weight, std=0.02)
                    if module.bias is not None:
                        nn.init.zeros_(module.bias)
            for name, parameter in made.embeddings.named_parameters(recurse=False):
                if name != "mask_token":
                    nn.init.trunc_normal_(parameter, std=0.02)
        return made.eval()

    def far(self, pixels: Tensor) -> Tensor | None:
        """How much less tokens of pixels (…, y, x) look at each other for their distance: (heads, tokens, tokens), 0 to and from the
        class token and the registers; None where distance counts for nothing."""
        if self.config.position != "alibi":
            return None
        rows, columns = (size // self.config.patch for size in pixels.shape[-2:])
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        places = torch.stack([y.flatten(), x.flatten()], 1).float()
        heads = torch.arange(1, self.config.heads + 1)
        faded = -(2.0 ** (-8.0 * heads / self.config.heads)).view(-1, 1, 1) * torch.cdist(places, places)
        return functional.pad(faded, (self.prefix, 0, self.prefix, 0)).to(pixels.device)

    @property
    def prefix(self) -> int:
        """How many tokens come before the patches."""
        return 1 + self.config.registers

    def normalised(self, pixels: Tensor) -> Tensor:
        """Grey images (batch, 1, y, x) whose window lies at 0…1, as this network wants them."""
        mean, std = (
            torch.tensor(v, dtype=pixels.dtype, device=pixels.device).view(1, -1, 1, 1) for v in (self.config.mean, self.config.std)
        )
        return (pixels.expand(-1, self.config.channels, -1, -1) - mean) / std

    def forward(self, pixels: Tensor, masked: Tensor | None = None, *, drop_path: float = 0.0) -> Tensor:
        x, far = self.embeddings(pixels, masked), self.far(pixels)
        last = max(1, len(self.encoder.layer) - 1)
        for i, layer in enumerate(self.encoder.layer):
            rate = drop_path * i / last
            kept = torch.empty(len(x), 1, 1, dtype=x.dtype, device=x.device).bernoulli_(1 - rate) / (1 - rate) if rate else None
            x = layer(x, kept, far)
        return self.projector(self.layernorm(x))  # type: ignore[no-any-return]

    def with_projector(self, matrix: Tensor) -> "Vit":
        """A copy with this matrix (hidden, hidden) after all layers, in place of one that it may have."""
        made = Vit(replace(self.config, projected=True))
        made.load_state_dict({**self.state_dict(), "projector.weight": matrix.detach().to(self.layernorm.weight)})
        return made.to(self.layernorm.weight.device).eval().requires_grad_(False)

    def layers(self, pixels: Tensor, wanted: tuple[int, ...], *, norm: bool = True) -> list[Tensor]:
        """All tokens after each of the wanted layers (1 is the first, 0 the embedding, negative ones count from the last)."""
        depth = len(self.encoder.layer)
        numbers = [w if w >= 0 else depth + 1 + w for w in wanted]
        if any(not 0 <= n <= depth for n in numbers):
            raise InputError(f"layers {wanted} do not lie within the {depth} of this network")
        x, far = self.embeddings(pixels), self.far(pixels)
        found = {0: x}
        for i, layer in enumerate(self.encoder.layer[: max(numbers)], 1):
            x = layer(x, None, far)
            if i in numbers:
                found[i] = x
        if not norm:
            return [found[n] for n in numbers]
        return [self.projector(self.layernorm(found[n])) if n == depth else self.layernorm(found[n]) for n in numbers]

    def attention(self, pixels: Tensor, block: int = -1) -> Tensor:
        """Attention (batch, heads, tokens, tokens) of one layer, counted as in `layers`."""
        depth = len(self.encoder.layer)
        index = block - 1 if block > 0 else depth + block
        if not 0 <= index < depth:
            raise InputError(f"layer {block} does not lie within the {depth} of this network")
        x, far = self.embeddings(pixels), self.far(pixels)
        for layer in self.encoder.layer[:index]:
            x = layer(x, None, far)
        layer = self.encoder.layer[index]
        return layer.attention.weights(layer.norm1(x), far)  # type: ignore[operator,union-attr,no-any-return]

    def size(self) -> int:
        """How many parameters it has."""
        return sum(p.numel() for p in self.parameters())
