"""Side by side: this estimator and what a user would pick instead. Run it with `make bench`."""
