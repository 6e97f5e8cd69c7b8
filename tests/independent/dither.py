"""docs/bitstream.md, Dither."""

MASK = 2**32 - 1


def philox(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    x0, x1, x2, x3 = counter
    k0, k1 = key
    for _ in range(10):
        a, b = 0xCD9E8D57 * x2, 0xD2511F53 * x0
        x0, x1, x2, x3 = (a >> 32) ^ x1 ^ k0, a & MASK, (b >> 32) ^ x3 ^ k1, b & MASK
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return x0, x1, x2, x3


def phases(seed: int, y: int, x: int, channels: int) -> list[int]:
    """The phases 0..31 of all channels at row y, column x."""
    found = []
    for block in range(-(-channels // 16)):
        for word in philox((x, y, block, 0), (seed, 0x52444331)):
            found += [octet >> 3 for octet in word.to_bytes(4, "little")]
    return found[:channels]
