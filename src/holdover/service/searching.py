"""Who reads files, and who finds what they say."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator

from holdover.errors import ConfigurationError
from holdover.models.upstream import Upstream
from holdover.settings import ServiceSettings
from holdover.store.protocol import Store
from holdover.tools.file_search.protocol import Embedder, Indexer, Reranker, Searcher

from .models import UpstreamTransport

log = logging.getLogger("holdover")


@contextlib.asynccontextmanager
async def open_file_search(settings: ServiceSettings, store: Store) -> AsyncIterator[tuple[Indexer, Searcher]]:
    """Return who reads files and who finds what they say. Nothing of it is started before it is asked for.

    Raises:
        ConfigurationError: The embedder is an endpoint, and none is named.
    """
    from holdover.tools.file_search.indexer import FileIndexer
    from holdover.tools.file_search.parsing import Parsers
    from holdover.tools.file_search.search import HybridSearcher

    async with contextlib.AsyncExitStack() as opened:
        upstream = Upstream(UpstreamTransport())
        opened.push_async_callback(upstream.close)
        embedder = _embedder(settings, upstream)
        if embedder is not None:
            opened.push_async_callback(embedder.close)
        indexer = FileIndexer(Parsers(settings.file_readers), embedder)
        opened.push_async_callback(indexer.close)
        cache_bytes = settings.search_cache_mb * 1024 * 1024
        yield indexer, HybridSearcher(store, embedder, reranker=_reranker(settings, upstream), cache_bytes=cache_bytes)


def _embedder(settings: ServiceSettings, upstream: Upstream) -> Embedder | None:
    """Return who makes vectors; ``None`` where files are found by their words alone."""
    match settings.embedder:
        case "none":
            return None
        case "endpoint":
            from holdover.models.compatible_embedder import CompatibleEmbedder

            if settings.embedding_base_url is None:
                raise ConfigurationError("The embedder is an endpoint: give its embedding_base_url.")
            return CompatibleEmbedder(
                upstream,
                base_url=settings.embedding_base_url.rstrip("/"),
                model=settings.embedding_model,
                api_key=settings.embedding_api_key,
                dimensions=settings.embedding_dimensions,
                max_tokens=settings.embedding_max_tokens,
            )
        case _:
            from holdover.models import minilm

            if not minilm.is_available():
                if minilm.is_wanted():
                    log.warning("file search finds words only, since its embedder is not installed: %s", minilm.ADVICE)
                return None
            return minilm.MiniLM()


def _reranker(settings: ServiceSettings, upstream: Upstream) -> Reranker | None:
    if settings.reranker_base_url is None:
        return None
    from holdover.models.compatible_reranker import CompatibleReranker

    return CompatibleReranker(
        upstream,
        base_url=settings.reranker_base_url.rstrip("/"),
        model=settings.reranker_model,
        api_key=settings.reranker_api_key,
    )
