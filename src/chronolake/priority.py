"""Which threads give way: what is done in the background takes what those who wait leave of the processors."""

import os
import sys
import threading
from contextlib import suppress

#: The scheduler gives a thread so nice a third of what one gets that is not, where both want a processor. Nicer ones
#: would hold for too long what others wait for: the interpreter, a commit's turn.
NICENESS = 5


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
