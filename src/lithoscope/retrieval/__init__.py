"""Places like this one: patches of scans and images as vectors, kept in a library, searched, and judged by protocol."""
