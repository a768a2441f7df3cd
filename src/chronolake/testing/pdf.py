"""PDF documents written by hand, so that a test says byte for byte what is in one."""

import zlib

_PAGE = (
    b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
    b" /Resources << /Font << /F1 5 0 R >> >> >>"
)


def pdf(content: bytes, *, info: str = "", trailer: str = "", compress: bool = False) -> bytes:
    """A PDF of one page that `content` draws; `info` and `trailer` are entries of those dictionaries."""
    stream = zlib.compress(content, 9) if compress else content
    filters = " /Filter /FlateDecode" if compress else ""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        _PAGE,
        f"<< /Length {len(stream)}{filters} >>\nstream\n".encode() + stream + b"\nendstream",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        f"<< {info} >>".encode("latin-1"),
    ]
    body, places = b"%PDF-1.4\n", []
    for number, text in enumerate(objects, 1):
        places.append(len(body))
        body += f"{number} 0 obj\n".encode() + text + b"\nendobj\n"
    count = len(objects) + 1
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"trailer\n<< /Size {count} /Root 1 0 R /Info 6 0 R {trailer} >>\nstartxref\n{len(body)}\n%%EOF\n"
    return body + f"xref\n0 {count}\n0000000000 65535 f \n{table}{end}".encode("latin-1")


def lines(*texts: str) -> bytes:
    """Content that writes each text on a line of its own."""
    shown = b" ".join(b"(" + text.encode("latin-1") + b") Tj 0 -16 Td" for text in texts)
    return b"BT /F1 12 Tf 50 700 Td " + shown + b" ET"
