"""What the networks share: how they are taught. Its modules import torch as they load; import them inside functions."""
