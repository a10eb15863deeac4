"""The feature cache: bounded, shared, and never missed."""

import os

import numpy as np
import pytest

from lithoscope.features.cache import FeatureCache


def window(value=1.0, edge=16):
    return np.full((3, 1, edge, edge), value, np.float16)


def test_what_is_kept_is_found_by_another(tmp_path):
    FeatureCache(tmp_path, spare=0).put("a/key", "z-0-0-0", window(2))
    other = FeatureCache(tmp_path)
    assert other.has("a/key", "z-0-0-0")
    assert np.array_equal(other.get("a/key", "z-0-0-0"), window(2))


def test_another_version_is_not_met(tmp_path):
    cache = FeatureCache(tmp_path, spare=0)
    cache.put("a/old", "z-0-0-0", window())
    assert cache.get("a/new", "z-0-0-0") is None


def test_the_oldest_go_first_and_the_limit_holds(tmp_path):
    size = window().nbytes
    cache = FeatureCache(tmp_path, limit=6 * (size + 200), memory=0, spare=0)
    for k in range(12):
        cache.put("a", f"z-{k}", window(k))
        os.utime(tmp_path / "a" / f"z-{k}.npy", ns=(k * 10**9, k * 10**9)) if (tmp_path / "a" / f"z-{k}.npy").exists() else None
    left = {p.stem for p in tmp_path.rglob("*.npy")}
    assert sum(p.stat().st_size for p in tmp_path.rglob("*.npy")) <= 6 * (size + 200)
    assert "z-0" not in left
    assert "z-11" in left


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"\x93NUMPY\x01\x00"])
def test_a_damaged_window_is_worked_out_again(tmp_path, damage):
    FeatureCache(tmp_path, spare=0).put("a", "z", window())
    (tmp_path / "a" / "z.npy").write_bytes(damage)
    assert FeatureCache(tmp_path).get("a", "z") is None
    assert not (tmp_path / "a" / "z.npy").exists()


def test_a_full_disk_is_said_and_stops_nothing(tmp_path):
    cache = FeatureCache(tmp_path, spare=1 << 62)
    cache.put("a", "z", window())
    assert "nearly full" in cache.problem
    assert cache.get("a", "z") is not None
    assert not list(tmp_path.rglob("*.npy"))


def test_a_place_that_cannot_be_written_is_said_and_stops_nothing(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    cache = FeatureCache(tmp_path / "file", spare=0)
    cache.put("a", "z", window())
    assert cache.problem
    assert np.array_equal(cache.get("a", "z"), window())


def test_a_limit_of_nothing_keeps_nothing_on_disk(tmp_path):
    cache = FeatureCache(tmp_path / "never", limit=0)
    cache.put("a", "z", window())
    assert not (tmp_path / "never").exists()
    assert cache.get("a", "z") is not None


def test_what_is_at_hand_is_bounded(tmp_path):
    cache = FeatureCache(tmp_path, memory=3 * window().nbytes, limit=0)
    for k in range(10):
        cache.put("a", str(k), window(k))
    assert cache.get("a", "0") is None
    assert cache.get("a", "9") is not None
