"""The chain: one module per asset; an asset reads, calls one function, writes and reports."""
