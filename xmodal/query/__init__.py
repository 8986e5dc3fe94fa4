"""From a query's feature to ranked items: the Hamming shortlist, then finer scores."""

from xmodal.query.ranking import Ranking, rank

__all__ = ["Ranking", "rank"]
