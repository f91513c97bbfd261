"""Where passes over the answers run: on this machine's threads, or on a Dask cluster.

Dask is the extra ``dask``. It is imported when a cluster is asked for, and never otherwise.
"""
