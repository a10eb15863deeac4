"""What takes specks, holes and ragged edges out of labels, block by block and exactly as if the volume were one array."""
