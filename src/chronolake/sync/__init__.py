"""Carry PostgreSQL's stream of changes to the lake.

`messages.py`, `tuples.py`, `cells.py` and `wire_text.py` give meaning to the bytes of `pgoutput`; they open no socket.
"""
