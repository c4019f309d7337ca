"""The end of a range of keys that begin alike."""


def after_prefix(prefix: bytes) -> bytes | None:
    """The smallest key above all keys that begin with `prefix`; None if there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None
