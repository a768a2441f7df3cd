"""The outside worlds that captures come from: files in `local`, web archives beside it.

An archive is asked by an `ArchiveSource`; the `Asker` keeps the manners, `pace` and `breaker` decide when it may
be asked, `router` decides which one is.
"""
