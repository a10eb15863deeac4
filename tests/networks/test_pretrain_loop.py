"""Teaching a backbone: seeded, resumed exactly, logged; the objectives are wired as their papers say."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from lithoscope.errors import InputError, UnreadableError
from lithoscope.features.backbones import open_backbone
from lithoscope.features.vit import Vit, VitConfig
from lithoscope.job import Cancelled
from lithoscope.training.selfsupervised import checkpoint
from lithoscope.training.selfsupervised.augment import Augmentation, blurred, degraded, toned
from lithoscope.training.selfsupervised.crops import Crops, Pool, Source, View, cut
from lithoscope.training.selfsupervised.dino import Dino, DinoSettings, koleo
from lithoscope.training.selfsupervised.finish import finish
from lithoscope.training.selfsupervised.loop import Schedule, _forget, crops_of, pretrain
from lithoscope.training.selfsupervised.mae import Mae
from lithoscope.training.selfsupervised.sources import SIZES, plan_of

SMALL_DINO = DinoSettings(prototypes=64, head_hidden=32, bottleneck=16)


def plan(objective, **changes):
    made = replace(plan_of(objective, size="test", steps=6, batch=4), side=48, local_side=24, locals=2, blocks=4, edge=48, refresh=2)
    made = replace(made, dino=replace(SMALL_DINO, freeze_prototypes=1), schedule=replace(made.schedule, minutes_between_checkpoints=99))
    return replace(made, **changes)


@pytest.fixture(scope="module")
def sources():
    rng = np.random.default_rng(0)
    texture = np.repeat(np.repeat(rng.normal(size=(30, 15, 15)), 4, 1), 4, 2)
    thin = rng.integers(0, 60000, (2, 64, 80)).astype(np.uint16)
    return [Source.of((texture * 20 - 300).astype(np.float32), "texture"), Source.of(thin, "thin", separate_slices=True)]


def weights(folder):
    from safetensors.torch import load_file

    return load_file(folder / "checkpoint" / "state.safetensors")


@pytest.mark.parametrize("objective", ["dino", "mae", "features"])
def test_interrupted_and_resumed_equals_uninterrupted(sources, tmp_path, objective):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    pretrain(sources, whole, plan(objective))
    pretrain(sources, parts, plan(objective), stop_after=2)

    def cancel(progress):
        if progress.done == 5:
            raise Cancelled

    with pytest.raises(Cancelled):
        pretrain(sources, parts, plan(objective), report=cancel)
    pretrain(sources, parts, plan(objective))
    a, b = weights(whole), weights(parts)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)
    steps = [json.loads(line)["step"] for line in (parts / "log.jsonl").read_text().splitlines()]
    assert steps == list(range(6))


def test_the_weights_do_not_depend_on_how_many_threads_share_a_batch(sources, tmp_path):
    shared = replace(plan("mae"), schedule=Schedule(steps=2, batch=20))
    for workers in (1, 3):
        pretrain(sources, tmp_path / str(workers), shared, workers=workers)
    a, b = weights(tmp_path / "1"), weights(tmp_path / "3")
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_another_seed_gives_other_weights(sources, tmp_path):
    for seed in (0, 1):
        pretrain(sources, tmp_path / str(seed), plan("mae", seed=seed), stop_after=1)
    a, b = (open_backbone(tmp_path / str(seed)) for seed in (0, 1))
    assert a.sha256 != b.sha256


def test_a_training_of_another_kind_is_not_gone_on_with(sources, tmp_path):
    pretrain(sources, tmp_path, plan("mae"), stop_after=1)
    with pytest.raises(InputError, match="holds a training with objective mae, not dino"):
        pretrain(sources, tmp_path, plan("dino"))


@pytest.mark.parametrize("objective", ["dino", "features"])
def test_adapting_with_small_matrices_moves_the_weights_and_leaves_a_plain_backbone(sources, tmp_path, objective):
    start = Vit.random(plan(objective).network, 3).requires_grad_(True)
    before = {name: value.clone() for name, value in start.state_dict().items()}
    adapting = plan(objective, tuning="lora")
    adapting = replace(adapting, schedule=replace(adapting.schedule, rate=1e-2, warmup=1), dino=replace(adapting.dino, momentum=0.5))
    made = pretrain(sources, tmp_path / "whole", adapting, start=start)
    pretrain(sources, tmp_path / "parts", adapting, start=start, stop_after=3)
    again = pretrain(sources, tmp_path / "parts", adapting, start=start)
    after = open_backbone(tmp_path / "whole").network.state_dict()
    assert after.keys() == before.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all(name.endswith(("query.weight", "key.weight", "value.weight", "dense.weight", "fc1.weight", "fc2.weight")) for name in moved)
    assert all(torch.equal(a, b) for a, b in zip(made.state_dict().values(), again.state_dict().values(), strict=True))
    assert all(torch.equal(before[name], value) for name, value in start.state_dict().items())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_on_a_gpu_bf16_learns_too(sources, tmp_path):
    longer = replace(plan("features"), schedule=Schedule(steps=60, batch=8, rate=1e-3, warmup=5))
    pretrain(sources, tmp_path, longer, device="cuda")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    first, last = (np.mean([line["seen"] for line in part]) for part in (lines[:10], lines[-10:]))
    assert last < first


def test_painting_what_is_hidden_is_learnt(sources, tmp_path):
    longer = replace(plan("mae"), schedule=Schedule(steps=60, batch=8, rate=2e-3))
    pretrain(sources, tmp_path, longer)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    first, last = (np.mean([line["hidden"] for line in part]) for part in (lines[:5], lines[-5:]))
    assert last < 0.5 * first
    assert (tmp_path / "reconstructions.png").stat().st_size > 1000


def test_student_and_teacher_start_alike_and_only_the_student_is_trained():
    made = Dino(VitConfig(hidden=24, depth=1, heads=3, patch=8, channels=1, position="conv"), SMALL_DINO)
    for slow, fast in ((made.teacher, made.student), (made.teacher_head, made.student_head)):
        pairs = list(zip(slow.parameters(), fast.parameters(), strict=True))
        assert all(torch.equal(a, b) for a, b in pairs)
        assert all(b.requires_grad and not a.requires_grad for a, b in pairs)


def test_both_the_students_network_and_its_head_are_in_the_optimiser(sources, tmp_path):
    pretrain(sources, tmp_path, plan("dino"), stop_after=4)
    taught = weights(tmp_path)
    fresh = Dino(plan("dino").network, plan("dino").dino).state_dict()
    for name in ("student_head.mlp.0.weight", "student_head.prototypes", "student.encoder.layer.0.mlp.fc1.weight"):
        assert not torch.equal(taught[f"objective.{name}"], fresh[name])


def test_the_teacher_follows_slowly():
    made = Dino(VitConfig(hidden=24, depth=1, heads=3, patch=8, channels=1, position="none"), replace(SMALL_DINO, momentum=0.9))
    before = made.teacher.layernorm.weight.clone()
    with torch.no_grad():
        made.student.layernorm.weight += 1
    made.after_step(0.0)
    torch.testing.assert_close(made.teacher.layernorm.weight, before + 0.1)
    made.after_step(1.0)
    torch.testing.assert_close(made.teacher.layernorm.weight, before + 0.1)


def test_no_pair_is_a_view_with_itself_and_the_loss_is_that_of_the_definition(sources):
    config = VitConfig(hidden=24, depth=1, heads=3, patch=8, channels=1, position="none", mean=(0.5,), std=(0.25,))
    made = Dino(config, replace(SMALL_DINO, ibot=0, koleo=0, drop_path=0))
    crops = Crops(Pool(sources, 0, 4, 48, 2), side=32, local_side=16, locals=1)
    drawn = made.draw(crops, 0, 3, torch.Generator().manual_seed(0), Augmentation())[0]
    loss, _ = made.loss(drawn, "cpu")
    with torch.no_grad():
        views = [made.student.normalised(v) for v in drawn[1:]]
        said = [torch.log_softmax(made.student_head(made.student(v)[:, 0]) / 0.1, -1) for v in views]
        wanted = [torch.softmax(made.teacher_head(made.teacher(v)[:, 0]) / 0.04, -1) for v in views[:2]]
        terms = [-(wanted[i] * said[j]).sum(-1).mean() for i in range(2) for j in range(3) if i != j]
    torch.testing.assert_close(loss, torch.stack(terms).mean(), atol=1e-4, rtol=1e-4)


def test_the_centre_moves_towards_the_teachers_mean(sources):
    config = VitConfig(hidden=24, depth=1, heads=3, patch=8, channels=1, position="none", mean=(0.5,), std=(0.25,))
    made = Dino(config, replace(SMALL_DINO, ibot=0))
    crops = Crops(Pool(sources, 0, 4, 48, 2), side=32, local_side=16, locals=1)
    drawn = made.draw(crops, 0, 3, torch.Generator().manual_seed(0), Augmentation())[0]
    with torch.no_grad():
        logits = made.teacher_head(made.teacher(made.teacher.normalised(torch.cat(drawn[1:3])))[:, 0])
    made.loss(drawn, "cpu")
    torch.testing.assert_close(made.centre, 0.1 * logits.mean(0), atol=1e-5, rtol=1e-4)


def test_koleo_is_small_when_vectors_are_spread():
    spread = torch.eye(6)
    close = torch.eye(6)[:1] + 0.01 * torch.randn(6, 6, generator=torch.Generator().manual_seed(0))
    assert koleo(spread) < koleo(close)


def test_mae_encodes_only_what_is_shown():
    made = Mae(VitConfig(hidden=24, depth=1, heads=3, patch=8, channels=1, position="conv", mean=(0.5,), std=(0.25,)))
    pixels = torch.rand(2, 1, 32, 32)
    order = torch.arange(16).expand(2, -1)
    changed = pixels.clone()
    changed[:, :, 16:] = 0
    with torch.no_grad():
        a, b = (made.painted(p, 0.5, order)[0] for p in (pixels, changed))
    torch.testing.assert_close(a, b)


def test_mae_with_everything_shown_is_the_network_itself():
    for position in ("conv", "learned", "alibi", "none"):
        config = VitConfig(hidden=24, depth=2, heads=3, patch=8, channels=1, image_size=32, position=position, mean=(0.5,), std=(0.25,))
        made = Mae(config).eval()
        pixels = torch.rand(2, 1, 32, 32)
        with torch.no_grad():
            torch.testing.assert_close(made.encode(pixels, torch.arange(16).expand(2, -1)), made.encoder(pixels), atol=1e-5, rtol=1e-4)


def test_crops_depend_on_seed_and_step_alone(sources):
    def crops():
        return Crops(Pool(sources, 3, 4, 48, 2), side=32)

    a, again = crops(), crops()
    a.single(0, 3)
    a.multiple(4, 2)
    assert torch.equal(a.single(5, 3)[0], again.single(5, 3)[0])
    assert not torch.equal(a.single(6, 3)[0], again.single(5, 3)[0])


def test_a_crop_that_is_not_turned_is_the_plane_itself(sources):
    block = np.random.default_rng(0).random((9, 40, 50)).astype(np.float32)
    view = View(axis=0, index=4, centre=(20.0, 25.0), zoom=1.0, angle=0.0, flip=False)
    made = cut(block, (0.0, 1.0), view, 16)
    np.testing.assert_allclose(made.numpy(), block[4, 12:28, 17:33], atol=1e-4)
    flipped = cut(block, (0.0, 1.0), replace(view, flip=True), 16)
    np.testing.assert_allclose(flipped.numpy(), block[4, 12:28, 17:33][:, ::-1], atol=1e-4)
    turned = cut(block, (0.0, 1.0), replace(view, angle=np.pi / 2), 16)
    assert any(np.allclose(turned.numpy(), np.rot90(block[4, 12:28, 17:33], k), atol=1e-4) for k in (1, 3))


def test_no_crop_looks_across_separate_slices():
    array = np.random.default_rng(0).random((60, 60, 60)).astype(np.float32)
    pool = Pool([Source.of(array, "apart", separate_slices=True)], 0, 2, 48, 1)
    block, source = pool.blocks(0)[0]
    rng = np.random.default_rng(0)
    assert {pool.anchor(block, source, rng, 10)[0] for _ in range(20)} == {0}
    free = Pool([Source.of(array, "volume")], 0, 2, 48, 1)
    block, source = free.blocks(0)[0]
    assert {free.anchor(block, source, rng, 10)[0] for _ in range(40)} == {0, 1, 2}


def test_augmentation_is_seeded_and_moves_grey_values_a_little_only():
    images = torch.rand(6, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    how = Augmentation()
    a, b = (degraded(toned(images, g, how), g, how) for g in (torch.Generator().manual_seed(2) for _ in range(2)))
    assert torch.equal(a, b)
    assert (a.mean((1, 2, 3)) - images.mean((1, 2, 3))).abs().max() < 0.2
    assert torch.isfinite(a).all()


def test_a_blur_of_nothing_changes_nothing():
    images = torch.rand(3, 1, 20, 20)
    torch.testing.assert_close(blurred(images, torch.zeros(3, 1, 1, 1)), images, atol=1e-5, rtol=1e-5)


def test_a_finished_backbone_has_half_precision_and_its_own_basis(sources, tmp_path):
    pretrain(sources, tmp_path / "taught", plan("mae"), stop_after=1)
    crops = crops_of(plan("mae"), sources)
    folder = finish(tmp_path / "taught", crops, kept=8, steps=2, into=tmp_path / "final")
    told = json.loads((folder / "checksum.json").read_text())
    opened = open_backbone(folder)
    assert told["sha256"] == opened.sha256
    from lithoscope.features.tokens import Tokens

    tokens = Tokens(backbone=str(folder), reduced=8)
    assert tokens.used is not None
    assert tokens.extract(np.random.default_rng(0).random((1, 20, 20)), (0, 1), None).shape == (8, 1, 20, 20)


def test_vit_tiny_has_about_five_and_a_half_million_parameters():
    for patch, count in ((8, 5_358_912), (14, 5_384_256)):
        hidden, depth, heads = SIZES["tiny"]
        with torch.device("meta"):
            network = Vit(VitConfig(hidden=hidden, depth=depth, heads=heads, patch=patch, channels=1, position="conv"))
        assert network.size() == count


def test_choices_that_make_no_sense_are_refused():
    for wrong in ({"size": "huge"}, {"patch": 9}, {"steps": 0}, {"batch": 1}):
        with pytest.raises(InputError):
            plan_of("dino", **wrong)
    with pytest.raises(InputError, match="no scan"):
        Pool([])
    with pytest.raises(InputError, match="finite"):
        Source.of(np.full((3, 4, 5), np.nan), "empty")


def test_a_log_torn_by_a_crash_is_gone_on_with(tmp_path):
    log = tmp_path / "log.jsonl"
    lines = [json.dumps({"step": n, "loss": 1.0, "seconds": n + 0.5}) for n in range(4)]
    log.write_text("\n".join([*lines[:2], '{"step": 2, "lo' + lines[2], lines[3]]) + '\n{"ste')
    assert _forget(log, 3) == 1.5
    assert log.read_text().splitlines() == lines[:2]


def test_a_damaged_checkpoint_says_what_to_do(tmp_path):
    (tmp_path / checkpoint.NAME).write_bytes(b"half of it")
    network = torch.nn.Linear(1, 1)
    with pytest.raises(UnreadableError, match="delete the folder"):
        checkpoint.load(tmp_path, network, torch.optim.AdamW(network.parameters()), {})
