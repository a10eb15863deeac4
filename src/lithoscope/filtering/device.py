"""Where a filter computes: on the processor with numpy alone, or on a GPU through torch."""

from importlib.util import find_spec

from lithoscope.errors import InputError


def resolved(device: str) -> str:
    """The device to use: `auto` is a GPU that torch can use, else the processor; a GPU that was asked for must be there."""
    if device == "cpu":
        return device
    if find_spec("torch") is None:
        if device == "auto":
            return "cpu"
        raise InputError(f"filtering on {device} needs torch: pip install 'lithoscope[networks]', or use --device cpu")
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return next((name for name, usable in there.items() if usable), "cpu")
    if not there.get(device.partition(":")[0]):
        raise InputError(f"torch cannot use {device} here; see `lithoscope doctor`, or use --device cpu")
    return device
