"""From folders and captions files to items, features and codes: the index run."""
