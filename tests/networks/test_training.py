"""The loop that teaches networks, its losses and its crops."""

import numpy as np
import pytest
import torch
from torch import nn

from lithoscope.errors import InputError, ResourceError, UnreadableError
from lithoscope.job import Cancelled, silent
from lithoscope.training import progress
from lithoscope.training.augment import Augmentation, degraded, toned
from lithoscope.training.crops import Crops, Piece, windowed
from lithoscope.training.devices import device_of
from lithoscope.training.loop import Lesson, Plan, train
from lithoscope.training.losses import BOUND, agreement_loss, class_weights, dice_loss, painted_loss, painted_weight
from lithoscope.training.unet import UNet, UNetConfig

CPU = torch.device("cpu")


def piece(seed=0, classes=3):
    rng = np.random.default_rng(seed)
    phase = rng.integers(0, classes, (1, 8, 8)).repeat(6, 1).repeat(6, 2)
    image = (40 + 60 * phase + rng.normal(0, 8, phase.shape)).clip(0, 255).astype("u1")
    labels = np.where(rng.random(phase.shape) < 0.2, phase + 1, 0).astype("u1")
    held = np.zeros(labels.shape, bool)
    held[:, :12] = True
    return Piece(image, labels, held, (20.0, 200.0))


def lesson(seed=0, *, judged=True, batch=4, side=16):
    crops = Crops([piece(seed)], 3, side, seed=seed)

    def judge(network):
        with torch.inference_mode():
            said = crops.batch(10_000, 4)
            return [-float(painted_loss(network(said.images), said.labels, torch.ones(3)))]

    return Lesson(lambda step: crops.batch(step, batch), torch.ones(3), judge if judged else None, Augmentation(), "test")


def network(seed=0, **more):
    torch.manual_seed(seed)
    return UNet(UNetConfig(3, 1, 4, 1, **{"dropout": 0.2, **more}))


def weights(net):
    return b"".join(v.numpy().tobytes() for v in net.state_dict().values())


def test_a_rare_class_neither_vanishes_nor_drowns_the_others():
    found = class_weights(torch.tensor([2, 298, 700]))
    assert (found > 0.19).all()
    assert found.max() <= BOUND
    assert found[0] > found[1] > found[2]


def test_a_class_that_was_not_painted_counts_nothing():
    assert class_weights(torch.tensor([5, 0, 5]))[1] == 0


def test_only_painted_voxels_are_learnt_from():
    logits = torch.randn(2, 3, 6, 6, requires_grad=True)
    labels = torch.zeros(2, 6, 6, dtype=torch.uint8)
    labels[0, 2, 3] = 2
    painted_loss(logits, labels, torch.ones(3)).backward()
    assert logits.grad.abs().sum((0, 1)).nonzero().tolist() == [[2, 3]]


def test_the_loss_is_that_of_torch():
    logits, labels, w = torch.randn(2, 3, 6, 6), torch.randint(0, 4, (2, 6, 6), dtype=torch.uint8), torch.tensor([0.5, 1, 2])
    wanted = nn.functional.cross_entropy(logits, labels.long() - 1, w, ignore_index=-1, label_smoothing=0.1)
    assert torch.isclose(painted_loss(logits, labels, w, smoothing=0.1), wanted)


def test_parts_of_a_batch_add_up_to_its_loss():
    logits, labels, w = torch.randn(4, 3, 6, 6), torch.randint(0, 4, (4, 6, 6), dtype=torch.uint8), torch.tensor([0.5, 1, 2])
    total = painted_weight(labels, w)
    parts = sum(painted_loss(a, b, w, total=total) for a, b in zip(logits.chunk(2), labels.chunk(2), strict=True))
    assert torch.isclose(parts, painted_loss(logits, labels, w))


def test_overlap_counts_on_dense_masks_alone():
    labels = torch.randint(1, 4, (2, 6, 6), dtype=torch.uint8)
    right = nn.functional.one_hot(labels.long() - 1, 3).movedim(-1, 1) * 50.0
    assert dice_loss(right, labels) < 1e-3
    assert dice_loss(-right, labels) > 0.5
    labels[:, 1:] = 0
    assert dice_loss(-right, labels) == 0


def test_pseudo_labels_are_those_that_the_teacher_is_sure_of():
    labels = torch.zeros(1, 2, 2, dtype=torch.uint8)
    teacher = torch.zeros(1, 2, 2, 2)
    student = torch.randn(1, 2, 2, 2, requires_grad=True)
    teacher[0, 0, 0, 0] = 9.0
    agreement_loss(student, teacher, labels, confident=0.95).backward()
    assert student.grad.abs().sum((0, 1)).nonzero().tolist() == [[0, 0]]


def test_augmentation_keeps_shape_and_range_in_planes_and_in_space():
    for shape in ((3, 2, 9, 11), (2, 1, 5, 6, 7)):
        images = torch.rand(shape)
        made = degraded(toned(images, Augmentation(), torch.Generator().manual_seed(1)), Augmentation(), torch.Generator().manual_seed(1))
        assert made.shape == images.shape
        assert made.min() >= -0.5
        assert made.max() <= 1.5
        assert (made - images).abs().mean() < 0.3


def test_crops_hold_no_held_voxel_and_depend_on_the_step_alone():
    found, crops = piece(), Crops([piece()], 3, 16, augmentation=None)
    for step in range(5):
        batch = crops.batch(step, 4)
        assert (batch.labels > 0).flatten(1).any(1).all()
        assert torch.equal(batch.images, crops.batch(step, 4).images)
    only = Piece(found.image, found.labels, np.ones_like(found.held), found.window)
    assert not only.teaching.any()


def test_labels_turn_with_their_image():
    image = np.zeros((1, 40, 40), "u1")
    image[0, 10:30, 8:20] = 200
    labels = (image > 100).astype("u1") + 1
    crops = Crops([Piece(image, labels, np.zeros(labels.shape, bool), (0.0, 200.0))], 2, 24, augmentation=Augmentation(warp_chance=1.0))
    batch = crops.batch(0, 16)
    known = batch.labels > 0
    agree = ((batch.images[:, 0] > 0.5) == (batch.labels == 2))[known].float().mean()
    assert agree > 0.95


def test_a_crop_larger_than_its_block_is_reflected_and_says_nothing_there():
    image = np.arange(25, dtype="f4").reshape(1, 5, 5)
    labels = np.ones((1, 5, 5), "u1")
    batch = Crops([Piece(image, labels, np.zeros((1, 5, 5), bool), (0.0, 24.0))], 1, 16, augmentation=None).batch(0, 2)
    assert batch.images.shape == (2, 1, 16, 16)
    assert (batch.labels > 0).sum() == 50


def test_what_is_not_a_number_is_seen_as_dark():
    found = windowed(np.array([[[np.nan, np.inf, -np.inf, 5.0]]], "f4"), (0.0, 10.0))
    assert found.ravel().tolist() == [0.0, 1.5, -0.5, 0.5]


def test_training_twice_gives_the_same_bytes():
    a, b = (network() for _ in range(2))
    for net in (a, b):
        train(net, lesson(), Plan(12, 4, every=4), device=CPU)
    assert weights(a) == weights(b)


def test_training_leaves_the_random_numbers_of_others_alone():
    torch.manual_seed(7)
    wanted = torch.rand(3)
    torch.manual_seed(7)
    net = UNet(UNetConfig(3, 1, 4, 1))
    torch.manual_seed(7)
    train(net, lesson(), Plan(2, 4, every=4), device=CPU)
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize("unlabelled", ["nothing", "teacher", "pseudo"])
def test_killed_and_taken_up_equals_uninterrupted(tmp_path, unlabelled):
    plan = Plan(14, 4, every=4, unlabelled=unlabelled)
    whole = network()
    once = train(whole, lesson(), plan, device=CPU)

    def stop_at(step):
        def report(p):
            if p.done == step:
                raise Cancelled

        return report

    for step in (3, 9):
        with pytest.raises(Cancelled):
            train(network(seed=step), lesson(), plan, device=CPU, folder=tmp_path, report=stop_at(step)) if step > 3 else train(
                network(), lesson(), plan, device=CPU, folder=tmp_path, report=stop_at(step)
            )
    again = network(seed=5)
    twice = train(again, lesson(), plan, device=CPU, folder=tmp_path)
    assert weights(again) == weights(whole)
    assert twice.curves == once.curves
    assert twice.step == once.step


def test_what_was_killed_in_mid_step_goes_on_from_the_last_judgement(tmp_path):
    plan, whole = Plan(12, 4, every=4), network()
    train(whole, lesson(), plan, device=CPU)
    given = lesson()

    def broken(step):
        if step == 6:
            raise KeyboardInterrupt
        return given.batch(step)

    with pytest.raises(KeyboardInterrupt):
        train(network(), Lesson(broken, given.weights, given.judge, given.augmentation, "test"), plan, device=CPU, folder=tmp_path)
    again = network(seed=1)
    train(again, given, plan, device=CPU, folder=tmp_path)
    assert weights(again) == weights(whole)


def test_the_best_weights_are_kept_and_waiting_for_better_ones_ends():
    scores = iter([[0.5], [0.9], [0.4], [0.3], [0.2], [0.1]])
    seen = []

    def judge(net):
        assert not net.training
        seen.append(weights(net))
        return next(scores)

    given, net = lesson(), network()
    standing = train(net, Lesson(given.batch, given.weights, judge), Plan(12, 4, every=2, patience=2), device=CPU)
    assert weights(net) == seen[1]
    assert (standing.best_step, standing.step) == (4, 8)
    assert not net.training


def test_of_scores_that_few_strokes_cannot_tell_apart_the_last_weights_are_kept():
    scores = iter([[0.5], [0.9], [0.88], [0.86], [0.875], [0.5]])
    given, net, seen = lesson(), network(), []

    def judge(net):
        seen.append(weights(net))
        return next(scores)

    standing = train(net, Lesson(given.batch, given.weights, judge), Plan(12, 4, every=2, patience=0, tie=0.03), device=CPU)
    assert (standing.best_step, standing.best_score) == (10, [0.875])
    assert weights(net) == seen[4]


@pytest.mark.parametrize("average", [False, True])
def test_the_mean_of_the_weights_is_what_is_judged_and_kept(average):
    given, net, seen = lesson(), network(), []

    def judge(judged):
        seen.append(judged is net)
        return [0.5]

    train(net, Lesson(given.batch, given.weights, judge), Plan(4, 4, every=2, average=average), device=CPU)
    assert seen == [not average] * 2


class Greedy(nn.Module):
    """A network that cannot hold more than two crops."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(1, 3, 3, padding=1)
        self.most = 99

    def forward(self, images):
        if len(images) > self.most:
            raise torch.OutOfMemoryError("no room")
        return self.layer(images)


def test_too_little_memory_divides_the_batch_and_keeps_what_it_teaches():
    whole, small = Greedy(), Greedy()
    small.most = 2
    once = train(whole, lesson(batch=8, judged=False), Plan(6, 8, every=3), device=CPU)
    twice = train(small, lesson(batch=8, judged=False), Plan(6, 8, every=3), device=CPU)
    assert (once.divided, twice.divided) == (1, 4)
    assert torch.allclose(whole.layer.weight, small.layer.weight, atol=1e-5)


def test_a_network_too_large_for_one_crop_is_one_line():
    net = Greedy()
    net.most = 0
    with pytest.raises(ResourceError, match="smaller preset"):
        train(net, lesson(), Plan(2, 4), device=CPU)


def test_working_things_out_twice_changes_nothing():
    given = lesson(judged=False)
    a, b = network(), network()
    train(a, given, Plan(5, 4, every=5), device=CPU)
    train(b, given, Plan(5, 4, every=5, save_memory=True), device=CPU)
    for (name, x), y in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        if "num_batches" not in name:
            assert torch.allclose(x, y, atol=1e-5), name


def test_a_training_of_other_settings_is_not_gone_on_with(tmp_path):
    train(network(), lesson(), Plan(4, 4, every=2), device=CPU, folder=tmp_path)
    with pytest.raises(InputError, match="other strokes or settings"):
        train(network(), lesson(), Plan(4, 4, every=2, rate=0.1), device=CPU, folder=tmp_path)


@pytest.mark.parametrize("harm", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"cos\nsystem\n(S'touch pwned'\ntR."])
def test_a_damaged_or_malicious_training_is_one_line(tmp_path, harm):
    train(network(), lesson(), Plan(4, 4, every=2), device=CPU, folder=tmp_path)
    file = tmp_path / progress.NAME
    file.write_bytes(harm(file.read_bytes()))
    with pytest.raises(UnreadableError, match="damaged") as caught:
        train(network(), lesson(), Plan(4, 4, every=2), device=CPU, folder=tmp_path, report=silent)
    assert "\n" not in str(caught.value)


def test_the_rate_warms_up_and_falls_to_nothing():
    plan = Plan(100, rate=1.0, warmup=0.1)
    rates = [plan.rate_at(step) for step in range(100)]
    assert max(rates) == rates[9] == 1.0
    assert rates[0] == 0.1
    assert rates[-1] < 0.01


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_one_clear_line():
    with pytest.raises(InputError, match="no NVIDIA GPU") as caught:
        device_of("cuda")
    assert "\n" not in str(caught.value)
    assert device_of("auto").type in ("cpu", "mps")
