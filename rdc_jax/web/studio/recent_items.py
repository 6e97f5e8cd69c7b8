"""The most recent photos or files that a server keeps for its pages."""

import secrets
import threading
from collections import OrderedDict
from typing import Any, Generic, TypeVar

from rdc_jax.errors import RdcError

Item = TypeVar("Item")


class RecentItems(Generic[Item]):
    """The most recent items of a kind, by keys that cannot be guessed."""

    def __init__(self, kind: str, size: int):
        """Makes an empty store of at most `size` items; `kind` names them in messages."""
        self._kind, self._size = kind, size
        self._items: OrderedDict[str, Item] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, item: Item) -> str:
        """Keeps an item, and drops the oldest if there are too many; returns its key."""
        key = secrets.token_urlsafe(12)
        with self._lock:
            self._items[key] = item
            while len(self._items) > self._size:
                self._items.popitem(last=False)
        return key

    def get(self, key: Any) -> Item:
        """The item of a key. Raises RdcError for unknown keys and dropped items."""
        with self._lock:
            if not isinstance(key, str) or key not in self._items:
                raise RdcError(f"this {self._kind} is no longer available; open it again")
            self._items.move_to_end(key)
            return self._items[key]
