"""What becomes of the sync's own files' errors: they end a term, never the loop."""

import errno

import pytest

from chronolake.errors import StorageFull, SyncError
from chronolake.sync.worker import _files_translated


@pytest.mark.parametrize(
    ("number", "expected"),
    [(errno.ENOSPC, StorageFull), (errno.EDQUOT, StorageFull), (errno.EACCES, SyncError)],
)
def test_an_error_of_a_file_is_one_of_ours(number, expected):
    with pytest.raises(expected), _files_translated():
        raise OSError(number, "as the system says")
