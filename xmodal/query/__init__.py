"""From a query to ranked pictures: its language, filters, the Hamming shortlist, finer scores."""
