"""How many threads torch may use in each of several threads of ours."""

import os


def share_cores(modules: tuple[str, ...], between: int) -> None:
    """Give this thread its part of the cores, if a method needs torch. Else torch shares every product in each of our threads between
    all cores, and where these are busy its threads wait for each other many times longer than they work."""
    if "torch" in modules:
        import torch

        torch.set_num_threads(max(1, (os.cpu_count() or 1) // between))
