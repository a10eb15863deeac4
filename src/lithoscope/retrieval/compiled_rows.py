"""Rows here and there of large arrays, compared with one query: compiled by numba where it is installed, by numpy where not."""

import numpy as np
import numpy.typing as npt

from lithoscope.retrieval.vectors import Floats

Words = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.intp]
Order = npt.NDArray[np.uint32]
Places = npt.NDArray[np.intp]
Counts = npt.NDArray[np.uint16]

ODD, PAIRS = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333)
NIBBLES, ONES = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(0x0101010101010101)

try:
    import numba
except ImportError:

    def products(vectors: Floats, rows: Rows, query: Floats) -> Floats:
        """The products (rows,) of some of the vectors (n, width) and a query (width,)."""
        return np.take(vectors, rows, axis=0) @ query

    def unlike(signs: Words, rows: Rows, own: Words) -> Counts:
        """In how many bits (rows,) some of the rows (n, words) differ from one (words,)."""
        counts: Counts = np.bitwise_count(np.take(signs, rows, axis=0) ^ own).sum(axis=1, dtype=np.uint16)
        return counts

    def gathered(order: Order, places: Places) -> Rows:
        """The different rows in some stretches of `order` (tables, n); `places` (stretches, 3) hold table, start and stop."""
        found = np.zeros(order.shape[1], bool)
        for table, start, stop in places.tolist():
            found[order[table, start:stop]] = True
        return np.flatnonzero(found)

else:

    @numba.njit(nogil=True, fastmath=True, cache=True)  # type: ignore[untyped-decorator]
    def products(vectors: Floats, rows: Rows, query: Floats) -> Floats:
        """The products (rows,) of some of the vectors (n, width) and a query (width,), without a copy of them."""
        found = np.empty(len(rows), np.float32)
        for i in range(len(rows)):
            vector, total = vectors[rows[i]], np.float32(0)
            for j in range(len(query)):
                total += vector[j] * query[j]
            found[i] = total
        return found

    @numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
    def unlike(signs: Words, rows: Rows, own: Words) -> Counts:
        """In how many bits (rows,) some of the rows (n, words) differ from one (words,); the bits of a word are added up in pairs."""
        found = np.empty(len(rows), np.uint16)
        for i in range(len(rows)):
            row, total = signs[rows[i]], np.uint64(0)
            for j in range(len(own)):
                x = row[j] ^ own[j]
                x = x - ((x >> np.uint64(1)) & ODD)
                x = (x & PAIRS) + ((x >> np.uint64(2)) & PAIRS)
                x = (x + (x >> np.uint64(4))) & NIBBLES
                total += (x * ONES) >> np.uint64(56)
            found[i] = total
        return found

    @numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
    def gathered(order: Order, places: Places) -> Rows:
        """The different rows in some stretches of `order` (tables, n); `places` (stretches, 3) hold table, start and stop."""
        most = 0
        for i in range(len(places)):
            most += places[i, 2] - places[i, 1]
        found, seen, count = np.empty(most, np.intp), np.zeros(order.shape[1], np.bool_), 0
        for i in range(len(places)):
            for j in range(places[i, 1], places[i, 2]):
                row = order[places[i, 0], j]
                found[count] = row
                count += not seen[row]
                seen[row] = True
        return found[:count]
