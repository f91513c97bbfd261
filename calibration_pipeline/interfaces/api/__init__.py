"""The HTTP service (docs/api.md): the only importer of FastAPI."""
