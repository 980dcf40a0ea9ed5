"""The little of pyarrow that the tests use; the package ships no types."""

from typing import Any

class ChunkedArray:
    def to_numpy(self) -> Any: ...

class Table:
    def column(self, name: str) -> ChunkedArray: ...
