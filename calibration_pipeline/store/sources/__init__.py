"""Where answers come from. Each source gives the same rows; the native log is the first."""
