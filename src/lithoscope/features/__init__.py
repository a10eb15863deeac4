"""What a voxel looks like: what turns grey values into features."""
