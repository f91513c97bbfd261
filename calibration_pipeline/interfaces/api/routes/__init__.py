"""One module per subject; each has a `router` that `interfaces.api.app` includes."""
