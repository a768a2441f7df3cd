"""Which threads give way: what is done in the background takes what those who wait leave of the processors."""

import os
import sys
import threading
from contextlib import suppress

#: Linux gives a thread so nice two thirds of what one gets that is not, where both want a processor. With 5, a third, a
#: round of refreshes over 10 million captures took longer than dashboards allow a lag for, and held the interpreter and
#: a commit's turn from those who waited for them.
NICENESS = 2


def give_way() -> None:
    """Let this thread give way to others of the process, and so all threads that it starts; there is no way back.

    Linux alone has priorities of threads; elsewhere, and where it may not be, nothing happens.
    """
    if sys.platform != "linux":
        return
    thread = threading.get_native_id()
    with suppress(OSError):
        if os.getpriority(os.PRIO_PROCESS, thread) < NICENESS:
            os.setpriority(os.PRIO_PROCESS, thread, NICENESS)
