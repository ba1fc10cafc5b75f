"""createAssistant as most would write it today: FastAPI, pydantic, SQLAlchemy's ORM, aiosqlite; as durable as ours.

python -m bench.peers.orm_service DATABASE KEY
"""

import asyncio
import secrets
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

import uvicorn
import uvloop
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import JSON, event
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Limited = Annotated[str, Field(max_length=512)]


class CodeInterpreterTool(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: Literal["code_interpreter"]


class FileSearchTool(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: Literal["file_search"]
    file_search: dict[str, Any] | None = None


class FunctionDefinition(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")]
    description: Annotated[str, Field(max_length=1024)] | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionTool(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: Literal["function"]
    function: FunctionDefinition


Tool = Annotated[CodeInterpreterTool | FileSearchTool | FunctionTool, Field(discriminator="type")]


class CreateAssistant(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: Annotated[str, Field(min_length=1, max_length=256)]
    name: Annotated[str, Field(max_length=256)] | None = None
    description: Limited | None = None
    instructions: Annotated[str, Field(max_length=256_000)] | None = None
    tools: Annotated[list[Tool], Field(max_length=128)] = []
    tool_resources: dict[str, Any] | None = None
    metadata: Annotated[dict[Annotated[str, Field(max_length=64)], Limited], Field(max_length=16)] = {}
    temperature: Annotated[float, Field(ge=0, le=2)] | None = 1.0
    top_p: Annotated[float, Field(ge=0, le=1)] | None = 1.0
    reasoning_effort: str | None = None
    response_format: Literal["auto"] | dict[str, Any] = "auto"


class Assistant(CreateAssistant):
    model_config = ConfigDict(from_attributes=True)

    id: str
    object: Literal["assistant"] = "assistant"
    created_at: int
    metadata: dict[str, str] = Field(default={}, validation_alias="metadata_")


class Base(DeclarativeBase):
    pass


class AssistantRow(Base):
    __tablename__ = "assistants"

    seq: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[int]
    model: Mapped[str]
    name: Mapped[str | None]
    description: Mapped[str | None]
    instructions: Mapped[str | None]
    tools: Mapped[list[Any]] = mapped_column(JSON)
    tool_resources: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    metadata_: Mapped[dict[str, str]] = mapped_column("metadata", JSON)
    temperature: Mapped[float | None]
    top_p: Mapped[float | None]
    reasoning_effort: Mapped[str | None]
    response_format: Mapped[Any] = mapped_column(JSON)


def application(database: str, key: str) -> FastAPI:
    """Return the application on a SQLite file, for callers with a key."""
    # One connection: with more, writers would find the file locked and sleep, which made it slower here.
    engine = create_async_engine(f"sqlite+aiosqlite:///{database}", pool_size=1, max_overflow=0, pool_timeout=60)
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)

    async def open_session() -> AsyncIterator[AsyncSession]:
        async with sessions() as opened:
            yield opened

    def check_key(authorization: Annotated[str, Header()] = "") -> None:
        if not secrets.compare_digest(authorization, f"Bearer {key}"):
            raise HTTPException(401)

    @app.post("/v1/assistants", dependencies=[Depends(check_key)])
    async def create_assistant(
        body: CreateAssistant, session: Annotated[AsyncSession, Depends(open_session)]
    ) -> Assistant:
        fields = body.model_dump()
        row = AssistantRow(
            id=f"asst_{secrets.token_hex(12)}",
            created_at=int(time.time()),
            metadata_=fields.pop("metadata"),
            **fields,
        )
        session.add(row)
        await session.commit()
        return Assistant.model_validate(row)

    return app


def serve(app: FastAPI) -> None:
    """Serve an application with uvicorn on a free port of loopback and say its number."""
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
    )
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listening:
        print(listening.getsockname()[1], flush=True)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(uvicorn.Server(config).serve(sockets=[listening]))


if __name__ == "__main__":
    serve(application(*sys.argv[1:]))
