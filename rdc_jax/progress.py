"""Progress bars of tqdm; none where tqdm is missing, because decoding does not need it."""

from typing import Any

try:
    from tqdm import tqdm
except ImportError:

    class tqdm:  # type: ignore[no-redef]
        """Shows nothing, with the part of tqdm's interface that decoding uses."""

        def __init__(self, iterable: Any = (), **options: Any):
            self._iterable = iterable

        def __iter__(self) -> Any:
            return iter(self._iterable)

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def update(self, n: int = 1) -> None:
            pass

        @staticmethod
        def write(text: str, file: Any = None) -> None:
            print(text, file=file)


__all__ = ["tqdm"]
