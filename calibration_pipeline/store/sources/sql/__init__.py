"""Tables of other systems as sources of answers."""
