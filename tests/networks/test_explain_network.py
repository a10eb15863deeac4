"""What the network sees, against the network itself: colours, attention, rollout, likeness, and where they lie."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lithoscope.cli import run
from lithoscope.errors import InputError, MissingError
from lithoscope.explain import attention_maps, keeping, pca
from lithoscope.explain.attention import look, seen, window_side
from lithoscope.explain.overlay import smallest_mass
from lithoscope.explain.place import Place
from lithoscope.explain.plane_tokens import PlaneTokens
from lithoscope.explain.points import Map
from lithoscope.explain.similarity import Likeness, over_volume
from lithoscope.explain.views import Views
from lithoscope.features.backbones import RANDOM, SHIPPED, open_backbone
from lithoscope.features.token_cache import TokenCache
from lithoscope.features.tokens import Tokens
from lithoscope.job import Cancelled
from lithoscope.volume.box import Box
from lithoscope.volume.convert import import_scan
from lithoscope.volume.scan import Scan
from lithoscope.volume.voxel import Voxel


def scan_of(values, path, voxel=(3.0, 1.0, 1.0)):
    np.save(path.with_suffix(".npy"), values)
    import_scan(path.with_suffix(".npy"), path, field_of_view=None)
    scan = Scan.open(path)
    scan.set(voxel=Voxel(voxel))
    return scan


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    values = np.random.default_rng(0).integers(0, 255, (28, 44, 52)).astype(np.uint8)
    return scan_of(values, tmp_path_factory.mktemp("scans") / "noise.zarr")


@pytest.fixture(scope="module")
def textures(tmp_path_factory):
    """Stripes of two voxels in the lower half of x, blobs of noise in the upper, 30 × 96 × 96."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    stripes = 60.0 + 130 * (np.arange(96) // 2 % 2)
    values = np.broadcast_to(stripes[None, :, None], (30, 96, 96)).copy()
    values[:, :, 48:] = 120 + 400 * gaussian_filter(rng.normal(size=(30, 96, 48)), 3)
    return scan_of((values + rng.normal(0, 4, values.shape)).clip(0, 255).astype(np.uint8), tmp_path_factory.mktemp("t") / "two.zarr")


@pytest.fixture(scope="module")
def window(scan):
    return look(scan, open_backbone(RANDOM), 0, (5, 20, 30), pixels=32)


def direct(backbone, grey, block):
    """softmax(QKᵀ) by the plainest means: every product written out."""
    network = backbone.network
    x = network.embeddings(network.normalised(torch.from_numpy(grey)[None, None]))
    for layer in network.encoder.layer[: block - 1]:
        x = layer(x)
    layer = network.encoder.layer[block - 1]
    normed = layer.norm1(x)[0]
    heads, width = backbone.config.heads, backbone.config.hidden // backbone.config.heads
    q, k = layer.attention.attention.query(normed), layer.attention.attention.key(normed)
    made = []
    for h in range(heads):
        some = slice(h * width, (h + 1) * width)
        products = q[:, some] @ k[:, some].T / width**0.5
        e = torch.exp(products - products.max(1, keepdim=True).values)
        made.append(e / e.sum(1, keepdim=True))
    return torch.stack(made).detach().numpy()


@pytest.mark.parametrize("block", [1, 2])
def test_attention_equals_a_direct_softmax_for_every_head_and_token(block):
    backbone = open_backbone(RANDOM)
    grey = np.random.default_rng(1).random((40, 32), np.float32)
    found = seen(backbone, grey, Place(0, 0), (0, 0), Box((0, 0, 0), (1, 40, 32)))
    expected = direct(backbone, grey, block)
    for head in (1, 2, 3):
        np.testing.assert_allclose(found.matrix(block, head).numpy(), expected[head - 1], atol=1e-6)
        np.testing.assert_allclose(found.row(block, "class", head), expected[head - 1, 0], atol=1e-6)
        np.testing.assert_allclose(found.row(block, (3, 2), head), expected[head - 1, found.prefix + 3 * 4 + 2], atol=1e-6)
    np.testing.assert_allclose(found.row(block, (0, 1)), expected[:, found.prefix + 1].mean(0), atol=1e-6)


def test_attention_of_published_networks_equals_transformers(tmp_path):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    small = {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "image_size": 56,
        "patch_size": 14,
        "num_register_tokens": 2,
    }
    theirs = transformers.Dinov2WithRegistersModel(transformers.Dinov2WithRegistersConfig(attn_implementation="eager", **small)).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    theirs.save_pretrained(tmp_path)
    backbone = open_backbone(tmp_path)
    grey = np.random.default_rng(2).random((56, 56), np.float32)
    with torch.inference_mode():
        pixels = backbone.network.normalised(torch.from_numpy(grey)[None, None])
        expected = theirs(pixel_values=pixels, output_attentions=True).attentions
    found = seen(backbone, grey, Place(0, 0), (0, 0), Box((0, 0, 0), (1, 56, 56)))
    for block in (1, 2, 3):
        for head in (1, 2):
            np.testing.assert_allclose(found.matrix(block, head).numpy(), expected[block - 1][0, head - 1].numpy(), atol=1e-5)


def test_rollout_is_the_product_of_half_attention_and_half_identity(window, monkeypatch):
    count = window.queries[0].shape[1]
    flow = np.eye(count)
    for block in (1, 2):
        flow = (0.5 * np.mean([window.matrix(block, h).numpy() for h in (1, 2, 3)], 0) + 0.5 * np.eye(count)) @ flow
    np.testing.assert_allclose(window.rollout(), flow[0], atol=1e-6)
    np.testing.assert_allclose(window.rollout((1, 2)), flow[window.prefix + 4 + 2], atol=1e-6)
    assert window.rollout().sum() == pytest.approx(1, abs=1e-5)
    monkeypatch.setattr("lithoscope.explain.attention.WHOLE_ROLLOUT", 0)
    np.testing.assert_allclose(window.rollout((1, 2)), flow[window.prefix + 4 + 2], atol=1e-6)


def test_the_window_lies_on_the_grid_of_tokens_around_the_place_and_within_the_plane(scan):
    backbone = open_backbone(RANDOM)
    for axis in range(3):
        for at in ((0, 0, 0), (27, 43, 51), (14, 20, 33)):
            found = look(scan, backbone, axis, at, pixels=16)
            assert found.frame.intersect(scan.box) == found.frame
            assert all(s % 8 == 0 for s in found.frame.start[:axis] + found.frame.start[axis + 1 :])
            assert found.frame.start[axis] == at[axis]
            near = tuple(min(max(v, a), b - 1) for v, a, b in zip(at, found.frame.start, found.frame.stop, strict=True))
            assert max(abs(a - b) for a, b in zip(near, at, strict=True)) < 8
            row, column = found.token_at(near)
            assert found.place.cell(found.place.voxel((row, column))) == (row, column)


def test_the_window_is_what_the_network_is_used_to_unless_told():
    assert window_side(open_backbone(SHIPPED)) == 24
    assert window_side(open_backbone(SHIPPED), 518) == 64
    with pytest.raises(InputError, match="too small"):
        window_side(open_backbone(SHIPPED), 10)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda w: w.row(3), "block 3 is not there; random-tiny has blocks 1 to 2"),
        (lambda w: w.row(0), "block 0"),
        (lambda w: w.row(1, "class", 4), "head 4 is not there; random-tiny has heads 1 to 3"),
        (lambda w: w.row(1, (9, 0)), "token 9,0"),
        (lambda w: w.token_at((5, 0, 51)), "token 5,0,51 lies outside the window"),
    ],
)
def test_a_block_head_or_token_that_is_not_there_is_said(window, ask, said):
    with pytest.raises(InputError, match=said):
        ask(window)


def test_following_a_token_outlines_half_of_where_it_looks(window):
    made = attention_maps.attention(window, block=2, head=1, at=(5, 20, 30), mass=0.5)
    assert made.values.shape == (4, 4)
    assert made.values.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(made.outline, smallest_mass(made.values, 0.5))
    assert made.frame == window.frame
    assert "head 1 of 3" in made.title


def test_a_whole_plane_is_the_average_of_windows_and_says_so(scan):
    backbone = open_backbone(RANDOM)
    made = attention_maps.whole_plane(scan, backbone, 0, 3, pixels=16)
    assert made.values.shape == (5, 6)
    assert np.isfinite(made.values).all()
    assert made.values.mean() == pytest.approx(1, abs=0.15)
    assert "averaged over windows" in made.title
    assert "overlapping windows" in made.notes[0]
    one = attention_maps.whole_plane(scan, backbone, 0, 3, pixels=400)
    alone = look(scan, backbone, 0, (3, 20, 24), pixels=400)
    np.testing.assert_allclose(one.values, alone.patches(alone.row()) * 30, rtol=1e-4)


def test_colours_equal_scikit_learns_pca_up_to_sign(scan):
    from sklearn.decomposition import PCA

    source = PlaneTokens(scan, Tokens(RANDOM, reduced=0))
    found = pca.fit(source, axes=(0,))
    planes = sorted({int((i + 0.5) * 28 / 24) for i in range(24)})
    rows = np.concatenate([source.of(0, z).reshape(-1, 48) for z in planes]).astype(np.float64)
    expected = PCA(3).fit(rows)
    signs = np.sign((found.components * expected.components_).sum(1))
    np.testing.assert_allclose(found.components * signs[:, None], expected.components_, atol=2e-4)
    colours = pca.TokenColours.of(found)
    np.testing.assert_allclose(colours.shares, expected.explained_variance_ratio_, rtol=1e-3)
    assert (found.components[np.arange(3), np.abs(found.components).argmax(1)] > 0).all()
    values = colours.components(rows[:9].reshape(3, 3, 48))
    np.testing.assert_allclose(values.reshape(9, 3) * colours.basis.spread * signs, expected.transform(rows[:9]), atol=1e-3)


def test_the_backbones_own_basis_gives_the_directions_that_its_tokens_are_kept_in(textures):
    tokens = Tokens(SHIPPED)
    kept = PlaneTokens(textures, tokens)
    whole = Tokens(SHIPPED, reduced=0)
    colours = pca.colours_for(kept)
    basis = tokens.used
    plain = (whole.of_plane(kept.grey(0, 3), textures.window) - basis.mean) @ basis.components[:3].T / basis.spread[:3]
    np.testing.assert_allclose(colours.components(kept.of(0, 3)), plain, atol=0.02)
    assert 0.2 < sum(colours.shares) < 1


def test_two_textures_have_two_colours_the_same_in_two_runs_and_sessions(textures):
    def colours():
        made = Views(Scan.open(textures.path), SHIPPED).pca(0, 15, basis="scan")
        return made.values[..., :3].astype(int), made

    values, made = colours()
    again, _ = colours()
    np.testing.assert_array_equal(values, again)
    left, right = values[1:-1, 1:5].reshape(-1, 3), values[1:-1, 7:-1].reshape(-1, 3)
    apart = np.linalg.norm(left.mean(0) - right.mean(0))
    assert apart > 60
    assert apart > 2 * max(left.std(0).max(), right.std(0).max())
    other = Views(textures, SHIPPED).pca(0, 4, basis="scan").values[..., :3].astype(int)
    assert np.linalg.norm(other[1:-1, 1:5].reshape(-1, 3).mean(0) - left.mean(0)) < apart / 4, "one basis for every plane"
    assert "basis of this scan" in made.notes[0]


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_overlay_and_image_are_aligned_within_half_a_token_on_every_plane(tmp_path, axis, scale):
    """A bright ball in a dark scan of long voxels: the tokens that differ lie, in the scan's unit, where the ball does."""
    shape, centre, radius, size = (48, 88, 96), (21, 50, 37), 9, np.array([2.0, 1.0, 0.5])
    grid = np.indices(shape)
    ball = sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) <= radius**2
    values = (np.where(ball, 220, 40) + np.random.default_rng(0).normal(0, 2, shape)).clip(0, 255).astype(np.uint8)
    scan = scan_of(values, tmp_path / "ball.zarr", tuple(size))
    views = Views(scan, SHIPPED, scale=scale)
    tokens = views.source.of(axis, centre[axis]).astype(np.float32)
    place = views.source.place(axis, centre[axis])
    usual = np.median(tokens.reshape(-1, tokens.shape[-1]), 0)
    weight = np.linalg.norm(tokens - usual, axis=-1)
    weight = np.where(weight > weight.max() / 2, weight, 0)
    cells = np.indices(weight.shape).reshape(2, -1)
    at = (cells * weight.ravel()).sum(1) / weight.sum()
    where = np.array(place.translate(scan.voxel))
    for along, n in zip(place.along, at, strict=True):
        where[along] += n * place.scale(scan.voxel)[along]
    pitch = np.array(place.scale(scan.voxel))
    assert (np.abs(where - np.array(centre) * size) <= pitch / 2).all(), (where, np.array(centre) * size)


def test_the_foreground_is_cut_at_the_first_component(textures):
    views = Views(textures, SHIPPED)
    first = views.colours().components(views.source.of(0, 3))[..., 0]
    cut = float(np.median(first))
    above, below = (views.pca(0, 3, foreground=cut, keep=k).values[..., 3] for k in ("above", "below"))
    np.testing.assert_array_equal(above > 0, first > cut)
    np.testing.assert_array_equal(below > 0, first < cut)


def test_a_backbone_without_a_basis_gets_one_for_every_scan_and_session(scan, textures, tmp_path, monkeypatch):
    monkeypatch.setattr(pca, "own_bases", lambda: tmp_path / "bases")
    first = Views(scan, RANDOM).colours()
    second = Views(textures, RANDOM).colours()
    np.testing.assert_array_equal(first.basis.components, second.basis.components)
    assert len(list((tmp_path / "bases").glob("*/pca.safetensors"))) == 1
    with pytest.raises(MissingError, match="no basis"):
        Views(scan, RANDOM).colours(str(tmp_path))


def test_fine_tuned_tokens_are_drawn_in_the_colours_of_the_frozen_ones(textures, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    from lithoscope.features.backbones import shipped_folder

    folder = tmp_path / "tuned"
    shutil.copytree(shipped_folder(), folder)
    (folder / "pca.safetensors").unlink()
    weights = load_file(folder / "model.safetensors")
    name = next(n for n in weights if "layer.11" in n and n.endswith("fc2.weight"))
    weights[name] = (weights[name].float() * 1.05).to(weights[name].dtype)
    save_file(weights, folder / "model.safetensors")
    views = Views(textures, SHIPPED, tuned=folder)
    tuned, frozen = views.pca_tuned(0, 3), views.pca(0, 3)
    assert tuned.about["basis"] == frozen.about["basis"]
    assert tuned.about["tuned"]
    apart = np.abs(tuned.values[..., :3].astype(int) - frozen.values[..., :3].astype(int))
    assert 0 < apart.mean() < 60
    with pytest.raises(InputError, match="of another size"):
        _ = Views(textures, SHIPPED, tuned=RANDOM).tuned


def test_likeness_is_the_cosine_to_the_token_that_holds_the_voxel(textures):
    views = Views(textures, SHIPPED)
    made = views.similarity(0, (3, 30, 12))
    tokens = views.source.of(0, 3).astype(np.float64)
    one = tokens[3, 1]
    expected = tokens @ one / np.linalg.norm(tokens, axis=-1) / np.linalg.norm(one)
    np.testing.assert_allclose(made.values, expected, atol=1e-5)
    assert made.values[3, 1] == pytest.approx(1, abs=1e-5)
    assert made.values[:, 1:5].mean() > made.values[:, 7:].mean() + 0.2
    with pytest.raises(InputError, match="lies outside plane z=3"):
        views.likeness(0, 3).token((4, 30, 12))


def test_likeness_over_the_volume_equals_likeness_plane_by_plane(scan, tmp_path):
    source = PlaneTokens(scan, Tokens(RANDOM, reduced=0))
    at = (4, 20, 30)
    import zarr
    from ome_zarr_models.v05 import Image

    for axis in (0, 2):
        best, where = over_volume(source, at, axis, tmp_path / "near.zarr")
        group = zarr.open_group(str(tmp_path / "near.zarr"), mode="r")
        Image.from_zarr(group)
        scale = group.attrs["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]
        assert scale == [s if a == axis else 8 * s for a, s in enumerate((3.0, 1.0, 1.0))]
        query = Likeness(source, axis, at[axis]).token(at)
        for index in (0, 4, 27):
            expected = Likeness(source, axis, index).to(query)
            np.testing.assert_allclose(np.take(group["0"], index, axis) / 255, expected.clip(0, 1), atol=0.003)
        assert abs(where[axis] - at[axis]) > 8
        assert 0 < best < 1

    def stop(progress):
        if progress.done == 5:
            raise Cancelled

    with pytest.raises(Cancelled):
        over_volume(source, at, 0, tmp_path / "half.zarr", stop)
    assert [p.name for p in tmp_path.iterdir()] == ["near.zarr"]


def test_tokens_come_from_the_cache_of_the_whole_scan_where_it_is(scan):
    tokens = Tokens(RANDOM, plane="y", reduced=0)
    assert PlaneTokens(scan, Tokens(RANDOM, reduced=0)).kept(1, 7) is None
    TokenCache(scan, tokens).make()
    source = PlaneTokens(scan, Tokens(RANDOM, reduced=0))
    fresh = tokens.of_plane(source.grey(1, 7), scan.window)
    np.testing.assert_allclose(source.of(1, 7), fresh, atol=4e-3)


def test_planes_are_kept_once_seen_and_given_up_between_parts(scan):
    source = PlaneTokens(scan, Tokens(RANDOM, reduced=0, scale=2.0))

    def stop():
        raise Cancelled

    with pytest.raises(Cancelled):
        source.of(0, 9, stop)
    made = source.of(0, 9)
    np.testing.assert_array_equal(PlaneTokens(scan, Tokens(RANDOM, reduced=0, scale=2.0)).kept(0, 9), made)


def test_planes_smaller_than_a_token_are_refused_in_words(tmp_path):
    scan = scan_of(np.random.default_rng(0).integers(0, 255, (5, 40, 40)).astype(np.uint8), tmp_path / "thin.zarr")
    views = Views(scan, RANDOM)
    assert views.pca(0, 2).values.shape == (5, 5, 4)
    with pytest.raises(InputError, match="less than one token"):
        views.pca(1, 2)
    with pytest.raises(InputError, match="less than two patches"):
        views.attention(1, (2, 2, 2))
    with pytest.raises(InputError, match="does not lie within"):
        views.pca(0, 5)


@pytest.mark.parametrize(
    ("kind", "more", "ending"),
    [
        ("pca", ["--foreground", "-0.5", "--plane", "y=20"], "png"),
        ("pca", ["--basis", "scan"], "zarr"),
        ("attention", ["--token", "5,20,30", "--block", "1", "--head", "2", "--window", "24"], "svg"),
        ("attention", ["--whole", "--window", "16"], "png"),
        ("rollout", [], "csv"),
        ("similarity", ["--token", "5,20,30"], "zarr"),
        ("similarity", ["--token", "5,20,30", "--whole"], "zarr"),
        ("embedding", ["--count", "40", "--method", "pca"], "csv"),
        ("embedding", ["--count", "40", "--samples"], "svg"),
    ],
)
def test_every_kind_is_written_and_kept_beside_the_scan(scan, tmp_path, capsys, monkeypatch, kind, more, ending):
    monkeypatch.setattr(pca, "own_bases", lambda: tmp_path / "bases")
    out = tmp_path / f"out.{ending}"
    assert run(["explain", str(scan.path), "--kind", kind, "--backbone", RANDOM, *more, "--json", str(out)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert out.exists()
    assert answer["kind"] == kind
    for path in answer["kept"]:
        if kind == "embedding":
            assert Map.load(Path(path)).points.scans == ("noise",)
        else:
            assert keeping.read_overlay(Path(path)).kind == kind
    assert answer["kept"] or "--whole" in more


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--kind", "attention", "--block", "9", "--backbone", RANDOM], "block 9 is not there"),
        (["--kind", "attention", "--head", "9", "--backbone", RANDOM], "head 9 is not there"),
        (["--kind", "pca", "--backbone", "dinov2-giant"], "no backbone 'dinov2-giant'"),
        (["--kind", "pca", "--backbone", "dinov2-large"], "are not here; put model.safetensors"),
        (["--kind", "attention", "--window", "9", "--backbone", RANDOM], "too small"),
        (["--kind", "pca", "--basis", "nowhere", "--backbone", RANDOM], "no basis in nowhere"),
        (["--kind", "similarity", "--token", "1,2,3", "--whole", "--backbone", RANDOM], "written as .zarr"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(scan, tmp_path, capsys, words, said):
    assert run(["explain", str(scan.path), *words, str(tmp_path / "o.png")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1


def test_a_map_of_two_scans_is_coloured_by_metadata(scan, textures, tmp_path, capsys):
    (tmp_path / "m.csv").write_text("scan,rock\nnoise,sand\ntwo,clay\n")
    words = ["--kind", "embedding", "--method", "pca", "--count", "80", "--metadata", str(tmp_path / "m.csv"), "--color", "rock"]
    assert run(["explain", str(scan.path), str(textures.path), *words, "--json", str(tmp_path / "m.svg")]) == 0
    assert json.loads(capsys.readouterr().out)["about"]["colour"] == "rock"
    text = (tmp_path / "m.svg").read_text()
    assert "sand 40" in text
    assert "clay 40" in text
