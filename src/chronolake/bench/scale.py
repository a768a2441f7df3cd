"""How large the trials of the sync are, unless another size is asked for."""

#: Rows of the one huge transaction.
HUGE_ROWS = 5_000_000
#: Seconds for which the slot is watched while nothing comes for it.
IDLE_S = 600.0
