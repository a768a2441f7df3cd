"""The words we speak: what a capture is, its keys, its columns. Pure: no files, no sockets, no database."""
