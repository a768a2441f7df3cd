"""Carry PostgreSQL's stream of changes to the lake.

`messages.py` and `tuples.py` give meaning to the bytes of `pgoutput`, with `cells.py`, `arrays.py`, `texts.py` and
`wire_text.py` below them for single values; they open no socket.
"""
