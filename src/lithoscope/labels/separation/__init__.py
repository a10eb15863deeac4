"""Touching grains or pores told apart, block by block and exactly as if the volume were one array."""
