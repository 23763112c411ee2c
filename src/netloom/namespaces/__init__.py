"""Single namespaces: handles, names, entering, running."""
