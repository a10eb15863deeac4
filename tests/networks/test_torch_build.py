"""The environment that tests networks is the one that people without an NVIDIA GPU get."""

import shutil

import pytest


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="with an NVIDIA GPU torch brings CUDA")
def test_torch_comes_without_cuda_where_there_is_no_gpu():
    import torch

    assert not torch.cuda.is_available()
