"""Duplicates of a whole library: files of the same bytes, versions of one picture, bursts.

Near duplicates are looked for among codes that differ in few bits, block by block, and then judged
by their features; bursts among shots that follow one another. Both are the relation by which
searches fold their results, ``alike.py``.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from xmodal.encoders.base import normalise
from xmodal.hamming import HammingIndex
from xmodal.hamming.ids import listed
from xmodal.hamming.memory import require_memory
from xmodal.hamming.packing import from_planes
from xmodal.query.alike import RADIUS, Looks, Shot, runs_of
from xmodal.query.catalog import facts_of
from xmodal.query.filters import live_pictures
from xmodal.results import Duplicates
from xmodal.spaces.opened import OpenSpace
from xmodal.store.chunks import chunks
from xmodal.store.features import iter_features
from xmodal.store.loading import load_codes
from xmodal.store.models import Capture, File, Frame, Item

Ids = NDArray[np.int64]
Places = NDArray[np.intp]
# Pictures that are looked up at a time, and pairs whose features are compared at a time.
_BLOCK = 256
_PAIRS = 1 << 16
_FEATURES = 8_192


def find_duplicates(space: OpenSpace, among: Ids | None = None) -> list[Duplicates]:
    """Exact, near and burst groups, each kind by path; ``among`` these pictures, or in all."""
    return [*_exact(space, among), *_near(space, among)]


def _exact(space: OpenSpace, among: Ids | None) -> list[Duplicates]:
    """Files of the same content that are present, videos too."""
    present = (File.state == "present", File.item_id.is_not(None))
    several = select(File.item_id).where(*present).group_by(File.item_id).having(func.count() > 1)
    ids = np.fromiter(space.session.scalars(several), np.int64)
    if among is not None:
        ids = np.intersect1d(ids, among)
    facts = facts_of(space.session, ids.tolist()).values()
    found = [Duplicates("exact", [each.path, *each.copies], 0) for each in facts if each.copies]
    return sorted(found, key=lambda group: group.paths)


def _near(space: OpenSpace, among: Ids | None) -> list[Duplicates]:
    ids, codes = _codes(space, among)
    order, runs = _best_first(space, ids)
    ids, codes = ids[order], codes[order]
    looks = Looks(_features(space, ids), runs)
    groups = list(grouped(looks, codes))
    paths = (
        {
            item: each.path
            for item, each in facts_of(space.session, ids[np.concatenate(groups)].tolist()).items()
        }
        if groups
        else {}
    )
    found = []
    for group in groups:
        there = [place for place in group.tolist() if int(ids[place]) in paths]
        first = there[0]
        burst = runs[first] >= 0 and (runs[there] == runs[first]).all()
        distances = np.bitwise_count(codes[there] ^ codes[first]).sum(axis=1, dtype=int)
        found.append(
            Duplicates(
                "burst" if burst else "near",
                [paths[int(ids[place])] for place in there],
                int(distances.max()),
            )
        )
    return sorted(found, key=lambda group: (group.kind != "near", group.paths))


def grouped(looks: Looks, codes: NDArray[np.uint8]) -> Iterator[Places]:
    """Groups of two pictures or more: places of what :meth:`Looks.leaders` puts together, as far as
    codes uint8 ``(n, bytes)`` of them are within the radius or they are of one run."""
    n, bits = len(codes), 8 * codes.shape[1]
    radius = int(RADIUS * bits)
    index = HammingIndex(bits)
    index.add(np.arange(n), codes)
    by_run = np.argsort(looks.runs, kind="stable")
    runs = looks.runs[by_run]
    free = np.ones(n, dtype=bool)
    for start in range(0, n, _BLOCK):
        queries = start + np.flatnonzero(free[start : start + _BLOCK])
        candidates = []
        for query, hits in zip(
            queries.tolist(), index.search_radius(codes[queries], radius), strict=True
        ):
            near = hits.ids[hits.ids > query]
            if (run := looks.runs[query]) >= 0:
                mates = by_run[slice(*np.searchsorted(runs, (run, run + 1)))]
                near = np.union1d(near, mates[mates > query])
            candidates.append(near[free[near]])
        alike = _alike(looks, queries, candidates)
        for query, near, flags in zip(queries.tolist(), candidates, alike, strict=True):
            members = near[flags & free[near]] if free[query] else near[:0]
            if len(members):
                free[members] = free[query] = False
                yield np.array([query, *np.sort(members)])


def _alike(
    looks: Looks, queries: Places, candidates: list[NDArray[np.int64]]
) -> list[NDArray[np.bool_]]:
    """Which candidates of each query are like it."""
    counts = [len(near) for near in candidates]
    first, second = np.repeat(queries, counts), np.concatenate([*candidates, np.empty(0, int)])
    flags = np.empty(len(first), dtype=bool)
    for start in range(0, len(first), _PAIRS):
        part = slice(start, start + _PAIRS)
        flags[part] = looks.alike(first[part], second[part])
    return np.split(flags, np.cumsum(counts)[:-1])


def _codes(space: OpenSpace, among: Ids | None) -> tuple[Ids, NDArray[np.uint8]]:
    """Pictures that are no frames of videos, ascending, and what tells single ones apart in their
    codes, uint8 ``(n, bytes)``."""
    hasher = space.code.hasher
    stored = load_codes(space.session, space.code.hasher_id, "image")
    for problem in stored.problems:
        space.notify(problem)
    parts = [(listed(ids), from_planes(planes, hasher.bits // 8)) for ids, planes in stored.batches]
    if not parts:
        return np.empty(0, np.int64), np.empty((0, hasher.bits // 8), np.uint8)
    ids = np.concatenate([ids for ids, _ in parts])
    codes = np.concatenate([codes for _, codes in parts])[:, hasher.instance_start // 8 :]
    live = np.fromiter(space.session.scalars(live_pictures()), np.int64)
    frames = np.fromiter(space.session.scalars(select(Frame.item_id)), np.int64)
    keep = np.isin(ids, live) & ~np.isin(ids, frames)
    if among is not None:
        keep &= np.isin(ids, among)
    order = np.flatnonzero(keep)[np.argsort(ids[keep], kind="stable")]
    return ids[order], codes[order]


def _best_first(space: OpenSpace, ids: Ids) -> tuple[Places, NDArray[np.int64]]:
    """The order of most pixels first, and in it the runs of shots that pictures belong to."""
    columns = Item.id, Item.width, Item.height, Capture.taken_at, Capture.camera
    query = select(*columns).outerjoin(Capture, Capture.item_id == Item.id)
    pixels = np.zeros(len(ids), dtype=np.int64)
    shots: list[Shot | None] = [None] * len(ids)
    places = {item: place for place, item in enumerate(ids.tolist())}
    for chunk in chunks(places):
        for item, width, height, taken, camera in space.session.execute(
            query.where(Item.id.in_(chunk))
        ):
            place = places[item]
            pixels[place] = (width or 0) * (height or 0)
            shots[place] = None if taken is None else Shot(camera, taken)
    order = np.argsort(-pixels, kind="stable")
    return order, runs_of(shots)[order]


def _features(space: OpenSpace, ids: Ids) -> NDArray[np.float16]:
    """Features as :class:`Looks` takes them, in half the memory."""
    mean = space.code.hasher.image_mean_
    require_memory(2 * len(ids) * len(mean), f"the features of {len(ids):,} pictures")
    found = np.full((len(ids), len(mean)), np.nan, np.float16)
    order = np.argsort(ids)
    ascending = ids[order]
    for items, features in iter_features(space.session, space.id, "image", _FEATURES):
        at = np.minimum(np.searchsorted(ascending, items), len(ascending) - 1)
        known = ascending[at] == items if len(ascending) else np.zeros(len(items), bool)
        found[order[at[known]]] = normalise(features[known] - mean)
    return found
