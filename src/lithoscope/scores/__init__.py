"""How good: arrays in, numbers out."""
