"""What a server keeps for its pages: the newest few things of a kind, under keys."""

import secrets
import threading
from collections import OrderedDict
from typing import Any, Generic, TypeVar

from rdc_jax.errors import RdcError

Item = TypeVar("Item")


class Shelf(Generic[Item]):
    """The newest few things of a kind, by keys that cannot be guessed."""

    def __init__(self, kind: str, room: int):
        self._kind, self._room = kind, room
        self._items: OrderedDict[str, Item] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, item: Item) -> str:
        key = secrets.token_urlsafe(12)
        with self._lock:
            self._items[key] = item
            while len(self._items) > self._room:
                self._items.popitem(last=False)
        return key

    def get(self, key: Any) -> Item:
        """Raises RdcError for what is not there, or not there any more."""
        with self._lock:
            if not isinstance(key, str) or key not in self._items:
                raise RdcError(f"this {self._kind} is no longer held; open it again")
            self._items.move_to_end(key)
            return self._items[key]
