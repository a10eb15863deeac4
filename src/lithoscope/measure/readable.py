"""Measured quantities as a person reads them."""


def readable(value: float, digits: int = 4) -> str:
    """A number of so many digits, with thousands apart rather than an exponent while that is not long: "311,100", "0.02109"."""
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.0f}" if 10**digits <= abs(rounded) < 1e10 else f"{value:.{digits}g}"
