"""Base of the sources that read records by number: ArrayRecord shards and TFDS sets."""

import copy
import re
from typing import Any

import numpy as np

from rdc_jax.data.replacing_source import ReadError, ReplacingSource
from rdc_jax.errors import RdcError

DAMAGE = re.compile(r"corrupt|mismatch|data.?loss|invalid|truncated", re.IGNORECASE)
"""Words of the readers' messages about damaged shards. Other errors come from the storage."""


class RecordSource(ReplacingSource):
    """Images that are read from numbered records.

    Args:
        records: Sequence of records.
        where: Location of the records, for messages.
    """

    def __init__(self, records: Any, where: str):
        self._records = records
        super().__init__(np.arange(len(records)), where)

    def _label(self, key: int) -> str:
        """Returns the name of a record for messages."""
        return f"record {key} {self._where}"

    def _record(self, key: int) -> Any:
        """Reads a record.

        Raises:
            RdcError: the record is damaged.
            ReadError: the storage did not deliver it.
        """
        try:
            return self._records[int(key)]
        except Exception as error:  # the readers raise exceptions without a common type
            reason = " ".join(str(error).split()) or type(error).__name__
            if DAMAGE.search(reason):
                raise RdcError(f"{self._label(key)} is damaged: {reason}") from error
            self._records = copy.copy(self._records)  # reopens the shards: a reader stays failed
            raise ReadError(f"{self._label(key)} cannot be read: {reason}") from error
