"""Images made better before they are segmented: one filter a file, and the job that runs one over a scan."""
