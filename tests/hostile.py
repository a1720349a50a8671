"""Files that a program must refuse at once."""


def yaml_bomb(kind="lists", n_levels=30):
    """YAML whose last value stands for 10 to the power of `n_levels` values."""
    first, pattern, part = {
        "lists": ("[x]", "[%s]", "*a{n} "),
        "mappings": ("{x: 1}", "{%s}", "k{i}: *a{n} "),
        "merged": ("{x: 1}", "{<<: [%s]}", "*a{n} "),
    }[kind]
    lines = [f"a0: &a0 {first}\n"]
    for n in range(n_levels):
        parts = ", ".join(part.format(n=n, i=i) for i in range(10))
        lines.append(f"a{n + 1}: &a{n + 1} {pattern % parts}\n")
    return "".join(lines)


def fits_header(*cards):
    """The blocks of a FITS header with these cards, such as ``BITPIX = 8``."""
    text = "".join(f"{card:80}" for card in [*cards, "END"])
    return (text + " " * (-len(text) % 2880)).encode()
