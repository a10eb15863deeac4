"""What is read: scans on disk, their blocks, histograms and fields of view."""
