"""How a result came to its place, line by line."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from xmodal.cli.output import figure

if TYPE_CHECKING:
    from xmodal.results import SearchResult


def explained(result: "SearchResult") -> Iterator[str]:
    """What ``--explain`` says of a result."""
    told = result.explanation
    if told is None or result.chance is None:
        yield "has the facts asked for; nothing was compared"
        return
    whole = f"{result.distance} bits of the code differ"
    if told.semantic_bits is not None:
        whole += f": {told.semantic_bits} of what it shows, {told.instance_bits} of the rest"
    yield whole
    ranks = f"place {told.hamming_rank} of {told.shortlist} by bits, {told.asymmetric_rank} "
    ranks += "by the query's weights"
    if told.feature_rank is not None:
        ranks += f", {told.feature_rank} with features"
    yield ranks
    if told.words:
        yield f"has the words: {'; '.join(told.words)}"
    for term in told.terms:
        weight = "" if term.weight == 1 else f", counting {term.weight:g} times"
        yield f"{term.text}: {figure(term.chance)} expected by chance{weight}"
    if told.alternatives > 1:
        yield f"times {told.alternatives} alternatives: {figure(result.chance)}"
    elif len(told.terms) > 1:
        yield f"together: {figure(result.chance)}"
